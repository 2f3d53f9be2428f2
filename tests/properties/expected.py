"""The status table of product.md, section 3, once more and by hand: every pair has its answer.

Nothing here is taken from the code under test. `tests.properties` holds the code to it.
"""

from dataclasses import dataclass

KINDS = ("start", "stop", "restart", "recover", "destroy", "restore", "backup", "drill")
"""What may be asked for; a town is provisioned by being created."""

_BY_STATUS = """
              start    stop     restart  recover  destroy  restore  backup   drill
provisioning  from     from     from     from     begins   lives    from     from
starting      from     from     from     from     begins   lives    from     from
running       already  begins   begins   already  begins   lives    begins   begins
unhealthy     started  begins   begins   begins   begins   lives    from     begins
restarting    from     from     from     from     begins   lives    from     from
recovering    from     from     from     from     begins   lives    from     from
stopping      from     from     from     from     begins   lives    from     from
stopped       begins   already  from     begins   begins   lives    from     begins
destroying    from     from     from     from     from     lives    from     from
destroyed     gone     gone     gone     gone     twice    begins   gone     gone
restoring     from     from     from     from     begins   lives    from     from
error         begins   begins   begins   begins   begins   lives    from     begins
"""
"""A request while nothing is under way. Only in `destroying`, whose operation always is, and in
`destroyed` there is nothing to destroy."""

_UNDER_WAY = """
                      start    stop     restart  recover  destroy  restore  backup   drill
provision,running     run      stop     busy     busy     destroy  busy     busy     busy
provision,stopped     run      stop     busy     busy     destroy  busy     busy     busy
provision,destroyed   run      stop     busy     busy     destroy  busy     busy     busy
start,running         same     stop     busy     busy     destroy  busy     busy     busy
start,stopped         run      stop     busy     busy     destroy  busy     busy     busy
start,destroyed       run      stop     busy     busy     destroy  busy     busy     busy
stop,running          run      stop     busy     busy     destroy  busy     busy     busy
stop,stopped          run      stop     busy     busy     destroy  busy     busy     busy
stop,destroyed        run      stop     busy     busy     destroy  busy     busy     busy
restart,running       run      stop     same     busy     destroy  busy     busy     busy
restart,stopped       run      stop     run      busy     destroy  busy     busy     busy
restart,destroyed     run      stop     run      busy     destroy  busy     busy     busy
recover,running       run      stop     busy     same     destroy  busy     busy     busy
recover,stopped       run      stop     busy     run      destroy  busy     busy     busy
recover,destroyed     run      stop     busy     run      destroy  busy     busy     busy
destroy,destroyed     run      busy     busy     busy     twice    run      busy     busy
destroy,running       run      busy     busy     busy     destroy  run      busy     busy
deleted,destroyed     restore  busy     busy     busy     twice    run      busy     busy
deleted,running       restore  busy     busy     busy     destroy  run      busy     busy
restore,running       run      busy     busy     busy     destroy  same     busy     busy
restore,destroyed     run      busy     busy     busy     destroy  run      busy     busy
backup,running        already  stop     busy     busy     destroy  busy     same     busy
backup,stopped        run      stop     busy     busy     destroy  busy     same     busy
backup,destroyed      run      stop     busy     busy     destroy  busy     same     busy
drill,running         -        -        -        -        -        -        -        same
drill,stopped         -        -        -        -        -        -        -        same
"""
"""A request while an operation is under way, by its kind and by what is wanted already.

`run`, `stop` and `destroy` change what is wanted; `deleted` is a destroy after its soft-delete.
A drill runs beside the town: with `-`, it is as if nothing was under way, but for the drill being
called off by what begins.
"""

_FROM = {
    "start": "error, stopped",
    "stop": "error, running, unhealthy",
    "restart": "error, running, unhealthy",
    "recover": "error, stopped, unhealthy",
    "destroy": (
        "error, provisioning, recovering, restarting, restoring, running, starting, stopped, "
        "stopping, unhealthy"
    ),
    "backup": "running",
    "drill": "error, running, stopped, unhealthy",
}

DURING = {
    "provision": "provisioning",
    "start": "starting",
    "stop": "stopping",
    "restart": "restarting",
    "recover": "recovering",
    "destroy": "destroying",
    "restore": "restoring",
    "backup": None,
    "drill": None,
}
"""While it runs; None: unchanged."""

THEN = {
    "provision": "running",
    "start": "running",
    "stop": "stopped",
    "restart": "running",
    "recover": "running",
    "destroy": "destroyed",
    "restore": "running",
    "backup": None,
    "drill": None,
}
"""When it succeeds; None: unchanged."""

FAILED = {
    "provision": "error",
    "start": "error",
    "stop": None,
    "restart": "error",
    "recover": "error",
    "destroy": None,
    "restore": "destroyed",
    "backup": None,
    "drill": None,
}
"""If it fails; None: the status before, which after a passing one is `error`."""

BEGINS_WANTING = {
    "start": "running",
    "stop": "stopped",
    "restart": "running",
    "recover": "running",
    "destroy": "destroyed",
    "restore": "running",
    "backup": None,
    "drill": None,
}
"""What is wanted from the moment it begins; None: what was wanted before."""

WISHES = {"run": "running", "stop": "stopped", "destroy": "destroyed"}

RESTING = ("running", "unhealthy", "stopped", "destroyed", "error")
"""Where a town may be with nothing under way; the others are passing."""

AFTERWARDS = {
    ("running", "running"): None,
    ("running", "stopped"): "stop",
    ("running", "destroyed"): "destroy",
    ("unhealthy", "running"): None,
    ("unhealthy", "stopped"): "stop",
    ("unhealthy", "destroyed"): "destroy",
    ("stopped", "running"): "start",
    ("stopped", "stopped"): None,
    ("stopped", "destroyed"): "destroy",
    ("destroyed", "running"): "restore",
    ("destroyed", "stopped"): None,
    ("destroyed", "destroyed"): None,
    ("error", "running"): None,
    ("error", "stopped"): None,
    ("error", "destroyed"): "destroy",
}
"""Where an operation has ended and what is wanted then, and which operation follows."""


@dataclass(frozen=True, slots=True)
class Answer:
    """To a request: an operation begins, or something else is wanted from now on, or neither, which
    is fine (`same`) or a 409 with the reason."""

    begins: bool = False
    wants: str | None = None
    same: bool = False
    refused: str | None = None


def by_status(kind: str, status: str, *, town: str, until: str = "") -> Answer:
    """What is answered while nothing is under way; `until`: the last day of a restore."""
    word = _STATUSES[status][kind]
    refusals = {
        "already": f"{town} is {status} already.",
        "started": f"{town} is unhealthy but started. Restart it instead.",
        "lives": f"{town} is {status}, not destroyed: there is nothing to restore.",
        "gone": f"{town} is destroyed. Restore it first, within its time until {until}.",
        "twice": f"{town} is destroyed already.",
        "from": f"{town} is {status}; {kind} is possible from {_FROM.get(kind)}.",
    }
    if word == "begins":
        return Answer(begins=True)
    return Answer(refused=refusals[word])


def under_way(
    kind: str, running: str, wanted: str, *, town: str, deleted: bool = False
) -> Answer | None:
    """What is answered while an operation is under way; None: as if nothing was."""
    row = "deleted" if deleted and running == "destroy" else running
    word = _OPERATIONS[f"{row},{wanted}"][kind]
    refusals = {
        "busy": f"{town} can't {kind} now: {running} is under way. Try again when it has ended.",
        "already": f"{town} is running already.",
        "twice": f"{town} is being destroyed already.",
        "restore": f"{town} is being destroyed. Ask for its restore instead.",
    }
    if word == "-":
        return None
    if word == "same":
        return Answer(same=True)
    if word in WISHES:
        return Answer(wants=WISHES[word])
    return Answer(refused=refusals[word])


def _grid(text: str) -> dict[str, dict[str, str]]:
    head, *rows = [line.split() for line in text.strip().splitlines()]
    assert tuple(head) == KINDS
    return {row: dict(zip(KINDS, words, strict=True)) for row, *words in rows}


_STATUSES = _grid(_BY_STATUS)
_OPERATIONS = _grid(_UNDER_WAY)
STATUSES = tuple(_STATUSES)
UNDER_WAY = tuple(tuple(row.split(",")) for row in _OPERATIONS)
"""Pairs of an operation under way and of what is wanted meanwhile."""
