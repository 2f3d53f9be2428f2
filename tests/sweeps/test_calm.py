"""Towns that are well as before are stored by a way of their own, which must say the same."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.forms.models import model_to_dict
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from tests.factories import NOW, make_town
from tests.sweeps.fakes import answer, good_report, silence
from towns.models import Alert, HealthCheck, LifecycleEvent, Town
from towns.policy import Judgement, judge
from towns.probe import HealthReport, Probe
from towns.sweeps import storing
from towns.sweeps.calm import Known, calm
from towns.sweeps.observing import Observation
from towns.words import CheckResult, Status

OWN = {"id", "town", "status_event", "name", "owner", "machine_id", "volume_id"}
moments = st.none() | st.integers(-3000, 3000).map(lambda n: NOW + timedelta(seconds=n))
numbers = st.none() | st.integers(0, 10)


@st.composite
def town_fields(draw: st.DrawFn) -> dict[str, Any]:
    failing = draw(st.booleans())
    return {
        "status": draw(st.sampled_from([Status.RUNNING, Status.UNHEALTHY, Status.STOPPED])),
        "consecutive_failures": draw(st.integers(1, 4)) if failing else 0,
        "episode_since": NOW - timedelta(minutes=9) if failing else None,
        "failure_kind": "timeout" if failing else "",
        "flapping_since": draw(moments),
        "episode_ended_at": draw(moments),
        "flap_count": draw(st.integers(0, 5)),
        "last_slot": draw(st.sampled_from([None, NOW, NOW - timedelta(minutes=3)])),
        "last_heartbeat_at": draw(moments),
        "last_backup_at": draw(moments),
        "last_interaction_at": draw(moments),
        "websocket_seen_at": draw(moments),
        "websocket_message_at": draw(moments),
    }


@st.composite
def reports(draw: st.DrawFn) -> dict[str, Any]:
    return {
        "daemon_running": draw(st.sampled_from([True, True, True, False])),
        "daemon_heartbeat_at": draw(moments),
        "backup_at": draw(moments),
        "polecats_active": draw(numbers),
        "disk_used": draw(st.none() | st.integers(0, 100)),
        "disk_total": draw(st.none() | st.just(100)),
        "cpu_ratio": draw(st.none() | st.floats(0, 1)),
    }


def stored(town: Town, probe: Probe, slot: datetime | None) -> dict[str, Any]:
    """All that follows from a check of a town, without what is its own."""
    judgement = judge(probe, town_id=str(town.pk), machine_id=town.machine_id)
    tally = storing.store([Observation(town, probe, judgement)], slot=slot, now=NOW)
    town.refresh_from_db()
    checks = HealthCheck.objects.filter(town=town)
    return {
        "tally": tally.as_json(),
        "town": _told(town),
        "checks": [_told(check) for check in checks],
        "events": [(e.kind, e.reason, e.data) for e in LifecycleEvent.objects.filter(town=town)],
        "alerts": sorted((a.cause, a.message) for a in Alert.objects.filter(town=town)),
    }


def _told(row: Any) -> dict[str, Any]:
    return {name: value for name, value in model_to_dict(row).items() if name not in OWN}


class SameEitherWay(TestCase):
    """What is stored does not depend on the way."""

    @given(fields=town_fields(), told=st.none() | reports(), by_slot=st.booleans())
    def test_it(self, fields: dict[str, Any], told: dict[str, Any] | None, by_slot: bool) -> None:
        slot = NOW if by_slot else None
        found = []
        for way in (calm, lambda *_: None):
            town = make_town(**fields)
            probe = silence() if told is None else answer(good_report(str(town.pk), NOW, **told))
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(storing, "calm", way)
                found.append(stored(town, probe, slot))
        assert found[0] == found[1]


def known(**fields: Any) -> Known:
    well = {"status": "running", "consecutive_failures": 0, "failure_kind": ""}
    return Known._make({**well, **fields}.get(name) for name in Known._fields)


WELL = answer(HealthReport("t", True, True, 1))


@pytest.mark.parametrize(
    "fields",
    [
        {"status": "unhealthy"},
        {"consecutive_failures": 1},
        {"episode_since": NOW},
        {"flapping_since": NOW},
        {"failure_kind": "machine_gone"},
    ],
)
def test_a_town_that_had_trouble_is_not_calm(fields: dict[str, Any]) -> None:
    assert calm(known(), WELL, Judgement(CheckResult.OK)) is not None
    assert calm(known(**fields), WELL, Judgement(CheckResult.OK)) is None


@pytest.mark.parametrize("result", [CheckResult.FAILED, CheckResult.UNKNOWN])
def test_another_result_is_not_calm(result: CheckResult) -> None:
    assert calm(known(), WELL, Judgement(result)) is None
