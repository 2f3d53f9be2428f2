"""One call to Fly's Machines API: time-outs, rate limits, what a failure means (fly.md)."""

import json
import logging
import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import requests
from requests.adapters import HTTPAdapter
from requests.exceptions import ChunkedEncodingError, InvalidHeader, InvalidURL

from .errors import Misconfigured, NotFound, RateLimited, Rejected, ServiceError, Unavailable
from .fly_errors import Refusal, error_of, guessed_app, read_refusal, unknown_app, unset
from .fly_types import FlyConfig
from .limits import RateLimiter
from .results import OnResult, ignore

log = logging.getLogger(__name__)
USER_AGENT = "gastown-ops/0.1"
APP_ANSWER_COUNTS_SECONDS = 1.0
"""How old the app's own answer may be to explain a 404: many may come at once, and the app may
be asked only once a second."""
_LOST = (requests.ConnectionError, ChunkedEncodingError)
_SECRET_NAME = re.compile("KEY|SECRET|TOKEN|PASSWORD")
_ABSENT_TEXT = "Fly has no {what} any more (404, and the app itself answers){request}."


@dataclass(frozen=True, slots=True)
class Call:
    """What is asked. `action` and `key` name the rate limit, `what` is for people."""

    method: str
    path: str
    action: str
    key: str
    what: str
    params: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, Any] | None = field(default=None, repr=False)
    absent_is_proof: bool = False
    """Whether a 404 means that this very thing, a machine or a volume, is absent."""

    @property
    def doing(self) -> str:
        """As people read it."""
        return f"{self.action.replace('_', ' ').split()[0]} {self.what}"


class FlyHttp:
    """Sends calls; thread-safe, with one connection pool a thread."""

    def __init__(
        self,
        config: FlyConfig,
        limiter: RateLimiter,
        session_factory: Callable[[], requests.Session] | None = None,
        on_result: OnResult = ignore,
    ) -> None:
        self._on_result = on_result
        self._config = config
        self._limiter = limiter
        self._session_factory = session_factory or new_session
        self._local = threading.local()
        self._app_lock = threading.Lock()
        self._app_seen_at: float | None = None

    def send(self, call: Call) -> Any:
        """Send a call and return its JSON; None for an empty body.

        Raises RateLimited before anything is sent when our own bucket is empty, and each of the
        errors of `fly_errors`. NotFound is raised only once the app itself has answered. After a
        429 everybody waits with such calls for as long as Fly asks.
        """
        self._check_config()
        try:
            document = self._send(call)
        except ServiceError as error:
            self._on_result(call.action, type(error).__name__)
            raise
        self._on_result(call.action, "ok")
        return document

    def _send(self, call: Call) -> Any:
        self._limiter.take(call.action, call.key)
        response = self._exchange(call)
        if 200 <= response.status_code < 300:
            return self._document(call, response)
        refusal = self._refusal(call, response)
        error = self._error(call, refusal)
        log.log(
            logging.INFO if isinstance(error, NotFound) else logging.WARNING,
            "fly: %s %s: %s request_id=%s",
            call.method,
            call.path,
            response.status_code,
            refusal.request_id,
        )
        if isinstance(error, RateLimited):
            self._limiter.hold(call.action, call.key, error.retry_after)
        raise error

    def answers(self) -> bool:
        """Whether Fly's API answers at all, with anything below 500. Never raises."""
        try:
            response = self._once(self._app_call())
        except (requests.RequestException, ServiceError):
            return False
        return response.status_code < 500

    def confirm_app(self) -> None:
        """Ask for the app. Raises Misconfigured when there is none, else as `send`."""
        self.send(self._app_call())

    def path(self, *parts: str) -> str:
        """A path below the app's, its parts quoted."""
        return "/".join(["/apps", *(quote(part, safe="") for part in (self._config.app, *parts))])

    def _app_call(self) -> Call:
        app = self._config.app
        return Call("GET", self.path(), "get_app", app, f"app {app}")

    def _check_config(self) -> None:
        if not self._config.token:
            raise unset("GASTOWN_FLY_API_TOKEN", "a deploy token of the app")
        if not self._config.app:
            raise unset("GASTOWN_FLY_APP_NAME", "the name of the app that holds the towns")
        if not self._config.api_url.startswith(("http://", "https://")):
            raise unset("GASTOWN_FLY_API_URL", "an address like https://api.machines.dev/v1")

    def _exchange(self, call: Call) -> requests.Response:
        """A GET is repeated once, at once, after a lost connection or a 5xx. Nothing else is:
        whether it had its effect is for the flow to look at."""
        if call.method == "GET":
            try:
                response = self._once(call)
                if response.status_code < 500:
                    return response
            except requests.RequestException as error:
                if isinstance(error, requests.Timeout) or not isinstance(error, _LOST):
                    raise self._unreachable(call, error) from error
        try:
            return self._once(call)
        except requests.RequestException as error:
            raise self._unreachable(call, error) from error

    def _once(self, call: Call) -> requests.Response:
        config = self._config
        try:
            return self._session().request(
                call.method,
                config.api_url.rstrip("/") + call.path,
                params=call.params,
                json=call.body,
                headers={"Authorization": f"Bearer {config.token}", "User-Agent": USER_AGENT},
                timeout=(config.connect_timeout, config.read_timeout),
                allow_redirects=False,
            )
        except (InvalidURL, InvalidHeader, UnicodeError) as error:
            # The library's text may quote the header with the token in it.
            raise Misconfigured(
                f"Fly can't be asked: {type(error).__name__}. Check GASTOWN_FLY_API_URL and "
                "GASTOWN_FLY_API_TOKEN for stray characters."
            ) from None

    def _session(self) -> requests.Session:
        session: requests.Session | None = getattr(self._local, "session", None)
        if session is None:
            session = self._local.session = self._session_factory()
        return session

    def _unreachable(self, call: Call, error: requests.RequestException) -> Unavailable:
        log.warning("fly: %s %s: %s", call.method, call.path, type(error).__name__)
        why = "did not answer in time" if isinstance(error, requests.Timeout) else "was not reached"
        return Unavailable(f"Fly {why} for “{call.doing}” ({type(error).__name__}).")

    def _document(self, call: Call, response: requests.Response) -> Any:
        if not response.content and call.method != "GET":
            return None
        try:
            return json.loads(response.content)
        except (ValueError, RecursionError):
            request = _request_id(response)
            log.warning("fly: %s %s: unreadable, request_id=%s", call.method, call.path, request)
            raise self.unreadable(call) from None

    def unreadable(self, call: Call) -> Unavailable:
        """An answer of 200 that isn't Fly's: a proxy in between may have given it."""
        return Unavailable(f"Fly's answer to “{call.doing}” can't be read.")

    def _refusal(self, call: Call, response: requests.Response) -> Refusal:
        return read_refusal(
            response.status_code,
            response.content,
            retry_after=response.headers.get("Retry-After", ""),
            request_id=_request_id(response),
            secrets=[self._config.token, *_secrets_of(call)],
        )

    def _error(self, call: Call, refusal: Refusal) -> ServiceError:
        if refusal.code != 404:
            return error_of(refusal, call.doing, now=datetime.now(UTC))
        if refusal.text is None:
            return Unavailable(
                f"“{call.doing}” got a 404 that isn't Fly's own, which proves nothing."
            )
        if call.action == "get_app":
            return unknown_app(self._config.app)
        try:
            self._see_app()
        except Misconfigured as error:
            return error
        if call.absent_is_proof and self._config.guessed:
            return guessed_app(call.doing, self._config.app)
        if call.absent_is_proof:
            request = f", request {refusal.request_id}" if refusal.request_id else ""
            return NotFound(_ABSENT_TEXT.format(what=call.what, request=request))
        return Rejected(f"Fly answered 404 to “{call.doing}”: {refusal.text}.")

    def _see_app(self) -> None:
        """Make sure that the app exists; one answer serves all who ask at about the same time.

        Raises Misconfigured when it doesn't, and other service errors when that isn't known.
        """
        with self._app_lock:
            now = time.monotonic()
            seen = self._app_seen_at
            if seen is not None and now - seen < APP_ANSWER_COUNTS_SECONDS:
                return
            try:
                self.confirm_app()
            except Misconfigured:
                raise
            except Rejected as error:
                raise Unavailable(f"Fly would not say whether the app exists: {error}") from error
            self._app_seen_at = now


def new_session() -> requests.Session:
    """A session that takes nothing from the environment: no proxies, no .netrc."""
    session = requests.Session()
    session.trust_env = False
    adapter = HTTPAdapter(max_retries=0)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    return session


def _secrets_of(call: Call) -> list[str]:
    """What a create sends in its environment and nobody else may read."""
    env: Mapping[str, str] = (call.body or {}).get("config", {}).get("env", {})
    return [value for name, value in env.items() if value and _SECRET_NAME.search(name)]


def _request_id(response: requests.Response) -> str:
    return response.headers.get("fly-request-id", "")[:100]
