"""What is handed to Prometheus and Grafana agrees with what we tell."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from django.utils import timezone

from tests.factories import make_operation, make_town
from towns.metrics.collector import FleetCollector
from towns.words import OperationKind

ROOT = Path(__file__).resolve().parent.parent.parent
RULES = ROOT / "ops/prometheus/rules.yml"
DASHBOARD = ROOT / "ops/grafana/gastown.json"
NAME = re.compile(r"\bgastown_[a-z0-9_]+")
SUFFIXES = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count"), "gauge": ("",)}


def promtool(*words: str) -> str:
    """What promtool says; it has to be content."""
    tool = shutil.which("promtool")
    assert tool, "promtool is not here: install Debian's package prometheus"
    done = subprocess.run(
        [tool, *words], cwd=RULES.parent, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_promtool_is_content_with_the_rules_and_their_tests() -> None:
    assert "rules found" in promtool("check", "rules", RULES.name)
    assert "SUCCESS" in promtool("test", "rules", "rules.test.yml")


@pytest.mark.django_db
def test_every_name_in_rules_and_dashboard_is_told() -> None:
    make_operation(make_town(), OperationKind.START)
    told = {
        family.name + suffix
        for family in FleetCollector(timezone.now()).collect()
        for suffix in SUFFIXES[family.type]
    }
    for file in (RULES, DASHBOARD):
        named = set(NAME.findall(file.read_text()))
        assert named, file
        assert named <= told, file


def test_every_rule_has_its_place_in_the_runbook() -> None:
    rules = set(re.findall(r"- alert: (\w+)", RULES.read_text()))
    runbook = (ROOT / "docs/runbook.md").read_text()
    sections = set(re.findall(r"^## (\w+)$", runbook, re.MULTILINE))
    links = set(re.findall(r"runbook: docs/runbook\.md#(\w+)", RULES.read_text()))
    assert links == {section.lower() for section in sections}
    assert {"GastownSlowSweepLate", "GastownSweepNever"} == rules - sections, "they share one"


def test_the_dashboard_s_panels_lie_beside_each_other() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        at = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert not cells & taken, panel["title"]
        assert at["x"] + at["w"] <= 24
        taken |= cells
