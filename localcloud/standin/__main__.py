"""`gt`, as far as a sandbox and a demo need it."""

import sys

from . import daemon, dolt, polecats, town


def main(words: list[str]) -> int:
    """The exit code; as with the real one, mistakes go to stderr."""
    match words:
        case ["version" | "--version"]:
            print("gt version 1.0.1 (stand-in)")
        case ["install", folder, *rest] if set(rest) <= {"--force"}:
            return town.install(folder, force="--force" in rest)
        case ["up"]:
            return daemon.up(town.here())
        case ["down", *rest] if set(rest) <= {"--all"}:
            return daemon.down(town.here(), everything="--all" in rest)
        case ["dolt", "start"]:
            return dolt.start(town.here())
        case ["dolt", "stop"]:
            return dolt.stop(town.here())
        case ["standin", "dolt", folder]:
            dolt.live(folder)
        case ["standin", "daemon", folder]:
            daemon.live(folder)
        case ["standin", "write", name, *text]:
            town.write(town.here(), name, " ".join(text))
        case ["standin", "read", name]:
            return town.read(town.here(), name)
        case ["standin", "estop", "on" | "off" as how]:
            town.estop(town.here(), on=how == "on")
        case ["standin", "polecat", name, "work" | "idle" | "end" as how, *seconds]:
            return polecats.order(town.here(), name, how, float(seconds[0]) if seconds else None)
        case ["standin", "polecat-life", folder, session, seconds]:
            polecats.live(folder, session, float(seconds))
        case _:
            print(f"gt (stand-in): unknown command: {' '.join(words)}", file=sys.stderr)
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
