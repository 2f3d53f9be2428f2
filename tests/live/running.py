"""Runs what is asynchronous, and leaves no connection behind."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from asgiref.sync import sync_to_async
from django.db import connections

LONG = 30.0
T = TypeVar("T")


def run(story: Coroutine[Any, Any, T]) -> T:
    """The result of a story, which may take at most so many seconds."""

    async def whole() -> T:
        try:
            return await asyncio.wait_for(story, LONG)
        finally:
            await sync_to_async(connections.close_all)()

    return asyncio.run(whole())
