"""The seam to Dolt: each database of a town as one `.backup` file, and back.

With `dolt` on the PATH a `.backup` is a tar of what `dolt backup` wrote, and the server may be
running or not. Without it, it is a tar of the database's folder. The first part of the names in
the tar tells which, so that a restore never has to guess.
"""

import os
import shutil
import tarfile
from pathlib import Path

from . import archive, commands
from .errors import CommandError, Corrupt
from .rigs import is_plain_name

DATA_DIR = ".dolt-data"
_FROM_DOLT = "dolt-backup"
_FROM_FOLDER = "database"
_TIMEOUT = 600.0


def database_names(town: Path) -> list[str]:
    """Every Dolt database of the town, `hq` too: a folder with a `.dolt` in it."""
    data = town / DATA_DIR
    if not data.is_dir():
        return []
    found = (entry for entry in data.iterdir() if is_plain_name(entry.name))
    return sorted(entry.name for entry in found if (entry / ".dolt").is_dir())


def back_up(town: Path, name: str, target: Path) -> None:
    """Write one database to the file `target`. Raises CommandError or OSError."""
    data = town / DATA_DIR
    if shutil.which("dolt") is None:
        archive.write_tar(target, data, [data / name], rename=_FROM_FOLDER)
        return
    copy = target.with_name(f"{target.name}.d")
    try:
        commands.run(
            ["dolt", "backup", "sync-url", (copy / _FROM_DOLT).as_uri()],
            cwd=data / name,
            timeout=_TIMEOUT,
        )
        archive.write_tar(target, copy, [copy / _FROM_DOLT])
    finally:
        shutil.rmtree(copy, ignore_errors=True)


def restore(source: Path, town: Path, name: str) -> None:
    """Make the database again from its `.backup` file.

    Raises Corrupt if the file is not what it should be, CommandError if it needs a `dolt` that
    is not installed.
    """
    data = town / DATA_DIR
    data.mkdir(parents=True, exist_ok=True)
    kind = _kind(source)
    unpacked = source.with_name(f"{source.name}.d")
    archive.unpack(source, unpacked)
    if kind == _FROM_FOLDER:
        os.replace(unpacked / kind, data / name)
    elif shutil.which("dolt") is None:
        raise CommandError(f"{name} was backed up by dolt, and dolt is not installed here")
    else:
        _restore_by_dolt(unpacked / kind, data, name)
    shutil.rmtree(unpacked)


def _kind(source: Path) -> str:
    try:
        with tarfile.open(source, "r:") as tar:
            first = tar.next()
    except tarfile.TarError as error:
        raise Corrupt(f"{source.name} is no archive: {error}") from error
    kind = first.name.split("/")[0] if first else ""
    if kind not in (_FROM_DOLT, _FROM_FOLDER):
        raise Corrupt(f"{source.name} holds no database")
    return kind


def _restore_by_dolt(backup: Path, data: Path, name: str) -> None:
    command = ["dolt", "backup", "restore", backup.as_uri(), name]
    try:
        commands.run(command, cwd=data, timeout=_TIMEOUT)
    except CommandError as error:
        raise Corrupt(f"database {name} can't be restored: {error}") from error
