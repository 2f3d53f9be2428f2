"""What is handed to Prometheus and Grafana agrees with what we tell."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.core.management import get_commands
from django.utils import timezone

from tests.factories import make_operation, make_town
from towns.metrics.collector import FleetCollector
from towns.models import Sweep
from towns.schedules import NAMES
from towns.words import OperationKind

ROOT = Path(__file__).resolve().parent.parent.parent
RULES = ROOT / "ops/prometheus/rules.yml"
DASHBOARD = ROOT / "ops/grafana/gastown.json"
RUNBOOK = ROOT / "docs/runbook.md"
EXAMPLE = ROOT / ".env.example"
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


def rules() -> dict[str, dict[str, Any]]:
    """The alert rules by name."""
    [group] = yaml.safe_load(RULES.read_text())["groups"]
    return {rule["alert"]: rule for rule in group["rules"]}


def test_every_rule_is_seen_to_fire_and_to_be_silent() -> None:
    checks = [
        check
        for test in yaml.safe_load((RULES.parent / "rules.test.yml").read_text())["tests"]
        for check in test["alert_rule_test"]
    ]
    fires = {check["alertname"] for check in checks if check.get("exp_alerts")}
    assert fires == set(rules())
    assert {check["alertname"] for check in checks if not check.get("exp_alerts")} == set(rules())


def test_every_rule_leads_to_its_place_in_the_runbook() -> None:
    sections = set(re.findall(r"^## (\w+)$", RUNBOOK.read_text(), re.MULTILINE))
    places = {f"docs/runbook.md#{section.lower()}" for section in sections}
    links = {name: rule["annotations"]["runbook"] for name, rule in rules().items()}
    assert set(links.values()) == places
    alone = {name for name, link in links.items() if link == f"docs/runbook.md#{name.lower()}"}
    assert alone == sections
    shared = {"GastownSlowSweepLate", "GastownSweepNever", "GastownScheduleNever"}
    assert set(links) - alone == shared


def test_every_rule_says_how_bad_it_is() -> None:
    for name, rule in rules().items():
        assert rule["labels"]["severity"] in ("critical", "warning"), name
        assert rule["annotations"]["summary"], name
        assert rule["for"], name


def test_rules_about_schedules_and_sweeps_know_their_names() -> None:
    expr = rules()["GastownScheduleLate"]["expr"]
    found = [re.compile(one) for one in re.findall(r'schedule=~?"([^"]+)"', expr)]
    others = {name for name in NAMES if not any(one.fullmatch(name) for one in found)}
    assert others == {f"{kind} sweep" for kind in Sweep.Kind.values}, (
        "these have rules of their own"
    )
    late = rules()["GastownSweepLate"]["expr"] + rules()["GastownSlowSweepLate"]["expr"]
    kinds = {kind for one in re.findall(r'kind=~"([^"]+)"', late) for kind in one.split("|")}
    assert kinds == set(Sweep.Kind.values)


def test_what_the_runbook_names_is_there() -> None:
    runbook = RUNBOOK.read_text()
    for link in re.findall(r"\]\(([^)#]+)\)", runbook):
        assert (RUNBOOK.parent / link).exists(), link
    commands = set(re.findall(r"manage\.py (\w+)", runbook))
    assert commands
    assert commands <= set(get_commands())
    named = set(re.findall(r"`((?:GASTOWN|LOG|REDIS)_[A-Z0-9_]*[A-Z0-9])[`=]", runbook))
    assert named
    assert named <= set(re.findall(r"^(?:# )?([A-Z0-9_]+)=", EXAMPLE.read_text(), re.MULTILINE))


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
