"""List filters of the admin."""

from typing import Any

from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import ChangeList
from django.core.cache import cache
from django.db.models import QuerySet
from django.http import HttpRequest

from towns.models import Town
from towns.models.town import LIVING
from towns.words import CheckResult, Status


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


class ResultFilter(admin.SimpleListFilter):
    """Towns by what the last check proved; asks the table nothing."""

    title = "last result"
    parameter_name = "last_result"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """All results."""
        return [(result.value, result.value) for result in CheckResult]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Those whose last check proved it."""
        return queryset.filter(last_result=self.value()) if self.value() else queryset


class RegionFilter(admin.SimpleListFilter):
    """Towns by region. Which regions there are is looked for once a minute, not at each view: the
    whole table is read for it."""

    title = "region"
    parameter_name = "region"
    KEY = "towns.admin.regions"
    KEPT_SECONDS = 60

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """All regions in which towns are or were."""
        regions = cache.get(self.KEY)
        if regions is None:
            regions = sorted(Town.objects.order_by().values_list("region", flat=True).distinct())
            cache.set(self.KEY, regions, self.KEPT_SECONDS)
        return [(region, region) for region in regions]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Those that are there."""
        return queryset.filter(region=self.value()) if self.value() else queryset


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
