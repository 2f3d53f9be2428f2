"""`manage.py token`."""

import json
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from towns.models import ApiToken

pytestmark = pytest.mark.django_db


def run(capsys: pytest.CaptureFixture[str], *words: str, **options: Any) -> str:
    call_command("token", *words, **options)
    return capsys.readouterr().out


def test_it_works(capsys: pytest.CaptureFixture[str]) -> None:
    told = run(capsys, "create", "gateway", "--scope", "towns:read", "owners:act", "--days", "30")
    assert told.startswith("gto_")
    assert "shown once" in told
    secret = told.split()[0]
    listed = run(capsys, "list")
    assert "owners:act towns:read" in listed
    assert secret not in listed
    assert "in 29 d" in listed
    assert "revoked" in run(capsys, "revoke", "gateway")
    assert ApiToken.objects.get().revoked_by == "shell"


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    made = json.loads(run(capsys, "create", "gateway", "--scope", "fleet:read", "--json"))
    assert made["secret"].startswith("gto_")
    [listed] = json.loads(run(capsys, "list", "--json"))["tokens"]
    assert listed == {name: value for name, value in made.items() if name != "secret"}


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (("create", "Gateway", "--scope", "towns:read"), 2, "lower-case"),
        (("create", "gateway", "--scope", "towns:all"), 2, "There is no scope towns:all."),
        (("create", "gateway", "--scope", "towns:read", "--days", "0"), 2, "1 to 36500"),
        (("revoke", "gateway"), 1, "No token gateway works."),
    ],
)
def test_what_can_not_be_is_refused(words: tuple[str, ...], code: int, text: str) -> None:
    with pytest.raises(CommandError) as caught:
        call_command("token", *words)
    assert text in str(caught.value)
    assert caught.value.returncode == code
    assert not ApiToken.objects.exists()


def test_one_can_be_made_for_one_owner(capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys, "create", "mobile", "--scope", "towns:read", "--owner", "ann")
    listed = run(capsys, "list")
    assert "ACTS FOR" in listed
    assert "ann" in listed
    found = json.loads(run(capsys, "list", json=True))["tokens"]
    assert [one["owner"] for one in found] == ["ann"]
