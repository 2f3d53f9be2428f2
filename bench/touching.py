"""Processes of some threads that touch random towns, each thread on a connection of its own."""

import multiprocessing
import random
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

PROCESSES = 4
THREADS = 4
CONNECTIONS = PROCESSES * THREADS
_TICK = 100
"""Kernel's clock ticks a second, in which it tells the CPU time of other processes."""


@dataclass(frozen=True, slots=True)
class Job:
    """What a process does."""

    how: str
    """A key of `HOW`."""
    rate: float
    """Touches a second of one thread; 0 is as many as it can."""
    seconds: float
    start: datetime
    """When it begins as the towns' clocks have it, however long it took to get ready."""
    seed: int


@dataclass(slots=True)
class Told:
    """What came of it."""

    touches: int = 0
    statements: int = 0
    cpu: float = 0.0
    """Seconds in Python, those of pacing left out."""
    server_cpu: float = 0.0
    """Seconds in the processes of PostgreSQL that serve the connections."""
    took: float = 0.0
    latencies: list[float] = field(default_factory=list)
    """Seconds of each touch."""
    writes: dict[UUID, list[datetime]] = field(default_factory=lambda: defaultdict(list))

    def add(self, other: "Told") -> None:
        """Take in what another thread or process tells."""
        self.touches += other.touches
        self.statements += other.statements
        self.cpu += other.cpu
        self.server_cpu += other.server_cpu
        self.took = max(self.took, other.took)
        self.latencies += other.latencies
        for town, moments in other.writes.items():
            self.writes[town] += moments

    def most_in(self, window: timedelta) -> int:
        """The most writes that any town cost in any time of that length."""
        most = 0
        for moments in self.writes.values():
            moments.sort()
            first = 0
            for last, moment in enumerate(moments):
                while moment - moments[first] >= window:
                    first += 1
                most = max(most, last - first + 1)
        return most


def touch_all(how: str, *, rate: float, seconds: float, start: datetime) -> Told:
    """Have towns touched from so many connections, `rate` times a second in all."""
    context = multiprocessing.get_context("spawn")
    ready, told = context.Barrier(PROCESSES), context.Queue()
    jobs = [Job(how, rate / CONNECTIONS, seconds, start, 100 * n) for n in range(PROCESSES)]
    processes = [context.Process(target=_process, args=(job, ready, told)) for job in jobs]
    for process in processes:
        process.start()
    total = Told()
    for _ in processes:
        total.add(told.get())
    for process in processes:
        process.join()
    return total


def _process(job: Job, ready: Any, told: Any) -> None:
    """What a process does; its database is that of the environment."""
    import django

    django.setup()
    from django.conf import settings
    from django.db import connection

    settings.DEBUG = False  # every statement would be kept in memory otherwise
    make = HOW[job.how]()
    connection.close()
    total = Told()
    gate, lock = threading.Barrier(THREADS, action=ready.wait), threading.Lock()

    def work(number: int) -> None:
        one = _thread(job, make, random.Random(job.seed + number), gate)
        with lock:
            total.add(one)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    told.put(total)


Touch = Callable[[datetime], tuple[UUID, bool]]


def _thread(
    job: Job, make: Callable[[random.Random], Touch], rng: random.Random, gate: threading.Barrier
) -> Told:
    from django.db import connection

    from bench.sweep import counted

    touch, told = make(rng), Told()
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        (server,) = cursor.fetchone()
    gate.wait()
    server_cpu = _cpu_of(server)
    began = due = time.perf_counter()
    with counted() as statements:
        while (now := time.perf_counter()) - began < job.seconds:
            if now < due:
                time.sleep(due - now)
            if job.rate:
                due += 1 / job.rate
            cpu, start = time.thread_time(), time.perf_counter()
            moment = job.start + timedelta(seconds=start - began)
            town, written = touch(moment)
            told.latencies.append(time.perf_counter() - start)
            told.cpu += time.thread_time() - cpu
            if written:
                told.writes[town].append(moment)
    told.took = time.perf_counter() - began
    told.touches, told.statements = len(told.latencies), statements[0]
    told.server_cpu = _cpu_of(server) - server_cpu
    connection.close()
    return told


def _cpu_of(server: int) -> float:
    """Seconds of CPU of a process of PostgreSQL; 0 where it is not on this host."""
    try:
        name, _, rest = Path(f"/proc/{server}/stat").read_text().rpartition(") ")
    except OSError:
        return 0.0
    fields = rest.split()
    return (int(fields[11]) + int(fields[12])) / _TICK if "postgres" in name else 0.0


def _in_hand() -> Callable[[random.Random], Touch]:
    """The rows stay in hand, as in a connection that lives for hours; each process has its own."""
    from towns.interactions import touch
    from towns.models import Town
    from towns.words import InteractionKind

    towns = list(Town.objects.only("last_interaction_at"))

    def make(rng: random.Random) -> Touch:
        def one(now: datetime) -> tuple[UUID, bool]:
            town = rng.choice(towns)
            return town.pk, touch(town, kind=InteractionKind.API, now=now)

        return one

    return make


def _read_first() -> Callable[[random.Random], Touch]:
    """Each time the row is read before, as the API does to see whose it is and to show it."""
    from towns.interactions import touch
    from towns.models import Town
    from towns.presenting import presentable
    from towns.words import InteractionKind

    ids = list(Town.objects.values_list("pk", flat=True))

    def make(rng: random.Random) -> Touch:
        def one(now: datetime) -> tuple[UUID, bool]:
            town = presentable(Town.objects.filter(pk=rng.choice(ids))).get()
            return town.pk, touch(town, kind=InteractionKind.API, now=now)

        return one

    return make


HOW = {"row in hand": _in_hand, "row read first": _read_first}
