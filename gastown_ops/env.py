"""Reading settings from the environment, with one clear line for what can't be read."""

import os
import warnings
from pathlib import Path
from typing import Any

import environ
from django.core.exceptions import ImproperlyConfigured


class Reader:
    """django-environ, which names the variable and says what to write when it makes no sense."""

    def __init__(self, env_file: str) -> None:
        self._env = environ.Env()
        if env_file and Path(env_file).is_file():
            self._env.read_env(env_file)

    def text(self, name: str, default: str) -> str:
        """A text."""
        found: str = self._env.str(name, default=default)
        return found

    def names(self, name: str, default: list[Any]) -> list[Any]:
        """Texts with commas between."""
        found: list[Any] = self._env.list(name, default=default)
        return found

    def switch(self, name: str, default: bool) -> bool:
        """on or off."""
        text = os.environ.get(name)
        if text is None or text == "":
            return default
        if text.strip().lower() in ("true", "on", "yes", "y", "1", "ok", "t"):
            return True
        if text.strip().lower() in ("false", "off", "no", "n", "0", "f"):
            return False
        raise ImproperlyConfigured(f"{name} is {text!r}; write true or false.")

    def whole(self, name: str, default: int) -> int:
        """A whole number."""
        text = os.environ.get(name, "").strip()
        try:
            return int(text) if text else default
        except ValueError:
            raise ImproperlyConfigured(
                f"{name} is {text!r}; write a whole number, such as {default}."
            ) from None

    def number(self, name: str, default: float) -> float:
        """A number."""
        text = os.environ.get(name, "").strip()
        try:
            return float(text) if text else default
        except ValueError:
            raise ImproperlyConfigured(
                f"{name} is {text!r}; write a number, such as {default:g}."
            ) from None

    def database(self, name: str, default: str) -> dict[str, Any]:
        """A DATABASE_URL."""
        text = os.environ.get(name) or default
        try:
            with warnings.catch_warnings(action="ignore"):  # what we say ourselves
                found: dict[str, Any] = self._env.db_url_config(text)
        except (ValueError, KeyError, ImproperlyConfigured):
            found = {}
        if not found.get("ENGINE"):
            raise ImproperlyConfigured(
                f"{name} can't be read; write sqlite:///PATH or postgres://USER:PASSWORD@HOST/NAME."
            )
        return found

    def email(self, name: str, default: str) -> dict[str, Any]:
        """An EMAIL_URL."""
        text = os.environ.get(name) or default
        try:
            found: dict[str, Any] = self._env.email_url_config(text)
        except (ValueError, KeyError, ImproperlyConfigured):
            raise ImproperlyConfigured(
                f"{name} can't be read; write smtp+tls://USER:PASSWORD@HOST:587 or consolemail://."
            ) from None
        return found
