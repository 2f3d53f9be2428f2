"""Deliveries of alerts: the outbox.

Alerts that are there already get none: what was told by the mails of before is not told again, and
what is open and was never told is enlisted by the first round of the messenger.
"""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("towns", "0002_driver_slots")]
    operations = [
        migrations.CreateModel(
            name='Delivery',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('news', models.CharField(choices=[('opened', 'Opened'), ('resolved', 'Resolved')], max_length=8)),
                ('channel', models.CharField(choices=[('email', 'Email'), ('webhook', 'Webhook')], max_length=8)),
                ('recipient', models.CharField(help_text='An address; of the webhook only its host, as the rest is secret.', max_length=254)),
                ('audience', models.CharField(choices=[('staff', 'Staff'), ('owner', 'Owner')], max_length=8)),
                ('state', models.CharField(choices=[('pending', 'Pending'), ('sent', 'Sent'), ('skipped', 'no news any more'), ('given_up', 'given up')], default='pending', max_length=8)),
                ('created_at', models.DateTimeField()),
                ('due_at', models.DateTimeField(help_text='Not told before; the next try.')),
                ('attempts', models.PositiveSmallIntegerField(default=0)),
                ('last_error', models.TextField(blank=True)),
                ('in_doubt', models.BooleanField(default=False, help_text='A try may have arrived although nobody said so.')),
                ('message_id', models.UUIDField(help_text='Of the message it goes out in.', null=True)),
                ('message_at', models.DateTimeField(help_text='When that message was first tried.', null=True)),
                ('digest', models.CharField(blank=True, help_text='What its message gathers; empty if it goes alone.', max_length=140)),
                ('claim', models.UUIDField(null=True)),
                ('lease_until', models.DateTimeField(null=True)),
                ('sent_at', models.DateTimeField(null=True)),
                ('alert', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='deliveries', to='towns.alert')),
            ],
            options={
                'verbose_name_plural': 'deliveries',
                'ordering': ['-id'],
                'indexes': [models.Index(condition=models.Q(('state', 'pending')), fields=['due_at'], name='deliveries_pending'), models.Index(condition=models.Q(('state', 'sent')), fields=['sent_at'], name='deliveries_sent'), models.Index(condition=models.Q(('digest', ''), _negated=True), fields=['message_at'], name='deliveries_digests')],
                'constraints': [models.UniqueConstraint(fields=('alert', 'news', 'channel', 'recipient'), name='one_delivery_per_news_and_recipient')],
            },
        ),
    ]
