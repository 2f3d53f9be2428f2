"""What is told now, what together, and what is no news any more. Pure: no I/O, `now` is passed in.

- An alert of the fleet (a breaker, frozen recovery, a late sweep) is told at once.
- An alert of a town waits, so that one that is over again at once is not told, and so that a digest
  can form: a warning for the digest window, a critical one for a quarter of it.
- Where more than `digest_over` wait for one recipient and cause, they go out as one digest. Those
  that wait together were opened within the window, unless the channel was down, when one message
  instead of many is all the more wanted.
- After a digest its cause is quiet for the digest pause: what comes meanwhile is told in one more
  message at its end. A storm that lasts an hour is some six messages, whatever its size.
- While the platform is down, alerts of towns under it are gathered in the same way, whatever their
  cause and number. What was opened in a digest is resolved in one.
- Nothing is told that is not so any more: an alert that was resolved before its opening was told is
  not told at all, nor its resolution.
- A message that failed is tried again as it was put together, under the same id.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import NamedTuple
from uuid import UUID

from towns.alerts.causes import COVERING
from towns.models import Alert, Delivery
from towns.standing import scopes_of

NEWS, AUDIENCE = Delivery.News, Delivery.Audience
_MINUTE, _HOUR = timedelta(minutes=1), timedelta(hours=1)
BACK_OFF = (_MINUTE, 5 * _MINUTE, 15 * _MINUTE, _HOUR, 6 * _HOUR)
OVER = "It was over before it was told."
OVER_IN_DOUBT = "It was over before the next try; an earlier one may have arrived."
NEVER_TOLD = "Its opening had not been told."
STORM_PAUSES = 2
"""For so many pauses after a digest its cause is told in digests, however few."""


@dataclass(frozen=True, slots=True)
class Rules:
    """The settings that decide."""

    digest_over: int
    window: timedelta
    pause: timedelta
    attempts: int


@dataclass(frozen=True, slots=True)
class Opening:
    """What became of the news that an alert was opened, for those who hear that it is resolved.

    `told` is also set where it may have been told, since nobody should be left believing that it
    is still open.
    """

    told: bool
    under_way: bool
    digest: str


@dataclass(frozen=True, slots=True)
class Waiting:
    """A delivery that waits, and what a decision about it has to know."""

    pk: int
    alert: int
    news: str
    channel: str
    recipient: str
    audience: str
    due_at: datetime
    attempts: int
    in_doubt: bool
    message_id: UUID | None
    digest: str
    cause: str
    severity: str
    is_resolved: bool
    town: UUID | None
    owner: int | None
    region: str
    image: str
    opening: Opening | None = None
    app: str = ""


class Line(NamedTuple):
    """One digest's place: what one recipient hears about one topic."""

    channel: str
    recipient: str
    news: str
    topic: str


@dataclass(frozen=True, slots=True)
class Message:
    """Deliveries that go out together. `message_id` is set where it was tried before."""

    channel: str
    recipient: str
    audience: str
    news: str
    digest: str
    message_id: UUID | None
    deliveries: tuple[Waiting, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do now: `dropped` is no news any more, by its reason; `spent` had all its tries."""

    messages: list[Message]
    dropped: dict[str, list[int]]
    spent: list[int]


def patience(*, severity: str, of_fleet: bool, rules: Rules) -> timedelta:
    """How long the news of an alert waits before it is told."""
    if of_fleet:
        return timedelta(0)
    return rules.window / 4 if severity == Alert.Severity.CRITICAL else rules.window


def back_off(attempts: int) -> timedelta:
    """How long to wait after so many failed tries: 1, 5, 15 min, 1 h, then every 6 h."""
    return BACK_OFF[min(attempts, len(BACK_OFF)) - 1]


def plan(
    waiting: Iterable[Waiting],
    *,
    now: datetime,
    rules: Rules,
    digests: Mapping[Line, datetime],
    down: Collection[str],
) -> Plan:
    """Decide about all that waits.

    `digests` says when the last digest of a line was first tried, `down` names the scopes whose
    platform is down (fleet, region:ams, image:…, app:…).
    """
    made = Plan([], defaultdict(list), [])
    again: dict[UUID, list[Waiting]] = defaultdict(list)
    fresh: dict[tuple[Line, int | None], list[Waiting]] = defaultdict(list)
    for one in waiting:
        verdict, reason = is_news(one)
        if verdict == Verdict.DROP:
            made.dropped[reason].append(one.pk)
        elif one.attempts >= rules.attempts:
            made.spent.append(one.pk)
        elif verdict == Verdict.WAIT:
            continue
        elif one.message_id is None:
            owner = one.owner if one.audience == AUDIENCE.OWNER else None
            fresh[_line(one, down), owner].append(one)
        elif one.due_at <= now:
            again[one.message_id].append(one)
    for same in again.values():
        made.messages.append(_message(same, same[0].digest))
    for (line, _), rows in fresh.items():
        made.messages.extend(_gather(line, rows, now=now, rules=rules, last=digests.get(line)))
    made.messages.sort(key=_urgency)
    return made


class Verdict(Enum):
    """Whether a delivery is still to be told."""

    TELL = "tell"
    WAIT = "wait"
    DROP = "drop"


def is_news(one: Waiting) -> tuple[Verdict, str]:
    """Whether a delivery is still news to its recipient, and why not."""
    if one.news == NEWS.OPENED:
        if not one.is_resolved:
            return Verdict.TELL, ""
        if one.in_doubt:
            return Verdict.DROP, OVER_IN_DOUBT
        return Verdict.DROP, OVER
    if one.opening is not None and one.opening.under_way:
        return Verdict.WAIT, ""
    if one.opening is not None and one.opening.told:
        return Verdict.TELL, ""
    return Verdict.DROP, NEVER_TOLD


def covering(one: Waiting, down: Collection[str]) -> str:
    """The widest scope that is down and holds the delivery's town; nothing where none does."""
    if one.town is None or one.cause == COVERING:
        return ""
    scopes = scopes_of(one.region, one.image, one.app)
    return next((scope for scope in scopes if scope in down), "")


def _line(one: Waiting, down: Collection[str]) -> Line:
    """Under what a delivery is gathered."""
    topic = f"cause:{one.cause}"
    if one.news == NEWS.RESOLVED and one.opening is not None and one.opening.digest:
        topic = one.opening.digest
    elif one.audience == AUDIENCE.STAFF and (scope := covering(one, down)):
        topic = f"under:{scope}"
    return Line(one.channel, one.recipient, one.news, topic[:140])


def _gather(
    line: Line,
    rows: Sequence[Waiting],
    *,
    now: datetime,
    rules: Rules,
    last: datetime | None,
) -> list[Message]:
    """The messages of one line that are due."""
    fleet = [one for one in rows if one.town is None and one.due_at <= now]
    towns = [one for one in rows if one.town is not None]
    found = [_message(fleet, "")] if fleet else []
    since = None if last is None else now - last
    if since is not None and since < rules.pause:
        return found
    due = [one for one in towns if one.due_at <= now]
    storm = since is not None and since < STORM_PAUSES * rules.pause
    in_digest = any(one.opening is not None and one.opening.digest for one in towns)
    if not due:
        return found
    if storm or in_digest or line.topic.startswith("under:") or len(towns) > rules.digest_over:
        return [*found, _message(towns, line.topic)]
    return found + [_message([one], "") for one in due]


def _message(rows: Sequence[Waiting], digest: str) -> Message:
    one = rows[0]
    return Message(
        channel=one.channel,
        recipient=one.recipient,
        audience=one.audience,
        news=one.news,
        digest=digest,
        message_id=one.message_id,
        deliveries=tuple(sorted(rows, key=lambda row: row.alert)),
    )


def _urgency(message: Message) -> tuple[bool, bool, bool, datetime]:
    """The fleet's first, then what is critical, then staff before owners, then the oldest."""
    rows = message.deliveries
    return (
        all(one.town is not None for one in rows),
        all(one.severity != Alert.Severity.CRITICAL for one in rows),
        message.audience == AUDIENCE.OWNER,
        min(one.due_at for one in rows),
    )
