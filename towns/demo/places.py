"""Where the demo keeps its things, its secrets, and the settings of its processes."""

import json
import os
import secrets
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SWEEP_SECONDS = 15


@dataclass(frozen=True, slots=True)
class Place:
    """A folder of a demo; starting again in it picks its fleet up."""

    root: Path

    def secrets(self) -> dict[str, str]:
        """The keys and the administrator's password, made once and kept for us alone."""
        file = self.root / "secrets.json"
        if file.exists():
            kept: dict[str, str] = json.loads(file.read_text())
            return kept
        made = {
            "SECRET_KEY": secrets.token_urlsafe(40),
            "GASTOWN_INTERNAL_API_SECRET": secrets.token_urlsafe(40),
            "password": secrets.token_urlsafe(9),
        }
        self.root.mkdir(parents=True, exist_ok=True)
        draft = file.with_suffix(".draft")
        draft.touch(mode=0o600)
        draft.write_text(json.dumps(made))
        draft.rename(file)
        return made

    def base_environment(self) -> dict[str, str]:
        """The environment we were given, deaf to settings that are meant for something else."""
        given = {k: v for k, v in os.environ.items() if not k.startswith("GASTOWN_")}
        return {
            **given,
            "DJANGO_SETTINGS_MODULE": "gastown_ops.settings",
            "PYTHONUNBUFFERED": "1",
            "GASTOWN_ENV_FILE": "",
        }

    def environment(self, cloud: Mapping[str, Any], web_port: int) -> dict[str, str]:
        """The settings of the demo's processes: everything quick, so that one sees it happen."""
        kept = self.secrets()
        return {
            **self.base_environment(),
            "GASTOWN_DEMO_PASSWORD": kept["password"],
            "DEBUG": "true",
            "SECRET_KEY": kept["SECRET_KEY"],
            "ALLOWED_HOSTS": "localhost,127.0.0.1",
            "DATABASE_URL": f"sqlite:///{self.root / 'db.sqlite3'}",
            "REDIS_URL": "",
            "EMAIL_URL": "consolemail://",
            "GASTOWN_STAFF_EMAILS": "staff@example.com",
            "GASTOWN_FLY_API_URL": cloud["fly_api_url"],
            "GASTOWN_FLY_API_TOKEN": cloud["fly_api_token"],
            "GASTOWN_FLY_APP_NAME": cloud["app"],
            "GASTOWN_SANDBOX_IMAGE": "localcloud/sandbox:1",
            "GASTOWN_SANDBOX_URL": cloud["sandbox_url"],
            "GASTOWN_INTERNAL_API_SECRET": kept["GASTOWN_INTERNAL_API_SECRET"],
            "GASTOWN_CONTROL_PLANE_URL": f"http://127.0.0.1:{web_port}",
            "GASTOWN_R2_ENDPOINT_URL": cloud["r2_endpoint_url"],
            "GASTOWN_R2_BUCKET": cloud["r2_bucket"],
            "GASTOWN_R2_ACCESS_KEY_ID": cloud["r2_access_key_id"],
            "GASTOWN_R2_SECRET_ACCESS_KEY": cloud["r2_secret_access_key"],
            "GASTOWN_HEALTH_PERIOD_SECONDS": str(SWEEP_SECONDS),
            "GASTOWN_IDLE_PERIOD_SECONDS": str(SWEEP_SECONDS),
            "GASTOWN_SYNC_INTERVAL_SECONDS": "10",
            "GASTOWN_PROBE_TIMEOUT_SECONDS": "3",
            "GASTOWN_STOP_TIMEOUT_SECONDS": "60",
            "GASTOWN_IDLE_TIMEOUT_MIN_MINUTES": "1",
            "GASTOWN_WORKERS": "3",
        }


def free_port(wanted: int) -> int:
    """The wanted port of this computer if nobody listens there, else another."""
    for port in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            found: int = probe.getsockname()[1]
            return found
    raise OSError("no free port was found")
