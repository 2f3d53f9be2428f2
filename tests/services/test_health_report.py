import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from towns.probe import HealthReport
from towns.services.health_report import Malformed, parse_health

from .sandbox_answers import HEALTH, health

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(min_value=2**31)
    | st.floats()
    | st.text()
    | st.datetimes().map(str)
    | st.just("9999-12-31T23:59:59-14:00")
)
ANY_JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


def parse(document: object) -> HealthReport:
    return parse_health(json.dumps(document).encode())


def test_it_works() -> None:
    assert parse(HEALTH) == HealthReport(
        town_id="t1",
        daemon_running=True,
        dolt_running=True,
        tmux_sessions=7,
        machine_id="148e",
        started_at=datetime(2026, 2, 17, 12, 0, tzinfo=UTC),
        version="1.0.1",
        daemon_heartbeat_at=datetime(2026, 2, 17, 12, 3, tzinfo=UTC),
        polecats_active=2,
        polecats_total=3,
        merge_queue=0,
        disk_used=1_200_000_000,
        disk_total=50_000_000_000,
        memory_used=900_000_000,
        memory_total=8_000_000_000,
        cpu_ratio=0.12,
        backup_snapshot="20260217T120100Z",
        backup_at=datetime(2026, 2, 17, 12, 1, tzinfo=UTC),
        backup_error=None,
        restore_state="none",
        restore_snapshot=None,
        restore_error=None,
        draining=False,
    )


def test_the_required_fields_are_enough() -> None:
    least = {
        "town_id": "t1",
        "daemon": {"running": False},
        "dolt": {"running": False},
        "tmux": {"sessions": 0},
    }
    assert parse(least) == HealthReport("t1", False, False, 0)


@pytest.mark.parametrize("field", ["town_id", "daemon.running", "dolt.running", "tmux.sessions"])
@pytest.mark.parametrize("value", [None, [], {}, 1.5, "", -1, "yes"])
def test_a_required_field_of_another_type_is_named(field: str, value: Any) -> None:
    if field == "town_id" and value == "yes":
        return
    with pytest.raises(Malformed, match=field):
        parse(health(field, value))


@pytest.mark.parametrize("field", ["town_id", "daemon.running", "daemon", "dolt", "tmux"])
def test_a_missing_required_field_is_named(field: str) -> None:
    with pytest.raises(Malformed, match=field):
        parse(health(drop=field))


@pytest.mark.parametrize("value", [True, 2**31, 10**30])
def test_a_count_is_a_count(value: int) -> None:
    with pytest.raises(Malformed, match=r"tmux\.sessions"):
        parse(health("tmux.sessions", value))


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("polecats", "polecats_active"),
        ("polecats.active", "polecats_active"),
        ("merge_queue.in_flight", "merge_queue"),
        ("disk.used_bytes", "disk_used"),
        ("cpu.used_ratio", "cpu_ratio"),
        ("started_at", "started_at"),
        ("version", "version"),
        ("backup", "backup_snapshot"),
        ("restore.state", "restore_state"),
        ("daemon.last_heartbeat_at", "daemon_heartbeat_at"),
    ],
)
@pytest.mark.parametrize("value", [None, [], True, -1, "", "nonsense\0"])
def test_an_optional_field_of_another_type_is_unknown(path: str, field: str, value: Any) -> None:
    assert getattr(parse(health(path, value)), field) is None


@pytest.mark.parametrize("value", ["NaN", "Infinity", "1e999", "9" * 400])
def test_a_ratio_that_is_no_number_is_unknown(value: str) -> None:
    body = json.dumps(HEALTH).replace("0.12", value)
    assert parse_health(body).cpu_ratio is None


def test_a_time_without_offset_is_unknown() -> None:
    assert parse(health("started_at", "2026-02-17T12:00:00")).started_at is None


@pytest.mark.parametrize("body", [b"", b"<html>", b"\xff\xfe\x00", b"[]", b"null", b"[" * 100_000])
def test_what_is_no_json_object_is_malformed(body: bytes) -> None:
    with pytest.raises(Malformed, match="JSON"):
        parse_health(body)


@given(ANY_JSON)
def test_any_json_is_a_report_or_malformed(document: object) -> None:
    try:
        parse(document)
    except Malformed as error:
        assert str(error)  # noqa: PT017  (either outcome is fine, nothing else is)


@given(st.sampled_from(sorted(HEALTH)), ANY_JSON)
def test_any_json_in_a_field_is_a_report_or_malformed(field: str, value: object) -> None:
    try:
        report = parse(HEALTH | {field: value})
    except Malformed as error:
        assert field in str(error)  # noqa: PT017  (either outcome is fine, nothing else is)
    else:
        assert isinstance(report.town_id, str)


@given(st.binary())
def test_any_bytes_are_a_report_or_malformed(body: bytes) -> None:
    with pytest.raises(Malformed):
        parse_health(body)
