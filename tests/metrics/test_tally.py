"""Counting in memory, and adding up in the database."""

import os
from threading import Thread

import pytest

from towns.metrics.store import add_to_sums
from towns.metrics.store import tally as shared
from towns.metrics.tally import Counts, Tally, labels_text
from towns.models import MetricSum


class Kept:
    """A store that keeps what it is given, or fails."""

    def __init__(self) -> None:
        self.given: list[dict[tuple[str, str], float]] = []
        self.broken = False

    def __call__(self, counts: Counts) -> None:
        if self.broken:
            raise OSError("the database is away")
        self.given.append(dict(counts))


@pytest.fixture
def kept() -> Kept:
    return Kept()


def never() -> float:
    return 0


def test_it_works(kept: Kept) -> None:
    tally = Tally(kept, never)
    tally.add("calls", action="get", result="ok")
    tally.add("calls", result="ok", action="get")
    tally.add("calls", 3, action="get", result="lost")
    tally.flush()
    tally.flush()
    assert kept.given == [
        {
            ("calls", '{"action": "get", "result": "ok"}'): 2,
            ("calls", '{"action": "get", "result": "lost"}'): 3,
        }
    ]


@pytest.mark.parametrize(("seconds", "bound"), [(0, "0.1"), (0.1, "0.1"), (7, "10"), (601, "+Inf")])
def test_a_length_of_time_is_in_one_bucket(kept: Kept, seconds: float, bound: str) -> None:
    tally = Tally(kept, never)
    tally.observe("step", seconds, kind="stop")
    tally.flush()
    assert kept.given == [
        {
            ("step_bucket", labels_text({"kind": "stop", "le": bound})): 1,
            ("step_sum", labels_text({"kind": "stop"})): seconds,
        }
    ]


def test_what_could_not_be_stored_is_kept(kept: Kept) -> None:
    tally = Tally(kept, never)
    tally.add("calls")
    kept.broken = True
    tally.flush()
    kept.broken = False
    tally.add("calls")
    tally.flush()
    assert kept.given == [{("calls", "{}"): 2}]


def test_threads_lose_nothing(kept: Kept) -> None:
    tally = Tally(kept, never)

    def count() -> None:
        for _ in range(500):
            tally.add("calls")

    threads = [Thread(target=count) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    tally.flush()
    assert kept.given == [{("calls", "{}"): 4000}]


def test_a_forked_process_counts_anew(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    """What its parent had counted is stored by that."""
    shared.forget()
    monkeypatch.setattr(shared, "_store", kept)
    shared.add("calls")
    reading, writing = os.pipe()
    if (child := os.fork()) == 0:  # nothing of pytest may go on in it
        shared.flush()
        os.write(writing, str(kept.given).encode())
        os._exit(0)
    os.waitpid(child, 0)
    shared.flush()
    assert os.read(reading, 100) == b"[]"
    assert kept.given == [{("calls", "{}"): 1}]


@pytest.mark.django_db
def test_sums_are_added_to() -> None:
    add_to_sums({("b", "{}"): 2, ("a", '{"x": "y"}'): 1.5})
    add_to_sums({("b", "{}"): 3})
    assert list(MetricSum.objects.values_list("name", "labels", "value")) == [
        ("a", '{"x": "y"}', 1.5),
        ("b", "{}", 5),
    ]
