"""What a health sweep of a large fleet must show, and what was found."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bench.health_line import Line

BARE, ORM = "(a)", "(b)"
SWEEP = "sweep"
WARM = "sweep, after others by the same workers"
SPREAD = "sweep, spread over a minute as it is deployed"
SPREAD_TROUBLE = f"{SPREAD}, 1 % hang and 1 % refuse"
LARGE, MIDDLE = 100_000, 10_000
MOST_WALL_SECONDS = 90.0
MOST_OF_BARE = 1.5
MOST_OF_ORM = 0.2
MOST_MEMORY_MB = 600.0
MOST_GROWTH = 1.2
MOST_TROUBLE = 1.2


@dataclass(frozen=True, slots=True)
class Promise:
    """One of them."""

    what: str
    found: float
    most: float

    @property
    def kept(self) -> bool:
        """Whether it is."""
        return self.found <= self.most

    def __str__(self) -> str:
        told = "" if self.kept else ": **not kept**"
        return f"{self.what}: {self.found:.2f}, at most {self.most:g}{told}"


def of(lines: Sequence[Line]) -> list[Promise]:
    """Those that these lines tell of, in the order of their size and place.

    CPU and time of different work are compared by the best of its rounds, for others on the machine
    make them only worse; what has a limit of its own is held to it by the worst.
    """
    return list(_of(lines))


def _of(lines: Sequence[Line]) -> Iterator[Promise]:
    for where in dict.fromkeys(line.where for line in lines):
        here = [line for line in lines if line.where == where]
        sweeps = [line for line in here if line.what == SWEEP]
        for towns in sorted({line.towns for line in sweeps}):
            yield from _of_size(f"{towns:,} towns at {where}", here, towns)
        spread = [line for line in here if line.what == SPREAD]
        # Few workers have had their turn in a first small sweep, and more in a first large one.
        warm = [line for line in here if line.what == WARM] or spread or sweeps
        memory = {
            towns: max((line.memory_mb or 0 for line in warm if line.towns == towns), default=0)
            for towns in (MIDDLE, LARGE)
        }
        trouble = [line for line in here if line.what == SPREAD_TROUBLE]
        untroubled = [
            line.wall for line in spread if line.towns in {troubled.towns for troubled in trouble}
        ]
        if untroubled:
            yield Promise(
                f"time as it is deployed with 1 % hanging and 1 % refusing at {where}",
                min(line.wall for line in trouble) / min(untroubled),
                MOST_TROUBLE,
            )
        if all(memory.values()):
            yield Promise(
                f"memory of {LARGE:,} towns at {where}, as a share of that of {MIDDLE:,}",
                memory[LARGE] / memory[MIDDLE],
                MOST_GROWTH,
            )


def _of_size(title: str, here: Sequence[Line], towns: int) -> Iterator[Promise]:
    sweeps = [line for line in here if line.what == SWEEP and line.towns == towns]
    ours = min(line.cpu for line in sweeps)
    for name, most, whose in (
        (BARE, MOST_OF_BARE, "the bare loop's"),
        (ORM, MOST_OF_ORM, "requests' and the ORM's"),
    ):
        theirs = min((line.cpu for line in here if line.what.startswith(name)), default=0.0)
        if theirs:
            yield Promise(f"{title}, CPU as a share of {whose} {name}", ours / theirs, most)
    troubled = [
        line.wall for line in here if line.what.startswith(f"{SWEEP}, 1 %") and line.towns == towns
    ]
    if troubled:
        yield Promise(
            f"{title}, time with 1 % hanging and 1 % refusing, as a share of that without",
            min(troubled) / min(line.wall for line in sweeps),
            MOST_TROUBLE,
        )
    if towns == LARGE:
        walls = [line.whole_wall or 0 for line in sweeps]
        yield Promise(f"{title}, seconds of a sweep", max(walls), MOST_WALL_SECONDS)
        memory = max(
            line.memory_mb or 0
            for line in here
            if line.towns == towns and line.what in (SWEEP, SPREAD, WARM)
        )
        yield Promise(f"{title}, MB of all workers", memory, MOST_MEMORY_MB)
