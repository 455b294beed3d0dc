"""What is trusted: plugins are code; models, data and the bytes of other ranks are not (SECURITY.md)."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from bertcore.errors import ModelError

ROOT = Path(__file__).resolve().parent.parent
SOURCES = sorted([*(ROOT / "bertcore").rglob("*.py"), *(ROOT / "plugins").glob("*/bertcore_*/**/*.py")])

RUNS_WHAT_IT_READS = {
    *("torch.load", "torch.jit.load", "torch.package.PackageImporter", "torch.export.load", "torch.hub.load"),
    *(
        "pickle.load",
        "pickle.loads",
        "pickle.Unpickler",
        "_pickle.loads",
        "pickle._Unpickler",
        "dill.loads",
        "dill.load",
    ),
    *("cloudpickle.load", "cloudpickle.loads", "joblib.load", "marshal.load", "marshal.loads", "shelve.open"),
    *("pandas.read_pickle", "numpy.load", "numpy.lib.npyio.load", "numpy.fromfile", "yaml.load", "yaml.unsafe_load"),
    *("mindspore.load", "mindspore.load_checkpoint", "mindspore.load_mindir", "runpy.run_path", "runpy.run_module"),
    *("eval", "exec", "compile", "os.system", "os.popen"),
    # Which unpickle what other ranks send.
    *(f"torch.distributed.{name}" for name in ("all_gather_object", "gather_object", "broadcast_object_list")),
    *(f"torch.distributed.{name}" for name in ("scatter_object_list", "send_object_list", "recv_object_list")),
    *(f"mindspore.mint.distributed.{name}" for name in ("all_gather_object", "gather_object")),
    *(f"mindspore.mint.distributed.{name}" for name in ("broadcast_object_list", "scatter_object_list")),
}
TRUSTING = {"allow_pickle": False, "trust_remote_code": False, "weights_only": True, "shell": False}
"""Arguments that make a function trust what it reads, and the only value that they may have."""


def calls(source: str) -> Iterator[tuple[str, ast.Call]]:
    """The full name of what each call calls, as far as the imports of the module tell it."""
    tree = ast.parse(source)
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                first = alias.name.partition(".")[0]
                names[alias.asname or first] = alias.name if alias.asname else first
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            first, _, rest = ast.unparse(node.func).partition(".")
            yield ".".join(filter(None, [names.get(first, first), rest])), node


def trusting(source: str) -> list[str]:
    """What a module calls that runs, or may run, what it reads."""
    found = []
    for name, call in calls(source):
        if name in RUNS_WHAT_IT_READS:
            found.append(name)
        for keyword in call.keywords:
            value = keyword.value
            if keyword.arg in TRUSTING and not (
                isinstance(value, ast.Constant) and value.value is TRUSTING[keyword.arg]
            ):
                found.append(f"{name}({keyword.arg}={ast.unparse(value)})")
    return found


@pytest.mark.parametrize("file", SOURCES, ids=lambda file: file.relative_to(ROOT).as_posix())
def test_no_module_reads_a_file_with_something_that_runs_it(file: Path) -> None:
    assert trusting(file.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import torch\ntorch.load(a, weights_only=True)", ["torch.load"]),
        ("from torch import load as read\nread(a)", ["torch.load"]),
        ("import numpy as np\nnp.load(a)", ["numpy.load"]),
        ("import pickle as p\nx = [p.loads(b)]", ["pickle.loads"]),
        ("import torch.distributed as dist\ndist.all_gather_object(a, b)", ["torch.distributed.all_gather_object"]),
        ("f(a, trust_remote_code=b)", ["f(trust_remote_code=b)"]),
        ("f(a, allow_pickle=True, shell=False)", ["f(allow_pickle=True)"]),
        ("import numpy as np\nnp.zeros(3)\nmodel.eval()", []),
    ],
)
def test_such_calls_are_found(source: str, found: list[str]) -> None:
    assert trusting(source) == found


WATCH = """
import os, sys

def watch(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto", "socket.bind"):
        with open(os.environ["TRIED"], "a") as file:
            file.write(f"{event} {arguments[1:]}\\n")
        raise OSError(f"no network here: {event}")

sys.addaudithook(watch)
"""


COMMANDS = """
import json, sys
from bertcore.cli import main

for command in json.loads(sys.argv[1]):
    try:
        main(command)
    except SystemExit as end:
        if end.code:
            raise
"""
RUN = ("run", "--task", "rte")


def without_network(folder: Path, *commands: Sequence[str]) -> tuple[int, str]:
    """Runs commands where nobody can open a connection; the exit code and what was tried."""
    (folder / "watched").mkdir()
    (folder / "watched" / "sitecustomize.py").write_text(WATCH)
    tried = folder / "tried"
    path = os.pathsep.join([str(folder / "watched"), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {**os.environ, "PYTHONPATH": path, "TRIED": str(tried), "BERTCORE_CACHE": str(folder / "cache")}
    environment = {name: value for name, value in environment.items() if not name.startswith("HF_")}
    program = [sys.executable, "-c", COMMANDS, json.dumps(commands)]
    ended = subprocess.run(program, env=environment, cwd=folder, check=False)
    return ended.returncode, tried.read_text() if tried.exists() else ""


def everything(backend: str, model: Path, data: Path) -> list[list[str]]:
    """Training, evaluating, predicting and converting with local files."""
    run = [*RUN, "--backend", backend, "--model", str(model), "--data", str(data), "--output", "run"]
    return [
        [*run, "--epochs", "1", "--max-length", "32", "--tracker", "tensorboard"],
        ["evaluate", "run"],
        ["predict", "run", "--input", str(data / "dev.tsv"), "--output", "predicted.jsonl"],
        ["data", "check", "--task", "rte", "--model", str(model), "--data", str(data)],
        ["convert", str(model), "converted", "--to", "huggingface"],
    ]


def test_the_watch_sees_a_connection(tmp_path: Path) -> None:
    hub = [*RUN, "--backend", "torch", "--model", "nobody/nothing", "--data", "sample"]
    code, tried = without_network(tmp_path, hub)
    assert code == ModelError.exit_code
    assert "socket.getaddrinfo" in tried


def test_local_files_need_no_network_on_torch(tmp_path: Path, tiny_en: Path, small_rte: Path) -> None:
    code, tried = without_network(tmp_path, *everything("torch", tiny_en, small_rte))
    assert (code, tried) == (0, "")
    predicted = (tmp_path / "predicted.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(predicted) == len((small_rte / "dev.tsv").read_text(encoding="utf-8").splitlines()) - 1
    assert (tmp_path / "converted" / "model.safetensors").is_file()
