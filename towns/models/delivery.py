"""Deliveries: the outbox of alerts. One row says that somebody is to be told something."""

from django.db import models
from django.db.models import Q


class Delivery(models.Model):
    """One per alert, news, channel and recipient, written together with what it is about.

    Rows that go out in one message (a digest) share its `message_id`, which is given at the first
    try and stays through all others, so that a receiver can drop a repeat. `lease_until` is set
    while a try is under way: a pending row whose lease is over was held by a worker that died, and
    whether its message left is not known.
    """

    class News(models.TextChoices):
        OPENED = "opened"
        RESOLVED = "resolved"

    class Channel(models.TextChoices):
        EMAIL = "email"
        WEBHOOK = "webhook"

    class Audience(models.TextChoices):
        STAFF = "staff"
        OWNER = "owner"

    class State(models.TextChoices):
        PENDING = "pending"
        SENT = "sent"
        SKIPPED = "skipped", "no news any more"
        GIVEN_UP = "given_up", "given up"

    id = models.BigAutoField(primary_key=True)
    alert = models.ForeignKey("towns.Alert", on_delete=models.CASCADE, related_name="deliveries")
    news = models.CharField(max_length=8, choices=News)
    channel = models.CharField(max_length=8, choices=Channel)
    recipient = models.CharField(
        max_length=254, help_text="An address; of the webhook only its host, as the rest is secret."
    )
    audience = models.CharField(max_length=8, choices=Audience)
    state = models.CharField(max_length=8, choices=State, default=State.PENDING)
    created_at = models.DateTimeField()
    due_at = models.DateTimeField(help_text="Not told before; the next try.")
    attempts = models.PositiveSmallIntegerField(default=0)
    last_error = models.TextField(blank=True)
    in_doubt = models.BooleanField(
        default=False, help_text="A try may have arrived although nobody said so."
    )
    message_id = models.UUIDField(null=True, help_text="Of the message it goes out in.")
    message_at = models.DateTimeField(null=True, help_text="When that message was first tried.")
    digest = models.CharField(
        max_length=140, blank=True, help_text="What its message gathers; empty if it goes alone."
    )
    claim = models.UUIDField(null=True)
    lease_until = models.DateTimeField(null=True)
    sent_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-id"]
        verbose_name_plural = "deliveries"
        constraints = [
            models.UniqueConstraint(
                fields=["alert", "news", "channel", "recipient"],
                name="one_delivery_per_news_and_recipient",
            ),
        ]
        indexes = [
            models.Index(
                fields=["due_at"], condition=Q(state="pending"), name="deliveries_pending"
            ),
            models.Index(fields=["sent_at"], condition=Q(state="sent"), name="deliveries_sent"),
            models.Index(fields=["message_at"], condition=~Q(digest=""), name="deliveries_digests"),
        ]

    def __str__(self) -> str:
        return f"{self.news} to {self.recipient} by {self.channel}"
