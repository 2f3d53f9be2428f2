"""List filters of the admin."""

from typing import Any

from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import ChangeList
from django.db.models import Q, QuerySet
from django.http import HttpRequest

from towns.models import Town
from towns.words import Status

LIVING = Q(destroyed_at__isnull=True) | Q(status=Status.RESTORING)


class LifeFilter(admin.SimpleListFilter):
    """The living by default, as operators seldom look for the destroyed."""

    title = "life"
    parameter_name = "life"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """What can be chosen; `choices` makes the living the default."""
        return [("destroyed", "destroyed"), ("all", "all")]

    def choices(self, changelist: ChangeList) -> Any:
        """The default is called living, not all."""
        first, *others = super().choices(changelist)
        yield {**first, "display": "living"}
        yield from others

    def queryset(self, request: HttpRequest, queryset: QuerySet[Town]) -> QuerySet[Town]:
        """Living, destroyed, or both."""
        if self.value() == "all":
            return queryset
        if self.value() == "destroyed":
            return queryset.exclude(LIVING)
        if self.value() is not None:
            raise IncorrectLookupParameters(f"life={self.value()}: choose destroyed or all.")
        return queryset.filter(LIVING)


class OpenFilter(admin.SimpleListFilter):
    """Open or resolved: for rows whose `resolved_at` or the like is empty while they are open."""

    field = "resolved_at"
    title = "state"
    parameter_name = "state"
    words = ("open", "over")

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """What can be chosen."""
        return list(zip(("open", "over"), self.words, strict=True))

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Those that are open, or those that are over."""
        if self.value() in ("open", "over"):
            return queryset.filter(**{f"{self.field}__isnull": self.value() == "open"})
        return queryset


class StandingFilter(OpenFilter):
    """Freezes that stand, or that were thawed."""

    field = "thawed_at"
    words = ("standing", "thawed")


class RetainedFilter(OpenFilter):
    """Backups that are in R2, or that are gone."""

    field = "gone_at"
    title = "place"
    words = ("in R2", "gone")


class ToStatusFilter(admin.SimpleListFilter):
    """Events by the status that they led to; asks the table nothing."""

    title = "status"
    parameter_name = "to"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """All statuses."""
        return [(status.value, status.value) for status in Status]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Those that led to it."""
        return queryset.filter(to_status=self.value()) if self.value() else queryset
