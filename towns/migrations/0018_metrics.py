from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("towns", "0017_replay")]
    operations = [
        migrations.CreateModel(
            name="MetricSum",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("name", models.CharField(max_length=60)),
                (
                    "labels",
                    models.CharField(help_text="As JSON, sorted by name.", max_length=200),
                ),
                ("value", models.FloatField(default=0)),
            ],
            options={"ordering": ["name", "labels"]},
        ),
        migrations.AddConstraint(
            model_name="metricsum",
            constraint=models.UniqueConstraint(
                fields=("name", "labels"), name="one_sum_per_name_and_labels"
            ),
        ),
    ]
