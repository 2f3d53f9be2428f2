"""The app's start-up: triggers, checks and signals are connected here."""

from django.apps import AppConfig
from django.db.models.signals import post_migrate, pre_migrate


class TownsConfig(AppConfig):
    name = "towns"
    verbose_name = "Gastown Ops"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from django_q.signals import post_spawn

        from towns import access, checks, schedules, triggers  # noqa: F401  (importing registers the checks)
        from towns.flows import begin
        from towns.upkeep import partitions

        pre_migrate.connect(triggers.drop, sender=self)
        post_migrate.connect(triggers.create, sender=self)
        post_migrate.connect(schedules.after_migrate, sender=self)
        post_migrate.connect(partitions.after_migrate, sender=self)
        post_migrate.connect(access.after_migrate, sender=self)
        post_spawn.connect(begin.drive_soon, dispatch_uid="drive_soon")
