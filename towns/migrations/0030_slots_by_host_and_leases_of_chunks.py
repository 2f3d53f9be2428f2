

from django.db import migrations, models


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
        migrations.DeleteModel(
            name='DriverSlot',
        ),
        migrations.AddField(
            model_name='sweepchunk',
            name='lease_owner',
            field=models.CharField(blank=True, max_length=80),
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
