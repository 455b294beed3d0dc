"""The process in which cases run: it has little memory, and little time for each.

A case that ends in anything but a value or a BertcoreError is a fault: another exception, too much time or memory, or a
message that is no plain text. What ends the process itself, the one that started it sees.
"""

from __future__ import annotations

import json
import mmap
import os
import resource
import shutil
import signal
import struct
import sys
import time
import traceback
import unicodedata
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from bertcore.error_codes import CATALOGUE
from bertcore.errors import BertcoreError

from .outcome import Fault, Outcome
from .targets import TARGETS, files_of

SECONDS = 2.0
"""Of the processor, for one case."""

MEMORY = 400 * 1024 * 1024
"""Bytes by which one case may raise what the process holds at most."""

ADDRESSES = 3 * 1024 * 1024 * 1024
"""Bytes of addresses that the process may have beyond those with which it begins."""

LONGEST_MESSAGE = 10_000
PROGRESS = struct.Struct("<q")
FIRST = tuple(TARGETS)
CASES_BETWEEN_REPORTS = 1000


class TooSlowError(BaseException):
    """The time of a case is over; no reader that catches exceptions catches it."""


class Worker:
    """Runs cases one after the other.

    Args:
        folder: for files of cases, in memory if possible.
        seed: of all cases.
    """

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder = folder
        self.seed = seed
        self.outcome = Outcome()
        signal.signal(signal.SIGPROF, _stop)
        for target in FIRST:  # what is imported late, and caches, count for no case
            self.run(target, -1)
        self.outcome = Outcome()
        addresses = int(Path("/proc/self/statm").read_text().split()[0]) * mmap.PAGESIZE
        resource.setrlimit(resource.RLIMIT_AS, (addresses + ADDRESSES, resource.RLIM_INFINITY))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

    def run(self, target: str, number: int) -> None:
        """Makes a case, reads it and judges how that ended."""
        files = files_of(target, self.seed, number)
        place = self.folder / "case"
        write(place, files)
        before, memory = time.process_time(), _forget_memory()
        kind = details = ""
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        try:
            try:
                use(TARGETS[target].read(place))
                self.outcome.read[target] += 1
            finally:
                signal.setitimer(signal.ITIMER_PROF, 0)
        except BertcoreError as error:
            self.outcome.codes[error.code] += 1
            kind = _wrong_with(error)
            details = repr(str(error))[:2000]
        except TooSlowError:
            kind, details = f"{target}: too slow at {_place()}", traceback.format_exc()
        except BaseException as error:  # a panic of a library in Rust is one
            kind, details = f"{target}: {type(error).__name__} at {_place()}", traceback.format_exc()
        finally:
            shutil.rmtree(place)
        took, grown = time.process_time() - before, _most_memory() - memory
        if took > SECONDS and not kind:
            kind, details = f"{target}: too slow", f"{took:.1f} s"
        if grown > MEMORY and not kind:
            kind, details = f"{target}: too much memory", f"{grown >> 20} MiB more"
        self.outcome.cases += 1
        self.outcome.slowest = max(self.outcome.slowest, (took, f"{target}/{number}"))
        if kind:
            self.outcome.note(Fault(target, self.seed, number, kind, details))


def write(folder: Path, files: Mapping[str, bytes]) -> None:
    """Writes the files of a case."""
    folder.mkdir(parents=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)


def use(value: Any) -> None:
    """Looks at the numbers of all arrays, which may be windows on memory that is none."""
    for array in _arrays(value, 0):
        if array.size:
            _ = array.flat[-1], array.flat[0], array.flat[array.size // 2]
            if array.size < 100_000:
                array.tobytes()


def _arrays(value: Any, depth: int) -> Iterator[Any]:
    if isinstance(value, np.ndarray):
        yield value
    elif isinstance(value, list | tuple) and depth < 5:
        for part in value:
            yield from _arrays(part, depth + 1)
    elif isinstance(value, dict) and depth < 5:
        for part in value.values():
            yield from _arrays(part, depth + 1)


def _wrong_with(error: BertcoreError) -> str:
    text = str(error)
    if not any(error.code in kinds for kinds in CATALOGUE.values()):
        return f"the code {error.code} is not registered"
    if len(text) > LONGEST_MESSAGE:
        return f"a message of more than {LONGEST_MESSAGE} characters ({error.code})"
    if any(unicodedata.category(one) in ("Cc", "Cf", "Cs", "Zl", "Zp") for one in text.replace("\n", "", 1)):
        return f"a message with characters that do not show ({error.code})"
    return ""


def _place() -> str:
    """The last line of bertcore on the way of the current exception."""
    frames = traceback.extract_tb(sys.exc_info()[2])
    own = [frame for frame in frames if "/bertcore" in frame.filename and "/support/" not in frame.filename]
    last = (own or frames)[-1]
    return f"{Path(last.filename).name}:{last.lineno}"


def _most_memory() -> int:
    """The most bytes that were resident since :func:`_forget_memory`.

    Not ``ru_maxrss``: that begins with what the process had which started this one, and never falls.
    """
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split(maxsplit=1)[0]) * 1024


def _forget_memory() -> int:
    """Begins to count anew; returns the bytes that are resident now."""
    Path("/proc/self/clear_refs").write_text("5")
    return _most_memory()


def _stop(*_: Any) -> None:
    raise TooSlowError


def main(arguments: Mapping[str, Any]) -> None:
    """Runs the cases from ``first`` to before ``end`` by turns over the targets.

    Says in ``progress`` (a file of eight bytes) which one is begun, and in ``report`` what they came to.
    """
    with open(arguments["progress"], "r+b") as file:
        progress = mmap.mmap(file.fileno(), PROGRESS.size)
    report = Path(arguments["report"])
    targets, parent = arguments["targets"], os.getppid()
    worker = Worker(Path(arguments["folder"]), arguments["seed"])
    until = time.monotonic() + arguments["seconds"]
    for number in range(arguments["first"], arguments["end"]):
        PROGRESS.pack_into(progress, 0, number)
        worker.run(targets[number % len(targets)], number)
        if worker.outcome.cases % CASES_BETWEEN_REPORTS == 0:
            _write_report(report, worker.outcome)
            if os.getppid() != parent:  # nobody waits for this any more
                return
        if time.monotonic() > until:
            break
    PROGRESS.pack_into(progress, 0, -1)
    _write_report(report, worker.outcome)


def _write_report(file: Path, outcome: Outcome) -> None:
    temporary = file.with_suffix(".tmp")
    temporary.write_text(json.dumps(outcome.to_json()))
    os.replace(temporary, file)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
