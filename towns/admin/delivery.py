"""Deliveries: who was told of an alert, by which channel, and what went wrong in that."""

from django.contrib import admin
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from towns.admin.base import ReadOnlyAdmin
from towns.display import NOTHING, exact, tag, when
from towns.models import Delivery


@admin.register(Delivery)
class DeliveryAdmin(ReadOnlyAdmin[Delivery]):
    """Read-only: the messenger writes them."""

    list_display = (
        "written",
        "about",
        "news",
        "channel",
        "recipient",
        "state_tag",
        "attempts",
        "last_error",
        "next_try",
    )
    list_filter = ("state", "channel", "audience", "news")
    search_fields = ("recipient", "alert__cause", "alert__town__name", "=message_id")
    ordering = ("-id",)
    list_select_related = ("alert__town__owner",)
    fields = (
        "about",
        "news",
        "channel",
        "recipient",
        "audience",
        "state_tag",
        "attempts",
        "in_doubt",
        "last_error",
        "digest",
        "message_id",
        exact("created_at", "written at"),
        "next_try",
        exact("sent_at"),
    )
    readonly_fields = ("about", "state_tag", "next_try")

    @admin.display(description="written", ordering="id")
    def written(self, delivery: Delivery) -> SafeString | str:
        """When."""
        return when(delivery.created_at, timezone.now())

    @admin.display(description="alert")
    def about(self, delivery: Delivery) -> SafeString:
        """The alert, as a link."""
        alert = delivery.alert
        return format_html(
            '<a href="{}">{}: {}</a>',
            reverse("admin:towns_alert_change", args=[alert.pk]),
            alert.subject if alert.town is None else alert.town,
            alert.cause,
        )

    @admin.display(description="state", ordering="state")
    def state_tag(self, delivery: Delivery) -> SafeString:
        """Whether it was told."""
        return state_of(delivery)

    @admin.display(description="next try")
    def next_try(self, delivery: Delivery) -> SafeString | str:
        """When it is tried next, as long as it waits."""
        return next_try(delivery)


def state_of(delivery: Delivery) -> SafeString:
    """Whether it was told, as a tag."""
    return tag(delivery.state, delivery.get_state_display().lower())


def next_try(delivery: Delivery) -> SafeString | str:
    """When it is tried next; a dash for one that is not."""
    if delivery.state != Delivery.State.PENDING:
        return NOTHING
    return when(delivery.due_at, timezone.now())
