"""The groups of staff. What each may do is set after every migrate, when permissions are there."""

from typing import Any

from django.db import migrations

NAMES = ("Viewer", "Operator", "Admin")


def make(apps: Any, schema_editor: Any) -> None:
    groups = apps.get_model("auth", "Group").objects.using(schema_editor.connection.alias)
    for name in NAMES:
        groups.get_or_create(name=name)


class Migration(migrations.Migration):
    dependencies = [
        ("auth", "0012_alter_user_first_name_max_length"),
        ("towns", "0020_api_tokens"),
    ]
    # The way back leaves them: somebody may be in one.
    operations = [migrations.RunPython(make, migrations.RunPython.noop)]
