"""`manage.py token create|list|revoke`: keys of machine clients of the API."""

from datetime import timedelta
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.utils import timezone

from towns.history import Actor
from towns.management.base import FAILED, OpsCommand, add_json, table
from towns.models import ApiToken
from towns.presenting import iso
from towns.readable import ago
from towns.scopes import TOLD, Scope
from towns.tokens import create_token, revoke_token, works

_HEADS = ("NAME", "BEGINS", "SCOPES", "ACTS FOR", "MADE BY", "LAST USED", "EXPIRES", "STATE")


class Command(OpsCommand):
    help = "Make, list and revoke tokens of the API. A secret is shown once, when it is made."

    def add_arguments(self, parser: CommandParser) -> None:
        commands = parser.add_subparsers(dest="what", required=True, metavar="create|list|revoke")
        create = commands.add_parser("create", help="make one and show its secret")
        create.add_argument("name", metavar="NAME", help="whose it is, such as gateway")
        scopes = "; ".join(f"{scope}: {told}" for scope, told in TOLD.items())
        create.add_argument("--scope", nargs="+", required=True, metavar="SCOPE", help=scopes)
        create.add_argument("--owner", help="it acts for this owner alone; made on first use")
        create.add_argument("--days", type=int, help="it expires after so many")
        listing = commands.add_parser("list", help="all of them, without their secrets")
        revoke = commands.add_parser("revoke", help="have it work no more, at once and for ever")
        revoke.add_argument("name", metavar="NAME")
        for one in (create, listing, revoke):
            add_json(one)

    def handle(self, *args: Any, **options: Any) -> None:
        now, actor = timezone.now(), Actor.shell()
        if options["what"] == "list":
            self._show(list(ApiToken.objects.select_related("user", "owner")))
        elif options["what"] == "revoke":
            if not revoke_token(options["name"], actor=actor, now=now):
                known = f"No token {options['name']} works. `manage.py token list` shows them all."
                raise CommandError(known, returncode=FAILED)
            self._show(list(ApiToken.objects.filter(name=options["name"])))
        else:
            days = options["days"]
            if days is not None and not 0 < days <= 36_500:
                self.refuse("--days takes a number from 1 to 36500.")
            expires_at = None if days is None else now + timedelta(days=days)
            made = create_token(
                options["name"],
                options["scope"],
                actor=actor,
                now=now,
                expires_at=expires_at,
                owner=options["owner"],
            )
            lines = [
                made.secret,
                "It is shown once: keep it where only its client reads it.",
            ]
            self.tell({**_facts(made.token), "secret": made.secret}, lines)

    def _show(self, found: list[ApiToken]) -> None:
        now = timezone.now()
        rows = [
            (
                one.name,
                f"{one.start}…",
                " ".join(one.scopes),
                _acts_for(one),
                one.created_by,
                ago(one.last_used_at, now),
                "-" if one.expires_at is None else ago(one.expires_at, now),
                "works" if works(one, now) else "revoked" if one.revoked_at else "expired",
            )
            for one in found
        ]
        document = {"tokens": [_facts(one) for one in found]}
        self.tell(document, table(rows, _HEADS) or ["There is no token."])


def _acts_for(token: ApiToken) -> str:
    if token.owner is not None:
        return token.owner.get_username()
    return "any owner" if Scope.OWNERS in token.scopes else "itself"


def _facts(token: ApiToken) -> dict[str, Any]:
    return {
        "name": token.name,
        "start": token.start,
        "scopes": token.scopes,
        "owner": None if token.owner is None else token.owner.get_username(),
        "created_at": iso(token.created_at),
        "created_by": token.created_by,
        "expires_at": iso(token.expires_at),
        "revoked_at": iso(token.revoked_at),
        "last_used_at": iso(token.last_used_at),
    }
