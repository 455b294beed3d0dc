"""Makes the environments of the peers, each its own: what is missing is left out of the benchmarks, and named.

    python -m benchmarks.peers
    python -m benchmarks.peers --only onnxruntime,openvino --into FOLDER

They are what ``benchmarks/requirements`` lists, at their newest, and torch as ``constraints.txt`` has it.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import venv
from pathlib import Path

from benchmarks.harness.workers import ROOT

REQUIREMENTS = Path(__file__).resolve().parent / "requirements"
SAME = ("torch", "transformers", "tokenizers")
"""Packages that are those of this project, so that a difference is not one of versions."""


def main(words: list[str] | None = None) -> int:
    """Returns 1 where an environment could not be made."""
    known = sorted(file.stem for file in REQUIREMENTS.glob("*.txt"))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default=",".join(known), help=f"of {', '.join(known)}")
    parser.add_argument("--into", type=Path, default=ROOT / ".benchmarks" / "peers")
    given = parser.parse_args(words)
    given.into.mkdir(parents=True, exist_ok=True)
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    constraints = given.into / "constraints.txt"
    constraints.write_text("".join(f"{line}\n" for line in lines if line.startswith(SAME)), encoding="utf-8")
    failed = []
    for name in given.only.split(","):
        folder = given.into / name
        venv.create(folder, with_pip=True)
        pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "-c", str(constraints)]
        if subprocess.run([*pip, "-r", str(REQUIREMENTS / f"{name}.txt")], check=False).returncode:
            failed.append(name)
    if failed:
        print(f"could not be installed: {', '.join(failed)}", file=sys.stderr)
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
