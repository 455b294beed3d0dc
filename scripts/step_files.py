"""Follows one training step of ``bertcore run`` and prints the files that it enters, as JSON.

    python scripts/step_files.py CHECKOUT

The checkout need not be installed: its entry points are read from its own ``pyproject.toml`` files. It trains the
sample model on the sample data with torch. Two lists are printed: the files that stand between the command and the step
(whose functions wait for it), and those whose functions it calls.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from types import FrameType
from typing import Any

ARGUMENTS = ("run", "--task", "rte", "--backend", "torch", "--data", "sample", "--model", "sample")
SETTINGS = ("train.max_steps=1", "train.batch_size=4", "data.max_length=32")


def files_of_a_step(checkout: Path) -> dict[str, list[str]]:
    """Runs a step of a checkout in a process of its own."""
    checkout = checkout.resolve()
    with tempfile.TemporaryDirectory() as folder:
        site = Path(folder)
        projects = [checkout / "pyproject.toml", *sorted(checkout.glob("plugins/*/pyproject.toml"))]
        for file in projects:
            write_metadata(site, tomllib.loads(file.read_text(encoding="utf-8"))["project"])
        path = os.pathsep.join([str(site), *(str(file.parent) for file in projects)])
        command = [sys.executable, __file__, "--follow", str(checkout), str(site / "run")]
        process = subprocess.run(
            command, env={**os.environ, "PYTHONPATH": path}, cwd=site, capture_output=True, text=True, check=False
        )
        if process.returncode:
            raise SystemExit(f"{checkout}: {process.stderr}")
        found: dict[str, list[str]] = json.loads(process.stdout.splitlines()[-1])
        return found


def write_metadata(site: Path, project: dict[str, Any]) -> None:
    """What an installed distribution tells of its entry points."""
    information = site / f"{project['name'].replace('-', '_')}-0.1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: 0.1.0\n")
    points = project.get("entry-points", {}).get("bertcore", {})
    lines = ["[bertcore]", *(f"{name} = {target}" for name, target in points.items())]
    (information / "entry_points.txt").write_text("\n".join(lines) + "\n")


def follow(checkout: Path, output: Path) -> None:
    """Trains one step in this process, and prints the files of the checkout that it enters."""
    between: set[str] = set()
    inside: set[str] = set()
    steps: list[FrameType] = []

    def own(frame: FrameType) -> str | None:
        name = frame.f_code.co_filename
        is_own = name.startswith((f"{checkout}/bertcore/", f"{checkout}/plugins/"))
        return str(Path(name).relative_to(checkout)) if is_own else None

    def profile(frame: FrameType, event: str, argument: object) -> None:
        name = own(frame)
        if name is None:
            return
        if event == "call" and frame.f_code.co_name == "train_step" and not steps:
            steps.append(frame)
            caller = frame.f_back
            while caller is not None:
                between.update({file} if (file := own(caller)) else ())
                caller = caller.f_back
        if steps and event == "call":
            inside.add(name)
        if event == "return" and steps and frame is steps[0]:
            sys.setprofile(None)

    from bertcore.cli import main

    settings = [word for setting in SETTINGS for word in ("--set", setting)]
    sys.setprofile(profile)
    try:
        main([*ARGUMENTS, *settings, "--output", str(output)])
    except SystemExit as stop:
        sys.setprofile(None)
        if stop.code:
            raise
    print(json.dumps({"between": sorted(between), "inside": sorted(inside)}))


if __name__ == "__main__":
    if sys.argv[1] == "--follow":
        follow(Path(sys.argv[2]), Path(sys.argv[3]))
    else:
        print(json.dumps(files_of_a_step(Path(sys.argv[1])), indent=2))
