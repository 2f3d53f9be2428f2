"""`manage.py second_factor forget NAME`: for staff who lost their authenticator."""

from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import CommandError, CommandParser

from towns.management.base import FAILED, OpsCommand, add_json
from towns.second_factor import devices


class Command(OpsCommand):
    help = "Let somebody who lost the authenticator set up a new one at the next sign-in."

    def add_arguments(self, parser: CommandParser) -> None:
        commands = parser.add_subparsers(dest="what", required=True, metavar="forget")
        forget = commands.add_parser("forget", help="take it and the recovery codes away")
        forget.add_argument("name", metavar="NAME", help="who signs in with that name")
        add_json(forget)

    def handle(self, *args: Any, **options: Any) -> None:
        name = options["name"]
        user = User.objects.filter(username=name).first()
        if user is None:
            raise CommandError(f"There is nobody named {name}.", returncode=FAILED)
        had = devices.forget(user)
        told = f"{name} sets up a new second factor at the next sign-in."
        self.tell({"name": name, "forgotten": had}, [told if had else f"{name} had none."])
