"""Tokens: keys of machine clients of the API."""

from django.conf import settings
from django.db import models


class ApiToken(models.Model):
    """One key. Its secret is known only to who got it: here is its digest. It acts in the name of
    `user`, an account of its own that can't sign in, unless it acts for an owner."""

    id = models.BigAutoField(primary_key=True)
    name = models.CharField(max_length=60, unique=True, help_text="Whose it is, such as gateway.")
    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="api_token"
    )
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="api_tokens",
        help_text="Whom it always acts for; nobody: itself, or whomever each call names.",
    )
    start = models.CharField(max_length=12, help_text="How it begins, to tell it from others.")
    digest = models.CharField(max_length=64, unique=True, help_text="SHA-256 of the whole.")
    scopes = models.JSONField(default=list)
    created_at = models.DateTimeField()
    created_by = models.CharField(max_length=150)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    revoked_by = models.CharField(max_length=150, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["name"]
        verbose_name = "API token"

    def __str__(self) -> str:
        return self.name
