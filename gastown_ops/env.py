"""Reading settings from the environment, with one clear line for what can't be read."""

import math
import os
import re
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import environ
from django.core.exceptions import ImproperlyConfigured

_WHOLE = re.compile(r"[+-]?[0-9]{1,15}")
_NUMBER = re.compile(r"[+-]?(?=\.?[0-9])[0-9]*\.?[0-9]*(?:[eE][+-]?[0-9]+)?")
_ENGINES = ("django.db.backends.sqlite3", "django.db.backends.postgresql")


class Reader:
    """django-environ, which names the variable and says what to write when it makes no sense."""

    def __init__(self, env_file: str) -> None:
        self._env = environ.Env()
        if env_file and Path(env_file).is_file():
            self._env.read_env(env_file)

    def text(self, name: str, default: str) -> str:
        """A text. Not through django-environ, to which a secret that begins with $ is a name."""
        return _set(name) or default

    def names(self, name: str, default: list[str]) -> list[str]:
        """Texts with commas between."""
        text = _set(name)
        return [part.strip() for part in text.split(",") if part.strip()] if text else default

    def one_of(self, name: str, default: str, known: Sequence[str]) -> str:
        """One of a few words, as they are known, in capitals or not."""
        text = _set(name) or default
        for word in known:
            if word.lower() == text.lower():
                return word
        raise _nonsense(name, text, f"write {' or '.join(known)}")

    def switch(self, name: str, default: bool) -> bool:
        """on or off."""
        text = _set(name)
        if not text:
            return default
        if text.lower() in ("true", "on", "yes", "y", "1", "ok", "t"):
            return True
        if text.lower() in ("false", "off", "no", "n", "0", "f"):
            return False
        raise _nonsense(name, text, "write true or false")

    def whole(self, name: str, default: int) -> int:
        """A whole number of at most 15 digits."""
        text = _set(name)
        if not text:
            return default
        if not _WHOLE.fullmatch(text):
            raise _nonsense(name, text, f"write a whole number, such as {default}")
        return int(text)

    def number(self, name: str, default: float) -> float:
        """A number that is finite."""
        text = _set(name)
        if not text:
            return default
        if not (_NUMBER.fullmatch(text) and math.isfinite(float(text))):
            raise _nonsense(name, text, f"write a number, such as {default:g}")
        return float(text)

    def database(self, name: str, default: str) -> dict[str, Any]:
        """A DATABASE_URL."""
        text = _set(name) or default
        try:
            with warnings.catch_warnings(action="ignore"):  # what we say ourselves
                found: dict[str, Any] = self._env.db_url_config(text)
        except (ValueError, KeyError, ImproperlyConfigured):
            found = {}
        if found.get("ENGINE") not in _ENGINES or not found.get("NAME"):
            raise ImproperlyConfigured(
                f"{name} can't be read; write sqlite:///PATH or postgres://USER:PASSWORD@HOST/NAME."
            )
        return found

    def email(self, name: str, default: str) -> dict[str, Any]:
        """An EMAIL_URL."""
        text = _set(name) or default
        try:
            found: dict[str, Any] = self._env.email_url_config(text)
        except (ValueError, KeyError, ImproperlyConfigured):
            raise ImproperlyConfigured(
                f"{name} can't be read; write smtp+tls://USER:PASSWORD@HOST:587 or consolemail://."
            ) from None
        return found


def _set(name: str) -> str:
    """What a variable is set to; "" when it is empty, blank or not set."""
    return os.environ.get(name, "").strip()


def _nonsense(name: str, text: str, advice: str) -> ImproperlyConfigured:
    shown = text if len(text) <= 60 else f"{text[:60]}…"
    return ImproperlyConfigured(f"{name} is {shown!r}; {advice}.")
