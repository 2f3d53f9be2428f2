"""Each missing or senseless setting is named, with what to write."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from django.test import override_settings

from towns import checks

ROOT = Path(__file__).resolve().parent.parent
NAMES = re.compile(r'env\.\w+\(\s*"([A-Z0-9_]+)"')


def messages() -> list[str]:
    return [str(message.msg) for message in checks.check_settings()]


def test_it_works() -> None:
    assert messages() == []


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("GASTOWN_RESTARTS_AT_ONCE", 0, "GASTOWN_RESTARTS_AT_ONCE is 0; write a number from 1"),
        ("GASTOWN_BREAKER_PERCENT", 101, "write a number from 1 to 100"),
        ("GASTOWN_STOP_TIMEOUT_SECONDS", 900, "write a number from 1 to 300"),
        ("GASTOWN_AUTO_RESUME", "sometimes", "write idle or always"),
        ("GASTOWN_SANDBOX_URL", "http://{machine}.x", "{machine}, which means nothing"),
        ("GASTOWN_SANDBOX_URL", "http://same.x", "leads nowhere"),
        ("GASTOWN_SANDBOX_URL", "http://{.x", "a brace too many"),
        ("GASTOWN_FLY_APP_NAME", "towns-{8..1}", "such as towns-{1..8}"),
        ("GASTOWN_FLY_API_URL", "api.machines.dev", "begins with http:// or https://"),
        ("GASTOWN_IDLE_TIMEOUT_MINUTES", 1, "write a number from 5 to 480"),
        ("GASTOWN_IDLE_TIMEOUT_MIN_MINUTES", 500, "write a smaller one"),
        ("GASTOWN_DISK_WARN_PERCENT", 99, "write a smaller one"),
        ("GASTOWN_DEADLINE_STOPPING_MINUTES", 5, "write more minutes"),
        ("GASTOWN_KEEP_HOURS_DAYS", 13, "write more days"),
    ],
)
def test_a_senseless_setting_is_named(name: str, value: object, said: str) -> None:
    with override_settings(**{name: value}):
        [message] = messages()
    assert name in message
    assert said in message


@pytest.mark.parametrize("name", sorted(checks._NEEDED))
@pytest.mark.parametrize(("debug", "code"), [(True, "gastown.W001"), (False, "gastown.E001")])
def test_a_missing_setting_is_named(name: str, debug: bool, code: str) -> None:
    with override_settings(**{name: "", "DEBUG": debug}):
        [message] = checks.check_settings()
    assert message.id == code
    assert str(message.msg).startswith(f"{name} is not set. Set it to ")


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("GASTOWN_WORKERS", "many", "write a whole number, such as 4"),
        ("GASTOWN_PROBE_TIMEOUT_SECONDS", "soon", "write a number, such as 5"),
        ("DEBUG", "perhaps", "write true or false"),
        ("DATABASE_URL", "nonsense", "write sqlite:///PATH or postgres://"),
    ],
)
def test_one_that_can_not_be_read_is_one_clear_line(name: str, value: str, said: str) -> None:
    env = {**os.environ, "GASTOWN_ENV_FILE": "", "DEBUG": "true", name: value}
    env["DJANGO_SETTINGS_MODULE"] = "gastown_ops.settings"
    done = subprocess.run(
        [sys.executable, "manage.py", "check"],
        cwd=ROOT,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    [line] = done.stderr.strip().splitlines()
    assert name in line
    assert said in line


def test_the_example_documents_every_setting() -> None:
    read = set(NAMES.findall((ROOT / "gastown_ops" / "settings.py").read_text()))
    documented = re.findall(r"^#? ?([A-Z0-9_]+)=", (ROOT / ".env.example").read_text(), re.M)
    assert sorted(documented) == sorted(read)
