"""The task queue: what is planned, waits, was done, and failed.

django-q2's own pages let whoever sees a task run it again, and whoever changes a schedule run any
code. Ours follow the access table; schedules follow the settings (`towns.schedules`).
"""

from contextlib import suppress
from typing import Any, TypeVar

from django.contrib import admin, messages
from django.contrib.admin.exceptions import NotRegistered
from django.db import models
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.safestring import SafeString
from django_q.models import Failure, OrmQ, Schedule, Success
from django_q.tasks import async_task

from towns.admin.base import ReadOnlyAdmin
from towns.display import exact, when
from towns.readable import duration

M = TypeVar("M", bound=models.Model)
ERROR_SHOWN = 120

for _model in (Failure, OrmQ, Schedule, Success):
    with suppress(NotRegistered):  # a queue in Redis has no rows
        admin.site.unregister(_model)


class _Deletable(ReadOnlyAdmin[M]):
    """Rows that those may delete who have Django's permission for it."""

    actions: tuple[str, ...] | None = ()

    def has_delete_permission(self, request: HttpRequest, obj: M | None = None) -> bool:
        """Django's permission."""
        return request.user.has_perm(f"django_q.delete_{self.opts.model_name}")


class _Tasks(ReadOnlyAdmin[M]):
    """Tasks that were done."""

    search_fields = ("name", "func")
    ordering = ("-stopped",)
    fields = (
        *("name", "func", "args", "kwargs", exact("started"), "took", "attempt_count", "result"),
    )
    readonly_fields = ("took",)

    @admin.display(description="began", ordering="started")
    def began(self, task: Any) -> SafeString | str:
        """When."""
        return when(task.started, timezone.now())

    @admin.display(description="took")
    def took(self, task: Any) -> str:
        """How long it ran."""
        return duration((task.stopped - task.started).total_seconds())


@admin.register(Schedule)
class ScheduleAdmin(ReadOnlyAdmin[Schedule]):
    """What runs by itself, and when next."""

    list_display = ("name", "func", "cron", "next")
    ordering = ("name",)
    fields = ("name", "func", "cron", exact("next_run"), "intended_date_kwarg")

    @admin.display(description="next", ordering="next_run")
    def next(self, schedule: Schedule) -> SafeString | str:
        """When it is due."""
        return when(schedule.next_run, timezone.now())


@admin.register(Success)
class SuccessAdmin(_Tasks[Success]):
    """The newest of what was done well."""

    list_display = ("name", "func", "began", "took")


@admin.register(Failure)
class FailureAdmin(_Tasks[Failure], _Deletable[Failure]):
    """Tasks that failed, with their errors."""

    list_display = ("name", "func", "began", "took", "error")
    actions = ("resubmit",)

    @admin.display(description="error")
    def error(self, task: Any) -> str:
        """Its last line, which says what was wrong."""
        lines = str(task.result or "").strip().splitlines()
        return lines[-1][:ERROR_SHOWN] if lines else ""

    @admin.action(description="Run the selected tasks again", permissions=["delete"])
    def resubmit(self, request: HttpRequest, queryset: QuerySet[Failure]) -> None:
        """Put them into the queue once more; every task bears running twice."""
        tasks = list(queryset)
        for task in tasks:
            given = {"group": task.group, "cluster": task.cluster, **(task.kwargs or {})}
            async_task(task.func, *(task.args or ()), **given)
            task.delete()
        messages.success(request, f"{len(tasks)} in the queue again.")


@admin.register(OrmQ)
class QueueAdmin(_Deletable[OrmQ]):
    """What waits for a worker, or is held by one until its lock is over."""

    list_display = ("id", "name", "func", "locked")
    ordering = ("id",)
    fields = ("name", "func", "args", "kwargs", exact("lock", "locked until"))
    readonly_fields = ("name", "func", "args", "kwargs")

    @admin.display(description="locked until", ordering="lock")
    def locked(self, row: OrmQ) -> SafeString | str:
        """Until when one worker has it to itself."""
        return when(row.lock, timezone.now())
