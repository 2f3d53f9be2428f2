"""Passwords, lock-out, and what goes with every answer."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from django.test import Client, override_settings

from tests.factories import make_user

ROOT = Path(__file__).resolve().parent.parent.parent
LOGIN = "/accounts/login/"


def try_it(client: Client, password: str, path: str = LOGIN, name: str = "alice") -> int:
    return client.post(path, {"username": name, "password": password}).status_code


@pytest.mark.django_db
@pytest.mark.parametrize("path", [LOGIN, "/admin/login/"])
def test_after_five_wrong_passwords_a_name_is_locked(path: str) -> None:
    make_user("alice", is_staff=True)
    client = Client()
    assert [try_it(client, "wrong", path) for _ in range(5)] == [200, 200, 200, 200, 429]
    answer = client.post(path, {"username": "alice", "password": "pw"})
    assert answer.status_code == 429, "the right one comes too late"
    assert "locked for 15 min" in answer.content.decode()
    assert answer["Retry-After"] == "900"
    assert try_it(Client(REMOTE_ADDR="10.0.0.9"), "pw", path) == 302, "from elsewhere it is not"
    assert try_it(client, "wrong", path, name="bob") == 200, "another name is not"


@pytest.mark.django_db
@override_settings(GASTOWN_CLIENT_IP_HEADER="Fly-Client-IP")
def test_behind_a_proxy_each_client_counts_for_itself() -> None:
    make_user("alice")
    one, other = (Client(headers={"Fly-Client-IP": f"10.0.0.{n}"}) for n in (1, 2))
    assert [try_it(one, "wrong") for _ in range(5)][-1] == 429
    assert try_it(other, "pw") == 302


@pytest.mark.django_db
def test_a_header_that_no_proxy_is_known_to_set_means_nothing() -> None:
    make_user("alice")
    for number in range(5):
        client = Client(headers={"Fly-Client-IP": f"10.0.0.{number}"})
        try_it(client, "wrong")
    assert try_it(Client(), "pw") == 429


@pytest.mark.django_db
def test_the_addresses_of_one_subscriber_count_together() -> None:
    make_user("alice")
    told = [try_it(Client(REMOTE_ADDR=f"2001:db8:1:2::{n}"), "wrong") for n in range(5)]
    assert told[-1] == 429
    assert try_it(Client(REMOTE_ADDR="2001:db8:1:3::1"), "pw") == 302, "another one's do not"


@pytest.mark.django_db
def test_ipv4_in_the_clothes_of_ipv6_counts_each_for_itself() -> None:
    make_user("alice")
    one, same, other = (
        Client(REMOTE_ADDR=address)
        for address in ("::ffff:192.0.2.1", "192.0.2.1", "::ffff:192.0.2.2")
    )
    assert [try_it(one, "wrong") for _ in range(5)][-1] == 429
    assert try_it(same, "pw") == 429
    assert try_it(other, "pw") == 302


@pytest.mark.django_db
@pytest.mark.parametrize("peer", ["", "unix:"])
def test_who_comes_from_no_known_address_is_locked_too(peer: str) -> None:
    client = Client(REMOTE_ADDR=peer)
    assert [try_it(client, "wrong") for _ in range(5)] == [200, 200, 200, 200, 429]


@pytest.mark.django_db
@override_settings(GASTOWN_CLIENT_IP_HEADER="X-Forwarded-For")
def test_a_header_with_what_a_client_wrote_before_the_proxy_is_passed_over() -> None:
    for number in range(5):
        client = Client(headers={"X-Forwarded-For": f"10.0.0.{number}, 192.0.2.1"})
        told = try_it(client, "wrong")
    assert told == 429


@pytest.mark.django_db
@override_settings(GASTOWN_LOCKOUT_ADDRESS_TRIES=8)
def test_from_one_address_not_every_name_is_tried() -> None:
    make_user("alice")
    client = Client(REMOTE_ADDR="8.8.4.4")
    told = [try_it(client, "wrong", name=f"user{number}") for number in range(9)]
    assert told == [200] * 7 + [429] * 2
    assert try_it(client, "pw") == 429, "the right one comes too late"
    assert try_it(Client(REMOTE_ADDR="8.8.8.8"), "pw") == 302, "from elsewhere it does not"


@pytest.mark.django_db
@pytest.mark.parametrize("address", ["10.0.0.9", "fd00::9", ""])
@override_settings(GASTOWN_LOCKOUT_ADDRESS_TRIES=8)
def test_an_address_that_all_may_come_through_locks_nobody_else(address: str) -> None:
    make_user("alice")
    client = Client(REMOTE_ADDR=address)
    assert {try_it(client, "wrong", name=f"user{number}") for number in range(9)} == {200}
    assert try_it(client, "pw") == 302


@pytest.mark.django_db
@override_settings(GASTOWN_LOCKOUT_ADDRESS_TRIES=0)
def test_addresses_need_not_be_counted() -> None:
    client = Client(REMOTE_ADDR="8.8.4.4")
    assert {try_it(client, "wrong", name=f"user{number}") for number in range(9)} == {200}


@pytest.mark.django_db
def test_a_name_that_nobody_has_is_locked_alike() -> None:
    client = Client()
    assert [try_it(client, "wrong", name="ghost") for _ in range(5)][-1] == 429


@pytest.mark.django_db
def test_a_right_password_forgets_the_wrong_ones() -> None:
    make_user("alice")
    client = Client()
    for _ in range(3):
        assert [try_it(client, "wrong") for _ in range(4)] == [200] * 4
        assert try_it(client, "pw") == 302


@pytest.mark.django_db
def test_an_administrator_unlocks(admin_client: Client) -> None:
    make_user("alice")
    client = Client()
    for _ in range(5):
        try_it(client, "wrong")
    path = "/admin/axes/accessattempt/"
    [pk] = re.findall(rf"{path}(\d+)/change/", admin_client.get(path).content.decode())[:1]
    form = {"action": "unlock", "_selected_action": [pk]}
    assert "1 unlocked." in admin_client.post(path, form, follow=True).content.decode()
    assert try_it(client, "pw") == 302


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("path", "scripts", "styles"),
    [
        ("/accounts/login/", "'self'", "'self'"),
        ("/healthz", "'self'", "'self'"),
        ("/api/v1/towns", "'self'", "'self'"),
        ("/admin/login/", "'self' 'unsafe-eval'", "'self' 'sha256-"),
    ],
)
def test_nothing_inline_is_run(client: Client, path: str, scripts: str, styles: str) -> None:
    policy = dict(
        part.strip().split(" ", 1)
        for part in client.get(path)["Content-Security-Policy"].split(";")
        if part.strip()
    )
    assert policy["script-src"] == scripts
    assert policy["style-src"].startswith(styles)
    assert "unsafe-inline" not in str(policy)
    for name in ("object-src", "frame-ancestors"):
        assert policy[name] == "'none'"
    assert policy["default-src"] == policy["form-action"] == policy["base-uri"] == "'self'"


def check_deployment(tmp_path: Path, **more: str) -> subprocess.CompletedProcess[str]:
    """`check --deploy` with the example's production settings, and some of a test's own."""
    example = (ROOT / ".env.example").read_text()
    names = re.findall(r"^#? ?([A-Z][A-Z0-9_]+)=", example, re.MULTILINE)
    assert "GASTOWN_FLY_API_TOKEN" in names
    production = {
        "SECRET_KEY": "k3" * 40 + "-x7Qz!",
        "DEBUG": "false",
        "ALLOWED_HOSTS": "ops.example.com",
        "DATABASE_URL": f"sqlite:///{tmp_path / 'db.sqlite3'}",
        "GASTOWN_FLY_API_TOKEN": "token",
        "GASTOWN_FLY_APP_NAME": "towns",
        "GASTOWN_SANDBOX_IMAGE": "registry.example.com/towns:v1",
        "GASTOWN_INTERNAL_API_SECRET": "s" * 64,
        "GASTOWN_CONTROL_PLANE_URL": "https://ops.example.com",
        "GASTOWN_R2_ENDPOINT_URL": "https://account.r2.cloudflarestorage.com",
        "GASTOWN_R2_BUCKET": "towns",
        "GASTOWN_R2_ACCESS_KEY_ID": "id",
        "GASTOWN_R2_SECRET_ACCESS_KEY": "secret",
    }
    given = {name: value for name, value in os.environ.items() if name not in names}
    return subprocess.run(
        [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "WARNING"],
        cwd=ROOT,
        env={
            **given,
            "DJANGO_SETTINGS_MODULE": "gastown_ops.settings",
            "GASTOWN_ENV_FILE": "",
            **production,
            **more,
        },
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_deployment_is_clean_with_the_example_s_settings(tmp_path: Path) -> None:
    done = check_deployment(tmp_path)
    assert done.returncode == 0, done.stderr
    assert "no issues" in done.stdout


def test_what_is_below_our_host_can_be_left_out_of_hsts(tmp_path: Path) -> None:
    off = {"SECURE_HSTS_INCLUDE_SUBDOMAINS": "off", "SECURE_HSTS_PRELOAD": "off"}
    done = check_deployment(tmp_path, **off)
    assert "security.W005" in done.stderr
    assert "security.W021" in done.stderr
