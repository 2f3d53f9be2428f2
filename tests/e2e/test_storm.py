"""The small storm; `make storm` is the large one. What it does and must show: `storm.py`."""

import json
import subprocess
import sys

import pytest

from localcloud.options import ROOT
from tests.e2e.storm_plan import LOST_VOLUMES, SHORT

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]


def test_it_works() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.e2e.storm", "--short", "--json"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=380,
        check=False,
    )
    assert done.stdout, done.stderr
    figures = json.loads(done.stdout)
    print(done.stderr, figures)
    assert figures["wrong"] == []
    assert done.returncode == 0
    assert figures["seconds_to_all_as_desired"] < SHORT.within
    assert SHORT.killed + LOST_VOLUMES <= figures["restarts"]
    assert 1 < figures["most_restarts_at_once"] <= SHORT.restarts_at_once
