"""Which snapshots to keep. Pure decisions; the shrink guard is here too."""

from collections.abc import Sequence

from .store import StoredSnapshot

KEEP = 3
SHRINK_FACTOR = 5


def shrank(size: int, previous: int) -> bool:
    """Is a snapshot of `size` bytes less than a fifth of the previous one (product.md 1.6)?"""
    return size * SHRINK_FACTOR < previous


def to_delete(
    snapshots: Sequence[StoredSnapshot], latest: str | None, current: str
) -> list[StoredSnapshot]:
    """What may go after the sync that made `current`, while latest.json points to `latest`.

    Kept are the newest three good snapshots, and always the one that latest.json points to. Of
    those that the shrink guard holds: the first, which staff were told of, and the newest two, so
    that they can't fill the bucket while nobody decides. Rests of interrupted uploads go if they
    are older than `current`.
    """
    rests = [one for one in snapshots if not one.complete and one.timestamp < current]
    held = [one for one in snapshots if one.complete and one.held and one.timestamp != latest]
    good = [one for one in snapshots if one.complete and (not one.held or one.timestamp == latest)]
    surplus = good[:-KEEP] + held[1 : -(KEEP - 1)]
    return rests + [one for one in surplus if one.timestamp != latest]
