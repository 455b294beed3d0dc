"""Reads MindRecord files in a process of its own: ``python -m bertcore_mindspore.record_reader``.

MindSpore's reader is C++ that believes what a file says of itself, and ends its process, or never ends, where the file
lies. So another process holds it, with bounds of time and memory, and hands the features over as bytes, which are
checked. A line of JSON names a file, and for each of its records comes

    u32 COUNT | for each feature: u32 LENGTH, name | u8 type: bytes, int64 or float32 | u32 LENGTH, values

and behind the last one ``END``, or ``FAILED`` and why.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np

from bertcore.contracts.record_format import Feature
from bertcore.errors import DataError, Origin
from bertcore.files.bounds import LARGEST_RECORD

END, FAILED = 0xFFFFFFFF, 0xFFFFFFFE
_BYTES, _INT64, _FLOAT32 = 0, 1, 2
_SECONDS = 60
"""For a record, of which MindSpore reads a page at a time."""

_MEMORY = 8 * 1024**3
_U32 = struct.Struct("<I")


def read_mindrecord(file: Path) -> Iterator[dict[str, Feature]]:
    """Yields the features of each record, as another process reads them.

    Raises:
        DataError: the file is damaged, or ends the process that reads it.
    """
    number, reason = 0, ""
    process = _idle.pop() if _idle else _started()
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(json.dumps(str(file)).encode() + b"\n")
        process.stdin.flush()
        while (count := _number(process.stdout)) not in (END, FAILED):
            yield dict(_feature(process.stdout) for _ in range(count))
            number += 1
        if count == FAILED:
            reason = _part(process.stdout).decode(errors="replace")
        _idle.append(process)
    except (EOFError, BrokenPipeError):
        code = process.wait()
        reason = f"MindSpore's reader does not survive it ({f'signal {-code}' if code < 0 else f'code {code}'})"
    except ValueError as error:
        reason = str(error)
    finally:
        if process not in _idle:  # it ended, or nobody wants the rest
            process.kill()
            process.wait()
    if reason:
        origin = Origin(str(file), part=f"behind record {number}" if number else None)
        raise DataError(reason, "get or write the file again", origin=origin, code="record-damaged")


_idle: list[subprocess.Popen[bytes]] = []
"""Processes that wait for a file: to import MindSpore takes seconds."""


def _started() -> subprocess.Popen[bytes]:
    """A process that reads files until its standard input ends, which it does with this one."""
    command = [sys.executable, "-m", "bertcore_mindspore.record_reader"]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)


def _number(source: IO[bytes]) -> int:
    return int(_U32.unpack(_exactly(source, _U32.size))[0])


def _part(source: IO[bytes]) -> bytes:
    size = _number(source)
    if size > LARGEST_RECORD:
        raise ValueError(f"a feature has {size} bytes, and no row of a model has more than {LARGEST_RECORD}")
    return _exactly(source, size)


def _exactly(source: IO[bytes], size: int) -> bytes:
    content = source.read(size)
    if len(content) < size:
        raise EOFError
    return content


def _feature(source: IO[bytes]) -> tuple[str, Feature]:
    name, kind, content = _part(source).decode(), _exactly(source, 1)[0], _part(source)
    if kind == _BYTES:
        return name, [content]
    return name, np.frombuffer(content, np.int64 if kind == _INT64 else np.float32)


def _write(output: IO[bytes], *parts: bytes) -> None:
    for part in parts:
        output.write(_U32.pack(len(part)) + part)


def _encoded(values: Any) -> tuple[int, bytes]:
    """A field as a vector: other programs write int32, and single numbers without a shape."""
    if isinstance(values, str | bytes):
        return _BYTES, values.encode() if isinstance(values, str) else values
    array = np.atleast_1d(np.asarray(values)).reshape(-1)
    if np.issubdtype(array.dtype, np.floating):
        return _FLOAT32, array.astype(np.float32).tobytes()
    return _INT64, array.astype(np.int64).tobytes()


def main(file: str, output: IO[bytes]) -> None:
    """Writes all records of a file to a stream."""
    from bertcore_mindspore import devices

    devices.quiet_framework()
    from mindspore.mindrecord import FileReader

    limit_memory()
    try:
        signal.alarm(_SECONDS)  # which ends the process, also while C++ runs
        reader = FileReader(file)
        for features in reader.get_next():
            signal.alarm(0)  # whoever takes the records may take his time
            output.write(_U32.pack(len(features)))
            for name, values in features.items():
                kind, content = _encoded(values)
                _write(output, name.encode())
                output.write(bytes([kind]))
                _write(output, content)
            signal.alarm(_SECONDS)
        signal.alarm(0)
        reader.close()
    except (RuntimeError, ValueError, TypeError, MemoryError) as error:
        output.write(_U32.pack(FAILED))
        _write(output, reason_of(error).encode(errors="replace"))
    else:
        output.write(_U32.pack(END))
    output.flush()


def limit_memory() -> None:
    """Lets this process take no more than ``_MEMORY`` bytes beyond what MindSpore has taken."""
    if resource.getrlimit(resource.RLIMIT_AS)[0] == resource.RLIM_INFINITY:
        taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (taken + _MEMORY, resource.RLIM_INFINITY))


def reason_of(error: Exception) -> str:
    """The line that says what is wrong, of the many that MindSpore prints around it."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    marked = [line.removeprefix("[ERROR]").strip() for line in lines if line.startswith("[ERROR]")]
    return (marked or lines or ["MindSpore gives no reason"])[0]


if __name__ == "__main__":
    with os.fdopen(os.dup(1), "wb") as stream:
        os.dup2(2, 1)  # what MindSpore prints is no record
        for line in sys.stdin.buffer:
            main(json.loads(line), stream)
