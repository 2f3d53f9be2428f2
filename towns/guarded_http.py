"""HTTP to addresses that others have chosen: to public ones alone, and not for ever.

A name is resolved once, when the connection is made, and looked at; the connection is made to one
of the addresses that were looked at: a name that leads elsewhere the second time leads nowhere.
Many addresses that are silent are not waited for one after another.
"""

import contextlib
import math
import socket
import time
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError

from towns.posting import NotPublic

_RESERVED = tuple(
    map(ip_network, ("192.0.0.0/24", "::/96", "fec0::/10", "3fff::/20"))
)  # RFC 6890, RFC 4291, RFC 3879, RFC 9637; not all known to every Python
ADDRESSES_TRIED = 3
_TRANSLATED = (IPv6Network("64:ff9b::/96"), IPv6Network("64:ff9b:1::/48"))
"""Through which a network may reach every IPv4 address, private ones too (RFC 6052, RFC 8215)."""


def is_public(text: str) -> bool:
    """Whether an IP address is anybody's on the internet. ValueError for what is no address."""
    address = ip_address(text.partition("%")[0])
    if isinstance(address, IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or _of_teredo(address)
        if inner is not None:
            return _is_global(inner)
        if any(address in network for network in _TRANSLATED):
            return False
    return _is_global(address)


def _of_teredo(address: IPv6Address) -> IPv4Address | None:
    return address.teredo[1] if address.teredo else None


def _is_global(address: IPv4Address | IPv6Address) -> bool:
    if any(address in network for network in _RESERVED):
        return False
    return address.is_global and not address.is_multicast


class GuardedAdapter(HTTPAdapter):
    """For a session of requests: its connections lead to public addresses, or `private` ones too if
    that is wanted; else they raise NotPublic. All together they are given so many `seconds`, within
    which a name's first `ADDRESSES_TRIED` addresses are tried; how long resolving takes is up to
    the system's resolver."""

    def __init__(self, *, private: bool = False, seconds: float = math.inf) -> None:
        self._private = private
        self._until = time.monotonic() + seconds
        self._made: list[HTTPConnection] = []
        self._is_cut = False
        super().__init__()

    def cut(self) -> None:
        """End whatever is under way, and begin nothing more: who answers a byte at a time would
        hold us for ever."""
        self._is_cut = True
        for connection in self._made:
            if connection.sock is not None:
                with contextlib.suppress(OSError):  # it has ended by itself
                    connection.sock.shutdown(socket.SHUT_RDWR)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """As requests does, with connections that look first."""
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _pools(self)

    def connect(self, connection: HTTPConnection, by: type[HTTPConnection]) -> socket.socket:
        """A connection as the class `by` makes it, if it leads where it may."""
        name, patience, error = connection._dns_host, connection.timeout, None
        try:
            for address in self._addresses(connection):
                connection._dns_host = address
                connection.timeout = self._patience(connection, patience)
                try:
                    made = by._new_conn(connection)
                except (ConnectTimeoutError, NewConnectionError) as failed:
                    error = failed
                    continue
                self._made.append(connection)
                return made
        finally:
            connection._dns_host, connection.timeout = name, patience
        raise error or NewConnectionError(connection, "the name leads nowhere")

    def _addresses(self, connection: HTTPConnection) -> list[str]:
        """Where its name leads, as far as it is tried; NotPublic if any of it isn't for us."""
        try:
            rows = socket.getaddrinfo(
                connection._dns_host, connection.port, type=socket.SOCK_STREAM
            )
        except (OSError, UnicodeError):
            return []
        found = list(dict.fromkeys(str(row[4][0]) for row in rows))
        if not self._private and not all(is_public(one) for one in found):
            raise NotPublic(connection, "a private address")
        return found[:ADDRESSES_TRIED]

    def _patience(self, connection: HTTPConnection, usual: Any) -> float:
        """For how long one address is tried. ConnectTimeoutError when all time is used up."""
        left = 0.0 if self._is_cut else self._until - time.monotonic()
        if left <= 0:
            raise ConnectTimeoutError(connection, "It took too long.")
        return min(left, float(usual)) if isinstance(usual, int | float) else left


def _pools(guard: GuardedAdapter) -> dict[str, type[HTTPConnectionPool]]:
    class Plain(HTTPConnection):
        def _new_conn(self) -> socket.socket:
            return guard.connect(self, HTTPConnection)

    class Secure(HTTPSConnection):
        def _new_conn(self) -> socket.socket:
            return guard.connect(self, HTTPSConnection)

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class SecurePool(HTTPSConnectionPool):
        ConnectionCls = Secure

    return {"http": PlainPool, "https": SecurePool}
