"""The forms of the town pages: what may be changed, and what a new town needs."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from django import forms
from django.conf import settings
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.utils import timezone
from unfold.widgets import (
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanSwitchWidget,
)

from towns.changes import (
    InvalidChange,
    validated_changes,
    validated_idle_timeout,
    validated_name,
    validated_region,
)
from towns.models import Town
from towns.models.town import LIVING

T = TypeVar("T")
HOLD = ("hold_reason", "hold_until")
CHANGEABLE = ("idle_timeout_minutes", "auto_stop", "keep_awake_until", *HOLD)


if TYPE_CHECKING:
    TownModelForm = forms.ModelForm[Town]
else:
    TownModelForm = forms.ModelForm


class TownChangeForm(TownModelForm):
    """What staff may change of a town; everything else follows from operations."""

    clear_restarts = forms.BooleanField(
        required=False,
        widget=UnfoldBooleanSwitchWidget,
        label="Forget its restarts",
        help_text="Automatic restarts may begin again after they have reached their limit.",
    )

    class Meta:
        model = Town
        fields = CHANGEABLE
        help_texts = {
            "idle_timeout_minutes": "Minutes without work or visitors before it is stopped.",
            "auto_stop": "Whether it is stopped for being idle at all.",
            "keep_awake_until": "It is not stopped for being idle before this time (UTC).",
            "hold_reason": "While there is one, no automatic action touches the town.",
            "hold_until": "When the hold ends by itself (UTC); empty: when it is released.",
        }

    def clean(self) -> dict[str, Any]:
        """Checks only what was changed: a keep-awake that is over may stand. A hold and its end
        are one thing; an empty reason releases it, whatever its end is."""
        super().clean()
        names = set(self.changed_data)
        if names & set(HOLD):
            names |= set(HOLD)
        given = {n: v for n, v in self.cleaned_data.items() if n in names}
        if "hold_reason" in self.changed_data and not given.get("hold_reason"):
            given["hold_until"] = None
        try:
            self.changes = validated_changes(now=timezone.now(), **given)
        except InvalidChange as error:
            self.add_error(error.field if error.field in self.fields else None, error.message)
        return self.cleaned_data


class TownAddForm(TownModelForm):
    """A new town for somebody who has an account."""

    owner_name = forms.CharField(
        label="Owner", help_text="The user's name.", widget=UnfoldAdminTextInputWidget
    )
    name = forms.CharField(
        help_text="1 to 40 lower-case letters, digits and inner hyphens.",
        widget=UnfoldAdminTextInputWidget,
    )
    region = forms.CharField(
        max_length=16,
        help_text="One of Fly's regions, such as ams or iad.",
        widget=UnfoldAdminTextInputWidget,
    )
    idle_timeout_minutes = forms.IntegerField(
        label="Idle timeout", help_text="In minutes.", widget=UnfoldAdminIntegerFieldWidget
    )

    class Meta:
        model = Town
        fields = ()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["region"].initial = settings.GASTOWN_FLY_REGION
        self.fields["idle_timeout_minutes"].initial = settings.GASTOWN_IDLE_TIMEOUT_MINUTES

    def clean(self) -> dict[str, Any]:
        """No two living towns of an owner have one name."""
        super().clean()
        owner, name = self.cleaned_data.get("owner_name"), self.cleaned_data.get("name")
        if owner and name and Town.objects.filter(LIVING, owner=owner, name=name).exists():
            told = f"{owner.get_username()} already has a town named {name}. Choose another name."
            self.add_error("name", told)
        return self.cleaned_data

    def clean_owner_name(self) -> User:
        """An account that exists: a typing error must not make a new customer."""
        username = self.cleaned_data["owner_name"]
        try:
            return User.objects.get(username=username)
        except User.DoesNotExist as error:
            raise ValidationError(f"There is no user “{username}”. Add the user first.") from error

    def clean_name(self) -> str:
        """A name that a town can have."""
        return _checked(validated_name, self.cleaned_data["name"])

    def clean_region(self) -> str:
        """A region by its form."""
        return _checked(validated_region, self.cleaned_data["region"])

    def clean_idle_timeout_minutes(self) -> int:
        """Inside the limits of the settings."""
        return _checked(validated_idle_timeout, self.cleaned_data["idle_timeout_minutes"])


def _checked(check: Callable[[Any], T], value: Any) -> T:
    try:
        return check(value)
    except InvalidChange as error:
        raise ValidationError(error.message) from error
