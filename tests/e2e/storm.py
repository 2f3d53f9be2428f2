"""A storm on the local cloud: `python -m tests.e2e.storm` (`make storm`).

Towns run; Fly's API goes down, a third of the machines are killed for good, three volumes are lost,
and the worker is killed twice: once while Fly is down, once in the middle of the repairs. What must
come of it: all towns are as desired in time, no volume of a living town was destroyed, there never
was a twin, restarts stayed inside their budget, and staff got a handful of messages.

DATABASE_URL says on which kind of database; a scratch one is made there. Exit code 1 if anything is
not as it must be. `--json` prints the figures as one document, at the end.
"""

import argparse
import json
import os
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from localcloud.harness import running_localcloud
from tests.e2e.installation import Installation, scratch_database
from tests.e2e.storm_plan import SHORT, Plan

STAFF = "staff@example.com"


def main(arguments: list[str]) -> int:
    """The exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.e2e.storm", description=__doc__)
    parser.add_argument("--short", action="store_true", help="the small one that CI runs")
    parser.add_argument("--towns", type=int, help="60; 12 with --short")
    parser.add_argument("--fly-down", type=float, help="seconds; 120, or 15 with --short")
    parser.add_argument("--json", action="store_true", help="the figures as JSON on stdout")
    given = parser.parse_args(arguments)
    plan = SHORT if given.short else Plan()
    if given.towns:
        plan = replace(plan, towns=given.towns)
    if given.fly_down:
        plan = replace(plan, fly_down=given.fly_down)
    with tempfile.TemporaryDirectory(prefix="storm-") as name:
        figures = run(plan, Path(name))
    if given.json:
        print(json.dumps(figures))
    else:
        for key, value in figures.items():
            print(f"{key:28} {value}")
    return 1 if figures["wrong"] else 0


def run(plan: Plan, folder: Path) -> dict[str, object]:
    """Make a fleet in `folder`, let the storm go over it, and return the figures."""
    mails = folder / "mails"
    with (
        running_localcloud(folder / "cloud", latency=0.3, rate=1.0, beat=5) as cloud,
        scratch_database(folder) as database,
    ):
        ops = Installation(cloud, database)
        ops.env |= {
            **plan.environment(),
            "EMAIL_URL": f"filemail:///{mails}",
            "GASTOWN_STAFF_EMAILS": STAFF,
        }
        done = ops.run("migrate", "--verbosity", "0")
        assert done.returncode == 0, done.stderr
        os.environ.update(ops.env)

        import django

        django.setup()
        from tests.e2e.storm_fleet import Storm
        from tests.e2e.storm_worker import Host

        host = Host(ops.env, folder / "worker.log")
        host.start()
        try:
            return Storm(plan, cloud.ctl, host, mails, staff=STAFF).run()
        finally:
            host.end()
            from django.db import connections

            connections.close_all()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
