"""System checks: a missing or senseless setting is named, with what to write instead."""

import string
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register
from django.core.exceptions import ImproperlyConfigured

from towns.posting import key_of

TAG = "gastown"
_NEEDED = {
    "GASTOWN_FLY_API_TOKEN": "a deploy token of the app (`fly tokens create deploy`)",
    "GASTOWN_FLY_APP_NAME": "the name of the Fly app that holds the towns",
    "GASTOWN_SANDBOX_IMAGE": "the sandbox's image, such as registry.fly.io/towns:v1",
    "GASTOWN_INTERNAL_API_SECRET": "a long random text (`openssl rand -hex 32`); never change it",
    "GASTOWN_CONTROL_PLANE_URL": "the address at which sandboxes reach us, such as https://ops.example.com",
    "GASTOWN_R2_ENDPOINT_URL": "https://ACCOUNT.r2.cloudflarestorage.com",
    "GASTOWN_R2_BUCKET": "the bucket's name",
    "GASTOWN_R2_ACCESS_KEY_ID": "the id of an R2 API token for that bucket",
    "GASTOWN_R2_SECRET_ACCESS_KEY": "the secret of that R2 API token",
}
_ADDRESSES = (
    "GASTOWN_FLY_API_URL",
    "GASTOWN_SANDBOX_URL",
    "GASTOWN_CONTROL_PLANE_URL",
    "GASTOWN_R2_ENDPOINT_URL",
)
_RANGES: dict[str, tuple[float, float]] = {
    "GASTOWN_MACHINE_CPUS": (1, 64),
    "GASTOWN_MACHINE_MEMORY_MB": (256, 1_048_576),
    "GASTOWN_VOLUME_SIZE_GB": (1, 500),
    "GASTOWN_STOP_TIMEOUT_SECONDS": (1, 300),
    "GASTOWN_SYNC_INTERVAL_SECONDS": (1, 86400),
    "GASTOWN_SYNC_WAIT_SECONDS": (1, 3600),
    "GASTOWN_RETENTION_DAYS": (1, 3650),
    "GASTOWN_HEALTH_PERIOD_SECONDS": (1, 3600),
    "GASTOWN_PROBE_TIMEOUT_SECONDS": (0.1, 60),
    "GASTOWN_PROBE_CONCURRENCY": (1, 10_000),
    "GASTOWN_SWEEP_CHUNK_SIZE": (1, 10_000),
    "GASTOWN_SWEEP_RUNNERS": (1, 64),
    "GASTOWN_FAILURES_BEFORE_RESTART": (1, 1000),
    "GASTOWN_RESTART_FAILED_LIMIT": (1, 1000),
    "GASTOWN_RESTART_FAILED_WINDOW_MINUTES": (1, 10_080),
    "GASTOWN_RESTART_LIMIT": (1, 1000),
    "GASTOWN_RESTART_WINDOW_MINUTES": (1, 10_080),
    "GASTOWN_RESTARTS_AT_ONCE": (1, 100_000),
    "GASTOWN_BREAKER_MIN_TOWNS": (1, 100_000),
    "GASTOWN_BREAKER_PERCENT": (1, 100),
    "GASTOWN_FLAPPING_WINDOW_MINUTES": (1, 10_080),
    "GASTOWN_FLAPPING_EPISODES": (2, 1000),
    "GASTOWN_BREAKER_PATIENCE_SECONDS": (0, 86_400),
    "GASTOWN_STALE_HEARTBEAT_MINUTES": (1, 10_080),
    "GASTOWN_DISK_WARN_PERCENT": (1, 100),
    "GASTOWN_DISK_CRITICAL_PERCENT": (1, 100),
    "GASTOWN_IDLE_PERIOD_SECONDS": (1, 3600),
    "GASTOWN_IDLE_TIMEOUT_MIN_MINUTES": (1, 100_000),
    "GASTOWN_IDLE_TIMEOUT_MAX_MINUTES": (1, 100_000),
    "GASTOWN_INTERACTION_COALESCE_SECONDS": (0, 3600),
    "GASTOWN_WEBSOCKET_SILENT_MINUTES": (1, 100_000),
    "GASTOWN_IDLE_SYNC_FAILURES_ALERT": (1, 1000),
    "GASTOWN_RECOVERY_LIMIT": (1, 100_000),
    "GASTOWN_RECOVERY_WINDOW_MINUTES": (1, 10_080),
    "GASTOWN_RECONCILE_PERIOD_SECONDS": (1, 3600),
    "GASTOWN_ORPHAN_GRACE_MINUTES": (1, 10_080),
    "GASTOWN_DEADLINE_STARTING_MINUTES": (1, 1440),
    "GASTOWN_DEADLINE_STOPPING_MINUTES": (1, 1440),
    "GASTOWN_DEADLINE_RESTARTING_MINUTES": (1, 1440),
    "GASTOWN_DEADLINE_PROVISIONING_MINUTES": (1, 1440),
    "GASTOWN_DEADLINE_RECOVERING_MINUTES": (1, 1440),
    "GASTOWN_DEADLINE_RESTORING_MINUTES": (1, 1440),
    "GASTOWN_DEADLINE_BACKUP_MINUTES": (1, 1440),
    "GASTOWN_LOCKOUT_TRIES": (1, 1000),
    "GASTOWN_LOCKOUT_ADDRESS_TRIES": (0, 1_000_000),
    "GASTOWN_LOCKOUT_MINUTES": (1, 10_080),
    "GASTOWN_API_RATE_PER_MINUTE": (0, 1_000_000),
    "GASTOWN_API_BURST": (1, 100_000),
    "GASTOWN_WEBHOOK_ATTEMPTS": (1, 1000),
    "GASTOWN_METRICS_FLUSH_SECONDS": (0, 3600),
    "EMAIL_TIMEOUT": (1, 20),
    "GASTOWN_ALERT_DIGEST_OVER": (1, 100_000),
    "GASTOWN_ALERT_DIGEST_WINDOW_SECONDS": (0, 3600),
    "GASTOWN_ALERT_DIGEST_PAUSE_SECONDS": (0, 86_400),
    "GASTOWN_ALERT_ATTEMPTS": (1, 1000),
    "GASTOWN_DEADLINE_DRILL_MINUTES": (1, 1440),
    "GASTOWN_BACKUPS_PERIOD_SECONDS": (1, 3600),
    "GASTOWN_BACKUPS_PER_SWEEP": (1, 10_000),
    "GASTOWN_BACKUPS_CONCURRENCY": (1, 1000),
    "GASTOWN_BACKUP_STALE_MINUTES": (1, 10_080),
    "GASTOWN_BACKUP_RETRY_MINUTES": (1, 10_080),
    "GASTOWN_DRILLS_PER_DAY": (0, 10_000),
    "GASTOWN_DRILLS_AT_ONCE": (1, 1000),
    "GASTOWN_DRIVERS": (1, 1000),
    "GASTOWN_DRIVER_THREADS": (1, 1000),
    "GASTOWN_DRIVE_SECONDS": (1, 100),
    "GASTOWN_LEASE_SECONDS": (1, 50),
    "GASTOWN_KEEP_CHECKS_DAYS": (1, 3650),
    "GASTOWN_KEEP_HOURS_DAYS": (1, 36_500),
    "GASTOWN_KEEP_ALERTS_DAYS": (1, 36_500),
    "GASTOWN_WRONG_STOP_MINUTES": (1, 1440),
    "GASTOWN_MACHINE_HOUR_PRICE": (0, 10_000),
}
_PLACEHOLDERS = frozenset({"machine_id", "app", "town_id", "region"})


def range_of(name: str) -> tuple[float, float]:
    """The least and the most that a setting may be; KeyError if it has no such limits."""
    return _RANGES[name]


@register(TAG)
def check_settings(**_: Any) -> list[CheckMessage]:
    """All of ours. What is missing is a warning while DEBUG is on, and an error in production."""
    return [*senseless(), *_missing()]


@register(TAG, deploy=True)
def check_signing_in(**_: Any) -> list[CheckMessage]:
    """Before it is deployed: a password alone must not be enough for staff."""
    if settings.GASTOWN_STAFF_TWO_FACTOR:
        return []
    told = "GASTOWN_STAFF_TWO_FACTOR is off: whoever learns a password of staff is in. Turn it on."
    return [Warning(told, id="gastown.W002")]


def senseless() -> list[CheckMessage]:
    """Settings that can't be what was meant, whatever the installation."""
    return [Error(text, id="gastown.E002") for text in _senseless()]


def _missing() -> Iterator[CheckMessage]:
    kind, code = (Warning, "gastown.W001") if settings.DEBUG else (Error, "gastown.E001")
    try:
        has_key = bool(settings.SECRET_KEY)
    except ImproperlyConfigured:  # Django refuses to hand out an empty one
        has_key = False
    if not has_key:
        yield Error("SECRET_KEY is not set. Set it to a long random text.", id="gastown.E001")
    for name, meaning in _NEEDED.items():
        if not getattr(settings, name):
            yield kind(f"{name} is not set. Set it to {meaning}.", id=code)


def _dead_man() -> Iterator[str]:
    url: str = settings.GASTOWN_DEAD_MAN_URL
    try:
        if not url or (_is_address(url) and url.format(sweep="health") != url):
            return
    except (KeyError, ValueError, IndexError):
        pass
    yield (
        f"GASTOWN_DEAD_MAN_URL is {url!r}; write an address with {{sweep}} in it, such as "
        "https://hc-ping.com/KEY/{sweep}."
    )


def _senseless() -> Iterator[str]:
    outside = [
        f"{name} is {getattr(settings, name):g}; write a number from {least:g} to {most:g}."
        for name, (least, most) in _RANGES.items()
        if not least <= getattr(settings, name) <= most
    ]
    yield from outside
    yield from _dead_man()
    for name in _ADDRESSES:
        value = getattr(settings, name)
        if value and not _is_address(value):
            yield f"{name} is {value!r}; write an address that begins with http:// or https://."
    yield from _template()
    yield from _webhook()
    if settings.GASTOWN_AUTO_RESUME not in ("idle", "always"):
        yield f"GASTOWN_AUTO_RESUME is {settings.GASTOWN_AUTO_RESUME!r}; write idle or always."
    if not outside:
        yield from _orders()


def _is_address(value: str) -> bool:
    try:
        parts = urlsplit(value)
        return parts.scheme in ("http", "https") and bool(parts.netloc) and parts.port != 0
    except ValueError:  # a bracket too many, or a port that is no number
        return False


def _webhook() -> Iterator[str]:
    """Shows neither the secret nor the address: others put keys into theirs."""
    url, secret = settings.GASTOWN_ALERT_WEBHOOK_URL, settings.GASTOWN_ALERT_WEBHOOK_SECRET
    if url and not _is_address(url):
        yield "GASTOWN_ALERT_WEBHOOK_URL is no address; write one that begins with https://."
    if url and not secret:
        yield (
            "GASTOWN_ALERT_WEBHOOK_SECRET is not set, and nothing is posted unsigned. Set it to a "
            "long random text (`openssl rand -hex 32`) that the receiver knows too."
        )
    if secret:
        try:
            length = len(key_of(secret))
        except ValueError:
            yield "GASTOWN_ALERT_WEBHOOK_SECRET begins with whsec_; write base64 after it."
            return
        if length < 24:
            yield f"GASTOWN_ALERT_WEBHOOK_SECRET has {length} bytes; write 24 or more."


def _template() -> Iterator[str]:
    template = settings.GASTOWN_SANDBOX_URL
    known = ", ".join(f"{{{name}}}" for name in sorted(_PLACEHOLDERS))
    try:
        used = {name for _, name, _, _ in string.Formatter().parse(template) if name is not None}
    except ValueError:
        yield f"GASTOWN_SANDBOX_URL is {template!r}, with a brace too many; it may hold {known}."
        return
    for name in sorted(used - _PLACEHOLDERS):
        yield f"GASTOWN_SANDBOX_URL holds {{{name}}}, which means nothing; it may hold {known}."
    if not used:
        yield f"GASTOWN_SANDBOX_URL is {template!r}, which leads nowhere; it may hold {known}."


def _orders() -> Iterator[str]:
    """Settings that only make sense together."""
    least, most = (
        settings.GASTOWN_IDLE_TIMEOUT_MIN_MINUTES,
        settings.GASTOWN_IDLE_TIMEOUT_MAX_MINUTES,
    )
    usual = settings.GASTOWN_IDLE_TIMEOUT_MINUTES
    if least > most:
        yield (
            f"GASTOWN_IDLE_TIMEOUT_MIN_MINUTES ({least}) is over GASTOWN_IDLE_TIMEOUT_MAX_MINUTES "
            f"({most}); write a smaller one."
        )
    elif not least <= usual <= most:
        yield f"GASTOWN_IDLE_TIMEOUT_MINUTES is {usual}; write a number from {least} to {most}."
    warn, critical = settings.GASTOWN_DISK_WARN_PERCENT, settings.GASTOWN_DISK_CRITICAL_PERCENT
    if warn > critical:
        yield (
            f"GASTOWN_DISK_WARN_PERCENT ({warn}) is over GASTOWN_DISK_CRITICAL_PERCENT "
            f"({critical}); write a smaller one."
        )
    window, period = (
        settings.GASTOWN_FLAPPING_WINDOW_MINUTES,
        settings.GASTOWN_HEALTH_PERIOD_SECONDS,
    )
    if 60 * window <= period:
        yield (
            f"GASTOWN_FLAPPING_WINDOW_MINUTES ({window}) is over before the next health check "
            f"({period} s later); write more minutes."
        )
    interval = settings.GASTOWN_SYNC_INTERVAL_SECONDS
    stale = settings.GASTOWN_BACKUP_STALE_MINUTES
    if interval >= 60 * stale:
        yield (
            f"GASTOWN_BACKUP_STALE_MINUTES ({stale}) is over before the next backup comes by "
            f"GASTOWN_SYNC_INTERVAL_SECONDS ({interval}); write more minutes."
        )
    timeout, deadline = (
        settings.GASTOWN_STOP_TIMEOUT_SECONDS,
        settings.GASTOWN_DEADLINE_STOPPING_MINUTES,
    )
    if timeout >= 60 * deadline:
        yield (
            f"GASTOWN_DEADLINE_STOPPING_MINUTES ({deadline}) is over before "
            f"GASTOWN_STOP_TIMEOUT_SECONDS ({timeout}); write more minutes."
        )
    checks, hours = settings.GASTOWN_KEEP_CHECKS_DAYS, settings.GASTOWN_KEEP_HOURS_DAYS
    if hours < checks:
        yield (
            f"GASTOWN_KEEP_HOURS_DAYS ({hours}) is under GASTOWN_KEEP_CHECKS_DAYS ({checks}); "
            "write more days, since hours are kept for longer."
        )
