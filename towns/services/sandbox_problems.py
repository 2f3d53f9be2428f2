"""What an exception of a call to a sandbox says about the town, and what only about us."""

import errno
import http.client
import ssl
from collections.abc import Iterator
from socket import gaierror

import aiohttp
import requests
import urllib3.exceptions
from aiohttp.http_exceptions import TransferEncodingError

from towns.probe import ProbeProblem

OUR_ERRNOS = frozenset(
    {
        errno.ENETUNREACH,
        errno.ENETDOWN,
        errno.EHOSTUNREACH,
        errno.EHOSTDOWN,
        errno.EADDRNOTAVAIL,
        errno.EMFILE,
        errno.ENFILE,
        errno.ENOBUFS,
        errno.ENOMEM,
        errno.EACCES,
        errno.EPERM,
    }
)
REMOTE_ERRORS = (
    requests.RequestException,
    urllib3.exceptions.HTTPError,
    http.client.HTTPException,
    aiohttp.ClientError,
    OSError,
    ValueError,
)
"""What a call can raise: `ValueError` also stands for addresses and headers without sense."""


def problem_of(error: BaseException) -> tuple[ProbeProblem, str]:
    """The kind and a reason for people; the reason quotes nothing of the request."""
    for cause in _causes(error):
        found = _known(cause)
        if found is not None:
            return found
    if isinstance(error, ValueError | aiohttp.NonHttpUrlClientError):
        return ProbeProblem.NETWORK, "the address makes no sense; check GASTOWN_SANDBOX_URL"
    return ProbeProblem.REFUSED, f"the connection failed ({type(error).__name__})"


def _known(cause: BaseException) -> tuple[ProbeProblem, str] | None:
    match cause:
        case gaierror() | aiohttp.ClientConnectorDNSError():
            return ProbeProblem.NETWORK, f"its name could not be resolved ({cause.strerror})"
        case ssl.SSLError() if not isinstance(cause, TimeoutError):
            return ProbeProblem.NETWORK, "TLS failed: the certificate or protocol is not accepted"
        case TimeoutError() | requests.Timeout() | urllib3.exceptions.TimeoutError():
            return ProbeProblem.TIMEOUT, "no complete answer in time"
        case OSError(errno=code) if code in OUR_ERRNOS:
            return ProbeProblem.NETWORK, f"our network: {cause.strerror}"
        case http.client.RemoteDisconnected() | aiohttp.ServerDisconnectedError():
            return ProbeProblem.REFUSED, "the connection was closed without an answer"
        case OSError(errno=errno.ECONNREFUSED):
            return ProbeProblem.REFUSED, "the connection was refused"
        case OSError(errno=int()) if not isinstance(cause, requests.RequestException):
            return ProbeProblem.REFUSED, f"the connection broke: {cause.strerror}"
        case urllib3.exceptions.InvalidChunkLength() | TransferEncodingError():
            return ProbeProblem.MALFORMED, "the answer is not HTTP"
        case (
            http.client.IncompleteRead()
            | urllib3.exceptions.IncompleteRead()
            | aiohttp.ClientPayloadError()
        ):
            return ProbeProblem.REFUSED, "the connection was closed in the middle of the answer"
        case http.client.HTTPException() | aiohttp.ClientResponseError():
            return ProbeProblem.MALFORMED, "the answer is not HTTP"
        case _:
            return None


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The errors inside an error, innermost first: the libraries wrap in three ways."""
    seen: list[BaseException] = []
    waiting: list[object] = [error]
    while waiting:
        item = waiting.pop()
        if not isinstance(item, BaseException) or any(item is known for known in seen):
            continue
        seen.append(item)
        waiting += [*item.args, getattr(item, "reason", None), item.__cause__, item.__context__]
    return reversed(seen)
