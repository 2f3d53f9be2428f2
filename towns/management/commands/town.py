"""`manage.py town …`: everything that can be done with towns, by hand."""

from collections import Counter
from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.contrib.auth.models import User
from django.core.management.base import CommandError, CommandParser
from django.utils import timezone

from towns import actions
from towns.actions import NotAllowed, Requested
from towns.changes import (
    UNSET,
    validated_changes,
    validated_idle_timeout,
    validated_name,
    validated_region,
)
from towns.flows.waiting import wait_for
from towns.held import accept_held, drop_held
from towns.history import Actor
from towns.lookup import find_town
from towns.management.base import FAILED, INTERRUPTED, OpsCommand, add_json
from towns.management.town_text import list_lines, town_lines
from towns.models import Drill, Operation, Town
from towns.presenting import (
    drill_facts,
    last_drill,
    operation_facts,
    presentable,
    town_facts,
)
from towns.services import default_services
from towns.why import why
from towns.words import BESIDE, OperationKind, OperationState, Status

ACTOR = Actor.shell()
NO_TOWNS = "No such town. Make one: `manage.py town create OWNER/NAME`."
Request = Callable[..., Requested]
STOPPED_WAITING = (
    "Interrupted. What was asked for stays so: a cluster or `manage.py run_operations` does it."
)
SIMPLE: dict[str, tuple[Request, str]] = {
    "start": (actions.request_start, "start towns"),
    "stop": (actions.request_stop, "stop towns; they stay stopped until asked"),
    "restart": (actions.request_restart, "restart towns"),
    "backup": (actions.request_backup, "back towns up now"),
    "restore": (actions.request_restore, "bring destroyed towns back"),
    "drill": (actions.request_drill, "prove that backups restore, on a throw-away machine"),
}


class Command(OpsCommand):
    help = "Look at towns, and have things done with them."

    def add_arguments(self, parser: CommandParser) -> None:
        commands = parser.add_subparsers(dest="what", required=True, metavar="COMMAND")

        def add(name: str, text: str, *, waits: bool = False) -> Any:
            one = commands.add_parser(name, help=text, description=text)
            add_json(one)
            if waits:
                one.add_argument("--reason", default="", help="kept in its history")
                one.add_argument(
                    "--wait", action="store_true", help="until it is done; drives it if need be"
                )
            return one

        listing = add("list", "list towns")
        listing.add_argument("--status", choices=[status.value for status in Status])
        listing.add_argument("--owner")
        listing.add_argument("--destroyed", action="store_true", help="the destroyed ones too")
        add("show", "all about one town").add_argument("town", metavar="TOWN")
        why_it_is = "why it is what it is, and what happens next"
        add("why", why_it_is).add_argument("town", metavar="TOWN")
        create = add("create", "make a town", waits=True)
        create.add_argument("town", metavar="OWNER/NAME")
        create.add_argument("--region")
        create.add_argument("--idle-timeout", type=int, metavar="MINUTES")
        for name, (_, text) in SIMPLE.items():
            one = add(name, text, waits=True)
            one.add_argument("towns", nargs="+", metavar="TOWN")
            if name == "backup":
                held = one.add_mutually_exclusive_group()
                held.add_argument(
                    "--accept", metavar="SNAPSHOT", help="make a held snapshot the newest"
                )
                held.add_argument(
                    "--drop", metavar="SNAPSHOT", help="decide against a held snapshot"
                )
        recover = add("recover", "rebuild what is lost of towns", waits=True)
        recover.add_argument("towns", nargs="+", metavar="TOWN")
        recover.add_argument(
            "--from-backup", action="store_true", help="give up a volume that has no room"
        )
        destroy = add("destroy", "destroy a town; its backup is kept for a while", waits=True)
        destroy.add_argument("town", metavar="TOWN")
        destroy.add_argument("--yes", action="store_true", help="that you mean it")
        destroy.add_argument("--discard-data", action="store_true", help="without a last backup")
        change = add("set", "change a town's settings")
        change.add_argument("town", metavar="TOWN")
        change.add_argument("--idle-timeout", type=int, metavar="MINUTES")
        change.add_argument("--auto-stop", choices=["on", "off"])
        change.add_argument("--keep-awake", type=int, metavar="MINUTES", help="0 ends it")
        hold = change.add_mutually_exclusive_group()
        hold.add_argument("--hold", metavar="REASON", help="keep automation away from it")
        hold.add_argument("--release", action="store_true", help="end a hold")
        change.add_argument(
            "--for", type=int, metavar="MINUTES", dest="hold_for", help="the hold ends by itself"
        )
        change.add_argument("--clear-restarts", action="store_true", help="forget its restarts")

    def handle(self, *args: Any, **options: Any) -> None:
        what: str = options["what"]
        if what == "backup" and (options["accept"] or options["drop"]):
            self._decide(options)
        elif what in SIMPLE or what == "recover":
            self._act(what, options)
        else:
            getattr(self, f"_{what}")(options)

    def _list(self, options: dict[str, Any]) -> None:
        towns = presentable(Town.objects.order_by("owner__username", "name"))
        if options["status"]:
            towns = towns.filter(status=options["status"])
        elif not options["destroyed"]:
            towns = towns.exclude(status=Status.DESTROYED)
        if options["owner"]:
            towns = towns.filter(owner__username=options["owner"])
        now, found = timezone.now(), list(towns)
        lines = list_lines(found, now) or [NO_TOWNS]
        self.tell({"towns": [town_facts(town, now=now) for town in found]}, lines)

    def _show(self, options: dict[str, Any]) -> None:
        town = find_town(options["town"])
        self._tell_town(town)

    def _why(self, options: dict[str, Any]) -> None:
        now = timezone.now()
        answer = why(find_town(options["town"]), now)
        self.tell(answer.as_json(), answer.lines(now))

    def _create(self, options: dict[str, Any]) -> None:
        username, slash, name = options["town"].partition("/")
        if not (slash and username and name):
            self.refuse(f"A new town is named as OWNER/NAME, not as {options['town']}.")
        longest = User._meta.get_field("username").max_length
        if longest is not None and len(username) > longest:
            self.refuse(f"An owner's name has at most {longest} characters.")
        name, region = validated_name(name), validated_region(options["region"])
        timeout = options["idle_timeout"]
        if timeout is not None:
            validated_idle_timeout(timeout)
        owner, made = User.objects.get_or_create(username=username)
        if made:
            owner.set_unusable_password()
            owner.save()
        requested = actions.create_town(
            owner,
            name,
            actor=ACTOR,
            now=timezone.now(),
            region=region,
            idle_timeout_minutes=timeout,
            reason=options["reason"],
        )
        self._finish([requested], options)

    def _act(self, what: str, options: dict[str, Any]) -> None:
        request = actions.request_recover if what == "recover" else SIMPLE[what][0]
        extra = {"from_backup": options["from_backup"]} if what == "recover" else {}
        done, refused = [], []
        for town in self.towns(options["towns"]):
            try:
                done.append(
                    request(
                        town.pk,
                        actor=ACTOR,
                        now=timezone.now(),
                        reason=options["reason"],
                        **extra,
                    )
                )
            except NotAllowed as error:
                refused.append(error.reason)
        if not done:
            raise NotAllowed("\n".join(refused))
        self._finish(done, options, refused)

    def _decide(self, options: dict[str, Any]) -> None:
        """About a snapshot that the shrink guard holds back."""
        if len(options["towns"]) != 1:
            self.refuse("A held snapshot is accepted or dropped of one town at a time.")
        town, services = find_town(options["towns"][0]), default_services()
        if snapshot := options["accept"]:
            accept_held(town, snapshot, services, actor=ACTOR)
            told = f"{town}: snapshot {snapshot} counts as its newest; backups go on from it."
        else:
            snapshot = options["drop"]
            drop_held(town, snapshot, actor=ACTOR, now=services.clock.now())
            told = f"{town}: snapshot {snapshot} was dropped; it goes away in time."
        document = {"town": str(town), "snapshot": snapshot, "accepted": bool(options["accept"])}
        self.tell(document, [told])

    def _destroy(self, options: dict[str, Any]) -> None:
        town = find_town(options["town"])
        if not options["yes"]:
            self.refuse(f"{town} would be destroyed. Add --yes if you mean it.")
        requested = actions.request_destroy(
            town.pk,
            actor=ACTOR,
            now=timezone.now(),
            reason=options["reason"],
            discard=options["discard_data"],
        )
        self._finish([requested], options)

    def _set(self, options: dict[str, Any]) -> None:
        town, now = find_town(options["town"]), timezone.now()
        changes = validated_changes(
            now=now,
            idle_timeout_minutes=_or_unset(options["idle_timeout"]),
            auto_stop=UNSET if options["auto_stop"] is None else options["auto_stop"] == "on",
            keep_awake_minutes=_or_unset(options["keep_awake"]),
            hold_reason="" if options["release"] else _or_unset(options["hold"]),
            hold_minutes=_or_unset(options["hold_for"]),
            clear_restarts=options["clear_restarts"],
        )
        if not changes:
            self.refuse("Nothing to set. See `manage.py town set --help`.")
        actions.change_town(town.pk, changes, actor=ACTOR, now=now)
        self._tell_town(find_town(str(town.pk)))

    def _finish(
        self, done: list[Requested], options: dict[str, Any], refused: list[str] | None = None
    ) -> None:
        """Tell what was begun; with --wait, when and how it ended."""
        operations = [requested.operation for requested in done]
        if options["wait"]:
            operations = self._wait(operations)
        failed = [operation for operation in operations if _has_failed(operation)]
        now = timezone.now()
        shown = [
            {
                "operation": operation_facts(operation),
                "town": town_facts(_fresh(operation), now=now),
                "note": requested.note,
                **_drilled(operation),
            }
            for requested, operation in zip(done, operations, strict=True)
        ]
        document = {**shown[0]} if len(shown) == 1 else {"towns": shown}
        lines = [
            self._line(requested, operation)
            for requested, operation in zip(done, operations, strict=True)
            if operation not in failed
        ]
        self.tell({**document, "refused": refused or []}, lines)
        for operation in failed:
            self.stderr.write(f"{operation.town}: {operation.kind} failed. {operation.message}")
        for reason in refused or []:
            self.stderr.write(reason)
        if failed or refused:
            raise SystemExit(FAILED)

    def _line(self, requested: Requested, operation: Operation) -> str:
        town = operation.town
        if operation.is_open:
            return f"{town}: {operation.kind} is under way. {requested.note}".rstrip()
        town.refresh_from_db(fields=["status"])
        drill = _drilled(operation).get("drill")
        why = f" {drill['reason']}" if drill else ""
        return f"{town}: {operation.kind} {operation.state}; it is {town.status}.{why}"

    def _wait(self, operations: list[Operation]) -> list[Operation]:
        told = Counter[UUID]()

        def tell(news: Operation) -> None:
            """The steps that were done since, and what it is waiting for."""
            if self.json or not self.stderr.isatty():
                return
            steps = [(one["step"], one["note"] or "done") for one in news.log[told[news.pk] :]]
            told[news.pk] = len(news.log)
            if news.is_open and news.message:
                steps.append((news.step, news.message))
            for step, note in steps:
                text = f"  {news.town} {news.kind}: {step.replace('_', ' ')}: {note}"
                self.stderr.write(text, style_func=str)

        try:
            return wait_for(operations, default_services(), on_change=tell)
        except KeyboardInterrupt:
            raise CommandError(STOPPED_WAITING, returncode=INTERRUPTED) from None

    def _tell_town(self, town: Town) -> None:
        now = timezone.now()
        drill = last_drill(town)
        document = {**town_facts(town, now=now), "last_drill": drill_facts(drill)}
        self.tell(document, town_lines(town, now, drill))


def _has_failed(operation: Operation) -> bool:
    """A drill that was called off has proved nothing: that is no success."""
    called_off = operation.kind in BESIDE and operation.state == OperationState.SUPERSEDED
    return called_off or operation.state == OperationState.FAILED


def _drilled(operation: Operation) -> dict[str, Any]:
    if operation.kind != OperationKind.DRILL:
        return {}
    return {"drill": drill_facts(Drill.objects.filter(pk=operation.pk).first())}


def _fresh(operation: Operation) -> Town:
    return presentable(Town.objects.filter(pk=operation.town_id)).get()


def _or_unset(value: Any) -> Any:
    return UNSET if value is None else value
