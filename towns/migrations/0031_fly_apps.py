"""Towns may be spread over several Fly apps. That of the rows there are is recorded by the next
reconcile sweep, where Fly lists their machines."""

from django.db import migrations, models


def fly_app(help_text: str) -> "models.CharField[str, str]":
    """The field of one model. A process of the version before knows nothing of it."""
    return models.CharField(
        max_length=63, blank=True, default="", db_default="", help_text=help_text
    )


class Migration(migrations.Migration):
    dependencies = [("towns", "0030_slots_by_host_and_leases_of_chunks")]
    operations = [
        migrations.AddField(
            "town", "fly_app", fly_app("The Fly app that its machine and volume are in.")
        ),
        migrations.AddField(
            "drill", "fly_app", fly_app("The Fly app that its machine and volume are in.")
        ),
        migrations.AddField("orphan", "fly_app", fly_app("The Fly app that it is in.")),
    ]
