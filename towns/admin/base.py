"""What the admins of this app share: typed bases, read-only pages, bounded counts."""

from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar, cast

from django.contrib import admin, messages
from django.contrib.admin.views.main import ERROR_FLAG
from django.core.paginator import Paginator
from django.db import models
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

if TYPE_CHECKING:
    from django.contrib.admin import ModelAdmin  # unfold's is one, untyped
    from django.contrib.admin.views.main import ChangeList

    AnyPaginator = Paginator[Any]
else:
    from unfold.admin import ModelAdmin as Themed
    from unfold.views import ChangeList

    class ModelAdmin(Themed):
        """The theme's, with a place for the model's type."""

        def __class_getitem__(cls, _model: type) -> type:
            return cls

    AnyPaginator = Paginator

M = TypeVar("M", bound=models.Model)
ODD_FILTER = "The filter in that address makes no sense, so all are listed. Choose it anew here."
COUNT_LIMIT = 10_000
"""As far as lists count and page; filters lead to what is beyond."""


class BoundedPaginator(AnyPaginator):
    """Counts no further than `COUNT_LIMIT`: counting millions of rows takes seconds."""

    @cached_property
    def count(self) -> int:
        """The number of rows, or the limit."""
        rows = cast("QuerySet[Any]", self.object_list)
        return rows.order_by()[:COUNT_LIMIT].count()


class BoundedList(ChangeList):
    """Knows that it lists all when nothing is asked for, without counting twice; the theme would
    offer to show all."""

    def get_results(self, request: HttpRequest) -> None:
        """Find the rows of the page."""
        super().get_results(request)
        if not (self.query or self.has_active_filters):
            self.full_result_count = self.result_count


class TellingAdmin(ModelAdmin[M]):
    """Its list says so when it leaves a filter out."""

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The list. Django leads to it with a flag alone when a filter in the address makes no
        sense."""
        if ERROR_FLAG in request.GET:
            if len(request.GET) > 1:
                return redirect(f"{request.path}?{ERROR_FLAG}=1")
            messages.warning(request, ODD_FILTER)
        return super().changelist_view(request, extra_context)


class OpsAdmin(TellingAdmin[M]):
    """The base of all: no plain deletion, no count of all rows or per filter, our style sheet."""

    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    paginator = BoundedPaginator
    list_per_page = 50

    class Media:
        css = {"all": ["towns/admin.css"]}

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        """Ours."""
        return BoundedList

    def has_delete_permission(self, request: HttpRequest, obj: M | None = None) -> bool:
        """Nothing here is deleted by hand: history stays, and towns are destroyed."""
        return False


class ReadOnlyAdmin(OpsAdmin[M]):
    """Shows rows that only the project itself writes."""

    actions: tuple[str, ...] | None = None

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Nobody adds rows by hand."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: M | None = None) -> bool:
        """Nobody changes rows by hand."""
        return False
