"""When breakers would have stood under other limits, from what each health sweep counted. Pure.

A canary is taken to heal: the breaker that lets one out is closed with the next sweep.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from towns.policy import BreakerMove, HealthRules, Share, breaker_move
from towns.replay.past import Spans

Counted = tuple[datetime, Mapping[str, Any]]
"""When a sweep ended, and its `shares` by scope: probed, newly failing, failing."""


def breaker_spans(sweeps: Iterable[Counted], rules: HealthRules) -> dict[str, Spans]:
    """By scope, from when to when; an end None: it stands still."""
    spans: dict[str, list[tuple[datetime, datetime | None]]] = {}
    opened: dict[str, datetime] = {}
    canary: set[str] = set()
    for at, shares in sweeps:
        for scope in {*shares, *opened}:
            share = Share(*_numbers(shares.get(scope)))
            since = opened.get(scope)
            move = breaker_move(
                is_open=since is not None,
                share=share,
                rules=rules,
                waited=at - since if since is not None else timedelta(0),
            )
            if since is None:
                if move == BreakerMove.OPEN:
                    opened[scope] = at
            elif move == BreakerMove.CLOSE or scope in canary or not share.probed:
                spans.setdefault(scope, []).append((opened.pop(scope), at))
                canary.discard(scope)
            elif move == BreakerMove.CANARY:
                canary.add(scope)
    for scope, since in opened.items():
        spans.setdefault(scope, []).append((since, None))
    return dict(spans)


def _numbers(counted: Sequence[int] | None) -> Sequence[int]:
    return counted or (0, 0, 0)
