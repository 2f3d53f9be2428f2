"""Whatever comes in, the API says what is wrong with it: never a 500."""

import base64
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from unittest.mock import patch

import pytest
from django.contrib.auth.models import User
from django.db import transaction
from django.test import Client
from django.utils import timezone
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.api.conftest import STAFF, JsonClient
from tests.factories import make_town, make_user
from towns import addresses
from towns.models import Town

pytestmark = pytest.mark.django_db
TOWN = "00000000-0000-4000-8000-000000000001"
LONG_AGO, FAR_AHEAD = "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"
ODD_TEXTS = ["\x00", "a\x00b", "\ud800", "\udfff\x00", "'\"--", "%00", "\u202e", "😀" * 300]
LISTS = [
    "towns",
    f"towns/{TOWN}/health",
    f"towns/{TOWN}/events",
    f"towns/{TOWN}/operations",
    f"towns/{TOWN}/backups",
    "alerts",
]
DOING = ["start", "stop", "restart", "recover", "backup", "destroy", "restore"]


@pytest.fixture
def asker(sign_in: Callable[[User], JsonClient]) -> JsonClient:
    """Staff, who get to see what the database says of everything, with a town of their own."""
    user = make_user("sam", is_staff=True, permissions=STAFF)
    make_town(id=TOWN, owner=user, name="mill")
    client = sign_in(user)
    client.raise_request_exception = False
    return client


def is_refused(answer: Any) -> None:
    """It is the caller's fault, told in a sentence as the API tells things."""
    assert 400 <= answer.status_code < 500, answer.content
    assert answer["Content-Type"] == "application/problem+json"
    body = json.loads(answer.content)
    assert body["status"] == answer.status_code
    assert len(body["detail"]) > 10
    assert body["detail"][-1] == "."


def is_answered(answer: Any) -> None:
    """No crash, and if refused then as a problem."""
    assert answer.status_code < 500, answer.content
    if answer.status_code >= 400:
        is_refused(answer)


def cursor(value: object) -> str:
    text = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(text).decode().rstrip("=")


@pytest.mark.parametrize("name", ["owner", "region", "name", "status", "cursor", "limit", "more"])
def test_a_nul_in_a_filter_is_refused(asker: JsonClient, name: str) -> None:
    is_refused(asker.get(f"/api/v1/towns?{name}=%00"))


@pytest.mark.parametrize("query", ["cause=%00", "cause=a%00b", "%00=1", "severity=%00"])
def test_a_nul_in_a_filter_of_alerts_is_refused(asker: JsonClient, query: str) -> None:
    is_refused(asker.get(f"/api/v1/alerts?{query}"))


def test_the_refusal_names_the_parameter(asker: JsonClient) -> None:
    body = asker.get("/api/v1/towns?owner=a%00b").json()
    assert (body["status"], body["errors"][0]["parameter"]) == (422, "owner")
    assert "NUL" in body["detail"]


@pytest.mark.parametrize("path", ["%00", "towns/%00", f"towns/{TOWN}%00", f"towns/{TOWN}/%00"])
def test_a_nul_in_the_path_names_nothing(asker: JsonClient, path: str) -> None:
    answer = asker.get(f"/api/v1/{path}")
    is_refused(answer)
    assert answer.status_code == 404


@pytest.mark.parametrize("text", ["\x00", "a\x00b", "\ud800"])
@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("post", "/towns", {"name": "?"}),
        ("post", "/towns", {"name": "quarry", "owner": "?"}),
        ("post", "/towns", {"name": "quarry", "region": "?"}),
        ("patch", f"/towns/{TOWN}", {"hold_reason": "?"}),
        ("patch", f"/towns/{TOWN}", {"keep_awake_until": "?"}),
        ("patch", f"/towns/{TOWN}", {"?": 1}),
        ("post", f"/towns/{TOWN}/destroy", {"confirm": "?"}),
        ("post", f"/towns/{TOWN}/interactions", {"kind": "?"}),
        *(("post", f"/towns/{TOWN}/{verb}", {"reason": "?"}) for verb in DOING),
    ],
)
def test_what_no_database_keeps_is_refused_in_a_body(
    asker: JsonClient, method: str, path: str, body: dict[str, Any], text: str
) -> None:
    odd = {text if name == "?" else name: text if v == "?" else v for name, v in body.items()}
    answer = asker.send(method, path, odd)
    is_refused(answer)
    assert answer.status_code == 422


def test_the_refusal_points_into_the_body(asker: JsonClient) -> None:
    body = asker.send("post", f"/towns/{TOWN}/stop", {"reason": "a\x00b"}).json()
    assert body["errors"][0]["pointer"] == "#/reason"
    assert body["detail"].startswith("reason: ")


@pytest.mark.parametrize("name", ["Idempotency-Key", "X-Gastown-User", "X-Internal-Api-Key"])
@pytest.mark.parametrize("text", ["\x00", "a\x00b", "\ud800"])
def test_a_nul_in_a_header_is_refused(asker: JsonClient, name: str, text: str) -> None:
    answer = asker.send("post", f"/towns/{TOWN}/stop", {}, **{name: text})
    is_refused(answer)
    assert name in answer.json()["detail"]


def test_a_nul_in_a_cookie_is_refused(asker: JsonClient) -> None:
    answer = Client(headers={"cookie": r'sessionid="abcdefgh\000ij"'}).get("/api/v1/towns")
    is_refused(answer)


@pytest.mark.parametrize("until", [LONG_AGO, FAR_AHEAD, "1e400", 1e300, -1e300, 10**40])
def test_a_time_beyond_the_calendar_is_refused(asker: JsonClient, until: object) -> None:
    is_refused(asker.send("patch", f"/towns/{TOWN}", {"keep_awake_until": until}))


def heartbeat(**fields: Any) -> Any:
    """What a sandbox tells, with odd fields."""
    town = Town.objects.get(pk=TOWN)
    body = {
        "town_id": TOWN,
        "snapshot": "20260217T120000Z",
        "created_at": timezone.now().isoformat(),
        "generation": town.generation,
        **fields,
    }
    client = Client(raise_request_exception=False)
    headers = {"x-internal-api-key": addresses.town_key(town)}
    return client.post(
        "/api/gastown/heartbeat", body, content_type="application/json", headers=headers
    )


@pytest.mark.parametrize(
    "fields",
    [
        {"created_at": LONG_AGO},
        {"created_at": FAR_AHEAD},
        {"created_at": "\x00"},
        {"created_at": 1e300},
        {"snapshot": "20260217T120000Z\n"},
        {"snapshot": "20260217T120000Z\x00"},
        {"town_id": "\x00"},
        {"town_id": "\ud800"},
        {"more": ["\x00"]},
    ],
)
def test_an_odd_heartbeat_is_refused(asker: JsonClient, fields: dict[str, Any]) -> None:
    is_refused(heartbeat(**fields))


@pytest.mark.parametrize(
    "odd",
    [
        b"\xff\xfe\xfd",
        b"",
        b"[",
        b"[[[[" * 70,
        [],
        [None],
        [1, 2, 3],
        ["\x00"],
        ["\x00", "\x00"],
        ["\ud800", "\ud800"],
        [float("inf")],
        [float("nan")],
        [-1],
        [2**63],
        [2**300],
        [float("inf"), LONG_AGO],
        [TOWN, LONG_AGO],
        [TOWN, FAR_AHEAD],
        [TOWN, "2026-02-17T12:00:00"],
        [1, LONG_AGO],
        [1, FAR_AHEAD],
        {"a": 1},
        {"a": 1, "b": 2},
        "ab",
        7,
        None,
    ],
)
@pytest.mark.parametrize("path", LISTS)
def test_an_odd_cursor_is_refused(asker: JsonClient, path: str, odd: object) -> None:
    given = cursor(odd)
    if given:
        is_refused(asker.get(f"/api/v1/{path}", {"cursor": given}))


@pytest.mark.parametrize(
    "body",
    [
        b"\x00",
        b"\xff\xfe",
        b"{",
        b"null",
        b"[]",
        b'"text"',
        b"7",
        b"NaN",
        b"9" * 5000,
        b"[" * 100_000,
        b'{"reason": ' * 50_000,
        '{"reason": "x"}'.encode("utf-16"),
    ],
)
@pytest.mark.parametrize("key", [None, "k"])
def test_an_odd_body_is_answered(asker: JsonClient, body: bytes, key: str | None) -> None:
    headers = {"Idempotency-Key": key} if key else {}
    for path in ("towns", f"towns/{TOWN}/stop", f"towns/{TOWN}/destroy"):
        is_answered(
            asker.post(
                f"/api/v1/{path}", data=body, content_type="application/json", headers=headers
            )
        )


@pytest.mark.parametrize(
    "kind",
    [
        "multipart/form-data",
        "multipart/form-data; boundary=x",
        "MULTIPART/form-data; boundary=\xff",
        "application/x-www-form-urlencoded",
        "text/plain; charset=no",
    ],
)
def test_a_form_is_refused(kind: str, asker: JsonClient) -> None:
    """The CSRF check reads a form before the view asks for the body."""
    strict = Client(enforce_csrf_checks=True, raise_request_exception=False)
    strict.cookies = asker.cookies
    strict.cookies["csrftoken"] = "a" * 32
    for headers in ({}, {"Idempotency-Key": "k"}):
        answer = strict.generic(
            "POST",
            f"/api/v1/towns/{TOWN}/stop",
            data=b"--x--",
            content_type=kind,
            headers={"X-CSRFToken": "a" * 32, **headers},
        )
        is_refused(answer)


@pytest.mark.parametrize("host", ["a_b", "a\x00b", "evil.test"])
def test_a_host_that_is_not_ours_is_refused(asker: JsonClient, host: str) -> None:
    is_refused(asker.get("/api/v1/towns", headers={"host": host}))


# --- anything at all ----------------------------------------------------------------------------
texts = st.one_of(
    st.sampled_from(ODD_TEXTS), st.text(st.characters(codec=None, exclude_categories=()))
)
scalars = st.one_of(
    texts,
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(min_value=-(2**70), max_value=2**70),
    st.floats(),
    st.sampled_from([LONG_AGO, FAR_AHEAD, TOWN, "2026-02-17T12:00:00Z", "mill", "ok", "fleet"]),
    st.datetimes(timezones=st.timezones()).map(lambda moment: moment.isoformat()),
)
documents = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
FIELDS = [
    "name",
    "owner",
    "region",
    "reason",
    "confirm",
    "discard",
    "from_backup",
    "idle_timeout_minutes",
    "auto_stop",
    "keep_awake_minutes",
    "keep_awake_until",
    "hold_reason",
    "clear_restarts",
    "kind",
    "message",
]
FILTERS = ["status", "owner", "region", "name", "kind", "state", "result", "cause", "severity"]
FILTERS += ["resolved", "peek", "limit", "cursor", "since"]
anything = settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


class _Undo(Exception):
    """Ends an example; what it wrote is undone, so that the next one finds the same town."""


def answered(ask: Callable[[], Any]) -> None:
    """Whatever is asked is answered."""
    try:
        with transaction.atomic():
            is_answered(ask())
            raise _Undo
    except _Undo:
        pass


@anything
@given(
    path=st.sampled_from(LISTS),
    query=st.dictionaries(st.sampled_from(FILTERS), texts | scalars.map(str), max_size=4),
)
def test_any_filter_is_answered(asker: JsonClient, path: str, query: dict[str, str]) -> None:
    sent = {
        name: value.encode("utf-8", "surrogatepass").decode("latin-1")
        for name, value in query.items()
    }
    answered(lambda: asker.get(f"/api/v1/{path}", sent))


@anything
@given(path=st.sampled_from(LISTS), key=documents | st.lists(scalars, min_size=1, max_size=2))
@example(path="towns", key=[TOWN, "9999-12-31T23:59:59.999999-23:59"])
@example(path="alerts", key=[1.5])
@example(path="towns", key=[TOWN, "2026-02-17T12:00:00Z\x00"])
def test_any_cursor_is_answered(asker: JsonClient, path: str, key: object) -> None:
    answered(lambda: asker.get(f"/api/v1/{path}", {"cursor": cursor(key)[:400]}))


@anything
@given(
    ask=st.sampled_from(
        [
            ("post", "/towns"),
            ("patch", f"/towns/{TOWN}"),
            ("post", f"/towns/{TOWN}/interactions"),
            *(("post", f"/towns/{TOWN}/{verb}") for verb in DOING),
        ]
    ),
    body=st.dictionaries(st.sampled_from(FIELDS) | texts, documents, max_size=3) | documents,
    key=st.none() | texts,
)
def test_any_body_is_answered(
    asker: JsonClient, ask: tuple[str, str], body: object, key: str | None
) -> None:
    headers = {} if key is None else {"Idempotency-Key": key}
    with patch("towns.flows.begin.call_driver"):
        answered(lambda: asker.send(*ask, json.dumps(body), **headers))


@anything
@given(
    st.dictionaries(
        st.sampled_from(["snapshot", "created_at", "generation", "held", "town_id"]) | texts,
        documents,
        max_size=3,
    )
)
def test_any_heartbeat_is_answered(asker: JsonClient, fields: dict[str, Any]) -> None:
    answered(lambda: heartbeat(**fields))


def test_a_town_that_was_asked_oddly_is_as_before(asker: JsonClient) -> None:
    """What is refused has changed nothing."""
    before = Town.objects.values().get(pk=TOWN)
    ahead = timezone.now() + timedelta(days=400)
    for odd in ("\x00", LONG_AGO, FAR_AHEAD, ahead.isoformat()):
        is_refused(asker.send("patch", f"/towns/{TOWN}", {"keep_awake_until": odd}))
        is_refused(heartbeat(created_at=odd))
    assert Town.objects.values().get(pk=TOWN) == before
