"""A database of a bench's own, set up as an application's is, and dropped again."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SERVER = os.environ.get("GASTOWN_TEST_POSTGRESQL", "postgres://postgres@127.0.0.1:5432")


class NoServer(Exception):
    """PostgreSQL does not answer at SERVER."""


@contextmanager
def own_database(name: str) -> Iterator[None]:
    """Within it Django is set up on a new, migrated database. NoServer if there is nowhere to make
    it. Once in a process: Django's settings can be made but once."""
    import psycopg

    try:
        server = psycopg.connect(f"{SERVER}/postgres", autocommit=True, connect_timeout=3)
    except psycopg.OperationalError as error:
        raise NoServer(f"PostgreSQL does not answer at {SERVER}.") from error
    server.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
    server.execute(f"CREATE DATABASE {name}")
    try:
        _set_up(f"{SERVER}/{name}")
        yield
    finally:
        server.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


@contextmanager
def own_file() -> Iterator[None]:
    """The same on SQLite."""
    with tempfile.TemporaryDirectory() as folder:
        _set_up(f"sqlite:///{Path(folder) / 'bench.sqlite3'}")
        yield


def _set_up(url: str) -> None:
    os.environ.update(
        DATABASE_URL=url,
        GASTOWN_ENV_FILE="",
        DJANGO_SETTINGS_MODULE="gastown_ops.settings",
        DEBUG="true",
        LOG_LEVEL="ERROR",
        ALLOWED_HOSTS="testserver",
    )
    import django

    django.setup()
    from django.conf import settings
    from django.core.management import call_command

    settings.DEBUG = False  # every statement would be kept in memory otherwise
    settings.STORAGES["staticfiles"]["BACKEND"] = (
        "django.contrib.staticfiles.storage.StaticFilesStorage"
    )
    call_command("migrate", verbosity=0, skip_checks=True)
