"""Reading the environment: what makes no sense is one clear line that names the setting."""

import sys
from collections.abc import Callable
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import override_settings
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gastown_ops.env import Reader
from towns import checks

READERS: dict[str, Callable[[Reader], Any]] = {
    "text": lambda env: env.text("X", default="a"),
    "names": lambda env: env.names("X", default=["a"]),
    "one_of": lambda env: env.one_of("X", default="INFO", known=("INFO", "ERROR")),
    "one of small ones": lambda env: env.one_of("X", default="line", known=("line", "json")),
    "switch": lambda env: env.switch("X", default=True),
    "whole": lambda env: env.whole("X", default=4),
    "number": lambda env: env.number("X", default=5.0),
    "database": lambda env: env.database("X", default="sqlite:///x.sqlite3"),
    "email": lambda env: env.email("X", default="consolemail://"),
}


def read(monkeypatch: pytest.MonkeyPatch, kind: str, text: str | None) -> Any:
    if text is None:
        monkeypatch.delenv("X", raising=False)
    else:
        monkeypatch.setenv("X", text)
    return READERS[kind](Reader(""))


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("text", "b", "b"),
        ("text", "$b", "$b"),
        ("names", "a, b,,", ["a", "b"]),
        ("names", "$a", ["$a"]),
        ("one_of", "error", "ERROR"),
        ("one of small ones", "json", "json"),
        ("one of small ones", "JSON", "json"),
        ("switch", " Off ", False),
        ("whole", " 12 ", 12),
        ("whole", "-3", -3),
        ("number", "0.5", 0.5),
        ("number", "1e2", 100.0),
    ],
)
def test_it_works(monkeypatch: pytest.MonkeyPatch, kind: str, text: str, value: object) -> None:
    assert read(monkeypatch, kind, text) == value


@pytest.mark.parametrize("kind", sorted(READERS))
def test_empty_and_blank_are_not_set(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    unset = read(monkeypatch, kind, None)
    assert read(monkeypatch, kind, "") == unset
    assert read(monkeypatch, kind, "  ") == unset


@pytest.mark.parametrize(
    ("kind", "text", "said"),
    [
        ("one_of", "loud", "write INFO or ERROR"),
        ("one of small ones", "xml", "write line or json"),
        ("switch", "perhaps", "write true or false"),
        ("whole", "١٢", "write a whole number, such as 4"),
        ("whole", "1_000", "write a whole number"),
        ("whole", "1e3", "write a whole number"),
        ("whole", "inf", "write a whole number"),
        ("whole", "9" * 400, "write a whole number"),
        ("whole", "9" * 5000, "write a whole number"),
        ("number", "nan", "write a number, such as 5"),
        ("number", "inf", "write a number"),
        ("number", "1e400", "write a number"),
        ("number", ".", "write a number"),
        ("number", "e5", "write a number"),
        ("number", "٣", "write a number"),
        ("number", "9" * 400, "write a number"),
        ("database", "mysql://a/b", "write sqlite:///PATH or postgres://"),
        ("database", "postgres://", "write sqlite:///PATH or postgres://"),
        ("database", "postgres://[::1", "write sqlite:///PATH or postgres://"),
        ("database", "postgres://u:p@h:port/x", "write sqlite:///PATH or postgres://"),
        ("email", "smtp://h:port", "write smtp+tls://"),
        ("email", "smtp://[x", "write smtp+tls://"),
    ],
)
def test_nonsense_is_one_short_line(
    monkeypatch: pytest.MonkeyPatch, kind: str, text: str, said: str
) -> None:
    with pytest.raises(ImproperlyConfigured) as caught:
        read(monkeypatch, kind, text)
    line = str(caught.value)
    assert line.startswith("X ")
    assert said in line
    assert len(line) < 200
    assert "\n" not in line


@settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    kind=st.sampled_from(sorted(READERS)),
    text=st.one_of(
        st.text(st.characters(codec="utf-8", exclude_characters="\0")),
        st.integers().map(str),
        st.floats().map(str),
        st.text().map(lambda text: "postgres://" + text.replace("\0", "")),
        st.text().map(lambda text: "smtp://" + text.replace("\0", "")),
    ),
)
def test_whatever_is_set_is_read_or_refused(
    monkeypatch: pytest.MonkeyPatch, kind: str, text: str
) -> None:
    try:
        read(monkeypatch, kind, text)
    except ImproperlyConfigured as error:
        said = str(error)
    else:
        return
    assert said.startswith("X ")


@pytest.mark.parametrize("value", ["http://[x", "http://h:port", "http://[{machine_id}]:port"])
def test_an_address_that_is_none_is_named(value: str) -> None:
    with override_settings(GASTOWN_FLY_API_URL=value):
        [message] = checks.senseless()
    assert str(message.msg).startswith("GASTOWN_FLY_API_URL is ")


def test_a_number_beyond_all_sense_is_named() -> None:
    with override_settings(GASTOWN_RETENTION_DAYS=sys.maxsize):
        [message] = checks.senseless()
    assert "GASTOWN_RETENTION_DAYS is" in str(message.msg)
