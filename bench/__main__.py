"""`python -m bench`: runs everything and prints the figures; on SQLite, but for what tells of
PostgreSQL."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path


def main() -> int:
    """The exit code."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ.setdefault("DATABASE_URL", f"sqlite:///{Path(folder) / 'bench.sqlite3'}")
        os.environ["GASTOWN_ENV_FILE"] = ""
        os.environ["DJANGO_SETTINGS_MODULE"] = "gastown_ops.settings"
        os.environ["DEBUG"] = "true"
        os.environ["GASTOWN_INTERNAL_API_SECRET"] = "bench"
        os.environ["GASTOWN_FLY_APP_NAME"] = "towns"
        os.environ["LOG_LEVEL"] = "ERROR"
        os.environ["GASTOWN_SANDBOX_URL"] = "http://127.0.0.1:1/{town_id}"

        import django

        django.setup()
        from django.conf import settings
        from django.core.management import call_command

        # Every statement would be kept in memory otherwise.
        settings.DEBUG = False
        call_command("migrate", verbosity=0)
        from bench import budgets, reconcile, starts, sweep

        sweep.run(towns=1000, pause=0.05)
        starts.run(towns=1000)
        reconcile.run(towns=10_000)
        budgets.run(calls=2000)
    # On PostgreSQL, so each in a process with settings of its own.
    commands = (
        ["bench.history"],
        ["bench.touches", "--few", "--seconds", "5"],
        ["bench.operations", "--towns", "1000", "--boots", "20"],
        ["bench.health", "--towns", "10000", "--rounds", "1", "--no-checkers"],
    )
    codes = [
        subprocess.run([sys.executable, "-m", *one], check=False).returncode for one in commands
    ]
    return max(codes)


if __name__ == "__main__":
    sys.exit(main())
