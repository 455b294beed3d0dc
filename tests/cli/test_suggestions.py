"""What was probably meant by a command, an option, a name or a path that nearly exists."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest

from bertcore.cli import bertcore as command_line
from bertcore.cli.suggestions import COMMANDS_ELSEWHERE, MODES_ELSEWHERE, OPTIONS_ELSEWHERE
from bertcore.config import RunConfig, known_keys
from bertcore.near_misses import nearest_name, nearest_path, other_level

Command = Callable[..., Any]


def every_command() -> dict[str, click.Command]:
    context = click.Context(command_line)
    found: dict[str, click.Command] = {}
    for name in command_line.list_commands(context):
        command = command_line.get_command(context, name)
        assert command is not None
        found[name] = command
        if isinstance(command, click.Group):
            found |= {f"{name} {child}": inner for child, inner in command.commands.items()}
    return found


def remedy(outcome: Any) -> str:
    assert outcome.code == 2, outcome.out + outcome.err
    cause, said = outcome.err.splitlines()
    assert cause.startswith("error: ")
    return str(said.removeprefix("remedy: "))


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("trian", "bertcore run"),
        ("Train", "bertcore run"),
        ("evalute", "bertcore evaluate"),
        ("inference", "bertcore predict"),
        ("data chek", "bertcore data check"),
        ("config schemas", "bertcore config schema"),
    ],
)
def test_commands(bertcore_command: Command, typed: str, meant: str) -> None:
    assert remedy(bertcore_command(*typed.split())) == f"did you mean {meant}?"


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("run --lr 3e-5", "--learning-rate"),
        ("run -lr 3e-5", "--learning-rate"),
        ("run --learning_rate 3e-5", "--learning-rate"),
        ("run --bs 8", "--batch-size"),
        ("run --model-name-or-path x", "--model"),
        ("run --model_name_or_path=x", "--model"),
        ("run --num_train_epochs 3", "--epochs"),
        ("run --per_device_train_batch_size 3", "--batch-size"),
        ("run --output-dir x", "--output"),
        ("run --train_dataset_dir x", "--data"),
        ("run --load_checkpoint x", "--model"),
        ("run --ouptut x", "--output"),
        ("run --weight_decay 0.1", "--set train.weight_decay=VALUE"),
        ("run --train.epochs 1", "--set train.epochs=VALUE"),
        ("run --input x", "bertcore predict, which has --input"),
        ("predict r --max-seq-length 3", "--max-length"),
    ],
)
def test_options(bertcore_command: Command, typed: str, meant: str) -> None:
    command = typed.split()[0]
    assert remedy(bertcore_command(*typed.split())) == f"did you mean {meant}? see bertcore {command} --help"


def test_options_that_another_program_needs(bertcore_command: Command) -> None:
    assert remedy(bertcore_command("run", "--do_train")) == "leave it out: bertcore run trains and evaluates"


def test_whatever_is_suggested_exists() -> None:
    commands = every_command()
    options = {option for command in commands.values() for parameter in command.params for option in parameter.opts}
    keys = {key for key, _ in known_keys(RunConfig)} | {"data.text", "data.label", "head.crf"}  # of tasks
    assert set(COMMANDS_ELSEWHERE.values()) <= set(commands)
    assert not set(COMMANDS_ELSEWHERE) & set(commands)
    for meant in OPTIONS_ELSEWHERE.values():
        option, *value = meant.split()
        assert option in options
        if option == "--set":
            assert value[0].partition("=")[0] in keys
    own = {option.removeprefix("--") for option in options}
    assert not own & {*OPTIONS_ELSEWHERE, *MODES_ELSEWHERE}


def test_names_of_tasks_and_backends(bertcore_command: Command) -> None:
    assert remedy(bertcore_command("run", "--task", "STS-B", "--model", "m")) == "did you mean 'stsb'?"
    assert remedy(bertcore_command("score", "--task", "rte_", "--predictions", "x")) == "did you mean 'rte'?"
    call = ("run", "--task", "rte", "--backend", "pytorch", "--model", "m", "--data", "d")
    assert remedy(bertcore_command(*call)) == "did you mean 'torch'?"


# Paths


def test_a_path_that_nearly_exists(tmp_path: Path) -> None:
    (tmp_path / "GLUE" / "RTE").mkdir(parents=True)
    (tmp_path / "GLUE" / "RTE" / "train.tsv").touch()
    assert nearest_path(tmp_path / "GLEU" / "RTE" / "train.tsv") == tmp_path / "GLUE" / "RTE" / "train.tsv"
    assert nearest_path(tmp_path / "glue" / "rte") == tmp_path / "GLUE" / "RTE"
    assert nearest_path(tmp_path / "GLUE" / "RTE" / "train.csv") == tmp_path / "GLUE" / "RTE" / "train.tsv"
    assert nearest_path(tmp_path / "GLUE" / "RTE" / "quite different") is None
    assert nearest_path(tmp_path / "GLUE" / "RTE") is None


def test_a_path_as_a_shell_would_have_read_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "data" / "rte").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert nearest_path(Path("~/data")) == tmp_path / "data"
    assert nearest_path(Path("data\\rte")) == Path("data/rte")
    assert nearest_path(Path("dta/rte")) == Path("data/rte")


def test_a_folder_that_is_a_level_too_high_or_too_low(tmp_path: Path) -> None:
    (tmp_path / "runs" / "rte" / "evaluations" / "dev").mkdir(parents=True)
    (tmp_path / "runs" / "rte" / "config.toml").touch()

    def is_run(folder: Path) -> bool:
        return (folder / "config.toml").is_file()

    run = tmp_path / "runs" / "rte"
    assert other_level(tmp_path / "runs", is_run) == run
    assert other_level(run / "evaluations", is_run) == run
    assert other_level(run / "evaluations" / "dev", is_run) == run
    assert other_level(tmp_path, is_run) is None

    (tmp_path / "runs" / "SST-2").mkdir()
    (tmp_path / "runs" / "SST-2" / "config.toml").touch()
    assert other_level(tmp_path / "runs", is_run, "rte") == run
    assert other_level(tmp_path / "runs", is_run, "sst2").name == "SST-2"


def test_names_differ_in_more_than_capitals() -> None:
    assert nearest_name("BERT-Tiny_EN", ["bert-tiny-en", "bert-base"]) == "bert-tiny-en"
    assert nearest_name("xyz", ["rte", "cola"]) is None
    assert nearest_name("", []) is None


def test_commands_name_the_folder_that_was_meant(
    bertcore_command: Command, finished_run: Path, small_rte: Path, tiny_en: Path, tmp_path: Path
) -> None:
    shutil.copytree(small_rte, tmp_path / "GLUE" / "RTE")
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "rte").symlink_to(finished_run)
    place = ("run", "--task", "rte", "--backend", "torch", "--output", tmp_path / "new")
    meant = {
        ("evaluate", tmp_path / "runs"): tmp_path / "runs" / "rte",
        ("evaluate", tmp_path / "runs" / "rtee"): tmp_path / "runs" / "rte",
        ("predict", tmp_path / "runs" / "rte" / "checkpoint", "--text", "a"): tmp_path / "runs" / "rte",
        (*place, "--model", tiny_en, "--data", tmp_path / "GLUE"): tmp_path / "GLUE" / "RTE",
        (*place, "--model", tiny_en, "--data", tmp_path / "GLUE" / "RET"): tmp_path / "GLUE" / "RTE",
        (*place, "--model", tmp_path / "runs" / "rte", "--data", small_rte): tmp_path / "runs" / "rte" / "best",
    }
    for arguments, path in meant.items():
        outcome = bertcore_command(*arguments)
        assert outcome.code in (2, 4, 5)
        assert outcome.err.splitlines()[-1] == f"remedy: did you mean {path}?"
    assert not (tmp_path / "new").exists()
