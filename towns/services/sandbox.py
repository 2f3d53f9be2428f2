"""The API inside a town's machine, seen from outside (sandbox.md).

A probe is a value whatever happens: a sweep asks a thousand towns, and one that behaves badly
must not disturb the others. A request for a backup raises, since a flow decides on it.
"""

import json
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from towns.probe import Probe, ProbeProblem

from . import values
from .errors import Conflict, Rejected, Unavailable
from .health_report import Malformed, parse_health
from .sandbox_fleet import FleetProbing, Question
from .sandbox_http import TooLarge, exchange
from .sandbox_problems import REMOTE_ERRORS, problem_of
from .sandbox_types import SandboxAddress, SyncAnswer, sandbox_key, sandbox_url

__all__ = ["SandboxAddress", "SandboxClient", "SyncAnswer", "sandbox_key", "sandbox_url"]

HEALTH = "/health"
OnResults = Callable[[Counter[str]], None]


def _ignore(_results: Counter[str]) -> None:
    """Nobody wants to know."""


class SandboxClient:
    """Thread-safe. `timeout_seconds` bounds a whole call, from connecting to the last byte.

    `on_results` hears how many probes went how: `ok`, or the problem.
    """

    def __init__(self, *, timeout_seconds: float = 5.0, on_results: OnResults = _ignore) -> None:
        self._timeout = timeout_seconds
        self._on_results = on_results

    def probe(self, address: SandboxAddress) -> Probe:
        """Ask for its health once. Never raises, whatever the other side does."""
        began = time.monotonic()
        try:
            found = _read(began, *self._exchange("GET", address, HEALTH))
        except (TooLarge, *REMOTE_ERRORS) as error:
            found = _read(began, error, b"")
        self._heard([found])
        return found

    def probing(self, *, concurrency: int) -> FleetProbing:
        """A way to probe batch after batch, at most `concurrency` sandboxes at a time."""
        return FleetProbing(
            Question(HEALTH, _headers, _read, self._heard, self._timeout), concurrency=concurrency
        )

    def probe_many(self, addresses: Sequence[SandboxAddress], *, concurrency: int) -> list[Probe]:
        """Probe all of them, at most `concurrency` at a time; answers in the order asked."""
        with self.probing(concurrency=concurrency) as probing:
            probing.begin(0, addresses)
            taken = probing.take()
        return taken[1] if taken else []

    def _heard(self, probes: Sequence[Probe]) -> None:
        self._on_results(
            Counter("ok" if one.problem is None else one.problem.value for one in probes)
        )

    def request_sync(self, address: SandboxAddress) -> SyncAnswer:
        """Have it begin a backup, or join the one under way.

        Raises Conflict while it restores, Rejected when it refuses our key or the request, and
        Unavailable when it can't be reached, can't back up now or answers nonsense.
        """
        where = f"The sandbox of town {address.town_id}"
        try:
            code, body = self._exchange("POST", address, "/sync")
        except TooLarge:
            raise Unavailable(f"{where} answered over 1 MiB to a request for a backup.") from None
        except REMOTE_ERRORS as error:
            _, detail = problem_of(error)
            raise Unavailable(f"{where} was asked for a backup: {detail}.") from error
        answer = _json_object(body)
        if code in (200, 202) and answer is not None:
            return SyncAnswer(
                accepted=code == 202,
                snapshot=values.text(answer.get("snapshot")),
                previous=values.text(answer.get("previous")),
            )
        said = _said(code, answer, address.key)
        if code == 409:
            raise Conflict(f"{where} makes no backup while it restores ({said}).")
        if code == 403:
            raise Rejected(
                f"{where} refuses our key ({said}). GASTOWN_INTERNAL_API_SECRET or the town's key "
                "version is not the one that its machine was made with."
            )
        if 400 <= code < 500 and code not in (408, 429):
            raise Rejected(f"{where} refused a backup ({said}).")
        raise Unavailable(f"{where} made no backup ({said}).")

    def _exchange(self, method: str, address: SandboxAddress, path: str) -> tuple[int, bytes]:
        headers = {**_headers(address), "Connection": "close"}
        return exchange(method, address.url + path, headers, self._timeout)


def _headers(address: SandboxAddress) -> dict[str, str]:
    return {
        "x-internal-api-key": address.key,
        "fly-force-instance-id": address.machine_id,
        "Accept": "application/json",
        "Accept-Encoding": "identity",
    }


def _read(began: float, told: int | Exception, body: bytes) -> Probe:
    """What an answer, or the lack of one, proves."""
    match told:
        case TooLarge():
            return _failed(began, ProbeProblem.MALFORMED, "the answer is over 1 MiB")
        case Exception():
            return _failed(began, *problem_of(told))
        case 200:
            pass
        case 403:
            return _failed(began, ProbeProblem.FORBIDDEN, "it refuses our key (HTTP 403)")
        case _:
            return _failed(began, ProbeProblem.STATUS, f"it answered HTTP {told}")
    try:
        report = parse_health(body)
    except Malformed as error:
        return _failed(began, ProbeProblem.MALFORMED, str(error))
    return Probe(report=report, problem=None, detail="", latency_ms=_since(began))


def _failed(began: float, problem: ProbeProblem, detail: str) -> Probe:
    return Probe(report=None, problem=problem, detail=detail, latency_ms=_since(began))


def _since(began: float) -> int:
    return round((time.monotonic() - began) * 1000)


def _json_object(body: bytes) -> Mapping[str, object] | None:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def _said(code: int, answer: Mapping[str, object] | None, key: str) -> str:
    """Status and reason; what a sandbox says may quote what it was sent."""
    reason = values.text((answer or {}).get("error"), 200)
    if reason is None:
        return f"HTTP {code}"
    return f"HTTP {code}: {reason.replace(key, '[key]') if key else reason}"
