"""Messages in words, to be read at 3 a.m. on a phone: the subject says what and where, the first
line what to do. Pure: alerts, with their towns and owners, in; text out."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from towns.alerts.causes import words
from towns.models import Alert, Delivery, Town
from towns.readable import duration, utc

PREFIX = "[Gastown Ops]"
NAMES_SHOWN = 10
OWNER, RESOLVED = Delivery.Audience.OWNER, Delivery.News.RESOLVED


@dataclass(frozen=True, slots=True)
class Letter:
    """What an email says."""

    subject: str
    body: str


def letter(
    alerts: Sequence[Alert], *, news: str, audience: str, digest: str = "", url: str = ""
) -> Letter:
    """The email for alerts that are told together; `url` is where our admin is, if known."""
    if audience == OWNER:
        subject, paragraphs = _to_owner(alerts, news)
    else:
        subject, paragraphs = _to_staff(alerts, news, digest, url)
    body = "\n\n".join(paragraph for paragraph in paragraphs if paragraph) + "\n"
    return Letter(" ".join(subject.split()), body)


def headline(alerts: Sequence[Alert], *, news: str, digest: str = "") -> str:
    """What and where, in one line: `CRITICAL ann/mill: restart failed`."""
    causes = list(dict.fromkeys(words(alert.cause).title for alert in alerts))
    what = ", ".join(causes[:3]) + (", …" if len(causes) > 3 else "")
    while_down = f" (while {_scope(digest)} is down)" if digest.startswith("under:") else ""
    if news == RESOLVED:
        return f"Resolved: {_whom(alerts)}: {what}"
    critical = any(alert.severity == Alert.Severity.CRITICAL for alert in alerts)
    return f"{'CRITICAL ' if critical else ''}{_whom(alerts)}: {what}{while_down}"


def advice(alerts: Sequence[Alert], *, news: str) -> str:
    """What staff do first."""
    if news == RESOLVED:
        if len(alerts) > 1:
            return "Nothing to do: it is over."
        return f"Nothing to do: {alerts[0].resolution or 'it is over'}."
    of_cause = words(alerts[0].cause)
    if len(alerts) > 1:
        return of_cause.many
    return of_cause.act.format(town=alerts[0].town or alerts[0].subject)


def counts(alerts: Sequence[Alert]) -> tuple[Counter[str], Counter[str]]:
    """How many of the alerts are in each region and on each image."""
    towns = [alert.town for alert in alerts if alert.town is not None]
    return Counter(town.region for town in towns), Counter(town.image or "none" for town in towns)


def _to_staff(alerts: Sequence[Alert], news: str, digest: str, url: str) -> tuple[str, list[str]]:
    subject = f"{PREFIX} {headline(alerts, news=news, digest=digest)}"
    first = advice(alerts, news=news)
    if len(alerts) == 1:
        [alert] = alerts
        return subject, [first, alert.message, _facts(alert, news), _link(alert, url)]
    if all(alert.town is None for alert in alerts):
        return subject, [first, *(alert.message for alert in alerts), _span(alerts)]
    return subject, [
        first,
        _span(alerts),
        _by_cause(alerts),
        "\n".join(
            f"By {name}: " + ", ".join(f"{key} {count}" for key, count in found.most_common(5))
            for name, found in zip(("region", "image"), counts(alerts), strict=True)
        ),
        _names(alerts),
        f"The first says: {alerts[0].message}" if news != RESOLVED else "",
        _list_link(alerts, news, url),
    ]


def _to_owner(alerts: Sequence[Alert], news: str) -> tuple[str, list[str]]:
    """In words for an owner: no commands, no addresses of ours, no names of anybody else."""
    towns = list(dict.fromkeys(alert.town for alert in alerts if alert.town is not None))
    of_cause = words(alerts[0].cause)
    one = len(towns) == 1
    what = "; ".join(dict.fromkeys(words(alert.cause).owner for alert in alerts))
    whom = f"Your town {towns[0].name}" if one else f"{len(towns)} of your towns"
    if news == RESOLVED:
        subject = f"Over: {whom[0].lower()}{whom[1:]} {what}" if one else f"Over: {whom}: {what}"
        since = min(alert.opened_at for alert in alerts)
        return subject, [
            "You need do nothing: what we wrote to you about is over.",
            f"{whom} {what}. That was so from {utc(since)} until "
            f"{utc(max(filter(None, (alert.resolved_at for alert in alerts)), default=None))}."
            if one
            else f"{whom}: {what}. That is over.",
            "" if one else _own_names(towns),
        ]
    subject = f"{whom} {what}" if one else f"{whom}: {what}"
    kept = towns[0].last_backup_at if one else None
    return subject, [
        of_cause.owner_act,
        f"{subject}, since {utc(min(alert.opened_at for alert in alerts))}.",
        f"Its last backup was made on {utc(kept)}." if kept else "",
        "" if one else _own_names(towns),
        "We write again when it is over.",
    ]


def _whom(alerts: Sequence[Alert]) -> str:
    towns = {alert.town_id: str(alert.town) for alert in alerts if alert.town is not None}
    if len(towns) > 1:
        return f"{len(towns)} towns"
    if towns:
        return next(iter(towns.values()))
    return ", ".join(dict.fromkeys(_scope(alert.subject) for alert in alerts))


def _scope(subject: str) -> str:
    """`under:region:ams` or `region:ams` as `region ams`."""
    return subject.removeprefix("under:").replace(":", " ", 1)


def _facts(alert: Alert, news: str) -> str:
    lines = []
    if alert.town is not None:
        lines.append(f"Region {alert.town.region}, image {alert.town.image or 'none'}")
    lines.append(f"Since {utc(alert.opened_at)}")
    if news == RESOLVED and alert.resolved_at is not None:
        took = duration((alert.resolved_at - alert.opened_at).total_seconds())
        lines[-1] = f"From {utc(alert.opened_at)} until {utc(alert.resolved_at)}, {took}"
    return "\n".join(lines)


def _span(alerts: Sequence[Alert]) -> str:
    first, last = min(a.opened_at for a in alerts), max(a.opened_at for a in alerts)
    if first == last:
        return f"Opened at {utc(first)}"
    return f"Opened from {utc(first)} to {utc(last)}"


def _by_cause(alerts: Sequence[Alert]) -> str:
    found = Counter(words(alert.cause).title for alert in alerts)
    if len(found) == 1:
        return ""
    return "\n".join(f"{title}: {count}" for title, count in found.most_common())


def _names(alerts: Sequence[Alert]) -> str:
    return _listed(list(dict.fromkeys(str(alert.town or alert.subject) for alert in alerts)))


def _own_names(towns: Sequence[Town]) -> str:
    return _listed([town.name for town in towns])


def _listed(names: list[str]) -> str:
    more = len(names) - NAMES_SHOWN
    return "\n".join(names[:NAMES_SHOWN] + ([f"and {more} more"] if more > 0 else []))


def _link(alert: Alert, url: str) -> str:
    return f"{url.rstrip('/')}/admin/towns/alert/{alert.pk}/change/" if url else ""


def _list_link(alerts: Sequence[Alert], news: str, url: str) -> str:
    if not url:
        return ""
    query = {"state": "over" if news == RESOLVED else "open"}
    if len(causes := {alert.cause for alert in alerts}) == 1:
        query["cause"] = causes.pop()
    return f"{url.rstrip('/')}/admin/towns/alert/?{urlencode(query)}"
