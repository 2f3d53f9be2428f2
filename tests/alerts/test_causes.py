"""The words of causes."""

import re
from pathlib import Path

import towns
from towns.alerts.causes import _TABLE, words
from towns.sweeps.drift_alerts import _SEVERITY
from towns.words import OperationKind

CODE = Path(towns.__file__).parent


def opened() -> set[str]:
    """The causes that the code names where it opens alerts."""
    found = {f"{kind}_failed" for kind in OperationKind} | {kind.value for kind in _SEVERITY}
    for path in CODE.rglob("*.py"):
        text = path.read_text()
        names = set(re.findall(r"cause=\"(\w+)\"", text))
        for constant in re.findall(r"cause=([A-Z_]+),", text):
            names |= set(re.findall(rf"^{constant} = \"(\w+)\"", text, re.MULTILINE))
        found |= names
    return found


def test_every_cause_has_words_of_its_own() -> None:
    assert {"restart_limit", "orphans", "flapping", "drill_failed"} <= opened()
    missing = opened() - set(_TABLE)
    assert not missing


def test_what_is_of_the_fleet_names_no_town() -> None:
    """`manage.py town show fleet` helps nobody."""
    fleet = {"orphans", "drill_image", "drills_inconclusive", "r2_unreachable", "recovery_frozen"}
    fleet |= {"reconcile_blind", "reconcile_doubt", "platform_down", "sweep_late"}
    for cause in fleet:
        assert "{town}" not in words(cause).act, cause


def test_each_can_be_written() -> None:
    for one in _TABLE.values():
        assert one.title
        assert one.act.format(town="ann/mill")
