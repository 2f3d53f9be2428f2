"""`manage.py second_factor list|reset|unlock`: for who is at the server's shell, at any hour."""

from typing import Any

from axes.utils import reset as forget_failures
from django.contrib.auth.models import User
from django.core.management.base import CommandParser
from django.db.models import Q
from django.utils import timezone
from django_otp.plugins.otp_static.models import StaticDevice
from django_otp.plugins.otp_totp.models import TOTPDevice

from towns.management.base import OpsCommand, add_json, table
from towns.presenting import iso
from towns.readable import ago
from towns.second_factor import recovery
from towns.second_factor.authenticator import authenticator_of, reset

_HEADS = ("NAME", "AUTHENTICATOR", "LAST CODE", "RECOVERY CODES LEFT")


class Command(OpsCommand):
    help = "Who of the staff has a second factor; take a lost one away; end a lock-out."

    def add_arguments(self, parser: CommandParser) -> None:
        commands = parser.add_subparsers(dest="what", required=True, metavar="list|reset|unlock")
        listing = commands.add_parser("list", help="staff, and what each has")
        away = commands.add_parser(
            "reset",
            help="take away authenticator and recovery codes: their sessions end at once, and they "
            "enrol anew when they next give their password",
        )
        unlock = commands.add_parser("unlock", help="forget wrong passwords and wrong codes")
        for one in (away, unlock):
            one.add_argument("name", metavar="NAME", help="the account's name")
        for one in (listing, away, unlock):
            add_json(one)

    def handle(self, *args: Any, **options: Any) -> None:
        if options["what"] == "list":
            self._list()
        elif options["what"] == "reset":
            self._reset(self._account(options["name"]))
        else:
            self._unlock(self._account(options["name"]))

    def _account(self, name: str) -> User:
        user = User.objects.filter(username=name).first()
        if user is None:
            self.refuse(f"Nobody is called {name}. `manage.py second_factor list` shows the staff.")
        return user

    def _list(self) -> None:
        now = timezone.now()
        staff = User.objects.filter(Q(is_staff=True) | Q(is_superuser=True), is_active=True)
        rows, facts = [], []
        for user in staff.filter(api_token=None).order_by("username"):
            device, left = authenticator_of(user), recovery.left(user)
            since = device and device.created_at
            used = device and device.last_used_at
            rows.append((user.get_username(), ago(since, now), ago(used, now), left))
            facts.append(
                {
                    "name": user.get_username(),
                    "since": iso(since),
                    "last_used_at": iso(used),
                    "recovery_codes": left,
                }
            )
        self.tell({"staff": facts}, table(rows, _HEADS) or ["There is no staff."])

    def _reset(self, user: User) -> None:
        name = user.get_username()
        was = reset(user, by=None)
        told = (
            f"{name} enrols anew at the next sign-in, and is signed out everywhere."
            if was
            else f"{name} had no second factor: they enrol at the next sign-in."
        )
        self.tell({"name": name, "reset": was}, [told])

    def _unlock(self, user: User) -> None:
        name = user.get_username()
        forget_failures(username=name)
        for model in (TOTPDevice, StaticDevice):
            model.objects.filter(user=user).update(
                throttling_failure_count=0, throttling_failure_timestamp=None
            )
        self.tell({"name": name, "unlocked": True}, [f"{name} may try again at once."])
