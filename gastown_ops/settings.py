"""Settings, all from the environment or a `.env` file; `.env.example` documents each."""

import os
from datetime import timedelta
from pathlib import Path

from gastown_ops.console import UNFOLD  # noqa: F401  (a setting)
from gastown_ops.csp import POLICY
from gastown_ops.env import Reader
from towns.logs import logging_settings

BASE_DIR = Path(__file__).resolve().parent.parent
env = Reader(os.environ.get("GASTOWN_ENV_FILE", str(BASE_DIR / ".env")))

DEBUG = env.switch("DEBUG", default=False)
SECRET_KEY = env.text("SECRET_KEY", default="insecure-for-development-only" if DEBUG else "")
ALLOWED_HOSTS = env.names("ALLOWED_HOSTS", default=["localhost", "127.0.0.1"] if DEBUG else [])
CSRF_TRUSTED_ORIGINS = env.names("CSRF_TRUSTED_ORIGINS", default=[])

INSTALLED_APPS = [
    "unfold",  # before the admin: its templates go first
    "unfold.contrib.filters",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.humanize",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "axes",
    "django_otp",
    "django_otp.plugins.otp_totp",
    "django_otp.plugins.otp_static",
    "django_q",
    "ninja",
    "towns",
]
MIDDLEWARE = [
    "towns.request_log.RequestLogMiddleware",  # first: around all that may log or answer
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "towns.api.middleware.ProblemMiddleware",  # around all that may answer with HTML
    "towns.refusals.RefusalMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "towns.second_factor.gate.Gate",  # right after the one that tells who is signed in
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "gastown_ops.csp.PolicyMiddleware",
    "axes.middleware.AxesMiddleware",  # the last: it answers who is locked out
]
CSRF_FAILURE_VIEW = "towns.refusals.csrf_failure"
ROOT_URLCONF = "gastown_ops.urls"
WSGI_APPLICATION = "gastown_ops.wsgi.application"
ASGI_APPLICATION = "gastown_ops.asgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

DATABASES = {
    "default": env.database("DATABASE_URL", default=f"sqlite:///{BASE_DIR / 'db.sqlite3'}")
}
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    # Several processes write: wait for the lock instead of failing, and take it when a
    # transaction begins, so that no reader has to be turned into a writer half-way.
    DATABASES["default"]["OPTIONS"] = {
        "timeout": 30,
        "transaction_mode": "IMMEDIATE",
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
    }
else:
    DATABASES["default"]["CONN_MAX_AGE"] = 60
    DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
    # A host that is cut off notices, and what it had locked is free again within half a minute.
    DATABASES["default"]["OPTIONS"] = {
        "connect_timeout": 10,
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "tcp_user_timeout": 25_000,
        "options": "-c idle_in_transaction_session_timeout=30s -c tcp_keepalives_idle=10 "
        "-c tcp_keepalives_interval=5 -c tcp_keepalives_count=3 -c tcp_user_timeout=25s",
        **DATABASES["default"].get("OPTIONS", {}),
    }
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# Who types a wrong password too often waits; who asked from elsewhere does not.
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "django.contrib.auth.backends.ModelBackend",
]
AXES_FAILURE_LIMIT = GASTOWN_LOCKOUT_TRIES = env.whole("GASTOWN_LOCKOUT_TRIES", default=5)
GASTOWN_LOCKOUT_MINUTES = env.whole("GASTOWN_LOCKOUT_MINUTES", default=15)
AXES_COOLOFF_TIME = timedelta(minutes=GASTOWN_LOCKOUT_MINUTES)
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
GASTOWN_LOCKOUT_ADDRESS_TRIES = env.whole("GASTOWN_LOCKOUT_ADDRESS_TRIES", default=100)
AXES_HANDLER = "towns.lockout_counts.LockOuts"
AXES_LOCKOUT_CALLABLE = "towns.lockout.locked_out"
AXES_RESET_ON_SUCCESS = True
AXES_CLIENT_IP_CALLABLE = "towns.lockout.client_address"
GASTOWN_CLIENT_IP_HEADER = env.text("GASTOWN_CLIENT_IP_HEADER", default="")
AXES_ENABLE_ADMIN = False  # towns.admin.account shows them in the theme
AXES_VERBOSE = False
AXES_SENSITIVE_PARAMETERS = ["username", "ip_address", "code"]  # axes' own, and codes
GASTOWN_STAFF_TWO_FACTOR = env.switch("GASTOWN_STAFF_TWO_FACTOR", default=not DEBUG)
OTP_TOTP_ISSUER = "Gastown Ops"
CONTENT_SECURITY_POLICY = POLICY

SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
LOGIN_URL = "/accounts/login/"
LOGIN_REDIRECT_URL = "/"
LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True
FORMAT_MODULE_PATH = ["gastown_ops.formats"]
STATIC_URL = "static/"
STATIC_ROOT = BASE_DIR / "staticfiles"

vars().update(env.email("EMAIL_URL", default="consolemail://"))
DEFAULT_FROM_EMAIL = env.text("DEFAULT_FROM_EMAIL", default="gastown-ops@localhost")
EMAIL_TIMEOUT = env.whole("EMAIL_TIMEOUT", default=10)
GASTOWN_STAFF_EMAILS = env.names("GASTOWN_STAFF_EMAILS", default=[])

LOG_LEVEL = env.one_of(
    "LOG_LEVEL", default="INFO", known=("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
)
# Alerts (product.md 1.7)
GASTOWN_ALERT_WEBHOOK_URL = env.text("GASTOWN_ALERT_WEBHOOK_URL", default="")
GASTOWN_ALERT_WEBHOOK_SECRET = env.text("GASTOWN_ALERT_WEBHOOK_SECRET", default="")
GASTOWN_ALERT_DIGEST_OVER = env.whole("GASTOWN_ALERT_DIGEST_OVER", default=5)
GASTOWN_ALERT_DIGEST_WINDOW_SECONDS = env.whole("GASTOWN_ALERT_DIGEST_WINDOW_SECONDS", default=120)
GASTOWN_ALERT_DIGEST_PAUSE_SECONDS = env.whole("GASTOWN_ALERT_DIGEST_PAUSE_SECONDS", default=600)
GASTOWN_ALERT_ATTEMPTS = env.whole("GASTOWN_ALERT_ATTEMPTS", default=10)

LOGGING = logging_settings(
    level=LOG_LEVEL, form=env.one_of("LOG_FORMAT", default="line", known=("line", "json"))
)

# The API
GASTOWN_API_RATE_PER_MINUTE = env.whole("GASTOWN_API_RATE_PER_MINUTE", default=600)
GASTOWN_API_BURST = env.whole("GASTOWN_API_BURST", default=100)
GASTOWN_WEBHOOK_ATTEMPTS = env.whole("GASTOWN_WEBHOOK_ATTEMPTS", default=10)
GASTOWN_WEBHOOK_PRIVATE = env.switch("GASTOWN_WEBHOOK_PRIVATE", default=False)

# For those who watch us (product.md 1.7)
GASTOWN_METRICS_TOKEN = env.text("GASTOWN_METRICS_TOKEN", default="")
GASTOWN_METRICS_FLUSH_SECONDS = env.whole("GASTOWN_METRICS_FLUSH_SECONDS", default=10)
GASTOWN_DEAD_MAN_URL = env.text("GASTOWN_DEAD_MAN_URL", default="")

REDIS_URL = env.text("REDIS_URL", default="")
Q_CLUSTER = {
    "name": "gastown",
    "workers": env.whole("GASTOWN_WORKERS", default=4),
    # A task past `timeout` seconds is killed; one not acknowledged within `retry` is handed out
    # again. Every task bears running twice, but not at the same time for nothing.
    "timeout": 120,
    "retry": 150,
    "max_attempts": 3,
    "ack_failures": True,
    "catch_up": False,
    # So many successes are kept of each function, not of all together: else those of the daily
    # schedules would be gone before anybody asked for the last of them.
    "save_limit": 50,
    "save_limit_per": "func",
    "label": "Task queue",
    **({"redis": REDIS_URL} if REDIS_URL else {"orm": "default", "poll": 0.2}),
}

# Fly
GASTOWN_FLY_API_URL = env.text("GASTOWN_FLY_API_URL", default="https://api.machines.dev/v1")
GASTOWN_FLY_API_TOKEN = env.text("GASTOWN_FLY_API_TOKEN", default="")
GASTOWN_FLY_APP_NAME = env.text("GASTOWN_FLY_APP_NAME", default="")
GASTOWN_FLY_REGION = env.text("GASTOWN_FLY_REGION", default="iad")
GASTOWN_MACHINE_CPUS = env.whole("GASTOWN_MACHINE_CPUS", default=4)
GASTOWN_MACHINE_MEMORY_MB = env.whole("GASTOWN_MACHINE_MEMORY_MB", default=8192)
GASTOWN_VOLUME_SIZE_GB = env.whole("GASTOWN_VOLUME_SIZE_GB", default=50)
GASTOWN_STOP_TIMEOUT_SECONDS = env.whole("GASTOWN_STOP_TIMEOUT_SECONDS", default=300)

# The sandbox
GASTOWN_SANDBOX_IMAGE = env.text("GASTOWN_SANDBOX_IMAGE", default="")
GASTOWN_SANDBOX_URL = env.text(
    "GASTOWN_SANDBOX_URL", default="http://{machine_id}.vm.{app}.internal:8080"
)
GASTOWN_INTERNAL_API_SECRET = env.text("GASTOWN_INTERNAL_API_SECRET", default="")
GASTOWN_CONTROL_PLANE_URL = env.text("GASTOWN_CONTROL_PLANE_URL", default="")
GASTOWN_SYNC_INTERVAL_SECONDS = env.whole("GASTOWN_SYNC_INTERVAL_SECONDS", default=300)
GASTOWN_SYNC_WAIT_SECONDS = env.whole("GASTOWN_SYNC_WAIT_SECONDS", default=180)

# R2
GASTOWN_R2_ENDPOINT_URL = env.text("GASTOWN_R2_ENDPOINT_URL", default="")
GASTOWN_R2_BUCKET = env.text("GASTOWN_R2_BUCKET", default="")
GASTOWN_R2_ACCESS_KEY_ID = env.text("GASTOWN_R2_ACCESS_KEY_ID", default="")
GASTOWN_R2_SECRET_ACCESS_KEY = env.text("GASTOWN_R2_SECRET_ACCESS_KEY", default="")
GASTOWN_RETENTION_DAYS = env.whole("GASTOWN_RETENTION_DAYS", default=30)

# Health monitoring (product.md 1.1)
GASTOWN_HEALTH_PERIOD_SECONDS = env.whole("GASTOWN_HEALTH_PERIOD_SECONDS", default=180)
GASTOWN_PROBE_TIMEOUT_SECONDS = env.number("GASTOWN_PROBE_TIMEOUT_SECONDS", default=5.0)
GASTOWN_PROBE_CONCURRENCY = env.whole("GASTOWN_PROBE_CONCURRENCY", default=1000)
GASTOWN_SWEEP_RUNNERS = env.whole("GASTOWN_SWEEP_RUNNERS", default=2)
GASTOWN_SWEEP_CHUNK_SIZE = env.whole("GASTOWN_SWEEP_CHUNK_SIZE", default=500)
GASTOWN_FAILURES_BEFORE_RESTART = env.whole("GASTOWN_FAILURES_BEFORE_RESTART", default=3)
GASTOWN_RESTART_FAILED_LIMIT = env.whole("GASTOWN_RESTART_FAILED_LIMIT", default=3)
GASTOWN_RESTART_FAILED_WINDOW_MINUTES = env.whole(
    "GASTOWN_RESTART_FAILED_WINDOW_MINUTES", default=10
)
GASTOWN_RESTART_LIMIT = env.whole("GASTOWN_RESTART_LIMIT", default=3)
GASTOWN_RESTART_WINDOW_MINUTES = env.whole("GASTOWN_RESTART_WINDOW_MINUTES", default=30)
GASTOWN_RESTARTS_AT_ONCE = env.whole("GASTOWN_RESTARTS_AT_ONCE", default=10)
GASTOWN_BREAKER_MIN_TOWNS = env.whole("GASTOWN_BREAKER_MIN_TOWNS", default=5)
GASTOWN_BREAKER_PERCENT = env.whole("GASTOWN_BREAKER_PERCENT", default=20)
GASTOWN_FLAPPING_WINDOW_MINUTES = env.whole("GASTOWN_FLAPPING_WINDOW_MINUTES", default=30)
GASTOWN_FLAPPING_EPISODES = env.whole("GASTOWN_FLAPPING_EPISODES", default=4)
GASTOWN_BREAKER_PATIENCE_SECONDS = env.whole("GASTOWN_BREAKER_PATIENCE_SECONDS", default=300)
GASTOWN_STALE_HEARTBEAT_MINUTES = env.whole("GASTOWN_STALE_HEARTBEAT_MINUTES", default=10)
GASTOWN_DISK_WARN_PERCENT = env.whole("GASTOWN_DISK_WARN_PERCENT", default=80)
GASTOWN_DISK_CRITICAL_PERCENT = env.whole("GASTOWN_DISK_CRITICAL_PERCENT", default=95)

# Idle stop and resume (product.md 1.4)
GASTOWN_IDLE_PERIOD_SECONDS = env.whole("GASTOWN_IDLE_PERIOD_SECONDS", default=180)
GASTOWN_IDLE_TIMEOUT_MINUTES = env.whole("GASTOWN_IDLE_TIMEOUT_MINUTES", default=30)
GASTOWN_IDLE_TIMEOUT_MIN_MINUTES = env.whole("GASTOWN_IDLE_TIMEOUT_MIN_MINUTES", default=5)
GASTOWN_IDLE_TIMEOUT_MAX_MINUTES = env.whole("GASTOWN_IDLE_TIMEOUT_MAX_MINUTES", default=480)
GASTOWN_INTERACTION_COALESCE_SECONDS = env.whole("GASTOWN_INTERACTION_COALESCE_SECONDS", default=30)
GASTOWN_WEBSOCKET_SILENT_MINUTES = env.whole("GASTOWN_WEBSOCKET_SILENT_MINUTES", default=240)
GASTOWN_IDLE_SYNC_FAILURES_ALERT = env.whole("GASTOWN_IDLE_SYNC_FAILURES_ALERT", default=3)
GASTOWN_AUTO_RESUME = env.text("GASTOWN_AUTO_RESUME", default="idle")

# Recovery (product.md 1.6)
GASTOWN_RECOVERY_LIMIT = env.whole("GASTOWN_RECOVERY_LIMIT", default=5)
GASTOWN_RECOVERY_WINDOW_MINUTES = env.whole("GASTOWN_RECOVERY_WINDOW_MINUTES", default=30)

# Reconciliation
GASTOWN_RECONCILE_PERIOD_SECONDS = env.whole("GASTOWN_RECONCILE_PERIOD_SECONDS", default=180)
GASTOWN_ORPHAN_GRACE_MINUTES = env.whole("GASTOWN_ORPHAN_GRACE_MINUTES", default=15)

# Deadlines of the passing statuses (product.md 1.7)
GASTOWN_DEADLINE_STARTING_MINUTES = env.whole("GASTOWN_DEADLINE_STARTING_MINUTES", default=5)
GASTOWN_DEADLINE_STOPPING_MINUTES = env.whole("GASTOWN_DEADLINE_STOPPING_MINUTES", default=8)
GASTOWN_DEADLINE_RESTARTING_MINUTES = env.whole("GASTOWN_DEADLINE_RESTARTING_MINUTES", default=5)
GASTOWN_DEADLINE_PROVISIONING_MINUTES = env.whole(
    "GASTOWN_DEADLINE_PROVISIONING_MINUTES", default=10
)
GASTOWN_DEADLINE_RECOVERING_MINUTES = env.whole("GASTOWN_DEADLINE_RECOVERING_MINUTES", default=15)
GASTOWN_DEADLINE_RESTORING_MINUTES = env.whole("GASTOWN_DEADLINE_RESTORING_MINUTES", default=30)
GASTOWN_DEADLINE_BACKUP_MINUTES = env.whole("GASTOWN_DEADLINE_BACKUP_MINUTES", default=5)
GASTOWN_DEADLINE_DRILL_MINUTES = env.whole("GASTOWN_DEADLINE_DRILL_MINUTES", default=30)

# Backups and restore drills (product.md 1.7)
GASTOWN_BACKUPS_PERIOD_SECONDS = env.whole("GASTOWN_BACKUPS_PERIOD_SECONDS", default=300)
GASTOWN_BACKUPS_PER_SWEEP = env.whole("GASTOWN_BACKUPS_PER_SWEEP", default=200)
GASTOWN_BACKUPS_CONCURRENCY = env.whole("GASTOWN_BACKUPS_CONCURRENCY", default=16)
GASTOWN_BACKUP_STALE_MINUTES = env.whole("GASTOWN_BACKUP_STALE_MINUTES", default=15)
GASTOWN_BACKUP_RETRY_MINUTES = env.whole("GASTOWN_BACKUP_RETRY_MINUTES", default=30)
GASTOWN_DRILLS_PER_DAY = env.whole("GASTOWN_DRILLS_PER_DAY", default=10)
GASTOWN_DRILLS_AT_ONCE = env.whole("GASTOWN_DRILLS_AT_ONCE", default=1)

# Driving operations (architecture.md)
GASTOWN_DRIVERS = env.whole("GASTOWN_DRIVERS", default=2)
GASTOWN_DRIVER_THREADS = env.whole("GASTOWN_DRIVER_THREADS", default=16)
GASTOWN_DRIVE_SECONDS = env.whole("GASTOWN_DRIVE_SECONDS", default=10)
GASTOWN_LEASE_SECONDS = env.whole("GASTOWN_LEASE_SECONDS", default=30)

# History
GASTOWN_KEEP_CHECKS_DAYS = env.whole("GASTOWN_KEEP_CHECKS_DAYS", default=14)
GASTOWN_KEEP_HOURS_DAYS = env.whole("GASTOWN_KEEP_HOURS_DAYS", default=400)
GASTOWN_KEEP_ALERTS_DAYS = env.whole("GASTOWN_KEEP_ALERTS_DAYS", default=400)

# What idle stops save, and which were wrong (product.md 1.7)
GASTOWN_WRONG_STOP_MINUTES = env.whole("GASTOWN_WRONG_STOP_MINUTES", default=5)
GASTOWN_MACHINE_HOUR_PRICE = env.number("GASTOWN_MACHINE_HOUR_PRICE", default=0.0)

if not DEBUG:
    SESSION_COOKIE_SECURE = env.switch("SESSION_COOKIE_SECURE", default=True)
    CSRF_COOKIE_SECURE = env.switch("CSRF_COOKIE_SECURE", default=True)
    SECURE_SSL_REDIRECT = env.switch("SECURE_SSL_REDIRECT", default=True)
    SECURE_HSTS_SECONDS = env.whole("SECURE_HSTS_SECONDS", default=3600)
    SECURE_HSTS_INCLUDE_SUBDOMAINS = env.switch("SECURE_HSTS_INCLUDE_SUBDOMAINS", default=True)
    SECURE_HSTS_PRELOAD = env.switch("SECURE_HSTS_PRELOAD", default=True)
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    # Fly's proxy, the local monitor and Prometheus ask these over plain HTTP.
    SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$", r"^metrics$"]
