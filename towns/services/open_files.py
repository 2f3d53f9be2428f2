"""How many sockets a process may have open."""

import logging
import resource

RESERVE = 200
"""Files that a process needs for other things than sandboxes: databases, logs, libraries."""
log = logging.getLogger(__name__)


def room_for(sockets: int) -> int:
    """Raise this process's limit as far as it may, and say how many of so many sockets it has room
    for, at least one: what goes beyond it would look like trouble of the network."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = sockets + RESERVE
    if soft != resource.RLIM_INFINITY and soft < wanted:
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
        soft = most
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return sockets
    room = max(1, soft - RESERVE)
    log.warning(
        "this process may open %d files: %d sandboxes are asked at a time, not %d (ulimit -n)",
        soft,
        room,
        sockets,
    )
    return room
