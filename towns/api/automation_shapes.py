"""What comes in and goes out about automation: freezes, windows, breakers, failures."""

from typing import Literal

from ninja import Schema
from pydantic import Field

from towns.api.reading import Moment
from towns.api.shapes import Input, example
from towns.changes import REASON_LENGTH


class ThawWish(Input):
    """`all` automatic actions, or recovery alone."""

    scope: Literal["all", "recovery"] = "all"


class FreezeWish(ThawWish):
    """Why automation is halted; without `minutes` it is until somebody thaws it."""

    model_config = example(scope="all", reason="Fly has an incident.", minutes=60)

    reason: str = Field(max_length=REASON_LENGTH)
    minutes: int | None = None


class WindowWish(Input):
    """A maintenance window: from `since` or now, until `until` or for so many minutes."""

    model_config = example(scope="region:ams", reason="Moving hosts.", minutes=90)

    scope: str = Field(
        max_length=290, description="fleet, region:ams, image:registry/town:1 or town:OWNER/NAME."
    )
    reason: str = Field(max_length=REASON_LENGTH)
    since: Moment | None = None
    until: Moment | None = None
    minutes: int | None = None


class FreezeOut(Schema):
    """A halt of automatic actions."""

    scope: str
    reason: str
    actor: str
    since: str
    until: str | None


class BreakerOut(Schema):
    """Many towns of a scope fail at once: automation leaves them alone."""

    scope: str
    state: str
    reason: str
    opened_at: str


class WindowOut(FreezeOut):
    """A maintenance window that stands or is to come."""

    id: int
    until: str


class AutomationOut(Schema):
    """What holds automation back."""

    freezes: list[FreezeOut]
    breakers: list[BreakerOut]
    windows: list[WindowOut]


class GroupOut(Schema):
    """Failing towns that share something; `of`: how many share it, failing or not."""

    by: str
    value: str
    failing: int
    of: int | None
    all_of_them: bool
    first_since: str
    last_since: str
    towns: list[str]


class FailuresOut(Schema):
    """How many towns fail, and what they have in common, the most telling first."""

    failing: int
    groups: list[GroupOut]
