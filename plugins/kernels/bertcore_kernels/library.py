"""Where the compiled kernels lie, and how they are called.

A wheel brings one library for each level of the instruction set; where there is only the source, the one that this
processor can use is compiled once and kept in the user's cache, if there is a compiler.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, NamedTuple

FLAGS = ("-O3", "-std=c++17", "-fPIC", "-shared", "-fopenmp", "-fno-math-errno", "-fno-trapping-math", "-fno-plt")
"""What every library is compiled with; not ``-ffast-math``, which changes the rounding of the whole process."""

LEVELS: dict[str, dict[str, tuple[tuple[str, ...], tuple[str, ...]]]] = {
    "x86_64": {
        "avx512_bf16": (
            ("avx512f", "avx512bw", "avx512dq", "avx512vl", "fma", "avx512_bf16"),
            ("-march=x86-64-v4", "-mavx512bf16"),
        ),
        "avx512": (("avx512f", "avx512bw", "avx512dq", "avx512vl", "fma"), ("-march=x86-64-v4",)),
        "avx2": (("avx2", "fma", "bmi2"), ("-march=x86-64-v3",)),
        "baseline": ((), ()),
    },
    "aarch64": {"baseline": ((), ())},
}
"""Machine to the levels of its instruction set, the best first: what a processor must have, and how to compile."""

ERRORS = {1: "number of arrays", 2: "type", 3: "shape", 4: "oneDNN is absent or refuses"}
NO_MEMORY = 5

_COMPILE_SECONDS = 300


class MissingKernelsError(Exception):
    """There are no compiled kernels here; the text says why."""


class KernelError(ValueError):
    """A kernel refuses its arguments."""


class Array(NamedTuple):
    """Dense, row-major memory.

    Attributes:
        pointer: address of the first value.
        shape: its axes.
        dtype: name of its type as numpy has it, or ``bfloat16``.
    """

    pointer: int
    shape: tuple[int, ...]
    dtype: str


class Kernels:
    """One loaded library.

    Args:
        path: its file.
        level: for which level of the instruction set it was compiled.

    Attributes:
        library: its functions.
    """

    def __init__(self, path: Path, level: str) -> None:
        self.path = path
        self.level = level
        self.library = ctypes.CDLL(str(path))
        self._functions: dict[str, Any] = {}

    def call(self, name: str, arrays: Sequence[Array]) -> None:
        """Calls a kernel with its inputs and outputs, in this order.

        Raises:
            KernelError: the arrays are none of this kernel.
            MemoryError: there is none for what it needs beside them.
        """
        pointers, *layout = _layout(tuple([array[1:] for array in arrays]))
        status = self._function(name)(len(arrays), pointers(*[array.pointer for array in arrays]), *layout, None, None)
        if status == NO_MEMORY:
            raise MemoryError(f"the kernel {name} has no memory")
        if status:
            raise KernelError(f"the kernel {name} refuses its arguments: {ERRORS.get(status, status)}")

    def call_arrays(self, name: str, arrays: Sequence[Any]) -> None:
        """Calls a kernel with arrays of numpy, which are dense.

        Raises:
            KernelError: the arrays are none of this kernel, or one is not dense.
        """
        if not all(array.flags.c_contiguous for array in arrays):
            raise KernelError(f"the kernel {name} takes dense arrays alone")
        self.call(name, [Array(array.ctypes.data, array.shape, _name(array.dtype)) for array in arrays])

    def _function(self, name: str) -> Any:
        if name not in self._functions:
            self._functions[name] = self.library[f"bertcore_{name}"]
        return self._functions[name]

    def use_onednn(self, path: Path) -> bool:
        """Takes the products of large matrices from a file of oneDNN's; returns whether it has them."""
        return bool(self.library.bertcore_use_onednn(str(path).encode()) == 0)


@cache
def kernels() -> Kernels:
    """Loads the kernels for this processor, compiled before if need be.

    Raises:
        MissingKernelsError: there is no library for this machine and no compiler, or it fails.
    """
    levels = usable_levels()
    if not levels:
        raise MissingKernelsError(f"there are no kernels for {platform.system()} on {platform.machine()}")
    return load(levels[0])


def usable_levels() -> tuple[str, ...]:
    """The levels of the instruction set that this processor has, the best first; none on an unknown machine."""
    if platform.system() != "Linux":
        return ()
    levels = LEVELS.get(platform.machine(), {})
    flags = _processor_flags()
    return tuple(name for name, (needed, _) in levels.items() if flags.issuperset(needed))


def load(level: str) -> Kernels:
    """Loads the kernels of one of :func:`usable_levels`, compiled before if need be.

    Raises:
        MissingKernelsError: there is no library and no compiler, or it fails.
    """
    shipped = Path(__file__).with_name("lib") / f"libbertcore_kernels_{level}.so"
    path = shipped if shipped.exists() else _compiled(level, LEVELS[platform.machine()][level][1])
    try:
        return Kernels(path, level)
    except OSError as error:
        raise MissingKernelsError(f"the library of the kernels cannot be loaded: {error}") from None


@cache
def _name(dtype: Any) -> str:
    return str(dtype.name)  # which numpy puts together anew each time


# A call of a small kernel takes as long as it takes to describe its arrays; most batches have shapes that were before.
@lru_cache(maxsize=2048)
def _layout(arrays: tuple[tuple[tuple[int, ...], str], ...]) -> tuple[Any, Any, Any, Any]:
    """For arrays of these shapes and types, the class of the list of their pointers, and the lists of all else."""
    count = len(arrays)
    # ctypes takes arrays in the place of pointers, which its types do not say.
    shapes: Any = [(ctypes.c_int64 * max(len(shape), 1))(*shape) for shape, _ in arrays]
    return (
        ctypes.c_void_p * count,
        (ctypes.c_int * count)(*[len(shape) for shape, _ in arrays]),
        (ctypes.POINTER(ctypes.c_int64) * count)(*shapes),
        (ctypes.c_char_p * count)(*[dtype.encode() for _, dtype in arrays]),
    )


def _processor_flags() -> set[str]:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("flags"):
            return set(line.partition(":")[2].split())
    return set()


def _compiled(level: str, options: tuple[str, ...]) -> Path:
    """The library in the user's cache, which is compiled where it is missing or of another source."""
    folder = Path(__file__).with_name("source")
    name, *compiler_options = shlex.split(os.environ.get("CXX") or "g++")
    compiler = shutil.which(name)
    if compiler is None:
        raise MissingKernelsError(f"there is no C++ compiler ({name}) to compile them with")
    command = [compiler, *compiler_options, *FLAGS, *options]
    text = b"".join(path.read_bytes() for path in sorted(folder.iterdir()))
    key = hashlib.sha256(text + " ".join(command).encode()).hexdigest()[:16]
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    target = caches / "bertcore" / "kernels" / f"libbertcore_kernels_{level}-{key}.so"
    if target.exists():
        return target
    command += [*map(str, sorted(folder.glob("*.cpp"))), "-ldl"]
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        # Under another name until it is whole: several processes may begin at once.
        with tempfile.TemporaryDirectory(dir=target.parent) as temporary:
            library = Path(temporary) / target.name
            _compile([*command, "-o", str(library)])
            library.replace(target)
    except OSError as error:
        raise MissingKernelsError(
            f"the compiled kernels cannot be kept in {target.parent} ({error.strerror}; XDG_CACHE_HOME names another)"
        ) from None
    return target


def _compile(command: list[str]) -> None:
    compiler = command[0]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_COMPILE_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise MissingKernelsError(f"{compiler} fails: {error}") from None
    if done.returncode or not Path(command[-1]).exists():
        lines = done.stderr.splitlines()
        first = next((line for line in lines if "error" in line), lines[0] if lines else f"exit code {done.returncode}")
        raise MissingKernelsError(f"{compiler} cannot compile them: {first}")
