"""What all commands share: one JSON document or readable lines, one line for an error."""

import contextlib
import json
import logging
import os
import sys
from argparse import ArgumentParser
from collections.abc import Iterable, Iterator, Sequence
from types import SimpleNamespace
from typing import Any, NoReturn

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import (
    BaseCommand,
    CommandError,
    CommandParser,
    handle_default_options,
)
from django.db import OperationalError, ProgrammingError, connections
from tqdm import tqdm

from towns import checks
from towns.actions import NotAllowed
from towns.changes import InvalidChange
from towns.lookup import UnknownTown, find_town
from towns.models import Town
from towns.services.errors import ServiceError

FAILED, BAD_USAGE, INTERRUPTED = 1, 2, 130


class OpsCommand(BaseCommand):
    """Errors are one line on stderr: exit code 1 for what failed, 2 for what was typed wrongly."""

    requires_system_checks: list[str] = []
    logs = False
    """Whether it is a service, whose log is wanted."""

    def add_arguments(self, parser: CommandParser) -> None:
        """Every command can answer in JSON."""
        add_json(parser)

    def run_from_argv(self, argv: list[str]) -> None:
        """From the shell: errors as one line, and no traceback without --traceback."""
        options = self._parsed(argv)
        try:
            with self._quiet(options["verbosity"]):
                self.execute(*options.pop("args", ()), **options)
            self.stdout.flush()
        except BrokenPipeError:
            # Whoever read our output has enough of it, as in `town list | head`.
            _swallow_output()
            sys.exit(FAILED)
        except CommandError as error:
            if options["traceback"]:
                raise
            self.stderr.write(str(error))
            sys.exit(error.returncode)
        except Exception as error:
            if options["traceback"]:
                raise
            self.stderr.write(f"{type(error).__name__}: {error} (--traceback tells where)")
            sys.exit(FAILED)
        finally:
            connections.close_all()

    def _parsed(self, argv: list[str]) -> dict[str, Any]:
        try:
            options = vars(self.create_parser(argv[0], argv[1]).parse_args(argv[2:]))
        except CommandError as error:
            text = str(error).removeprefix("Error: ").rstrip(".")
            self.stderr.write(f"{text}. See `manage.py {argv[1]} --help`.")
            sys.exit(BAD_USAGE)
        handle_default_options(SimpleNamespace(**options))  # type: ignore[arg-type]  # as Django
        return options

    @contextlib.contextmanager
    def _quiet(self, verbosity: int) -> Iterator[None]:
        """Keep what is logged for the information of services away from people, without -v 2."""
        if self.logs or verbosity > 1:
            yield
            return
        before = logging.root.manager.disable
        logging.disable(logging.INFO)
        try:
            yield
        finally:
            logging.disable(before)

    def execute(self, *args: Any, **options: Any) -> str | None:
        """Run, with what can be expected to go wrong told in one line."""
        self.json: bool = options.get("json", False)
        if wrong := [str(error.msg) for error in checks.senseless()]:
            raise CommandError("\n".join(wrong), returncode=FAILED)
        try:
            return super().execute(*args, **options)
        except (
            NotAllowed,
            InvalidChange,
            UnknownTown,
            ServiceError,
            ImproperlyConfigured,
        ) as error:
            code = BAD_USAGE if isinstance(error, UnknownTown | InvalidChange) else FAILED
            raise CommandError(str(error), returncode=code) from error
        except (OperationalError, ProgrammingError) as error:
            text = str(error).strip().splitlines()[0]
            raise CommandError(
                f"The database can't be used: {text}. Check DATABASE_URL, then run "
                "`manage.py migrate`."
            ) from error
        except KeyboardInterrupt:
            raise CommandError("Interrupted.", returncode=INTERRUPTED) from None

    def tell(self, document: Any, lines: Iterable[str]) -> None:
        """The result: the document with --json, else the lines."""
        if self.json:
            self.stdout.write(json.dumps(document, default=str))
            return
        for line in lines:
            self.stdout.write(line)

    def refuse(self, text: str) -> NoReturn:
        """End with exit code 2: what was typed can't be."""
        raise CommandError(text, returncode=BAD_USAGE)

    def towns(self, names: Sequence[str]) -> list[Town]:
        """The towns that were named, each once. Raises UnknownTown."""
        return list({town.pk: town for town in map(find_town, names)}.values())

    @contextlib.contextmanager
    def progress(self, total: int, what: str) -> Iterator[Any]:
        """A progress bar on stderr, on a terminal and without --json."""
        show = sys.stderr.isatty() and not self.json
        with tqdm(total=total, desc=what, unit=" towns", disable=not show, leave=False) as bar:
            yield bar


def _swallow_output() -> None:
    """Have what is still to be written go nowhere, so that Python can end in peace."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def add_json(parser: ArgumentParser) -> None:
    """`--json`."""
    parser.add_argument(
        "--json", action="store_true", help="one JSON document on stdout and nothing else"
    )


def table(rows: Sequence[Sequence[object]], heads: Sequence[str]) -> list[str]:
    """Aligned lines, the heads first; no rows: no lines."""
    if not rows:
        return []
    cells = [[str(cell) for cell in row] for row in [heads, *rows]]
    widths = [max(len(row[number]) for row in cells) for number in range(len(heads))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in cells
    ]
