"""The WebSocket to a town, `/live/towns/{id}`: open, it counts as interaction (product.md 1.4).

It sends the town's document (product.md 5.3) when it is opened and whenever it changes. Whatever
text its user sends is a message, which is a sign of life; `ping` is none. It counts for at most
`GASTOWN_WEBSOCKET_SILENT_MINUTES` without a message. Its reconnect (`?again=1`) is no interaction,
and none wakes a town: one to a sleeping town is refused with the reason (409).

Somebody who types in a terminal sends many messages: one that would not be written, since the last
is not old enough, costs no statement. That the caller still may see the town, and that it is awake,
is looked up with the others, at each change, and at least every `SEEN_SECONDS`.
"""

import asyncio
import json
import logging
from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from channels.db import database_sync_to_async
from channels.exceptions import StopConsumer
from channels.generic.websocket import AsyncWebsocketConsumer
from django.db import InterfaceError, OperationalError
from django.utils import timezone

from towns import interactions
from towns.actions import NotAllowed
from towns.api.access import visible_town
from towns.api.problems import CONTENT_TYPE, SENTENCES, Problem, as_problem
from towns.live.callers import caller_of
from towns.live.pulse import pulse
from towns.live.stamps import town_topic
from towns.models import Town
from towns.presenting import town_facts
from towns.rules import idle_rules

SEEN_SECONDS = 30.0
"""So often it is noted that it is open; a gateway's promise is once a minute (`towns.rules`)."""
PING = "ping"
ASLEEP = 4409
GONE = 4404
LATER = 1013
"""Try again later: https://www.iana.org/assignments/websocket/websocket.xhtml"""
T = TypeVar("T")
log = logging.getLogger(__name__)


class Refusing(AsyncWebsocketConsumer):
    """Refuses a handshake with a problem that says why."""

    async def refuse(self, problem: Problem) -> None:
        """Answer the handshake as HTTP, where the server can; else close it unopened (a bare 403).

        https://asgi.readthedocs.io/en/latest/extensions.html#websocket-denial-response
        """
        if "websocket.http.response" not in (self.scope.get("extensions") or {}):
            await self.close(ASLEEP, problem.detail[:120])
            return
        headers = {"Content-Type": CONTENT_TYPE, **problem.headers}
        body = json.dumps(problem.facts(self.scope["path"])).encode()
        start: Any = {  # an extension that the types don't know
            "type": "websocket.http.response.start",
            "status": problem.status,
            "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
        }
        rest: Any = {"type": "websocket.http.response.body", "body": body}
        await self.base_send(start)
        await self.base_send(rest)
        raise StopConsumer


class NoSocket(Refusing):
    """Whatever address has no WebSocket."""

    async def connect(self) -> None:
        """Refuse it."""
        await self.refuse(Problem(404, SENTENCES[404]))


class TownSocket(Refusing):
    """A connection of an owner, or of a machine that acts for them. That of staff, or of a machine
    that acts for nobody, counts as nothing."""

    async def connect(self) -> None:
        """Accept it, or refuse it with a problem that says why."""
        self._id: UUID = self.scope["url_route"]["kwargs"]["town_id"]
        self._telling: asyncio.Task[None] | None = None
        self._due_at: datetime | None = None
        try:
            document = await _in_thread(self._open)
        except (Problem, NotAllowed) as error:
            await self.refuse(as_problem(error))
            return
        except (OperationalError, InterfaceError):
            log.exception("a WebSocket is refused until the database answers")
            await self.refuse(Problem(503, SENTENCES[503]))
            return
        await self.accept()
        await self.send(document)
        self._telling = asyncio.create_task(self._tell())

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        """Whatever the user sends but `ping` is a sign of life; its text is not looked at."""
        if text_data == PING or (self._due_at is not None and timezone.now() < self._due_at):
            return
        await self._noted(True)

    async def disconnect(self, code: int) -> None:
        """Stop telling."""
        if self._telling is not None:
            self._telling.cancel()

    async def _tell(self) -> None:
        """Send what changes, note that it is open, and close it when the town sleeps or is gone."""
        async with pulse().listening([town_topic(self._id)]) as listener:
            while True:
                changed = await listener.changed(SEEN_SECONDS)
                document = await self._noted(False)
                if document is None:
                    return
                if changed:
                    await self.send(document)

    async def _noted(self, message: bool) -> str | None:
        """Note that it is open, or a message; the town's document, or None: it is closed, and was
        told why."""
        try:
            return await _in_thread(self._note, message)
        except NotAllowed as asleep:
            await self.close(ASLEEP, asleep.reason[:120])
        except Problem as problem:
            await self.close(GONE, problem.detail[:120])
        except (OperationalError, InterfaceError):
            log.exception("a WebSocket is closed until the database answers")
            await self.close(LATER, SENTENCES[503][:120])
        return None

    def _open(self) -> str:
        """Note the opening; returns the town's document."""
        town = self._town(opening=True)
        again = b"again=1" in self.scope.get("query_string", b"").split(b"&")
        if self._counts(town):
            interactions.websocket_opened(town, timezone.now(), again=again)
        else:
            interactions.refuse_if_asleep(town)
        self._learn(town)
        return _document(town)

    def _note(self, message: bool) -> str:
        """Note that it is open, or a message; raises as `_open` does. Returns the document."""
        town = self._town()
        interactions.refuse_if_asleep(town)
        if self._counts(town):
            see = interactions.websocket_message if message else interactions.websocket_seen
            see(town, timezone.now())
        self._learn(town)
        return _document(town)

    def _town(self, *, opening: bool = False) -> Town:
        """The town, if the caller may see it at this moment; accounts are closed meanwhile."""
        self._caller = caller_of(self.scope, opening=opening)
        return visible_town(self._caller, self._id)

    def _counts(self, town: Town) -> bool:
        return self._caller.owns(town)

    def _learn(self, town: Town) -> None:
        """When a message is looked at next; one of somebody who counts as nothing no more often."""
        counts = self._counts(town)
        due = (
            interactions.message_due_at(town) if counts else timezone.now() + idle_rules().coalesce
        )
        if due is not None and (self._due_at is None or due > self._due_at):
            self._due_at = due  # a look that began before a message was written knows less


def _document(town: Town) -> str:
    return json.dumps(town_facts(town, now=timezone.now()))


async def _in_thread(work: Callable[..., T], *given: Any) -> T:
    """Do what needs the database in a thread, several at a time."""
    return await database_sync_to_async(work, thread_sensitive=False)(*given)
