"""Tar files of parts of a town: the same bytes for the same files, and no pid, lock or socket."""

import os
import stat
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

from .errors import Corrupt

_TRANSIENT_SUFFIXES = (".pid", ".lock", ".sock", ".socket")
_TRANSIENT_NAMES = frozenset({"pid", "lock", "sql-server.info"})
_TRANSIENT_RUNTIME_FOLDERS = frozenset({"pids", "locks"})


def is_transient(path: PurePosixPath) -> bool:
    """Does a path, relative to the town, name a pid, lock or socket file?

    These tell of processes on one machine, and would lie on the next.
    """
    name = path.name.lower()
    if name in _TRANSIENT_NAMES or name.endswith(_TRANSIENT_SUFFIXES):
        return True
    return ".runtime" in path.parts and not _TRANSIENT_RUNTIME_FOLDERS.isdisjoint(path.parts)


def write_tar(
    target: Path, base: Path, roots: Iterable[Path], *, rename: str | None = None
) -> None:
    """Write the files under `roots` (below `base`) to a tar, named relative to `base`.

    With `rename` the first part of each name is replaced by it. What vanishes meanwhile is left
    out; a file that shrinks while it is read raises OSError.
    """
    with tarfile.open(target, "w", format=tarfile.PAX_FORMAT) as tar:
        for path in sorted(set(_walk(base, roots))):
            relative = PurePosixPath(path.relative_to(base).as_posix())
            if rename is not None:
                relative = PurePosixPath(rename, *relative.parts[1:])
            _add(tar, path, relative)


def _walk(base: Path, roots: Iterable[Path]) -> Iterator[Path]:
    for root in roots:
        if is_transient(PurePosixPath(root.relative_to(base).as_posix())):
            continue
        if root.is_symlink() or not root.is_dir():
            yield root
            continue
        yield root
        try:
            children = list(root.iterdir())
        except FileNotFoundError:
            continue
        yield from _walk(base, children)


def _add(tar: tarfile.TarFile, path: Path, name: PurePosixPath) -> None:
    try:
        status = path.lstat()
    except FileNotFoundError:
        return
    entry = tarfile.TarInfo(str(name))
    entry.mode = stat.S_IMODE(status.st_mode)
    entry.mtime = int(status.st_mtime)
    try:
        if stat.S_ISDIR(status.st_mode):
            entry.type = tarfile.DIRTYPE
            tar.addfile(entry)
        elif stat.S_ISLNK(status.st_mode):
            entry.type = tarfile.SYMTYPE
            entry.linkname = os.readlink(path)
            tar.addfile(entry)
        elif stat.S_ISREG(status.st_mode):
            with path.open("rb") as file:
                entry.size = os.fstat(file.fileno()).st_size
                tar.addfile(entry, file)
    except FileNotFoundError:
        return


def unpack(source: Path, target: Path) -> None:
    """Unpack a tar into a folder, without pid, lock and socket files.

    Raises Corrupt if it is no tar, or if a name in it leads out of the folder.
    """
    target.mkdir(parents=True, exist_ok=True)
    try:
        with tarfile.open(source, "r:") as tar:
            tar.extractall(target, filter=_keep)
    except (tarfile.TarError, EOFError) as error:
        raise Corrupt(f"{source.name} can't be unpacked: {error}") from error


def _keep(entry: tarfile.TarInfo, target: str) -> tarfile.TarInfo | None:
    plain = entry.isreg() or entry.isdir() or entry.issym()
    if not plain or is_transient(PurePosixPath(entry.name)):
        return None
    return tarfile.tar_filter(entry, target)
