"""A played fleet says of each town what its sandbox would."""

import urllib.request
from http.client import RemoteDisconnected

import pytest

from bench.processes import played
from towns.services.health_report import parse_health

WELL, BROKEN = "00000063-0000-4000-8000-000000000000", "00000000-0000-4000-8000-000000000000"


def fetch(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=5) as answer:
        found: bytes = answer.read()
    return found


def test_each_town_answers_in_its_own_name_at_any_address() -> None:
    with played(pause=0) as (port, _):
        for host in ("127.0.0.1", "127.7.8.9"):
            report = parse_health(fetch(f"http://{host}:{port}/{WELL}/health"))
            assert report.town_id == WELL
            assert report.daemon_running
        assert fetch(f"http://127.0.0.1:{port}/answered") == b"2"


def test_a_share_of_towns_refuses_and_the_others_answer() -> None:
    with played(pause=0, refuse=1) as (port, _):
        with pytest.raises((RemoteDisconnected, ConnectionResetError)):
            fetch(f"http://127.0.0.1:{port}/{BROKEN}/health")
        assert fetch(f"http://127.0.0.1:{port}/{WELL}/health")


def test_prometheus_finds_figures() -> None:
    with played(pause=0) as (port, _):
        assert fetch(f"http://127.0.0.1:{port}/metrics").startswith(b"town_figure_0 ")
