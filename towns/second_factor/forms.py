"""The field for a code."""

import re

from django import forms

from towns.second_factor import recovery

APP_DIGITS = 6
_BETWEEN = re.compile(r"[\s-]+")
NOT_A_CODE = f"Type the {APP_DIGITS} digits that your authenticator app shows."
NEITHER = (
    f"Type the {APP_DIGITS} digits that your authenticator app shows, or the {recovery.DIGITS} "
    "digits of one of your recovery codes."
)
WRONG = (
    "That code is wrong, too old, or was used already: each works once. Wait until your app shows "
    "the next one, then type that. If none works, have the phone set its clock by the network."
)
WRONG_RECOVERY = (
    "That is none of your recovery codes, or it was used already. Type another one, or the "
    f"{APP_DIGITS} digits that your authenticator app shows."
)


class CodeForm(forms.Form):
    """A code, with or without blanks and dashes."""

    code = forms.CharField(max_length=40, error_messages={"required": NOT_A_CODE})
    lengths: tuple[int, ...] = (APP_DIGITS, recovery.DIGITS)
    nonsense = NEITHER

    def clean_code(self) -> str:
        """Its digits."""
        code = _BETWEEN.sub("", self.cleaned_data["code"])
        if not (code.isascii() and code.isdecimal() and len(code) in self.lengths):
            raise forms.ValidationError(self.nonsense)
        return code


class AppCodeForm(CodeForm):
    """A code of the app alone."""

    lengths = (APP_DIGITS,)
    nonsense = NOT_A_CODE
