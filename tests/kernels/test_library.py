"""Where the kernels come from: a wheel, the user's cache, a compiler, or nowhere, which a run survives."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import bertcore_kernels
import pytest
from bertcore_kernels import library
from tiny_run import write_tiny_task

SHOW = "from bertcore.numerics.kernels import describe_kernels; print(describe_kernels('fused'))"
SUM = (
    "import numpy as np; from bertcore_kernels import Array, kernels;"
    "both = np.arange(5, dtype='f4'), np.zeros(1);"
    "kernels().call('sum_of_squares', [Array(each.ctypes.data, each.shape, str(each.dtype)) for each in both]);"
    "print(both[1][0])"
)


@pytest.fixture
def source_alone(tmp_path: Path) -> Path:
    """The package as it is without what a wheel brings: a folder to import it from."""
    package = Path(bertcore_kernels.__file__).parent
    shutil.copytree(package, tmp_path / "source" / package.name, ignore=shutil.ignore_patterns("lib", "__pycache__"))
    return tmp_path / "source"


def environment(source: Path, cache: Path, **others: str) -> dict[str, str]:
    """Of a process that finds the package there, and keeps what it compiles in ``cache``."""
    paths = [str(source), os.environ.get("PYTHONPATH", "")]
    kept = {name: value for name, value in os.environ.items() if name != "CXX"}
    return {**kept, "PYTHONPATH": os.pathsep.join(paths), "XDG_CACHE_HOME": str(cache), **others}


def begin(code: str, variables: dict[str, str]) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", code], env=variables, text=True, stdout=-1, stderr=-1)


def answer(process: subprocess.Popen[str]) -> str:
    output, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    return output.strip()


def write_compiler(file: Path, *lines: str) -> str:
    file.write_text("\n".join(["#!/bin/sh", *lines]) + "\n", encoding="utf-8")
    file.chmod(0o755)
    return str(file)


@pytest.mark.skipif(shutil.which("g++") is None, reason="needs g++")
def test_the_first_use_compiles_for_this_processor_and_later_ones_do_not(source_alone: Path, tmp_path: Path) -> None:
    variables = environment(source_alone, tmp_path / "cache")
    assert answer(begin(SUM, variables)) == "30.0"
    level = library.usable_levels()[0]
    (kept,) = (tmp_path / "cache" / "bertcore" / "kernels").iterdir()
    assert kept.name.startswith(f"libbertcore_kernels_{level}-")
    written = kept.stat().st_mtime_ns
    assert answer(begin(SHOW, variables)) == f"fused ({level})"
    assert kept.stat().st_mtime_ns == written


def test_two_processes_that_compile_at_once_leave_one_whole_library(source_alone: Path, tmp_path: Path) -> None:
    """Each with a compiler that writes half of it, waits for the other, and writes the rest."""
    ready = library.kernels().path
    compiler = write_compiler(
        tmp_path / "compiler",
        'for last; do :; done; echo "$last" >> "$0.calls"',
        f'head -c 5000 "{ready}" > "$last"',
        'for i in $(seq 100); do [ "$(wc -l < "$0.calls")" -ge 2 ] && break; sleep 0.1; done',
        f'tail -c +5001 "{ready}" >> "$last"',
    )
    variables = environment(source_alone, tmp_path / "cache", CXX=compiler)
    both = [begin(SUM, variables) for _ in range(2)]
    assert [answer(process) for process in both] == ["30.0", "30.0"]
    written = (tmp_path / "compiler.calls").read_text(encoding="utf-8").split()
    assert len(set(written)) == 2
    (kept,) = (tmp_path / "cache" / "bertcore" / "kernels").iterdir()
    assert kept.read_bytes() == ready.read_bytes()


def test_a_compiler_that_fails_is_quoted_and_leaves_nothing(source_alone: Path, tmp_path: Path) -> None:
    compiler = write_compiler(
        tmp_path / "broken", 'echo "compiling" >&2', 'echo "gelu.cpp:7: error: no such flag" >&2', "exit 1"
    )
    shown = answer(begin(SHOW, environment(source_alone, tmp_path / "cache", CXX=compiler)))
    assert shown.startswith(
        f"the framework's own: {compiler} cannot compile them: gelu.cpp:7: error: no such flag; pip install"
    )
    assert list((tmp_path / "cache" / "bertcore" / "kernels").iterdir()) == []
    silent = write_compiler(tmp_path / "silent", "exit 3")
    shown = answer(begin(SHOW, environment(source_alone, tmp_path / "cache", CXX=silent)))
    assert f"{silent} cannot compile them: exit code 3" in shown


def test_a_library_that_cannot_be_loaded_is_said(source_alone: Path, tmp_path: Path) -> None:
    compiler = write_compiler(tmp_path / "compiler", 'for last; do :; done; echo "no library" > "$last"')
    shown = answer(begin(SHOW, environment(source_alone, tmp_path / "cache", CXX=compiler)))
    assert shown.startswith("the framework's own: the library of the kernels cannot be loaded: ")


def test_a_cache_folder_that_cannot_be_written_is_named(source_alone: Path, tmp_path: Path) -> None:
    """Nothing is compiled then: to do so anew in every process would cost more than the kernels save."""
    (tmp_path / "file").write_text("", encoding="utf-8")
    compiler = write_compiler(tmp_path / "compiler", 'echo called > "$0.calls"')
    shown = answer(begin(SHOW, environment(source_alone, tmp_path / "file", CXX=compiler)))
    folder = tmp_path / "file" / "bertcore" / "kernels"
    assert shown.startswith(
        f"the framework's own: the compiled kernels cannot be kept in {folder} "
        "(Not a directory; XDG_CACHE_HOME names another)"
    )
    assert not (tmp_path / "compiler.calls").exists()


def test_without_a_compiler_a_run_works_and_says_what_is_missed(source_alone: Path, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    task = write_tiny_task(tmp_path / "model")
    code = f"import bertcore; bertcore.run(**{task!r}, output={str(tmp_path / 'run')!r})"
    variables = environment(source_alone, tmp_path / "cache", PATH=str(tmp_path / "empty"), OMP_NUM_THREADS="1")
    process = begin(code, variables)
    output, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    (line,) = [line for line in (output + errors).splitlines() if line.startswith("kernels")]
    assert line.split(None, 1)[1] == (
        "the framework's own: there is no C++ compiler (g++) to compile them with; "
        "pip install bertcore-kernels, or a C++ compiler, makes a CPU faster"
    )
    assert not (tmp_path / "cache" / "bertcore" / "kernels").exists()
