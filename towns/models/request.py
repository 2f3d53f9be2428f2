"""Requests that were answered already, for `Idempotency-Key`."""

from django.conf import settings
from django.db import models


class IdempotentRequest(models.Model):
    """The first answer to a key; a repeat of the same request gets it again."""

    id = models.BigAutoField(primary_key=True)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    key = models.CharField(max_length=255)
    fingerprint = models.CharField(max_length=64, help_text="SHA-256 of method, path and body.")
    status_code = models.PositiveSmallIntegerField(null=True)
    body = models.JSONField(null=True)
    etag = models.CharField(
        max_length=40,
        blank=True,
        default="",
        db_default="",  # a process of the version before knows nothing of it
    )
    created_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["user", "key"], name="one_request_per_idempotency_key")
        ]
        indexes = [models.Index(fields=["created_at"], name="requests_by_time")]

    def __str__(self) -> str:
        return self.key
