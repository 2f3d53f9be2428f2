"""What is asked before a replay."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django import forms
from django.conf import settings
from unfold.widgets import (
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
)

from towns.changes import InvalidChange
from towns.lookup import UnknownTown, find_town
from towns.replay.run import validated_days
from towns.replay.scenario import Settable, scenario_with, settables

TOWNS_MAX = 1000
DAYS = 7


@dataclass(frozen=True, slots=True)
class Asked:
    """A replay as it was asked for."""

    changes: list[str]
    days: int
    towns: list[UUID] | None
    region: str
    sample: int | None


class ReplayForm(forms.Form):
    """Which settings, which days, which towns. `asked` holds what was understood, once valid."""

    setting = forms.ChoiceField(
        widget=UnfoldAdminSelectWidget, help_text="What would have been otherwise."
    )
    value = forms.IntegerField(
        min_value=0, label="Value in its place", widget=UnfoldAdminIntegerFieldWidget
    )
    more = forms.CharField(
        required=False,
        label="Further changes",
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 2}),
        help_text="NAME=VALUE, one a line.",
    )
    days = forms.IntegerField(initial=DAYS, min_value=1, widget=UnfoldAdminIntegerFieldWidget)
    region = forms.CharField(
        required=False,
        max_length=16,
        widget=UnfoldAdminTextInputWidget,
        help_text="Of the fleet, just the towns of this region.",
    )
    sample = forms.IntegerField(
        required=False,
        min_value=1,
        max_value=1_000_000,
        widget=UnfoldAdminIntegerFieldWidget,
        help_text="Of the fleet, at most so many towns. Empty: all of them.",
    )
    towns = forms.CharField(
        required=False,
        label="Towns",
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 2}),
        help_text=f"OWNER/NAME or ids, one a line, at most {TOWNS_MAX:,}. Empty: the whole fleet.",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choice = self.fields["setting"]
        assert isinstance(choice, forms.ChoiceField)
        choice.choices = [(one.name, _label(one)) for one in settables().values()]
        self.fields["days"].help_text = (
            f"Back from now; at most {settings.GASTOWN_KEEP_CHECKS_DAYS}, as long as health checks "
            "are kept."
        )
        self.asked: Asked | None = None

    def clean(self) -> dict[str, Any]:
        """What can't be is told beside its field."""
        super().clean()
        given = self.cleaned_data
        if self.errors:
            return given
        changes = [f"{given['setting']}={given['value']}"]
        changes += [line for line in map(str.strip, given["more"].splitlines()) if line]
        try:
            scenario_with(changes[:1])
        except InvalidChange as error:
            self.add_error("value", error.message)
            return given
        try:
            scenario_with(changes)
        except InvalidChange as error:
            self.add_error("more", error.message)
        try:
            validated_days(given["days"])
        except InvalidChange as error:
            self.add_error("days", error.message)
        towns = self._towns(given["towns"])
        if towns and (given["region"] or given["sample"]):
            self.add_error("towns", "Name towns, or narrow the fleet by region and sample.")
        if not self.errors:
            self.asked = Asked(
                changes, given["days"], towns or None, given["region"].strip(), given["sample"]
            )
        return given

    def _towns(self, text: str) -> list[UUID]:
        try:
            named = list(_names(text))
            if len(named) > TOWNS_MAX:
                self.add_error("towns", f"{len(named):,} towns are too many; use the region.")
                return []
            return list(dict.fromkeys(find_town(name).pk for name in named))
        except UnknownTown as error:
            self.add_error("towns", str(error))
            return []


def _names(text: str) -> Iterator[str]:
    return filter(None, (line.strip() for line in text.replace(",", "\n").splitlines()))


def _label(one: Settable) -> str:
    now = "" if one.now is None else f", now {one.now}"
    return f"{one.name}{now}: {one.meaning}"
