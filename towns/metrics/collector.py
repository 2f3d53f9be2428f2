"""The metrics that database and queue tell, as Prometheus takes them. A fixed number of statements.

What can't be read now is left out, and `gastown_metrics_source_up` says so: whoever looks at an
outage needs the other figures most.
"""

import json
import logging
import platform
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from itertools import accumulate
from typing import Any

import django
from django import db
from django.db.models import Count, Max
from django_q.brokers import get_broker
from django_q.models import Schedule, Success
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector
from redis.exceptions import RedisError

from gastown_ops import __version__
from towns.metrics.tally import BUCKETS
from towns.models import Alert, Breaker, Delivery, Freeze, MetricSum
from towns.overview.fleet import read_fleet
from towns.overview.work import read_restarts, read_sweeps, read_under_way
from towns.replay.wrong_stops import recent_wrong_stop_rate
from towns.schedules import NAMES, names_by_func
from towns.words import DesiredState, Status

COUNTERS = {
    "gastown_operations": ("Operations that ended.", ("kind", "outcome")),
    "gastown_fly_calls": ("Calls to Fly's Machines API.", ("app", "action", "result")),
    "gastown_r2_calls": ("Calls to R2.", ("action", "result")),
    "gastown_probes": ("Sandboxes asked for their health.", ("result",)),
}
HISTOGRAMS = {
    "gastown_step_seconds": (
        "How long steps took, from the one before, waiting included.",
        ("kind", "step"),
    )
}
Labelled = Iterable[tuple[tuple[str, ...], float]]
UNREADABLE = (db.Error, RedisError)
log = logging.getLogger(__name__)


class FleetCollector(Collector):
    """What is so at one moment."""

    def __init__(self, now: datetime) -> None:
        self._now = now

    def collect(self) -> Iterator[Metric]:
        """All of ours, as far as it can be read."""
        yield _build_info()
        sources: dict[str, Callable[[], Iterable[Metric]]] = {
            "fleet": self._fleet,
            "operations": self._work,
            "sweeps": self._sweeps,
            "queue": _queue,
            "messages": _messages,
            "schedules": _schedules,
            "counters": _sums,
        }
        up: list[tuple[tuple[str, ...], float]] = []
        for name, read in sources.items():
            found = _read(name, read)
            up.append(((name,), found is not None))
            yield from found or ()
        yield _gauge("gastown_metrics_source_up", "Whether it could be read.", ("source",), up)

    def _fleet(self) -> Iterator[Metric]:
        fleet = read_fleet(self._now)
        counts, desired = dict(fleet.statuses), dict(fleet.desired)
        living = [status for status in Status if status != Status.DESTROYED]
        every = [((status.value,), counts.get(status, 0)) for status in living]
        yield _gauge("gastown_towns", "Living towns.", ("status",), every)
        wanted = [((wish.value,), desired.get(wish, 0)) for wish in DesiredState]
        told = "Living towns by what people want of them."
        yield _gauge("gastown_towns_wanted", told, ("desired",), wanted)
        alerts = (
            Alert.objects.filter(resolved_at=None)
            .order_by()
            .values_list("cause", "severity")
            .annotate(Count("pk"))
        )
        shown = [((cause, severity), count) for cause, severity, count in alerts]
        yield _gauge("gastown_alerts_open", "Open alerts.", ("cause", "severity"), shown)
        breakers = Breaker.objects.values_list("scope", "state")
        scopes = [(parts, 1) for parts in breakers]
        yield _gauge("gastown_breakers", "Breakers that stand.", ("scope", "state"), scopes)
        freezes = Freeze.objects.filter(thawed_at=None).values_list("scope", "until")
        standing = [((s,), 1) for s, until in freezes if until is None or until > self._now]
        yield _gauge("gastown_frozen", "Freezes that stand.", ("scope",), standing)
        wrong = recent_wrong_stop_rate(self._now)
        shares = [((), wrong.share)] if wrong.share is not None else []
        told = "Share of the last 7 days' idle stops that their owner undid at once."
        yield _gauge("gastown_wrong_stop_share", told, (), shares)

    def _work(self) -> Iterator[Metric]:
        under_way, restarts = read_under_way(self._now), read_restarts(self._now)
        kinds = under_way.kinds
        open_ones = [((kind,), count) for kind, count, _ in kinds]
        yield _gauge("gastown_operations_open", "Operations under way.", ("kind",), open_ones)
        due = [((kind,), count) for kind, _, count in kinds]
        yield _gauge("gastown_operations_due", "Those that wait for a worker.", ("kind",), due)
        oldest = under_way.longest_due.total_seconds() if under_way.longest_due else 0
        told = "How long the first of them has been due."
        yield _gauge("gastown_operations_due_seconds", told, (), [((), oldest)])
        told = "Automatic restarts under way, and as many as may be."
        both = [(("under_way",), restarts.under_way), (("limit",), restarts.at_once)]
        yield _gauge("gastown_automatic_restarts", told, ("what",), both)

    def _sweeps(self) -> Iterator[Metric]:
        done = [one for one in read_sweeps(self._now) if one.slot is not None]

        def of_each(name: str, told: str, values: Iterable[float]) -> Metric:
            kinds = zip(((str(one.kind),) for one in done), values, strict=True)
            return _gauge(f"gastown_sweep_{name}", told, ("kind",), kinds)

        yield of_each("seconds", "How long the last one took.", (one.seconds or 0 for one in done))
        lags = (one.lag.total_seconds() if one.lag else 0 for one in done)
        yield of_each("lag_seconds", "How long after its slot it began.", lags)
        yield of_each("towns", "How many towns it looked at.", (one.towns for one in done))
        slots = (one.slot.timestamp() if one.slot else 0 for one in done)
        yield of_each("last_success_timestamp_seconds", "The slot of the last one.", slots)


def _gauge(name: str, told: str, names: tuple[str, ...], values: Labelled) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, told, labels=names)
    for labels, value in values:
        family.add_metric(list(labels), value)
    return family


def _build_info() -> Metric:
    labels = (__version__, platform.python_version(), django.get_version())
    told = "What runs here."
    return _gauge("gastown_build_info", told, ("version", "python", "django"), [(labels, 1)])


def _read(name: str, read: Callable[[], Iterable[Metric]]) -> list[Metric] | None:
    """What a source tells, all or nothing."""
    try:
        return list(read())
    except UNREADABLE as error:
        log.warning("the metrics of %s can't be read: %s", name, error)
        return None


def _queue() -> Iterator[Metric]:
    depth: int = get_broker().queue_size()
    yield _gauge("gastown_queue_tasks", "Tasks in the queue.", (), [((), depth)])


def _messages() -> Iterator[Metric]:
    waiting = Delivery.objects.filter(state=Delivery.State.PENDING).count()
    told = "Messages about alerts that are to be sent."
    yield _gauge("gastown_deliveries_pending", told, (), [((), waiting)])


def _schedules() -> Iterator[Metric]:
    """Of each function some successes are kept, however often others run (Q_CLUSTER)."""
    names = names_by_func()
    done = Success.objects.order_by().filter(func__in=names).values_list("func")
    ended = [((names[func],), at.timestamp()) for func, at in done.annotate(Max("stopped"))]
    told = "When what the schedule calls last ended well."
    name = "gastown_schedule_last_success_timestamp_seconds"
    yield _gauge(name, told, ("schedule",), ended)
    due = Schedule.objects.filter(name__in=NAMES).exclude(repeats=0).values_list("name", "next_run")
    runs = [((name,), at.timestamp()) for name, at in due if at is not None]
    told = "When it is due next; in the past, while no cluster looks."
    yield _gauge("gastown_schedule_next_run_timestamp_seconds", told, ("schedule",), runs)


def _sums() -> Iterator[Metric]:
    found: dict[str, dict[tuple[str, ...], float]] = defaultdict(dict)
    for name, labels, value in MetricSum.objects.values_list("name", "labels", "value"):
        parts: Mapping[str, str] = json.loads(labels)
        found[name][tuple(f"{key}={parts[key]}" for key in sorted(parts))] = value
    for name, (told, names) in COUNTERS.items():
        counter = CounterMetricFamily(name, told, labels=names)
        for pairs, value in sorted(found[name].items()):
            counter.add_metric(_values(pairs, names), value)
        yield counter
    for name, (told, names) in HISTOGRAMS.items():
        yield _histogram(name, told, names, found)


def _histogram(
    name: str,
    told: str,
    names: tuple[str, ...],
    found: Mapping[str, Mapping[tuple[str, ...], float]],
) -> HistogramMetricFamily:
    bounds = [*map(str, BUCKETS), "+Inf"]
    counts: dict[tuple[str, ...], dict[str, float]] = defaultdict(dict)
    for pairs, value in found[f"{name}_bucket"].items():
        rest = tuple(pair for pair in pairs if not pair.startswith("le="))
        [bound] = set(pairs) - set(rest)
        counts[rest][bound.removeprefix("le=")] = value
    family = HistogramMetricFamily(name, told, labels=names)
    for pairs, by_bound in sorted(counts.items()):
        upward = accumulate(by_bound.get(bound, 0) for bound in bounds)
        total: Any = found[f"{name}_sum"].get(pairs, 0)
        family.add_metric(_values(pairs, names), list(zip(bounds, upward, strict=True)), total)
    return family


def _values(pairs: tuple[str, ...], names: tuple[str, ...]) -> list[str]:
    known = dict(pair.split("=", 1) for pair in pairs)
    return [known.get(name, "") for name in names]
