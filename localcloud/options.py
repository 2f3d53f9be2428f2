"""How a local cloud is to run, from the command line."""

import argparse
import re
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
"""Where `python -m sandbox` is started."""
DEFAULT_TOKEN = "localcloud"
BUCKET = "gastown"
ACCESS_KEY = "localcloud"
SECRET_KEY = "localcloud-secret"


@dataclass(frozen=True, slots=True)
class Options:
    """Times in seconds. `latency` is how long a machine or volume stays in a passing state,
    `grace` how long machines may drain when the local cloud ends, `rate` multiplies Fly's rate
    limits (0: none)."""

    directory: Path
    port: int = 4280
    s3_port: int = 4290
    token: str = DEFAULT_TOKEN
    apps: tuple[str, ...] = ("towns",)
    latency: float = 0.3
    grace: float = 10.0
    rate: float = 1.0
    beat_seconds: float = 5.0
    machine_command: tuple[str, ...] = (sys.executable, "-m", "sandbox")
    gt: str = "auto"


def parse(arguments: list[str]) -> Options:
    """Read the command line. Ends the process on a mistake, as argparse does."""
    parser = argparse.ArgumentParser(
        prog="python -m localcloud",
        description="Fly's Machines API and R2 on this computer. "
        "`python -m localcloud ctl --help` tells how to break things.",
    )
    add = parser.add_argument
    add("--dir", type=Path, default=Path("var/localcloud"), help="where everything is kept")
    add("--port", type=int, default=4280, help="of the Machines API; 0 is any free port")
    add("--s3-port", type=int, default=4290, help="of S3; 0 is any free port")
    add("--token", default=DEFAULT_TOKEN, help="the token that the API accepts")
    add(
        "--app",
        type=_apps,
        action="extend",
        metavar="NAME",
        help="an app's name, or a pattern such as towns-{1..3}; may be repeated (default: towns)",
    )
    add("--latency", type=_seconds, default=0.3, help="seconds in each passing state")
    add("--grace", type=_seconds, default=10.0, help="seconds for machines to drain at the end")
    add("--rate", type=_seconds, default=1.0, help="multiplies Fly's rate limits; 0: none")
    add("--beat-seconds", type=_seconds, default=5.0, help="how often the stand-in daemon beats")
    add("--gt", choices=["auto", "standin"], default="auto", help="auto: the real gt if installed")
    add("--machine-command", default="", help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    command = tuple(shlex.split(given.machine_command))
    return Options(
        directory=given.dir.resolve(),
        port=given.port,
        s3_port=given.s3_port,
        token=given.token,
        apps=tuple(dict.fromkeys(given.app or ("towns",))),
        latency=given.latency,
        grace=given.grace,
        rate=given.rate,
        beat_seconds=given.beat_seconds,
        machine_command=command or (sys.executable, "-m", "sandbox"),
        gt=given.gt,
    )


def _apps(text: str) -> list[str]:
    """A name, or all that a pattern with one range in braces names."""
    found = re.fullmatch(r"([a-z0-9-]*)\{(\d+)\.\.(\d+)\}([a-z0-9-]*)", text)
    if found is None:
        if not re.fullmatch(r"[a-z0-9-]+", text):
            raise argparse.ArgumentTypeError(f"{text!r} is neither a name nor a pattern")
        return [text]
    before, first, last, after = found.groups()
    return [f"{before}{number}{after}" for number in range(int(first), int(last) + 1)]


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 <= value < 86400:
        raise argparse.ArgumentTypeError("must be between 0 and 86400")
    return value
