"""A town's figures as charts."""

from datetime import timedelta

from tests.factories import NOW
from towns.charts import Mark
from towns.town_page.charts import episodes, points, town_charts
from towns.town_page.past import Sample

MINUTE = timedelta(minutes=1)
APART = 3 * MINUTE


def sample(minutes: float, result: str = "ok", reason: str = "", cpu: float | None = 0.5) -> Sample:
    """A check so many minutes after noon."""
    return Sample(NOW + minutes * MINUTE, result, reason, 40, 2, cpu, 0.25, None)


def test_it_works() -> None:
    samples = [sample(0), sample(3, "failed", "time-out", cpu=None), sample(6)]
    span = {"since": NOW, "until": NOW + 6 * MINUTE}
    shares, polecats, latency = town_charts(samples, apart=APART, **span)
    assert "CPU now 50 %, at most 50 %; memory now 25 %, at most 25 %; disk unknown" in shares
    assert "polecats now 2" in polecats
    assert "ms now 40" in latency
    assert all("time-out" in chart for chart in (shares, polecats, latency))


def test_a_town_without_checks_has_charts_too() -> None:
    assert len(town_charts([], since=NOW, until=NOW + MINUTE, apart=APART)) == 3


def test_a_time_in_which_nobody_looked_is_a_gap() -> None:
    found = points([sample(0), sample(3), sample(60)], lambda one: one.cpu, APART)
    assert [value for _, value in found] == [0.5, 0.5, None, 0.5]


def test_episodes() -> None:
    samples = [
        sample(0),
        sample(3, "failed", "time-out"),
        sample(6, "unknown"),
        sample(9, "failed", "refused"),
        sample(12),
        sample(15, "unknown"),
        sample(18, "failed"),
        sample(90, "failed", "later"),
    ]
    assert episodes(samples, APART) == [
        Mark(NOW + 3 * MINUTE, NOW + 12 * MINUTE, "time-out"),
        Mark(NOW + 18 * MINUTE, NOW + 18 * MINUTE, "failed"),
        Mark(NOW + 90 * MINUTE, NOW + 90 * MINUTE, "later"),
    ]
