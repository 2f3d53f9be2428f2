"""`python -m localcloud ctl`: breaks and mends what the local cloud holds."""

import argparse
import json
import sys
from typing import Any

from .client import Ctl, CtlError
from .faults import CAPACITY, FLY_MODES, REFUSALS
from .options import DEFAULT_TOKEN


def main(arguments: list[str]) -> int:
    """The exit code: 0 done, 1 refused; mistakes in the command line end with 2."""
    given = _parser().parse_args(arguments)
    ctl = Ctl(f"http://127.0.0.1:{given.port}", given.token)
    try:
        answer = ctl.ask(given.command, **_body(given))
    except CtlError as error:
        print(f"localcloud ctl: {error}", file=sys.stderr)
        return 1
    if given.json:
        print(json.dumps(answer))
    elif given.command == "status":
        _print_status(answer)
    elif given.command == "exec":
        sys.stdout.write(answer["stdout"])
        sys.stderr.write(answer["stderr"])
        return int(answer["exit_code"])
    else:
        print("  ".join(f"{name}: {value}" for name, value in answer.items()))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m localcloud ctl",
        description="MACHINE is an id, or a part of a name, town or volume that only one has.",
    )
    parser.add_argument("--port", type=int, default=4280, help="of the local cloud")
    parser.add_argument("--token", default=DEFAULT_TOKEN)
    parser.add_argument("--json", action="store_true", help="the answer as JSON")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def add(name: str, text: str, *machine: str) -> argparse.ArgumentParser:
        one = commands.add_parser(name, help=text, description=text)
        for word in machine:
            one.add_argument(word, metavar=word.upper())
        return one

    add("status", "machines, volumes, and what is broken")
    kill = add("kill", "kill all processes of a machine, as a power cut would", "machine")
    kill.add_argument("--down", action="store_true", help="and Fly does not start it again")
    add("destroy", "make a machine vanish", "machine")
    add("lose-volume", "make a volume vanish, and the machine on it", "volume")
    add("hang", "have its sandbox never answer", "machine")
    refuse = add("refuse", "have its sandbox break connections, or answer wrongly", "machine")
    refuse.add_argument("how", nargs="?", default="refuse", choices=REFUSALS)
    slow = add("slow", "have its sandbox answer late", "machine")
    slow.add_argument("seconds", type=float)
    add("mend", "free the way to its sandbox", "machine")
    for name, text in (("fly", "Fly's API"), ("r2", "R2")):
        one = add(name, f"{text}: down or up")
        one.add_argument("state", choices=["down", "up", *(["slow"] if name == "r2" else [])])
        one.add_argument("--mode", choices=FLY_MODES, default="503")
        one.add_argument("--for", type=float, dest="seconds", help="seconds")
    token = add("token", "refuse or accept the token")
    token.add_argument("state", choices=["refuse", "accept"])
    token.add_argument("code", nargs="?", type=int, default=401, choices=[401, 403])
    token.add_argument("--app", default="", help="by this app alone")
    app = add("app", "have Fly not know the app, or know it")
    app.add_argument("state", choices=["gone", "back"])
    app.add_argument("app", nargs="?", default="", help="this one alone")
    capacity = add("capacity", "have no room, or room again (without a word)")
    capacity.add_argument(
        "none", nargs="*", choices=[*CAPACITY, []], metavar="machines|start|volumes"
    )
    fail = add("fail", "have the next calls of an action fail (`*`: any)", "action")
    fail.add_argument("--code", type=int, default=500, help="0 breaks the connection")
    fail.add_argument("--when", choices=["before", "after"], default="before", help="its effect")
    fail.add_argument("--count", type=int, default=1)
    execute = add(
        "exec", "run a command in a machine, such as `-- gt standin read notes`", "machine"
    )
    execute.add_argument("words", nargs=argparse.REMAINDER, metavar="-- COMMAND …")
    add("reset", "mend everything (what is lost stays lost)")
    return parser


def _body(given: argparse.Namespace) -> dict[str, Any]:
    match given.command:
        case "fly" | "r2":
            down = {"down": given.state == "down", "mode": given.mode, "for": given.seconds}
            if given.state == "slow":
                return {"down": False, "delay": given.seconds or 2.0}
            return down
        case "token":
            return {"app": given.app, **({"code": given.code} if given.state == "refuse" else {})}
        case "app":
            return {"app": given.app, "gone": given.state == "gone"}
        case "kill":
            return {"machine": given.machine, "down": given.down}
        case "exec":
            words = given.words[1:] if given.words[:1] == ["--"] else given.words
            return {"machine": given.machine, "command": words}
    used = ("machine", "volume", "how", "seconds", "none", "action", "code", "when", "count")
    return {name: getattr(given, name) for name in used if hasattr(given, name)}


def _print_status(answer: dict[str, Any]) -> None:
    print(f"Fly: {answer['fly']}   R2: {answer['r2']}   token: {answer['token']}")
    for machine in answer["machines"]:
        broken = machine["fault"] or (f"{machine['delay']} s late" if machine["delay"] else "")
        town = machine["town"] or machine["name"]
        print(
            f"  {machine['id']}  {machine['state']:10} {town:24} "
            f"{','.join(machine['volumes'])}  {broken}".rstrip()
        )
    used = {volume for machine in answer["machines"] for volume in machine["volumes"]}
    for volume in answer["volumes"]:
        if volume["id"] not in used:
            print(f"  {volume['id']}  {volume['state']}, on no machine: {volume['name']}")
