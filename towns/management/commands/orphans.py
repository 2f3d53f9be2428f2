"""`manage.py orphans list|confirm|keep`: what Fly has and no town holds."""

from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.utils import timezone

from towns import orphans
from towns.history import Actor
from towns.management.base import FAILED, OpsCommand, add_json, table
from towns.models import Orphan
from towns.models.orphan import OPEN_STATES
from towns.readable import ago

_HEADS = ("ID", "KIND", "STATE", "TOWN", "REGION", "SIZE", "MADE", "WHY, AND WHY IT IS STILL THERE")


class Command(OpsCommand):
    help = "List orphans, confirm that one may be destroyed by a later sweep, or keep it."

    def add_arguments(self, parser: CommandParser) -> None:
        commands = parser.add_subparsers(dest="what", required=True, metavar="list|confirm|keep")
        listing = commands.add_parser("list", help="those that are there")
        listing.add_argument("--all", action="store_true", help="also the gone and the cleared")
        add_json(listing)
        confirm = commands.add_parser("confirm", help="let a later sweep destroy them")
        confirm.add_argument("ids", nargs="+", metavar="ID", help="ids at Fly")
        confirm.add_argument("--yes", action="store_true", help="they are not asked for again")
        confirm.add_argument(
            "--discard-data", action="store_true", help="go on without a verified backup"
        )
        keep = commands.add_parser("keep", help="take a confirmation back")
        keep.add_argument("ids", nargs="+", metavar="ID", help="ids at Fly")
        for one in (confirm, keep):
            add_json(one)

    def handle(self, *args: Any, **options: Any) -> None:
        if options["what"] == "list":
            found = Orphan.objects.select_related("town__owner").order_by("made_at", "pk")
            self._show(list(found if options["all"] else found.filter(state__in=OPEN_STATES)))
            return
        chosen = self._chosen(options["ids"])
        if options["what"] == "confirm" and not options["yes"]:
            names = ", ".join(map(str, chosen))
            self.refuse(f"This lets a later sweep destroy {names}. Say --yes if you mean it.")
        now = timezone.now()
        try:
            for orphan in chosen:
                if options["what"] == "keep":
                    orphans.take_back(orphan.pk, actor=Actor.shell(), now=now)
                    continue
                orphans.confirm(
                    orphan.pk, actor=Actor.shell(), now=now, discard=options["discard_data"]
                )
        except orphans.NotConfirmable as error:
            raise CommandError(str(error), returncode=FAILED) from error
        pks = [orphan.pk for orphan in chosen]
        self._show(list(Orphan.objects.filter(pk__in=pks).select_related("town__owner")))

    def _chosen(self, ids: list[str]) -> list[Orphan]:
        found = {one.fly_id: one for one in Orphan.objects.filter(fly_id__in=ids)}
        if unknown := [one for one in ids if one not in found]:
            self.refuse(f"No orphan has the id {unknown[0]}. `manage.py orphans list` shows them.")
        return [found[one] for one in dict.fromkeys(ids)]

    def _show(self, found: list[Orphan]) -> None:
        now = timezone.now()
        rows = [
            (
                one.fly_id,
                one.kind,
                one.state,
                one.town or "-",
                one.region,
                f"{one.size_gb} GB" if one.size_gb else "-",
                ago(one.made_at, now) if one.made_at else "unknown",
                f"{one.reason} {one.withheld}".strip(),
            )
            for one in found
        ]
        document = [
            {
                "id": one.fly_id,
                "kind": one.kind,
                "cause": one.cause,
                "state": one.state,
                "town": str(one.town) if one.town else None,
                "fly_app": one.fly_app or None,
                "region": one.region,
                "size_gb": one.size_gb,
                "made_at": one.made_at,
                "first_seen_at": one.first_seen_at,
                "last_seen_at": one.last_seen_at,
                "reason": one.reason,
                "withheld": one.withheld,
                "confirmed_by": one.confirmed_by or None,
            }
            for one in found
        ]
        self.tell({"orphans": document}, table(rows, _HEADS) or ["There is no orphan."])
