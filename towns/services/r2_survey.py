"""What lies below a prefix: objects grouped by snapshot, and compared with a manifest. No I/O."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from .r2_documents import is_stamp
from .r2_store import Stored
from .r2_types import Manifest

MANIFEST = "manifest.json"
HELD = "held.json"
"""Marks a snapshot that the sandbox's shrink guard kept back."""


@dataclass(slots=True)
class Folder:
    """One snapshot's objects: their sizes, by their path in it."""

    name: str
    sizes: dict[str, int] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        """Whether it has a manifest; without one it is the rest of an upload."""
        return MANIFEST in self.sizes

    @property
    def held(self) -> bool:
        """Whether the shrink guard holds it back."""
        return HELD in self.sizes


def group(objects: Iterable[Stored], prefix: str) -> dict[str, Folder]:
    """The snapshots below a prefix, by their names."""
    found: dict[str, Folder] = {}
    for item in objects:
        name, _, path = item.key[len(prefix) :].partition("/")
        if path and is_stamp(name):
            found.setdefault(name, Folder(name)).sizes[path] = item.size
    return found


def differences(manifest: Manifest, there: Mapping[str, int], folder: str) -> list[str]:
    """What a manifest lists and is not there, or not with its size."""
    problems = []
    for file in manifest.files:
        size = there.get(folder + file.path)
        if size is None:
            problems.append(f"{file.path} is missing")
        elif size != file.size:
            problems.append(f"{file.path} has {size} bytes instead of {file.size}")
    return problems


def summary(problems: list[str]) -> str:
    """The first problem, and how many more there are."""
    more = len(problems) - 1
    return "" if not problems else problems[0] + (f", and {more} more files" if more > 0 else "")
