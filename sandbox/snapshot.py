"""What a snapshot is made of: which files, in which order, each from what, and back.

The layout is that of sandbox.md: dolt/{db}.backup, git/{rig}.bundle, config.tar, runtime.tar.
"""

import hashlib
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from . import archive, databases, repositories
from .errors import BackupError, Corrupt
from .rigs import is_plain_name, read_rigs

logger = logging.getLogger(__name__)

CONFIG = "config.tar"
RUNTIME = "runtime.tar"
_CHUNK = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Part:
    """One file of a snapshot: its path in there, and how to write it to a local file."""

    path: str
    write: Callable[[Path], None]


@dataclass(frozen=True, slots=True)
class FileEntry:
    """A file as the manifest lists it: size in bytes, SHA-256 in hex."""

    path: str
    size: int
    sha256: str


def parts_of(town: Path) -> list[Part]:
    """The files that a snapshot of this town has now.

    Raises BackupError if the town is not whole: a snapshot of that would be worse than none.
    """
    if not (town / "mayor" / "town.json").is_file():
        raise BackupError("the volume has no mayor/town.json: there is no town to back up")
    return [
        *_database_parts(town),
        *_repository_parts(town),
        Part(CONFIG, lambda target: archive.write_tar(target, town, config_roots(town))),
        Part(RUNTIME, lambda target: archive.write_tar(target, town, runtime_roots(town))),
    ]


def _database_parts(town: Path) -> Iterator[Part]:
    for name in databases.database_names(town):

        def write(target: Path, name: str = name) -> None:
            databases.back_up(town, name, target)

        yield Part(f"dolt/{name}.backup", write)


def _repository_parts(town: Path) -> Iterator[Part]:
    for rig in read_rigs(town):
        repository = repositories.repository_of(town, rig.name)
        if not repository.is_dir():
            logger.warning("rig %s has no repository yet: not in the snapshot", rig.name)
            continue
        if repositories.is_empty(repository):
            logger.info("the repository of rig %s is empty: not in the snapshot", rig.name)
            continue

        def write(target: Path, repository: Path = repository) -> None:
            repositories.bundle(repository, target)

        yield Part(f"git/{rig.name}.bundle", write)


def config_roots(town: Path) -> list[Path]:
    """settings/, config/, .beads/ of the town; settings/, .beads/, config.json of each folder in
    it; mayor/*.json. Hidden folders are not looked into."""
    folders = [
        entry
        for entry in town.iterdir()
        if is_plain_name(entry.name) and entry.is_dir() and not entry.is_symlink()
    ]
    wanted = [town / "settings", town / "config", town / ".beads"]
    for folder in folders:
        wanted += [folder / "settings", folder / ".beads", folder / "config.json"]
    return [*(path for path in wanted if path.exists()), *(town / "mayor").glob("*.json")]


def runtime_roots(town: Path) -> list[Path]:
    """The town's `.runtime/`, if it has one."""
    runtime = town / ".runtime"
    return [runtime] if runtime.is_dir() else []


def entry_of(path: str, file: Path) -> FileEntry:
    """Size and SHA-256 of a local file, as the manifest will list it under `path`."""
    digest = hashlib.sha256()
    size = 0
    with file.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
            size += len(chunk)
    return FileEntry(path, size, digest.hexdigest())


def unpack_parts(folder: Path, paths: list[str], town: Path) -> None:
    """Make a town out of the files of a snapshot, which lie in `folder` under their paths.

    config.tar goes first: it holds rigs.json, which says where each repository came from. Raises
    Corrupt if what comes out is no town, CommandError if a program for it is missing.
    """
    if CONFIG not in paths:
        raise Corrupt("the snapshot has no config.tar")
    archive.unpack(folder / CONFIG, town)
    if not (town / "mayor" / "town.json").is_file():
        raise Corrupt("config.tar has no mayor/town.json")
    if RUNTIME in paths:
        archive.unpack(folder / RUNTIME, town)
    git_urls = _git_urls(town)
    for path in paths:
        if name := name_in(path, "dolt/", ".backup"):
            databases.restore(folder / path, town, name)
        elif name := name_in(path, "git/", ".bundle"):
            repository = repositories.repository_of(town, name)
            repositories.restore_bundle(folder / path, repository, git_urls.get(name))


def name_in(path: str, start: str, end: str) -> str | None:
    """`hq` for `dolt/hq.backup`; None if the path is of another kind."""
    if not (path.startswith(start) and path.endswith(end)):
        return None
    name = path[len(start) : len(path) - len(end)]
    return name if is_plain_name(name) else None


def _git_urls(town: Path) -> dict[str, str | None]:
    try:
        return {rig.name: rig.git_url for rig in read_rigs(town)}
    except BackupError as error:
        raise Corrupt(f"in the snapshot, {error}") from error
