"""Health history that stays fast: daily partitions on PostgreSQL, hourly figures.

PostgreSQL, forwards. The table may hold 50 million rows and sweeps go on writing to it, so no row
is copied and no long lock taken: the old table becomes the first partition.

1. Beside running sweeps: build the unique index (id, checked_at) that will be its primary key
   (CONCURRENTLY), and have it proven that no row lies after a boundary some days ahead (a CHECK
   that is NOT VALID at first, then VALIDATE, which reads the table under a lock that lets others
   write). The check is taken away again if that fails, since it would refuse rows one day: a run
   that was killed has to be repeated before the boundary, three days ahead.
2. In one short transaction under an exclusive lock that is waited for briefly and again: rename the
   old table and its indexes, make the partitioned one in its place, attach the old one. Thanks to
   step 1 attaching reads nothing. A table without rows is dropped instead of attached.

Each step may be run again after a crash. The old rows stay in one partition, `…_before`, which
goes as a whole when its youngest row is older than checks are kept.

Backwards every row is copied into a plain table, while sweeps wait: minutes for millions of rows.

`one_check_per_town_and_slot` can't be a rule of the partitioned table, as it doesn't hold the
partition key. Each partition has its own. Nothing is counted twice either way: `Town.last_slot`
decides, under the town's lock. The index on `town` alone goes: `checks_of_a_town` begins with it.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import OperationalError, migrations, models, transaction
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.models import PROTECT

from towns.migrations._again import CreateUnlessThere

TABLE, BEFORE, DEFAULT = (
    "towns_healthcheck",
    "towns_healthcheck_before",
    "towns_healthcheck_default",
)
BOUND = "towns_healthcheck_before_bound"
FK = "towns_healthcheck_town_id_a7331082_fk_towns_town_id"
FK_INDEX = "towns_healthcheck_town_id_a7331082"
SLOT_RULE = "one_check_per_town_and_slot"
SPARE_DAYS = 3
"""How far ahead the boundary lies: step 1 must be over by then."""
TRIES = 60

_REFERENCE = f"""ALTER TABLE {TABLE} ADD CONSTRAINT {FK} FOREIGN KEY (town_id)
    REFERENCES towns_town (id) DEFERRABLE INITIALLY DEFERRED"""
_INDEXES = f"""
    CREATE INDEX checks_of_a_town ON {TABLE} (town_id, checked_at DESC);
    CREATE INDEX checks_by_time ON {TABLE} (checked_at);
"""
_SEQUENCE = f"SELECT last_value, is_called FROM {TABLE}_id_seq"


def partition(apps: Any, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """To daily partitions; on SQLite only the index on `town` goes."""
    connection = schema_editor.connection
    if connection.vendor != "postgresql":
        schema_editor.execute(f"DROP INDEX IF EXISTS {FK_INDEX}")
        return
    with connection.cursor() as cursor:
        if _is_partitioned(cursor):
            return
        boundary = None
        if _one(cursor, f"SELECT EXISTS (SELECT FROM {TABLE})"):
            boundary = _prepare(cursor, connection.alias)
        _patiently(connection.alias, cursor, lambda: _swap(cursor, boundary))


def _prepare(cursor: Any, alias: str) -> datetime:
    """Step 1; returns the boundary."""
    cursor.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {FK_INDEX}")
    cursor.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {BEFORE}_key")
    cursor.execute(f"CREATE UNIQUE INDEX CONCURRENTLY {BEFORE}_key ON {TABLE} (id, checked_at)")
    last = max(_one(cursor, f"SELECT max(checked_at) FROM {TABLE}"), datetime.now(UTC))
    midnight = last.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    boundary: datetime = midnight + timedelta(days=SPARE_DAYS)
    drop = f"ALTER TABLE {TABLE} DROP CONSTRAINT IF EXISTS {BOUND};"
    add = f"""ALTER TABLE {TABLE} ADD CONSTRAINT {BOUND}
        CHECK (checked_at < '{boundary.isoformat()}') NOT VALID"""
    _patiently(alias, cursor, lambda: cursor.execute(drop + add))
    try:
        cursor.execute(f"ALTER TABLE {TABLE} VALIDATE CONSTRAINT {BOUND}")
    except BaseException:
        _patiently(alias, cursor, lambda: cursor.execute(drop))
        raise
    return boundary


def _swap(cursor: Any, boundary: datetime | None) -> None:
    """Step 2. Changes the catalogue alone."""
    cursor.execute(f"LOCK TABLE {TABLE} IN ACCESS EXCLUSIVE MODE")
    if boundary is None and _one(cursor, f"SELECT EXISTS (SELECT FROM {TABLE})"):
        raise OperationalError("Rows came meanwhile: run migrate again.")
    cursor.execute(_SEQUENCE)
    sequence = cursor.fetchone()
    cursor.execute(f"""
        ALTER TABLE {TABLE} ALTER id DROP IDENTITY;
        ALTER TABLE {TABLE} RENAME TO {BEFORE};
        ALTER TABLE {BEFORE} DROP CONSTRAINT {TABLE}_pkey;
        ALTER INDEX checks_of_a_town RENAME TO {BEFORE}_town;
        ALTER INDEX checks_by_time RENAME TO {BEFORE}_time;
        ALTER INDEX {SLOT_RULE} RENAME TO {BEFORE}_slot;
        CREATE TABLE {TABLE} (LIKE {BEFORE} INCLUDING CONSTRAINTS) PARTITION BY RANGE (checked_at);
        ALTER TABLE {TABLE} DROP CONSTRAINT IF EXISTS {BOUND};
        CREATE SEQUENCE {TABLE}_id_seq OWNED BY {TABLE}.id;
        ALTER TABLE {TABLE} ALTER id SET DEFAULT nextval('{TABLE}_id_seq');
        ALTER TABLE {TABLE} ADD PRIMARY KEY (id, checked_at);
        {_INDEXES};
        {_REFERENCE};
    """)
    cursor.execute(f"SELECT setval('{TABLE}_id_seq', %s, %s)", sequence)
    if boundary is None:
        cursor.execute(f"DROP TABLE {BEFORE}")
    else:
        cursor.execute(f"""
            ALTER TABLE {BEFORE} ADD CONSTRAINT {BEFORE}_pkey PRIMARY KEY USING INDEX {BEFORE}_key;
            ALTER TABLE {TABLE} ATTACH PARTITION {BEFORE}
                FOR VALUES FROM (MINVALUE) TO ('{boundary.isoformat()}');
            ALTER TABLE {BEFORE} DROP CONSTRAINT {BOUND};
        """)
    cursor.execute(f"""
        CREATE TABLE {DEFAULT} PARTITION OF {TABLE} DEFAULT;
        CREATE UNIQUE INDEX {DEFAULT}_slot ON {DEFAULT} (town_id, slot) WHERE slot IS NOT NULL;
    """)


def unpartition(apps: Any, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Back to the table of 0001, with its rows."""
    connection = schema_editor.connection
    if connection.vendor != "postgresql":
        schema_editor.execute(f"CREATE INDEX IF NOT EXISTS {FK_INDEX} ON {TABLE} (town_id)")
        return
    with connection.cursor() as cursor:
        if _is_partitioned(cursor):
            _patiently(connection.alias, cursor, lambda: _swap_back(cursor))


def _swap_back(cursor: Any) -> None:
    cursor.execute(f"LOCK TABLE {TABLE} IN ACCESS EXCLUSIVE MODE")
    cursor.execute(_SEQUENCE)
    sequence = cursor.fetchone()
    cursor.execute(f"""
        CREATE TABLE {TABLE}_plain (LIKE {TABLE} INCLUDING CONSTRAINTS);
        INSERT INTO {TABLE}_plain SELECT * FROM {TABLE};
        DROP TABLE {TABLE} CASCADE;
        ALTER TABLE {TABLE}_plain RENAME TO {TABLE};
        ALTER TABLE {TABLE} ALTER id ADD GENERATED BY DEFAULT AS IDENTITY;
        ALTER TABLE {TABLE} ADD PRIMARY KEY (id);
        CREATE INDEX {FK_INDEX} ON {TABLE} (town_id);
        CREATE UNIQUE INDEX {SLOT_RULE} ON {TABLE} (town_id, slot) WHERE slot IS NOT NULL;
        {_INDEXES};
        {_REFERENCE};
    """)
    cursor.execute(f"SELECT setval('{TABLE}_id_seq', %s, %s)", sequence)


def _patiently(alias: str, cursor: Any, work: Any) -> None:
    """Run in a transaction that waits for locks only briefly, so that nobody queues up behind it
    for long, and again until it gets them."""
    for number in range(TRIES):
        try:
            with transaction.atomic(alias):
                cursor.execute("SET LOCAL lock_timeout = '900ms'")
                work()
            return
        except OperationalError as error:
            busy = getattr(error.__cause__, "sqlstate", "") == "55P03"
            if not busy or number == TRIES - 1:
                raise


def _is_partitioned(cursor: Any) -> bool:
    return bool(_one(cursor, f"SELECT relkind = 'p' FROM pg_class WHERE oid = '{TABLE}'::regclass"))


def _one(cursor: Any, sql: str) -> Any:
    cursor.execute(sql)
    return cursor.fetchone()[0]


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("towns", "0003_alert_outbox")]
    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunPython(partition, unpartition, atomic=False)],
            state_operations=[
                migrations.AlterField(
                    "healthcheck",
                    "town",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=PROTECT,
                        related_name="health_checks",
                        to="towns.town",
                    ),
                )
            ],
        ),
        CreateUnlessThere(
            name="HealthHour",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("hour", models.DateTimeField(help_text="When it begins.")),
                ("checks", models.PositiveIntegerField()),
                ("ok", models.PositiveIntegerField()),
                ("failed", models.PositiveIntegerField()),
                ("unknown", models.PositiveIntegerField()),
                (
                    "downtime_seconds",
                    models.PositiveIntegerField(
                        help_text="From each failed check to the next one, at most two periods."
                    ),
                ),
                ("latency_ms_avg", models.FloatField(null=True)),
                ("latency_ms_max", models.PositiveIntegerField(null=True)),
                ("tmux_sessions_max", models.PositiveIntegerField(null=True)),
                ("polecats_active_avg", models.FloatField(null=True)),
                ("polecats_active_max", models.PositiveIntegerField(null=True)),
                ("polecats_total_max", models.PositiveIntegerField(null=True)),
                ("merge_queue_max", models.PositiveIntegerField(null=True)),
                ("disk_used_avg", models.FloatField(null=True)),
                ("disk_used_max", models.BigIntegerField(null=True)),
                ("disk_total_max", models.BigIntegerField(null=True)),
                ("memory_used_avg", models.FloatField(null=True)),
                ("memory_used_max", models.BigIntegerField(null=True)),
                ("memory_total_max", models.BigIntegerField(null=True)),
                ("cpu_ratio_avg", models.FloatField(null=True)),
                ("cpu_ratio_max", models.FloatField(null=True)),
                (
                    "town",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=PROTECT,
                        related_name="health_hours",
                        to="towns.town",
                    ),
                ),
            ],
            options={
                "ordering": ["-hour"],
                "indexes": [models.Index(fields=["hour"], name="health_hours_by_time")],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("town", "hour"), name="one_row_per_town_and_hour"
                    )
                ],
            },
        ),
    ]
