"""Settings of the test runs: the project's own, deaf to a developer's `.env`."""

import os

os.environ["GASTOWN_ENV_FILE"] = ""
os.environ.setdefault("DEBUG", "true")
os.environ.setdefault("EMAIL_URL", "memorymail://")

from gastown_ops.settings import *  # noqa: F403  (the environment must be set first)

GASTOWN_FLY_API_URL = "https://fly.test/v1"
GASTOWN_FLY_API_TOKEN = "fly-token-for-tests"
GASTOWN_FLY_APP_NAME = "towns"
GASTOWN_SANDBOX_IMAGE = "registry.test/town:1"
GASTOWN_SANDBOX_URL = "http://{machine_id}.test:8080"
GASTOWN_INTERNAL_API_SECRET = "internal-secret-for-tests"
GASTOWN_API_RATE_PER_MINUTE = 0  # tests ask as fast as they can
GASTOWN_STAFF_TWO_FACTOR = False  # tests of it turn it on
GASTOWN_METRICS_FLUSH_SECONDS = 0  # nothing runs by itself
GASTOWN_CONTROL_PLANE_URL = "http://ops.test"
GASTOWN_R2_ENDPOINT_URL = "https://r2.test"
GASTOWN_R2_BUCKET = "gastown"
GASTOWN_R2_ACCESS_KEY_ID = "key"
GASTOWN_R2_SECRET_ACCESS_KEY = "r2-secret-for-tests"
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):  # noqa: F405
    # In a file, since threads can't wait for each other's locks in one that is in memory.
    (BASE_DIR / "var").mkdir(exist_ok=True)  # noqa: F405
    DATABASES["default"]["TEST"] = {"NAME": f"{DATABASES['default']['NAME']}.tests"}  # noqa: F405
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
WHITENOISE_AUTOREFRESH = True  # no staticfiles are collected for tests
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
