"""Slots of tasks are of a host, or of all; chunks of sweeps are under leases."""

from typing import Any

from django.db import migrations, models


def keep_slots(apps: Any, editor: Any) -> None:
    """Whoever holds a slot of drivers now goes on holding it."""
    using = editor.connection.alias
    slots = apps.get_model("towns", "TaskSlot").objects.using(using)
    for old in apps.get_model("towns", "DriverSlot").objects.using(using).all():
        slots.create(kind="drive", number=old.number, holder=old.holder, until=old.until)


def take_slots_back(apps: Any, editor: Any) -> None:
    """The way back."""
    using = editor.connection.alias
    slots = apps.get_model("towns", "DriverSlot").objects.using(using)
    for new in apps.get_model("towns", "TaskSlot").objects.using(using).filter(host=""):
        slots.update_or_create(
            number=new.number, defaults={"holder": new.holder, "until": new.until}
        )


class Migration(migrations.Migration):

    dependencies = [
        ('towns', '0029_replays_cancelled'),
    ]

    operations = [
        migrations.CreateModel(
            name='TaskSlot',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('kind', models.CharField(max_length=16)),
                ('host', models.CharField(blank=True, max_length=80)),
                ('number', models.PositiveSmallIntegerField()),
                ('holder', models.CharField(blank=True, max_length=80)),
                ('until', models.DateTimeField()),
            ],
            options={
                'ordering': ['kind', 'host', 'number'],
            },
        ),
        migrations.RunPython(keep_slots, take_slots_back),
        migrations.DeleteModel(
            name='DriverSlot',
        ),
        migrations.AddField(
            model_name='sweepchunk',
            name='lease_owner',
            field=models.CharField(blank=True, db_default="", default="", max_length=80),
        ),
        migrations.AddField(
            model_name='sweepchunk',
            name='lease_until',
            field=models.DateTimeField(null=True),
        ),
        migrations.AddConstraint(
            model_name='taskslot',
            constraint=models.UniqueConstraint(fields=('kind', 'host', 'number'), name='one_slot_per_number'),
        ),
    ]
