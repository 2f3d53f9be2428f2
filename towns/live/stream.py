"""`GET /live/events`: server-sent events that say when to look again.

An event names no more than the topics that changed: what is shown comes from the page itself, under
its own rules of access. Listening is no interaction. Format:
https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

import asyncio
import json
from collections.abc import AsyncIterator
from hashlib import sha256

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.views.decorators.http import require_GET

from towns.api.problems import Problem, problem_response
from towns.live.access import topics_for
from towns.live.pulse import Listener, pulse

BEAT_SECONDS = 15.0
"""A comment is sent so often, since proxies close what is silent for a minute."""
LIFE_SECONDS = 600.0
"""Then the stream ends and the browser opens it again: who may listen is asked anew."""
RETRY_MS = 3000


@require_GET
async def events(request: HttpRequest) -> HttpResponseBase:
    """A stream of `changed` events, the first at once unless `Last-Event-ID` is up to date.

    `?town=ID` (up to 100 of them) and `?fleet=1` say of what. Where only WSGI is served the answer
    is 204, which has a browser give up, and the page goes on asking.
    """
    if not isinstance(request, ASGIRequest):
        return HttpResponse(status=204)
    try:
        topics = await sync_to_async(topics_for)(
            await request.auser(),
            request.GET.getlist("town"),
            fleet=request.GET.get("fleet") == "1",
        )
    except Problem as problem:
        return problem_response(request, problem)
    response = StreamingHttpResponse(
        _stream(topics, request.headers.get("Last-Event-ID", "")), content_type="text/event-stream"
    )
    response["Cache-Control"] = "no-store"
    response["X-Accel-Buffering"] = "no"  # nginx would keep events until its buffer is full
    return response


async def _stream(topics: frozenset[str], last: str) -> AsyncIterator[str]:
    yield f"retry: {RETRY_MS}\n\n"
    ends = asyncio.get_running_loop().time() + LIFE_SECONDS
    async with pulse().listening(topics) as listener:
        while asyncio.get_running_loop().time() < ends:
            if not await listener.changed(BEAT_SECONDS):
                yield ": nothing new\n\n"
            elif (now := _version(listener)) != last:
                last = now
                data = json.dumps({"topics": sorted(topics)})
                yield f"id: {now}\nevent: changed\ndata: {data}\n\n"


def _version(listener: Listener) -> str:
    return sha256(repr(sorted(listener.stamps.items())).encode()).hexdigest()[:16]
