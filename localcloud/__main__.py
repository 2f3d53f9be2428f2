"""`python -m localcloud` serves, `python -m localcloud ctl` breaks and mends."""

import sys


def main(arguments: list[str]) -> int:
    """The exit code."""
    if arguments[:1] == ["ctl"]:
        from .cli import main as ctl  # a command line that asks needs no S3 server in memory

        return ctl(arguments[1:])
    from .options import parse
    from .serve import serve

    return serve(parse(arguments))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
