"""What owners send."""

from django import forms


class NewTownForm(forms.Form):
    """A new town."""

    name = forms.CharField(max_length=40, label="Name")


class SettingsForm(forms.Form):
    """When it goes to sleep. An empty timeout leaves it as it is."""

    idle_timeout_minutes = forms.IntegerField(label="Sleeps after so many idle minutes")
    auto_stop = forms.BooleanField(required=False, label="Goes to sleep by itself")


class KeepAwakeForm(forms.Form):
    """For how long it is kept awake; 0 ends it."""

    minutes = forms.TypedChoiceField(
        coerce=int,
        choices=[(60, "1 hour"), (240, "4 hours"), (720, "12 hours"), (0, "not any more")],
    )


class DestroyForm(forms.Form):
    """The town's name, typed."""

    confirm = forms.CharField(max_length=40, label="Type its name to destroy it", strip=True)
