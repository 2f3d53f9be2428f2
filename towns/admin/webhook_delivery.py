"""What webhooks were told of, whether it arrived, and if not why."""

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from towns.admin.base import ReadOnlyAdmin
from towns.display import NOTHING, exact, tag, town_link, when
from towns.history import Actor
from towns.models import WebhookDelivery
from towns.webhooks import endpoints


@admin.register(WebhookDelivery)
class WebhookDeliveryAdmin(ReadOnlyAdmin[WebhookDelivery]):
    """Read-only: the messenger writes them. What was given up can be tried again."""

    list_display = ("written", "endpoint", "what", "town", "state_tag", "attempts", "last_error")
    list_filter = ("state", "endpoint")
    search_fields = ("=event__id",)
    ordering = ("-id",)
    list_select_related = ("endpoint", "event__town__owner")
    fields = (
        "endpoint",
        "what",
        "town",
        "message_id",
        "state_tag",
        "attempts",
        "in_doubt",
        "last_error",
        exact("created_at", "written at"),
        "next_try",
        exact("ended_at"),
    )
    actions = ("try_again",)

    def has_halt_permission(self, request: HttpRequest) -> bool:
        """Who may have it tried again."""
        return request.user.has_perm("towns.change_webhookendpoint")

    @admin.action(description="Try again what was given up", permissions=["halt"])
    def try_again(self, request: HttpRequest, queryset: QuerySet[WebhookDelivery]) -> None:
        """In the next round, as if it had not been tried yet."""
        assert request.user.is_authenticated
        actor, now = Actor.person(request.user), timezone.now()
        count = endpoints.try_again([one.pk for one in queryset], actor=actor, now=now)
        told = "is" if count == 1 else "are"
        messages.success(request, f"{count} {told} tried again within a minute.")

    @admin.display(description="written", ordering="id")
    def written(self, delivery: WebhookDelivery) -> SafeString | str:
        """When."""
        return when(delivery.created_at, timezone.now())

    @admin.display(description="event")
    def what(self, delivery: WebhookDelivery) -> SafeString:
        """What happened, as a link to it."""
        link = reverse("admin:towns_lifecycleevent_change", args=[delivery.event_id])
        return format_html('<a href="{}">{}</a>', link, delivery.event.kind.replace("_", " "))

    @admin.display(description="town")
    def town(self, delivery: WebhookDelivery) -> SafeString:
        """Which."""
        return town_link(delivery.event.town)

    @admin.display(description="state", ordering="state")
    def state_tag(self, delivery: WebhookDelivery) -> SafeString:
        """Whether it arrived."""
        return tag(delivery.state, delivery.get_state_display().lower())

    @admin.display(description="next try")
    def next_try(self, delivery: WebhookDelivery) -> SafeString | str:
        """When, as long as it waits."""
        if delivery.state != WebhookDelivery.State.PENDING:
            return NOTHING
        return when(delivery.due_at, timezone.now())
