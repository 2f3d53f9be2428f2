"""The answer to `why`, as values; text and JSON are made of it here."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from towns.presenting import iso
from towns.readable import ago, utc

WIDTH = 12
"""Of the first column."""


@dataclass(frozen=True, slots=True)
class Rule:
    """The status event: what decided, by whom, and with which inputs."""

    kind: str
    actor: str
    automatic: bool
    inputs: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Held:
    """Something that holds the town awake, or automation back from it; `until` None: it has no
    known end."""

    cause: str
    text: str
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Next:
    """Something that will happen if nothing else does; `at` None: at no known time."""

    what: str
    text: str
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """All of it. `next` is in the order of time, what has no known time last."""

    town: str
    town_id: str
    status: str
    since: datetime
    reason: str
    wanted: str
    rule: Rule | None
    notes: tuple[str, ...]
    held: tuple[Held, ...]
    next: tuple[Next, ...]
    to_do: tuple[str, ...]

    def expected(self, what: str) -> Next | None:
        """What is told of one kind of thing that may happen."""
        return next((one for one in self.next if one.what == what), None)

    def as_json(self) -> dict[str, Any]:
        """Ready for `json.dumps`."""
        return {
            "id": self.town_id,
            "town": self.town,
            "status": self.status,
            "since": iso(self.since),
            "reason": self.reason,
            "wanted": self.wanted,
            "rule": None
            if self.rule is None
            else {
                "kind": self.rule.kind,
                "actor": self.rule.actor,
                "automatic": self.rule.automatic,
                "inputs": self.rule.inputs,
            },
            "notes": list(self.notes),
            "held": [
                {"cause": one.cause, "text": one.text, "until": iso(one.until)} for one in self.held
            ],
            "next": [{"what": one.what, "text": one.text, "at": iso(one.at)} for one in self.next],
            "to_do": list(self.to_do),
        }

    def parts(self, now: datetime) -> Iterator[tuple[str, list[str]]]:
        """Headings and lines for people; headings with nothing below are left out."""
        yield "is", [f"{self.status} since {utc(self.since)} ({ago(self.since, now)})"]
        yield "because", list(filter(None, [self.reason, self._by(), *self.notes]))
        if self.held:
            yield "held by", [f"{one.text}{_until(one.until, now)}" for one in self.held]
        if self.next:
            yield "next", [f"{_at(one.at, now)}{one.text}" for one in self.next]
        if self.to_do:
            yield "to do", list(self.to_do)

    def lines(self, now: datetime) -> list[str]:
        """For a terminal."""
        found = [f"{'town':{WIDTH}} {self.town}  ({self.town_id})"]
        for head, texts in self.parts(now):
            for number, text in enumerate(texts):
                found.append(f"{'' if number else head:{WIDTH}} {text}")
        return found

    def _by(self) -> str:
        if self.rule is None:
            return ""
        who = f"{self.rule.actor}{', automatically' if self.rule.automatic else ''}"
        inputs = "; ".join(f"{key}: {value}" for key, value in self.rule.inputs.items())
        return f"{self.rule.kind.replace('_', ' ')}, by {who}{f' ({inputs})' if inputs else ''}"


def _until(moment: datetime | None, now: datetime) -> str:
    return f", until {utc(moment)} ({ago(moment, now)})" if moment else ""


def _at(moment: datetime | None, now: datetime) -> str:
    return f"{utc(moment)} ({ago(moment, now)}): " if moment else ""
