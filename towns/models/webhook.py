"""Webhooks: who hears of lifecycle events, and what became of telling them."""

from uuid import UUID, uuid4, uuid5

from django.conf import settings
from django.db import models
from django.db.models import Q


class WebhookEndpoint(models.Model):
    """An address that hears of the events of one owner's towns, or of the whole fleet's.

    Its secret is in no row: it is derived (`towns.webhooks.secrets`). Its address is shown to
    nobody, but for the host: others put keys into theirs. `settled` and `mark` are how far the
    history has been followed (`towns.webhooks.following`).
    """

    id = models.UUIDField(primary_key=True, default=uuid4)
    name = models.CharField(max_length=60, help_text="What hears there, such as billing.")
    url = models.CharField(max_length=500)
    kinds = models.JSONField(default=list, help_text="Kinds of events; none: all of them.")
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="webhooks",
        help_text="Whose towns; nobody's: the whole fleet.",
    )
    enabled = models.BooleanField(default=True)
    disabled_why = models.CharField(max_length=300, blank=True)
    disabled_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField()
    created_by = models.CharField(max_length=150)
    removed_at = models.DateTimeField(null=True, help_text="It is kept while its deliveries are.")
    secret_version = models.PositiveIntegerField(default=1)
    secret_at = models.DateTimeField(help_text="Since when that secret is the one.")

    settled = models.BigIntegerField(help_text="Every event up to here has its delivery.")
    mark = models.BigIntegerField(null=True, help_text="The newest event at marked_at.")
    marked_at = models.DateTimeField(null=True)

    failures = models.PositiveIntegerField(default=0, help_text="Tries that failed in a row.")
    paused_until = models.DateTimeField(null=True, help_text="Nothing is tried before.")
    last_sent_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["name", "id"]
        verbose_name = "webhook"
        constraints = [
            models.UniqueConstraint(
                fields=["owner", "name"],
                condition=Q(removed_at=None, owner__isnull=False),
                name="one_webhook_per_owner_and_name",
            ),
            models.UniqueConstraint(
                fields=["name"],
                condition=Q(removed_at=None, owner=None),
                name="one_webhook_of_the_fleet_per_name",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class WebhookDelivery(models.Model):
    """One event to be told to one endpoint. `lease_until` is set while a try is under way: a
    pending row whose lease is over was held by a worker that died, perhaps after it sent."""

    class State(models.TextChoices):
        PENDING = "pending"
        SENT = "sent"
        GIVEN_UP = "given_up", "given up"

    id = models.BigAutoField(primary_key=True)
    endpoint = models.ForeignKey(
        WebhookEndpoint, on_delete=models.PROTECT, related_name="deliveries", db_index=False
    )
    event = models.ForeignKey(
        "towns.LifecycleEvent", on_delete=models.PROTECT, related_name="+", db_index=False
    )
    state = models.CharField(max_length=8, choices=State, default=State.PENDING)
    created_at = models.DateTimeField()
    due_at = models.DateTimeField(help_text="Not told before; the next try.")
    attempts = models.PositiveSmallIntegerField(default=0)
    last_error = models.TextField(blank=True)
    in_doubt = models.BooleanField(
        default=False, help_text="A try may have arrived although nobody said so."
    )
    claim = models.UUIDField(null=True)
    lease_until = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-id"]
        verbose_name_plural = "webhook deliveries"
        constraints = [
            models.UniqueConstraint(
                fields=["endpoint", "event"], name="one_delivery_per_webhook_and_event"
            ),
        ]
        indexes = [
            models.Index(
                fields=["endpoint", "due_at"],
                condition=Q(state="pending"),
                name="webhook_deliveries_pending",
            ),
            models.Index(fields=["endpoint", "-id"], name="webhook_deliveries_listed"),
            models.Index(fields=["ended_at"], name="webhook_deliveries_ended"),
        ]

    def __str__(self) -> str:
        return f"event {self.event_id} to {self.endpoint_id}"

    @property
    def message_id(self) -> UUID:
        """The same for one event and endpoint, whoever tells it and however often."""
        return uuid5(self.endpoint_id, str(self.event_id))
