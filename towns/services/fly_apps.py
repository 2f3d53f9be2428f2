"""Fly's Machines API for several apps: one client an app, which share connections and budgets."""

import threading
from collections.abc import Callable
from dataclasses import replace

import requests

from towns.fly_apps import apps_named

from .errors import Misconfigured
from .fly import FlyClient
from .fly_http import new_session
from .fly_types import FlyConfig
from .limits import RateLimiter, TokenBuckets
from .results import OnResult, ignore


class FlyAppsClient:
    """Thread-safe. `config.app` is a name or a pattern (`towns.fly_apps`).

    `on_result` gives, for each app, who hears of its calls.
    """

    def __init__(
        self,
        config: FlyConfig,
        *,
        limiter: RateLimiter | None = None,
        session_factory: Callable[[], requests.Session] = new_session,
        on_result: Callable[[str], OnResult] = lambda _app: ignore,
    ) -> None:
        self._config = config
        self._limiter = limiter or TokenBuckets()
        self._session_factory = session_factory
        self._on_result = on_result
        self._local = threading.local()
        self._clients: dict[tuple[str, bool], FlyClient] = {}

    def ping(self) -> bool:
        """Whether Fly's API answers at all: anything below 500 counts. Never raises."""
        try:
            apps = apps_named(self._config.app)
        except ValueError:
            apps = ()
        return self._client(apps[0] if apps else "").ping()

    def of(self, app: str) -> FlyClient:
        """The client of one app. For a town whose app was never recorded it is the first one
        configured. Where that is one of several, a 404 of its proves nothing.

        Raises Misconfigured if no app is named and the setting is senseless.
        """
        if app:
            return self._client(app)
        try:
            apps = apps_named(self._config.app)
        except ValueError as error:
            raise Misconfigured(str(error)) from None
        return self._client(apps[0] if apps else "", guessed=len(apps) > 1)

    def _client(self, app: str, *, guessed: bool = False) -> FlyClient:
        client = self._clients.get((app, guessed))
        if client is None:
            client = FlyClient(
                replace(self._config, app=app, guessed=guessed),
                limiter=self._limiter,
                session_factory=self._session,
                on_result=self._on_result(app),
            )
            # Of two threads that make it at the same moment both get the same one.
            client = self._clients.setdefault((app, guessed), client)
        return client

    def _session(self) -> requests.Session:
        session: requests.Session | None = getattr(self._local, "session", None)
        if session is None:
            session = self._local.session = self._session_factory()
        return session
