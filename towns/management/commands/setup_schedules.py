"""`manage.py setup_schedules`: the sweeps' schedules; runs after each migrate by itself."""

from typing import Any

from towns import schedules
from towns.management.base import OpsCommand


class Command(OpsCommand):
    help = "Make or mend the schedules of the sweeps; doing it again changes nothing."

    def handle(self, *args: Any, **options: Any) -> None:
        changed = schedules.set_up()
        kept = [plan.name for plan in schedules.planned() if plan.name not in changed]
        lines = [f"set up: {name}" for name in changed] + [f"as it was: {name}" for name in kept]
        self.tell({"set_up": changed, "unchanged": kept}, lines)
