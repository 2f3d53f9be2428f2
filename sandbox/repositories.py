"""A rig's bare repository as a git bundle, and back."""

from pathlib import Path

from . import commands
from .errors import CommandError, Corrupt

_TIMEOUT = 600.0


def repository_of(town: Path, rig: str) -> Path:
    """Where gastown keeps the bare repository of a rig."""
    return town / rig / ".repo.git"


def is_empty(repository: Path) -> bool:
    """Has the repository no ref yet? Git refuses to bundle such a one."""
    return not _git(repository, "for-each-ref", "--count=1")


def bundle(repository: Path, target: Path) -> None:
    """Write all refs and their history to one file. Raises CommandError."""
    _git(repository, "bundle", "create", "--quiet", str(target), "--all")


def restore_bundle(source: Path, repository: Path, git_url: str | None) -> None:
    """Make the bare repository again, with the remote that it had. Raises Corrupt."""
    repository.parent.mkdir(parents=True, exist_ok=True)
    try:
        _git(repository.parent, "clone", "--quiet", "--mirror", str(source), str(repository))
    except CommandError as error:
        raise Corrupt(f"{source.name} can't be cloned: {error}") from error
    _git(repository, "config", "--remove-section", "remote.origin")
    if git_url:
        _git(repository, "config", "remote.origin.url", git_url)
        _git(repository, "config", "remote.origin.fetch", "+refs/heads/*:refs/remotes/origin/*")


def _git(cwd: Path, *arguments: str) -> str:
    # The volume may belong to another user id than the agent's, which git would refuse.
    command = ["git", "-c", "safe.directory=*", *arguments]
    return commands.run(command, cwd=cwd, timeout=_TIMEOUT)
