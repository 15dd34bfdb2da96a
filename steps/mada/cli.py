"""What every step shares at its command line: errors in one line, logging, progress, checks."""

import argparse
import errno
import gc
import logging
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NoReturn

from tqdm import tqdm

PROBLEMS_SHOWN = 50
PLAIN_PROGRESS_SECONDS = 15
# What an error says of the disk and not of the program.
UNWRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM)
TERMINATED = 75  # EX_TEMPFAIL of sysexits.h: the same command will go on


class InputError(Exception):
    """Input that a person must mend; the message names file, expected and found."""


class Interrupted(Exception):
    """A step was told to end and has saved what it needs to go on; the message says so."""


class StepParser(argparse.ArgumentParser):
    """A parser whose help is the step's docstring, and its errors one line."""

    def __init__(self, description: str):
        super().__init__(
            description=description, formatter_class=argparse.RawDescriptionHelpFormatter
        )

    def error(self, message: str) -> NoReturn:
        self.exit(1, f"error: {message}; see --help\n")


def run_step(main: Callable[[argparse.Namespace], None], parser: argparse.ArgumentParser) -> None:
    """Parse the command line and run ``main``.

    Bad input, a full disk, and files that may not be read or written end it with status 1 and one
    line; a training that was told to end and saved its state with status ``TERMINATED``.
    """
    # What imports made lasts: with torch, its last collection took two seconds of every step's end.
    gc.freeze()
    level = logging.INFO if first_process() else logging.WARNING
    logging.basicConfig(level=level, stream=sys.stderr, format="%(message)s")
    try:
        main(parser.parse_args())
    except InputError as error:
        # From a loader process it arrives with its traceback before the message.
        print(f"error: {str(error).rpartition('InputError: ')[2].rstrip()}", file=sys.stderr)
        sys.exit(1)
    except OSError as error:
        if error.errno not in UNWRITABLE:
            raise
        where = f"{error.filename}: " if error.filename else ""
        print(f"error: {where}cannot be read or written, found: {error.strerror}", file=sys.stderr)
        sys.exit(1)
    except Interrupted as notice:
        print(notice, file=sys.stderr)
        sys.exit(TERMINATED)
    finally:
        # Loader processes ignore SIGTERM: Python would wait for them for ever.  That they go is
        # no news to torch's handler of SIGCHLD then.
        if left := multiprocessing.active_children():
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for child in left:
                child.kill()


def first_process() -> bool:
    """Whether this is the only process of a step, or the first of those of ``torchrun``."""
    return os.environ.get("RANK", "0") == "0"


def progress(items: Iterable, description: str, total: int | None = None, start: int = 0):
    """Wrap an iterable in a progress bar with rate and time left.

    On a terminal the bar is live; elsewhere it is a plain line every few seconds, so that a
    log file stays readable.
    """
    live = sys.stderr.isatty()
    return tqdm(
        items,
        desc=description,
        total=total,
        initial=start,
        file=sys.stderr if live else _PlainLines(),
        mininterval=0.2 if live else PLAIN_PROGRESS_SECONDS,
        maxinterval=PLAIN_PROGRESS_SECONDS,
        ascii=not live,
        ncols=None if live else 100,
        delay=2,  # nothing under two seconds needs a bar
        disable=not first_process(),
    )


class _PlainLines:
    """Turn a bar's carriage returns into lines."""

    def write(self, text: str) -> None:
        text = text.strip("\r\n ")
        if text:
            sys.stderr.write(text + "\n")

    def flush(self) -> None:
        sys.stderr.flush()


def existing_file(text: str) -> Path:
    """argparse type: a file that is there."""
    path = Path(text)
    if not path.is_file():
        raise argparse.ArgumentTypeError(f"{text}: expected a file, found none")
    return path


def positive_int(text: str) -> int:
    """argparse type: a whole number of at least 1."""
    try:
        value = int(text)
    except ValueError:
        value = 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 1, found {text!r}")
    return value


def refuse(problems: Sequence[str], what: str) -> None:
    """Raise one error that lists every problem found, or return if there is none.

    Raises
    ------
    InputError
        If ``problems`` is not empty.
    """
    if not problems:
        return
    if len(problems) == 1:
        raise InputError(problems[0])
    shown = [f"error: {problem}" for problem in problems[:PROBLEMS_SHOWN]]
    hidden = len(problems) - len(shown)
    if hidden:
        shown.append(f"error: … and {hidden} more")
    print("\n".join(shown), file=sys.stderr)
    raise InputError(f"{len(problems)} problems in {what}, listed above")
