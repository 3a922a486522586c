"""What all scripts share: folder options, a progress bar, exit codes."""

import argparse
import errno
import io
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NoReturn, Protocol

from tqdm import tqdm

from utils import files
from utils.errors import Failed, WrongUse
from utils.version import VERSION

NO_MEMORY = "There is not enough memory. Close other programs, or lift a limit such as that of ulimit -v, and repeat."


def plain_parser(docstring: str) -> argparse.ArgumentParser:
    """A parser whose help is the script's docstring: what it does in the first line, then examples."""
    summary, _, examples = docstring.partition("\n\n")
    parser = argparse.ArgumentParser(
        description=summary, epilog=examples, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    add_version(parser)
    return parser


def add_version(parser: argparse.ArgumentParser) -> None:
    """Add the option --version, which prints the version and exits with 0."""
    parser.add_argument("--version", action="version", version=VERSION, help="print the version and exit")


class Folders(Protocol):
    """Settings that name the folders of the steps."""

    @property
    def dataset(self) -> Path: ...
    @property
    def lists(self) -> Path: ...
    @property
    def output(self) -> Path: ...


def parser(docstring: str, settings: Folders) -> argparse.ArgumentParser:
    """A plain parser with options for the three folders of every step; the defaults come from the settings."""
    made = plain_parser(docstring)
    made.add_argument("--dataset", type=Path, default=settings.dataset, metavar="DIR", help="pictures (%(default)s)")
    made.add_argument("--lists", type=Path, default=settings.lists, metavar="DIR", help="image lists (%(default)s)")
    made.add_argument("--output", type=Path, default=settings.output, metavar="DIR", help="results (%(default)s)")
    return made


def positive(text: str) -> int:
    """An argparse type: a whole number above zero."""
    value = int(text)
    if value < 1:
        raise ValueError(text)
    return value


class _Lines(io.TextIOBase):
    """The output of a progress bar without a terminal: each state is a separate line."""

    def write(self, text: str) -> int:
        if text.strip():
            print(text.strip(), file=sys.stderr, flush=True)
        return len(text)


def progress(iterable: Iterable | None = None, *, total: int | None = None, what: str, unit: str = " images") -> tqdm:
    """A progress bar with an estimate of the time left, on standard error; plain lines when not a terminal."""
    if sys.stderr.isatty():
        return tqdm(iterable, total=total, desc=what, unit=unit)
    return tqdm(
        iterable,
        total=total,
        desc=what,
        unit=unit,
        file=_Lines(),
        mininterval=10,
        maxinterval=60,
        ncols=100,
        ascii=True,
        disable=total == 0,
    )


def run(main: Callable[[], object]) -> NoReturn:
    """Call `main` and exit with 0, 1 (failed) or 2 (wrong use); each failure is printed as one sentence."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # file names need not be valid text
    try:
        main()
    except WrongUse as problem:
        _leave(2, problem)
    except Failed as problem:
        _leave(1, problem)
    except KeyboardInterrupt:
        _leave(1, "Interrupted. Finished work is kept: repeat the command to continue.")
    except MemoryError:
        _leave(1, NO_MEMORY)
    except OSError as problem:
        if problem.errno == errno.ENOMEM:
            _leave(1, NO_MEMORY)
        if problem.errno in files.FULL:
            place = problem.filename or "output"
            _leave(1, f"The disk is full ({place}). Free some space and repeat the command to continue.")
        if isinstance(problem, PermissionError):
            _leave(2, f"Not allowed to use {problem.filename}: change its permissions or choose another folder.")
        raise
    sys.exit(0)


def _leave(code: int, sentence: object) -> NoReturn:
    print(f"{Path(sys.argv[0]).name}: {sentence}", file=sys.stderr)
    sys.exit(code)
