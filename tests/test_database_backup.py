"""docs/database.md does what it says: its commands are run, and the restored database is whole."""

import os
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
import pytest
from django.db import connection
from django.utils import timezone
from psycopg import sql

from tests.factories import make_operation, make_town
from towns import alerts, history
from towns.history import Actor
from towns.models import HealthCheck, Town
from towns.upkeep import hours, partitions
from towns.words import OperationKind, Status

ROOT = Path(__file__).resolve().parent.parent
GUIDE = (ROOT / "docs" / "database.md").read_text()
pytestmark = pytest.mark.django_db(transaction=True)
postgresql = pytest.mark.skipif(connection.vendor != "postgresql", reason="of PostgreSQL")
on_sqlite = pytest.mark.skipif(connection.vendor != "sqlite", reason="of SQLite")


@pytest.fixture
def town() -> Town:
    """Some history: events, an operation under way, an alert, checks of several days."""
    found, now = make_town(), timezone.now()
    make_operation(found, OperationKind.BACKUP)
    history.change_status(found, Status.UNHEALTHY, kind="unhealthy", actor=Actor("x"), now=now)
    alerts.open_alert(cause="x", town=found, severity="warning", message="ü", now=now)
    for days in (-40, -1, 0, 1, 30):
        at = now + timedelta(days=days)
        HealthCheck.objects.create(town=found, slot=at, checked_at=at, result="ok")
    hours.make_hours(now)
    partitions.make_ahead(now)
    return found


def commands(label: str) -> str:
    """A labelled block of the guide."""
    [found] = re.findall(rf"^( *)```sh {label}\n(.*?)^ *```$", GUIDE, re.M | re.S)
    indent, text = found
    return str(re.sub(rf"^{indent}", "", text, flags=re.M))


def run(script: str, folder: Path, **environment: str) -> None:
    """Run a block of the guide, or what was made of it, in a folder."""
    by_version = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda p: int(p.parts[-2]))
    places = [str(Path(sys.executable).parent), *map(str, reversed(by_version)), os.environ["PATH"]]
    path = os.pathsep.join(places)
    program = script.split()[0]
    if shutil.which(program, path=path) is None:
        pytest.fail(f"{program} is not here: install PostgreSQL's client programs.")
    plain = {"DEBUG": "true", "GASTOWN_ENV_FILE": "", "LOG_LEVEL": "ERROR"}
    done = subprocess.run(
        ["bash", "-euc", script],
        cwd=folder,
        env={**os.environ, **plain, **environment, "PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{script}: {done.stdout}{done.stderr}"


def look(url: str) -> None:
    """What the guide says to do with a restored database; before that nothing is to migrate."""
    manage = [sys.executable, "manage.py", "migrate", "--check", "--skip-checks"]
    environment = {**os.environ, "DATABASE_URL": url, "DEBUG": "true", "GASTOWN_ENV_FILE": ""}
    subprocess.run(manage, cwd=ROOT, env=environment, check=True, capture_output=True)
    run(commands("look"), ROOT, DATABASE_URL=url)


def url_of(name: str) -> str:
    """The address of a database beside the one of the tests."""
    given = connection.settings_dict
    user, password = quote(given["USER"], safe=""), quote(given["PASSWORD"], safe="")
    who = f"{user}:{password}@" if password else f"{user}@"
    return f"postgres://{who}{given['HOST']}:{given['PORT'] or 5432}/{name}"


@pytest.fixture
def fresh() -> Iterator[str]:
    """The name of a new, empty database."""
    name = f"{connection.settings_dict['NAME']}_restored"
    drop = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
    with psycopg.connect(url_of("postgres"), autocommit=True) as server:
        server.execute(drop)
        server.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        yield name
        server.execute(drop)


def rows(database: psycopg.Connection[Any]) -> dict[str, tuple[int, str]]:
    """How many rows each table has, and what they say, in one figure; partitions each."""
    names = database.execute(
        "SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') "
        "AND relnamespace = 'public'::regnamespace ORDER BY 1"
    ).fetchall()
    every = "SELECT count(*), md5(string_agg(t::text, '|' ORDER BY t::text)) FROM {} t"
    found = {}
    for (name,) in names:
        row = database.execute(sql.SQL(every).format(sql.Identifier(name))).fetchone()
        assert row is not None
        found[name] = row
    return found


def schema(folder: Path, url: str) -> str:
    """All of it, as pg_dump writes it: tables, partitions, indexes, triggers, functions."""
    run(
        commands("backup-postgresql").replace("--format=custom", "--schema-only"),
        folder,
        DATABASE_URL=url,
    )
    text = (folder / "gastown.dump").read_text()
    # PostgreSQL writes casts in checks another way once it has read its own.
    return re.sub(
        r"^\\(un)?restrict .*$|::(text|character varying)(\[\])?|[()]", "", text, flags=re.M
    )


@postgresql
def test_a_dump_is_restored_whole(town: Town, fresh: str, tmp_path: Path) -> None:
    ours, theirs = url_of(connection.settings_dict["NAME"]), url_of(fresh)
    run(commands("backup-postgresql"), tmp_path, DATABASE_URL=ours)
    run(commands("restore-postgresql"), tmp_path, RESTORED_URL=theirs)
    assert schema(tmp_path, theirs) == schema(tmp_path, ours)
    with psycopg.connect(ours) as old, psycopg.connect(theirs, autocommit=True) as new:
        before, after = rows(old), rows(new)
        assert after == before
        assert before["towns_healthcheck"][0] == 5
        assert before[partitions.name_of(timezone.now())][0] == 1
        assert before[partitions.DEFAULT][0] == 1
        look(theirs)
        with pytest.raises(psycopg.Error, match="only together with its lifecycle event"):
            new.execute("UPDATE towns_town SET status = 'stopped'")
        stored = new.execute(
            "INSERT INTO towns_healthcheck (town_id, checked_at, result, kind, reason) "
            "VALUES (%s, now(), 'ok', '', '') RETURNING id, tableoid::regclass::text",
            [town.pk],
        ).fetchone()
        assert stored is not None
        assert stored[0] > max(HealthCheck.objects.values_list("pk", flat=True))
        assert stored[1] == partitions.name_of(timezone.now())
        frozen = new.execute("SELECT reason FROM towns_freeze WHERE thawed_at IS NULL").fetchall()
        assert frozen == [("the database was restored",)]


@on_sqlite
def test_a_copy_is_restored_whole(town: Town, tmp_path: Path) -> None:
    (tmp_path / "db.sqlite3").symlink_to(Path(connection.settings_dict["NAME"]).resolve())
    run(commands("backup-sqlite"), tmp_path)
    run(commands("restore-sqlite"), tmp_path)
    restored = tmp_path / "restored.sqlite3"
    with sqlite3.connect(restored) as new, sqlite3.connect(tmp_path / "db.sqlite3") as old:
        assert sorted(new.iterdump()) == sorted(old.iterdump())
        assert new.execute("SELECT count(*) FROM towns_healthcheck").fetchone() == (5,)
    new.close()
    old.close()
    look(f"sqlite:///{restored}")
    new = sqlite3.connect(restored)
    with pytest.raises(sqlite3.IntegrityError, match="only together with its lifecycle event"):
        new.execute("UPDATE towns_town SET status = 'stopped'")
    new.close()
