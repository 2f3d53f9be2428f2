"""A town's files, as `gt install` makes them."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

RIG, PREFIX = "hello", "he"
_EMPTY_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"


def here() -> Path:
    """The town that we are in, or GT_HOME's; ends the process if there is none."""
    for folder in (Path.cwd(), Path(os.environ.get("GT_HOME", "."))):
        if (folder / "mayor" / "town.json").is_file():
            return folder
    sys.exit("gt (stand-in): not in a Gas Town workspace")


def install(folder: str, *, force: bool) -> int:
    """Make a new town. An existing one is refused without `force`, which keeps its files."""
    town = Path(folder)
    if (town / "mayor" / "town.json").exists() and not force:
        print(f"gt (stand-in): {town} is a town already (use --force)", file=sys.stderr)
        return 1
    documents = {
        "mayor/rigs.json": {
            "version": 1,
            "rigs": {RIG: {"git_url": "https://example.com/hello", "beads": {"prefix": PREFIX}}},
        },
        "mayor/config.json": {"type": "mayor"},
        "settings/config.json": {"agent": "stand-in"},
        ".beads/config.json": {"prefix": "hq"},
        ".dolt-data/hq/.dolt/repo_state.json": {"head": "refs/heads/main"},
        f"{RIG}/config.json": {"type": "rig", "name": RIG},
        "mayor/town.json": {"type": "town", "version": 2, "name": town.name},
    }
    for name, document in documents.items():
        write_json(town / name, document)
    for name in ("daemon", ".runtime/heartbeats", "config"):
        (town / name).mkdir(parents=True, exist_ok=True)
    _make_repository(town / RIG / ".repo.git")
    return 0


def _make_repository(folder: Path) -> None:
    """A bare repository with one commit, where git is installed."""
    if shutil.which("git") is None or folder.exists():
        return
    who = {
        f"GIT_{role}_{part}": value
        for role in ("AUTHOR", "COMMITTER")
        for part, value in (
            ("NAME", "stand-in"),
            ("EMAIL", "stand-in@example.com"),
            ("DATE", "2026-01-01T00:00:00Z"),
        )
    }

    def git(*words: str) -> str:
        done = subprocess.run(
            ["git", "-c", "safe.directory=*", *words],
            env={**os.environ, **who},
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.strip()

    git("init", "--quiet", "--bare", "--initial-branch=main", str(folder))
    inside = ("-C", str(folder))
    git(*inside, "hash-object", "-t", "tree", "-w", "/dev/null")
    commit = git(*inside, "commit-tree", "-m", "The beginning", _EMPTY_TREE)
    git(*inside, "update-ref", "refs/heads/main", commit)


def write(town: Path, name: str, text: str) -> None:
    """Work of an agent: a row in the town's database, as far as a file can be one."""
    file = _note(town, name)
    draft = file.with_suffix(".draft")
    draft.write_text(text)
    draft.replace(file)


def read(town: Path, name: str) -> int:
    """Print what was written."""
    file = _note(town, name)
    if not file.is_file():
        print(f"gt (stand-in): nothing was written to {name}", file=sys.stderr)
        return 1
    print(file.read_text())
    return 0


def _note(town: Path, name: str) -> Path:
    if not name.replace("-", "").isalnum():
        sys.exit("gt (stand-in): a name has letters, digits and hyphens")
    return town / ".dolt-data" / "hq" / f"{name}.txt"


def estop(town: Path, *, on: bool) -> None:
    """E-stop: the daemon runs but its heartbeat stands still."""
    if on:
        (town / "ESTOP").touch()
    else:
        (town / "ESTOP").unlink(missing_ok=True)


def write_json(file: Path, document: object) -> None:
    """In one piece: readers see the old or the new."""
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_name(f"{file.name}.{os.getpid()}.draft")
    draft.write_text(json.dumps(document))
    draft.replace(file)
