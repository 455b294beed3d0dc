"""The wheels, not the source tree, installed with an extra into a fresh environment, run the main job."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import bertcore_kernels.library
import pytest

ROOT = Path(__file__).resolve().parent.parent
PROJECTS = (".", "plugins/backend_torch", "plugins/backend_mindspore", "plugins/tasks")
COMPILED = "plugins/kernels"
"""Which is built by other tools than the rest; pip brings them."""

pytestmark = pytest.mark.slow


def call(*command: str | Path, folder: Path | None = None) -> str:
    # Not the source tree, where the tests were told to import from it.
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    result = subprocess.run(
        [str(part) for part in command], cwd=folder, env=variables, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, f"{command}\n{result.stdout}\n{result.stderr}"
    return result.stdout


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheels")
    for project in PROJECTS:
        command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
        call(*command, "--wheel-dir", folder, ROOT / project)
    call(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, ROOT / COMPILED)
    return folder


def test_all_five_distributions_build_and_hold_their_code_alone(wheels: Path) -> None:
    names = {}
    for file in wheels.glob("*.whl"):
        with zipfile.ZipFile(file) as archive:
            names[file.name.partition("-")[0]] = {Path(name).parts[0] for name in archive.namelist()}
    packages = {
        "bertcore": "bertcore",
        "bertcore_torch": "bertcore_torch",
        "bertcore_mindspore": "bertcore_mindspore",
        "bertcore_tasks": "bertcore_tasks",
        "bertcore_kernels": "bertcore_kernels",
    }
    assert names.keys() == packages.keys()
    for distribution, package in packages.items():
        assert {part for part in names[distribution] if not part.endswith(".dist-info")} == {package}


def test_bertcore_alone_needs_no_framework(wheels: Path) -> None:
    (file,) = wheels.glob("bertcore-*.whl")
    with zipfile.ZipFile(file) as archive:
        text = archive.read(next(name for name in archive.namelist() if name.endswith("METADATA"))).decode()
    needed = [line for line in text.splitlines() if line.startswith("Requires-Dist") and "extra ==" not in line]
    assert needed
    assert not [line for line in needed if any(name in line for name in ("torch", "mindspore", "transformers"))]


def test_the_wheel_of_the_kernels_has_a_library_for_each_level(wheels: Path) -> None:
    (file,) = wheels.glob("bertcore_kernels-*.whl")
    assert file.stem.endswith(f"-py3-none-linux_{platform.machine()}")
    with zipfile.ZipFile(file) as archive:
        libraries = {Path(name).name for name in archive.namelist() if name.endswith(".so")}
    levels = bertcore_kernels.library.LEVELS[platform.machine()]
    assert libraries == {f"libbertcore_kernels_{level}.so" for level in levels}


def test_wheels_with_extras_run_rte_in_a_fresh_environment(
    wheels: Path, tiny_en: Path, rte_dir: Path, tmp_path: Path
) -> None:
    environment = tmp_path / "environment"
    call(sys.executable, "-m", "venv", environment)
    python = environment / "bin" / "python"
    install = ["install", "--quiet", "--find-links", wheels, "--constraint", ROOT / "constraints.txt"]
    call(python, "-m", "pip", *install, "bertcore[torch,tasks,kernels]")
    data = tmp_path / "RTE"
    data.mkdir()
    for split, lines in (("train", 65), ("dev", 278)):
        text = (rte_dir / f"{split}.tsv").read_text(encoding="utf-8").split("\n")
        (data / f"{split}.tsv").write_text("\n".join(text[:lines]) + "\n", encoding="utf-8")
    output = call(
        environment / "bin" / "bertcore",
        *("run", "--backend", "torch", "--task", "rte", "--model", tiny_en, "--data", data, "--output", "run"),
        *("--set", "train.epochs=1"),
        folder=tmp_path,
    )
    assert output.splitlines()[-1].startswith("acc_num ")
    assert "total_num 277" in output
    (kernels,) = re.findall(r"^kernels +(.*)$", output, re.MULTILINE)
    assert kernels == f"fused ({bertcore_kernels.library.usable_levels()[0]})"
    library = call(python, "-c", "from bertcore_kernels import kernels; print(kernels().path)", folder=tmp_path).strip()
    assert Path(library).is_relative_to(environment)
    location = call(python, "-c", "import bertcore; print(bertcore.__file__)", folder=tmp_path).strip()
    assert Path(location).is_relative_to(environment)
