"""Token buckets that all workers share, and the row under whose lock restarts are counted."""

from django.apps.registry import Apps
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor


def make_updates_cheap(apps: Apps, editor: BaseDatabaseSchemaEditor) -> None:
    """What a bucket holds is worth a second: no need for it to outlive a crash of PostgreSQL, so a
    call to Fly doesn't wait for its disk. The room lets an update stay in its page."""
    if editor.connection.vendor == "postgresql":
        editor.execute("ALTER TABLE towns_flybudget SET UNLOGGED")
        editor.execute("ALTER TABLE towns_flybudget SET (fillfactor = 50)")


class Migration(migrations.Migration):
    dependencies = [("towns", "0004_health_history")]
    operations = [
        migrations.CreateModel(
            name="FlyBudget",
            fields=[
                (
                    "key",
                    models.CharField(
                        help_text="Action and subject.",
                        max_length=200,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                (
                    "full_at",
                    models.FloatField(
                        help_text="When it is full again: seconds since 1970, by the database's "
                        "clock."
                    ),
                ),
            ],
            options={"ordering": ["key"]},
        ),
        migrations.CreateModel(
            name="CountedBudget",
            fields=[
                ("name", models.CharField(max_length=40, primary_key=True, serialize=False)),
            ],
            options={"ordering": ["name"]},
        ),
        migrations.RunPython(make_updates_cheap, migrations.RunPython.noop),
    ]
