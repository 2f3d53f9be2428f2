"""What a benchmark says is kept, and what is not."""

from bench import promises
from bench.health_line import Line


def sweep(towns: int, cpu: float, *, wall: float = 5.0, memory_mb: float = 300.0) -> Line:
    return Line(
        "sweep", towns, "here", wall, cpu, memory_mb=memory_mb, whole_wall=wall * towns / 10_000
    )


BARE = Line("(a) bare", 10_000, "here", 2.0, 2.0)
BARE_WITH_MORE = Line("(a) bare, and an UPDATE", 10_000, "here", 2.0, 2.5)
ORM = Line("(b) requests", 10_000, "here", 30.0, 20.0)


def broken(*lines: Line) -> list[str]:
    return [one.what for one in promises.of(lines) if not one.kept]


def test_a_sweep_that_costs_little_keeps_all() -> None:
    lines = [BARE, BARE_WITH_MORE, ORM, sweep(10_000, 2.9), sweep(100_000, 2.9)]
    assert broken(*lines) == []
    assert len(promises.of(lines)) == 7


def test_cpu_is_held_to_the_bare_loop_and_to_the_orm() -> None:
    assert broken(BARE, BARE_WITH_MORE, ORM, sweep(10_000, 4.1)) == [
        "10,000 towns at here, CPU as a share of the bare loop's (a)",
        "10,000 towns at here, CPU as a share of requests' and the ORM's (b)",
    ]


def test_of_several_rounds_the_best_are_compared() -> None:
    assert broken(BARE, ORM, sweep(10_000, 9.0), sweep(10_000, 2.9)) == []


def test_a_limit_of_its_own_is_held_to_by_the_worst_round() -> None:
    slow = sweep(100_000, 2.0, wall=9.1)
    assert broken(sweep(100_000, 2.0), slow) == ["100,000 towns at here, seconds of a sweep"]


def test_memory_is_bounded_and_does_not_grow_with_the_fleet() -> None:
    assert broken(sweep(10_000, 2.0), sweep(100_000, 2.0, memory_mb=601.0)) == [
        "100,000 towns at here, MB of all workers",
        "memory of 100,000 towns at here, as a share of that of 10,000",
    ]


def test_memory_is_compared_when_all_workers_have_had_their_turn() -> None:
    warm = [
        Line(promises.WARM, towns, "here", 5.0, 2.0, memory_mb=memory)
        for towns, memory in ((10_000, 500.0), (100_000, 560.0))
    ]
    cold = [sweep(10_000, 2.0), sweep(100_000, 2.0, memory_mb=560.0)]
    assert broken(*cold) == ["memory of 100,000 towns at here, as a share of that of 10,000"]
    assert broken(*cold, *warm) == []


def test_trouble_is_compared_with_the_same_fleet_without_it() -> None:
    troubled = Line("sweep, 1 % hang and 1 % refuse", 10_000, "here", 6.1, 2.0)
    (found,) = promises.of([sweep(10_000, 2.0), troubled])
    assert not found.kept
    assert str(found).endswith("as a share of that without: 1.22, at most 1.2: **not kept**")


def test_trouble_as_deployed_is_compared_with_a_fleet_of_its_own_size() -> None:
    troubled = Line(promises.SPREAD_TROUBLE, 10_000, "here", 6.1, 2.0)
    calm = [Line(promises.SPREAD, towns, "here", 5.0, 2.0) for towns in (10_000, 100_000)]
    assert [one.found for one in promises.of([*calm, troubled])] == [1.22]
    assert promises.of([sweep(10_000, 2.0), troubled]) == []


def test_what_was_not_measured_is_not_told_of() -> None:
    assert promises.of([BARE, ORM]) == []
