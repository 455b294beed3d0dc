"""What a program learns of a command that fails: with --json one object on standard output, beside the two lines."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bertcore.error_codes import CATALOGUE

FIELDS = {"code", "kind", "exit_code", "file", "line", "part", "problem", "remedy", "documentation"}
CODES = {code: kind for kind, kinds in CATALOGUE.items() for code in kinds}


def told(outcome: Any) -> dict[str, Any]:
    """The error on standard output, of which standard error must say the same."""
    found: dict[str, Any] = json.loads(outcome.out)
    assert set(found) == {"error"}
    error: dict[str, Any] = found["error"]
    assert set(error) == FIELDS
    cause, *remedy = outcome.err.splitlines()
    assert cause.removeprefix("error: ").endswith(error["problem"])
    assert remedy == ([f"remedy: {error['remedy']}"] if error["remedy"] else [])
    assert error["exit_code"] == outcome.code
    assert error["documentation"].endswith(f"errors-and-exit-codes.md#{error['code']}")
    return error


def test_an_error_in_a_file_says_file_and_line_apart(bertcore_command: Callable[..., Any], tmp_path: Path) -> None:
    file = tmp_path / "predictions.jsonl"
    file.write_text('{"id": "0", "prediction": "x"}\n{"id": 1\n')
    (tmp_path / "dev.csv").write_text("text,label\na,x\nb,y\n")
    outcome = bertcore_command(
        *("score", "--json", "--task", "classification", "--data", tmp_path, "--predictions", file)
    )
    error = told(outcome)
    assert (error["code"], error["kind"], error["exit_code"]) == ("not-json", "DataError", 4)
    assert (error["file"], error["line"]) == (str(file), 2)
    assert str(file) not in error["problem"]
    assert outcome.err.startswith(f"error: {file}:2: {error['problem']}\n")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("tasks", "--json", "--nothing"), "argument-unknown"),
        (("data", "convert", "--json"), "argument-missing"),
        (("data", "check", "--json", "--epochs", "x"), "argument-unknown"),
        (("data", "check", "--json", "--max-length", "x"), "argument-wrong"),
        (("data", "chek", "--json"), "command-unknown"),
        (("data", "check", "--json"), "argument-missing"),
        (("data", "check", "--json", "--task", "rtee"), "name-unknown"),
        (("data", "check", "--json", "--task", "rte", "--set", "train.epoch=1"), "setting-unknown"),
        (("data", "check", "--json", "-p", "rte"), "argument-wrong"),
    ],
)
def test_mistakes_in_the_arguments_have_the_same_form(
    bertcore_command: Callable[..., Any], arguments: tuple[str, ...], code: str
) -> None:
    error = told(bertcore_command(*arguments))
    assert error["code"] == code
    assert error["kind"] == CODES[code].__name__
    assert error["exit_code"] == CODES[code].exit_code


def test_without_json_standard_output_stays_empty(bertcore_command: Callable[..., Any], tmp_path: Path) -> None:
    outcome = bertcore_command("data", "check", "--task", "rte", "--data", tmp_path / "nothing")
    assert (outcome.code, outcome.out) == (4, "")
    assert "--json" not in outcome.err
    behind = bertcore_command("tasks", "--", "--json")
    assert (behind.code, behind.out) == (2, "")


def test_bad_lines_of_a_check_have_codes_and_lines(bertcore_command: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text("text,label\na,x\nb,y\nc\nd,\n")
    outcome = bertcore_command("data", "check", "--json", "--task", "classification", "--data", tmp_path)
    first = json.loads(outcome.out)["errors"]["train"]["first"]
    found = [(error["code"], error["file"], error["line"]) for error in first]
    assert found == [("field-count-wrong", str(tmp_path / "train.csv"), 4), ("labels-missing", found[1][1], 5)]
    assert [error["cause"] for error in first] == [
        f"{error['file']}:{error['line']}: {error['problem']}" for error in first
    ]


def _process(program: str, **options: Any) -> subprocess.CompletedProcess[str]:
    script = f"from bertcore.cli import main\n{program}\nmain(['tasks', '--json'])"
    return subprocess.run([sys.executable, "-c", script], text=True, stderr=subprocess.PIPE, **options)


RAISING = """
import bertcore.plugins.registry as registry
class Raising:
    def __init__(self, **_): {}
registry.Registry = Raising
"""


@pytest.mark.parametrize(
    ("statement", "code", "exit_code"),
    [
        ("raise KeyboardInterrupt", "interrupted", 130),
        ("import os, signal; os.kill(os.getpid(), signal.SIGTERM)", "terminated", 128 + signal.SIGTERM),
        ("import os, signal; os.kill(os.getpid(), signal.SIGUSR1)", "terminated", 128 + signal.SIGUSR1),
        ("raise PermissionError(13, 'Permission denied', 'a file')", "output-unwritable", 8),
    ],
)
def test_signals_and_the_system_are_told_alike(statement: str, code: str, exit_code: int) -> None:
    process = _process(RAISING.format(statement), stdout=subprocess.PIPE)
    error = json.loads(process.stdout)["error"]
    assert (error["code"], error["exit_code"], process.returncode) == (code, exit_code, exit_code)
    assert set(error) == FIELDS
    assert process.stderr.lstrip().startswith("error: ")


def test_a_defect_is_told_and_keeps_its_traceback() -> None:
    process = _process(RAISING.format("return 1 / 0"), stdout=subprocess.PIPE)
    error = json.loads(process.stdout)["error"]
    assert (error["code"], error["kind"], process.returncode) == ("defect", "ZeroDivisionError", 1)
    assert "Traceback" in process.stderr


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is always full")
def test_standard_output_that_is_full_does_not_hide_what_was_wrong() -> None:
    with open("/dev/full", "w") as full:
        process = _process("", stdout=full)
    assert process.returncode == 8
    assert re.match(r"error: .*No space left on device\nremedy: ", process.stderr)
    assert "Traceback" not in process.stderr


def test_a_run_its_evaluation_and_its_submission_print_their_results_alone(
    bertcore_command: Callable[..., Any], tiny_en: Path, copied_rte: Path, tmp_path: Path
) -> None:
    pytest.importorskip("torch")
    place = ("--backend", "torch", "--json")
    (copied_rte / "test.tsv").write_text("index\tsentence1\tsentence2\n0\tA cat sleeps.\tAn animal sleeps.\n")
    options = ("--data", copied_rte, "--set", "train.max_steps=1", "--set", "train.batch_size=4")
    run = tmp_path / "run"
    trained = bertcore_command("run", *place, "--task", "rte", "--model", tiny_en, "--output", run, *options)
    result = json.loads(trained.out)
    report = json.loads((run / "report.json").read_text("utf-8"))
    assert (result["folder"], result["finished"], result["steps"]) == (str(run), True, 1)
    assert result["metrics"] == report["metrics"]
    assert result["summary"] in trained.err, "what people read goes to standard error"
    evaluated = json.loads(bertcore_command("evaluate", run, *place).out)
    assert evaluated["evaluation"]["metrics"] == pytest.approx(report["metrics"])
    assert Path(evaluated["folder"], "report.json").is_file()
    submitted = json.loads(bertcore_command("submit", run, "--output", tmp_path / "submission", *place).out)
    assert [Path(file["path"]).name for file in submitted["files"]] == ["RTE.tsv"]
    output = tmp_path / "predicted.csv"
    texts = ("--text", "A cat sleeps.", "--text", "An animal sleeps.")
    assert json.loads(bertcore_command("predict", run, *place, *texts, "--output", output).out) == {
        "output": str(output),
        "predictions": 1,
    }
    again = told(bertcore_command("predict", run, *place, *texts, "--output", output))
    assert (again["code"], again["file"]) == ("output-exists", str(output))
    refused = told(bertcore_command("run", *place, "--task", "rte", "--model", tiny_en, "--output", run, *options))
    assert (refused["code"], refused["exit_code"]) == ("output-exists", 8)
