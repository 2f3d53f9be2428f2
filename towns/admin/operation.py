"""Operations: what ran, by which steps, and how it ended."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from towns.admin.base import ReadOnlyAdmin
from towns.display import NOTHING, exact, facts, operation_link, tag, town_link, when
from towns.flows.registry import flow_of
from towns.models import Operation
from towns.readable import duration, utc


@admin.register(Operation)
class OperationAdmin(ReadOnlyAdmin[Operation]):
    """Read-only: an operation is asked for on its town's page."""

    list_display = ("what", "of_town", "state_tag", "at_step", "asked_by", "began", "took")
    list_filter = ("kind", "state", "automatic", "created_at")
    search_fields = ("town__name", "town__owner__username", "actor", "=id")
    ordering = ("-created_at",)
    list_select_related = ("town__owner",)
    fieldsets = (
        (None, {"fields": ("of_town", "kind", "state_tag", "message_text", "reason", "asked_by")}),
        ("Steps", {"fields": ("steps",)}),
        (
            "Times",
            {
                "fields": (
                    exact("created_at", "asked for at"),
                    exact("due_at", "next try at"),
                    exact("deadline_at", "deadline"),
                    exact("finished_at"),
                    "took",
                )
            },
        ),
        (
            "For the curious",
            {
                "classes": ("collapse",),
                "fields": ("id", "parameters", "found", "status_before", "undoing", "follows"),
            },
        ),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Operation]:
        """With what the pages show of other rows."""
        return super().get_queryset(request).select_related("town__owner", "successor")

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Its title names the town, which only the page has at hand."""
        operation = self.get_object(request, object_id)
        title = {} if operation is None else {"subtitle": f"{operation.kind} of {operation.town}"}
        return super().change_view(request, object_id, form_url, {**title, **(extra_context or {})})

    @admin.display(description="operation", ordering="kind")
    def what(self, operation: Operation) -> str:
        """Its kind."""
        return operation.kind

    @admin.display(description="town", ordering="town__name")
    def of_town(self, operation: Operation) -> SafeString:
        """The town, as a link."""
        return town_link(operation.town)

    @admin.display(description="state", ordering="state")
    def state_tag(self, operation: Operation) -> SafeString:
        """Under way, or how it ended."""
        return tag(operation.state, "under way" if operation.is_open else "")

    @admin.display(description="step")
    def at_step(self, operation: Operation) -> str:
        """Where it is, or was when it ended."""
        tries = f", failed {operation.attempt}x" if operation.attempt else ""
        return operation.step.replace("_", " ") + tries

    @admin.display(description="asked for by", ordering="actor")
    def asked_by(self, operation: Operation) -> str:
        """The person, or the automatic rule."""
        return f"{operation.actor} (automatic)" if operation.automatic else operation.actor

    @admin.display(description="began", ordering="created_at")
    def began(self, operation: Operation) -> SafeString | str:
        """When it was asked for."""
        return when(operation.created_at, timezone.now())

    @admin.display(description="took")
    def took(self, operation: Operation) -> str:
        """How long it ran, or runs so far."""
        end = operation.finished_at or timezone.now()
        return duration((end - operation.created_at).total_seconds())

    @admin.display(description="message")
    def message_text(self, operation: Operation) -> str:
        """What it waits for, or what went wrong last."""
        return operation.message or "-"

    @admin.display(description="steps")
    def steps(self, operation: Operation) -> SafeString:
        """What its steps did, in their order, and which are to come."""
        return steps_table(operation)

    @admin.display(description="parameters")
    def parameters(self, operation: Operation) -> SafeString | str:
        """How it was asked for."""
        return facts(operation.params)

    @admin.display(description="what its steps found")
    def found(self, operation: Operation) -> SafeString | str:
        """Ids and pointers."""
        return facts(operation.learned)

    @admin.display(description="followed by")
    def follows(self, operation: Operation) -> SafeString | str:
        """The operation that came next because of this one."""
        return operation_link(operation.successor)


def steps_table(operation: Operation) -> SafeString:
    """The steps that are done, the one that it is at, and those to come."""
    done = [
        (entry["step"].replace("_", " "), utc(parse_datetime(entry["at"])), entry["note"] or "done")
        for entry in operation.log
    ]
    rows: list[Any] = [("done", *row) for row in done]
    if operation.is_open:
        tries = f" (failed {operation.attempt}x)" if operation.attempt else ""
        now = operation.message or "under way"
        rows.append(("now", operation.step.replace("_", " "), "now" + tries, now))
        coming = flow_of(operation.kind).to_come(operation.step)
        rows += [("next", name.replace("_", " "), "", "") for name in coming]
    if not rows:
        return format_html("{}", NOTHING)
    return format_html(
        '<table class="ops-steps"><tbody>{}</tbody></table>',
        format_html_join(
            "", '<tr class="ops-{}"><th scope="row">{}</th><td>{}</td><td>{}</td></tr>', rows
        ),
    )
