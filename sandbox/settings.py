"""The environment that the machine gets, checked once at the start."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from .errors import SettingsError

WORK_DIR = ".sandbox"
"""The agent's own folder on the volume: staging of restores, markers, scratch space."""

_R2_NAMES = ("R2_ENDPOINT", "R2_BUCKET", "R2_ACCESS_KEY", "R2_SECRET_KEY")


@dataclass(frozen=True, slots=True)
class R2Settings:
    """Where the town's backups are. `prefix` is the town's own, without a slash at its end."""

    endpoint: str
    bucket: str
    prefix: str
    access_key: str = field(repr=False)
    secret_key: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Settings:
    """One town's sandbox. Times are in seconds; `r2` is None when R2 is not configured."""

    town_id: str
    gt_home: Path
    api_key: str = field(repr=False, default="")
    r2: R2Settings | None = None
    r2_problem: str | None = None
    control_plane_url: str = ""
    sync_interval: float = 300.0
    generation: int = 1
    host: str = ""
    port: int = 8080
    dolt_port: int = 3307
    machine_id: str | None = None
    gt_version: str | None = None
    gt_timeout: float = 120.0
    drain_timeout: float = 285.0
    scratch: Path = Path()
    drill: bool = False
    """A throw-away machine that only proves that the backup restores: it never backs up, runs no
    agents and tells nobody but who asks."""

    @property
    def work_dir(self) -> Path:
        """The agent's own folder on the volume."""
        return self.gt_home / WORK_DIR

    @property
    def secrets(self) -> tuple[str, ...]:
        """Every value that must not appear in a log line or an error text."""
        keys = (self.r2.access_key, self.r2.secret_key) if self.r2 else ()
        return tuple(secret for secret in (self.api_key, *keys) if secret)


def read_settings(environ: Mapping[str, str]) -> Settings:
    """Read the environment of the machine (sandbox.md).

    Raises SettingsError that names every variable that is missing or senseless. An unset
    `INTERNAL_API_KEY` and a missing R2 are no errors here: the API reports them.
    """
    reader = _Reader(environ)
    town_id = reader.required("TOWN_ID")
    gt_home = Path(reader.required("GT_HOME") or "/")
    if not gt_home.is_absolute():
        reader.problems.append("GT_HOME must be an absolute path")
    r2, r2_problem = _read_r2(environ, town_id)
    settings = Settings(
        town_id=town_id,
        gt_home=gt_home,
        api_key=environ.get("INTERNAL_API_KEY", ""),
        r2=r2,
        r2_problem=r2_problem,
        control_plane_url=environ.get("CONTROL_PLANE_URL", "").rstrip("/"),
        sync_interval=reader.seconds("SYNC_INTERVAL_SECONDS", 300.0),
        generation=reader.integer("GENERATION", 1, 0, 2**63),
        host=environ.get("HOST", ""),
        port=reader.integer("PORT", 8080, 0, 65535),
        dolt_port=reader.integer("DOLT_PORT", 3307, 1, 65535),
        machine_id=environ.get("FLY_MACHINE_ID") or None,
        gt_version=environ.get("GT_VERSION") or None,
        gt_timeout=reader.seconds("GT_TIMEOUT_SECONDS", 120.0),
        drain_timeout=reader.seconds("DRAIN_TIMEOUT_SECONDS", 285.0),
        scratch=_scratch(environ, gt_home, town_id),
        drill=reader.switch("DRILL"),
    )
    if reader.problems:
        raise SettingsError("; ".join(reader.problems))
    return settings


def _scratch(environ: Mapping[str, str], gt_home: Path, town_id: str) -> Path:
    """A folder of our own, since it is emptied: never SCRATCH_DIR itself."""
    chosen = environ.get("SCRATCH_DIR")
    if not chosen:
        return gt_home / WORK_DIR / "scratch"
    return Path(chosen) / f"sandbox-{town_id.replace('/', '-')}"


def _read_r2(environ: Mapping[str, str], town_id: str) -> tuple[R2Settings | None, str | None]:
    missing = [name for name in _R2_NAMES if not environ.get(name)]
    if missing:
        return None, f"R2 is not configured: set {', '.join(missing)}"
    prefix = environ.get("R2_PREFIX", "").strip("/") or f"gastown/{town_id}"
    r2 = R2Settings(
        endpoint=environ["R2_ENDPOINT"],
        bucket=environ["R2_BUCKET"],
        prefix=prefix,
        access_key=environ["R2_ACCESS_KEY"],
        secret_key=environ["R2_SECRET_KEY"],
    )
    return r2, None


class _Reader:
    """Reads single variables and collects what is wrong with them."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self.problems: list[str] = []

    def required(self, name: str) -> str:
        value = self._environ.get(name, "")
        if not value:
            self.problems.append(f"{name} is not set")
        return value

    def switch(self, name: str) -> bool:
        text = self._environ.get(name, "")
        if text not in ("", "0", "1"):
            self.problems.append(f"{name} must be 0 or 1, not {text!r}")
        return text == "1"

    def seconds(self, name: str, default: float) -> float:
        text = self._environ.get(name) or str(default)
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not (math.isfinite(value) and value > 0):
            self.problems.append(f"{name} must be a number of seconds above 0, not {text!r}")
            return default
        return value

    def integer(self, name: str, default: int, low: int, high: int) -> int:
        text = self._environ.get(name) or str(default)
        try:
            value = int(text)
        except ValueError:
            value = low - 1
        if not low <= value <= high:
            self.problems.append(f"{name} must be a whole number of at least {low}, not {text!r}")
            return default
        return value
