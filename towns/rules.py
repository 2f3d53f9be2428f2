"""The settings of product.md section 1 as the values that `policy` takes."""

from datetime import timedelta

from django.conf import settings

from towns.flapping import FlappingRules
from towns.policy import HealthRules, IdleRules

CONNECTION = timedelta(minutes=2)
"""A gateway says at least once a minute that a WebSocket is open."""


def idle_rules() -> IdleRules:
    """How idleness is measured now."""
    return IdleRules(
        evidence=timedelta(seconds=2 * settings.GASTOWN_HEALTH_PERIOD_SECONDS),
        coalesce=timedelta(seconds=settings.GASTOWN_INTERACTION_COALESCE_SECONDS),
        connection=CONNECTION,
        silent=timedelta(minutes=settings.GASTOWN_WEBSOCKET_SILENT_MINUTES),
    )


def stale_after() -> timedelta:
    """The age at which the last good snapshot of a running town is too old."""
    return timedelta(minutes=settings.GASTOWN_BACKUP_STALE_MINUTES)


def health_rules() -> HealthRules:
    """When failing towns are restarted now."""
    return HealthRules(
        strikes=settings.GASTOWN_FAILURES_BEFORE_RESTART,
        fruitless_limit=settings.GASTOWN_RESTART_FAILED_LIMIT,
        fruitless_window=timedelta(minutes=settings.GASTOWN_RESTART_FAILED_WINDOW_MINUTES),
        restart_limit=settings.GASTOWN_RESTART_LIMIT,
        restart_window=timedelta(minutes=settings.GASTOWN_RESTART_WINDOW_MINUTES),
        breaker_towns=settings.GASTOWN_BREAKER_MIN_TOWNS,
        breaker_share=settings.GASTOWN_BREAKER_PERCENT / 100,
        breaker_patience=timedelta(seconds=settings.GASTOWN_BREAKER_PATIENCE_SECONDS),
    )


def flapping_rules() -> FlappingRules:
    """When a town flaps."""
    return FlappingRules(
        window=timedelta(minutes=settings.GASTOWN_FLAPPING_WINDOW_MINUTES),
        episodes=settings.GASTOWN_FLAPPING_EPISODES,
    )


def retention() -> timedelta:
    """For how long a destroyed town can be restored."""
    return timedelta(days=settings.GASTOWN_RETENTION_DAYS)
