"""The commands that list, check and show, and how options reach a run."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import bertcore

Command = Callable[..., Any]


# Listings


def test_tasks(bertcore_command: Command) -> None:
    rows = json.loads(bertcore_command("tasks", "--json").out)
    rte = next(row for row in rows if row["name"] == "rte")
    assert rte["metric"] == "accuracy"
    assert rte["plugin"].startswith("bertcore-tasks ")
    lines = bertcore_command("tasks").out.splitlines()
    assert lines[0].split() == ["name", "metric", "description", "plugin"]
    assert any(line.startswith("rte ") for line in lines)


def test_backends(bertcore_command: Command) -> None:
    rows = {row["name"]: row for row in json.loads(bertcore_command("backends", "--json").out)}
    assert "cpu" in rows["torch"]["devices"]
    assert "fp32" in rows["torch"]["devices"]["cpu"]
    assert set(rows["mindspore"]["devices"]) == {"cpu", "gpu", "ascend"}


def test_plugins(bertcore_command: Command) -> None:
    rows = {row["name"]: row for row in json.loads(bertcore_command("plugins", "--json").out)}
    assert rows["rte"]["status"] == "ok"
    assert rows["rte"]["provides"] == ["task rte"]
    assert "backend torch" in rows["torch"]["provides"]
    assert "converter huggingface" in rows["huggingface"]["provides"]
    assert "family bert" in rows["bert"]["provides"]


@pytest.mark.parametrize(
    "arguments", [["-p", "no:rte", "plugins"], ["plugins", "-p", "no:rte"], ["plugins", "-pno:rte"]]
)
def test_a_plugin_may_be_switched_off_anywhere_in_the_line(bertcore_command: Command, arguments: list[str]) -> None:
    rows = {row["name"]: row for row in json.loads(bertcore_command(*arguments, "--json").out)}
    assert rows["rte"]["status"] == "blocked"
    assert rows["rte"]["provides"] == []
    tasks = json.loads(bertcore_command("-p", "no:rte", "tasks", "--json").out)
    assert "rte" not in {row["name"] for row in tasks}


def test_version(bertcore_command: Command) -> None:
    assert bertcore.__version__ in bertcore_command("--version").out


# The doctor


def test_doctor(bertcore_command: Command) -> None:
    torch = pytest.importorskip("torch")
    outcome = bertcore_command("-p", "no:mindspore", "doctor", "--json")
    report = json.loads(outcome.out)
    assert report["healthy"] == (outcome.code == 0)
    entry = report["backends"]["torch"]
    assert entry["problem"] is None
    assert entry["versions"]["torch"] == torch.__version__
    assert "cpu" in entry["devices"]
    for check in entry["checks"]:
        assert check["passed"], check
    assert {check["device"] for check in entry["checks"]} == set(entry["devices"])
    assert report["packages"]["numpy"] is not None
    text = bertcore_command("-p", "no:mindspore", "doctor").out
    assert f"backend torch: torch {torch.__version__}" in text
    assert ": ok, largest difference from numpy" in text


def test_doctor_finds_a_wrong_result(bertcore_command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch")
    gelu = torch.nn.functional.gelu
    monkeypatch.setattr(torch.nn.functional, "gelu", lambda x: gelu(x) * 1.01)
    outcome = bertcore_command("-p", "no:mindspore", "doctor")
    assert outcome.code == 1
    assert ": wrong, largest difference from numpy" in outcome.out
    assert "remedy: reinstall torch" in outcome.out
    assert outcome.last_line == "something needs repair, see above"


# The configuration


def test_config_show_names_every_origin(
    bertcore_command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "run.toml"
    file.write_text("[train]\nepochs = 1\nbatch_size = 1\nlog_steps = 1\n")
    monkeypatch.setenv("BERTCORE_TRAIN__BATCH_SIZE", "2")
    monkeypatch.setenv("BERTCORE_TRAIN__LOG_STEPS", "2")
    arguments = ["config", "show", "-c", file, "--set", "train.log_steps=3", "--task", "rte"]
    rows = {row["key"]: row for row in json.loads(bertcore_command(*arguments, "--json").out)}
    assert {key: (rows[key]["value"], rows[key]["origin"]) for key in rows if rows[key]["origin"] != "default"} == {
        "task": ("rte", "command line"),
        "train.epochs": (1.0, str(file)),
        "train.batch_size": (2, "environment BERTCORE_TRAIN__BATCH_SIZE"),
        "train.log_steps": (3, "--set"),
    }
    lines = bertcore_command(*arguments).out.splitlines()
    assert f"train.epochs = 1.0  # {file}" in lines
    assert "run.seed = 42  # default" in lines


def keys_of(node: dict[str, Any], schema: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Dotted keys of a JSON Schema with what it says of each; sections may stand in sections."""
    assert node["additionalProperties"] is False
    for name, entry in node.get("properties", {}).items():
        if "$ref" in entry:
            section = schema["$defs"][entry["$ref"].rpartition("/")[2]]
            yield from keys_of(section, schema, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", entry


def test_config_schema(bertcore_command: Command) -> None:
    schema = json.loads(bertcore_command("config", "schema", "--json").out)
    shown = json.loads(bertcore_command("config", "show", "--json").out)
    keys = dict(keys_of(schema, schema))
    assert list(keys) == [row["key"] for row in shown]
    for row in shown:
        assert keys[row["key"]]["description"], row["key"]
        if "default" in keys[row["key"]]:
            assert keys[row["key"]]["default"] == row["value"], row["key"]
    assert keys["train.batch_size"]["minimum"] == 1
    lines = bertcore_command("config", "schema", "--task", "rte").out.splitlines()
    assert any(line.startswith("train.epochs = 3.0  # passes over the training split") for line in lines)


def test_file_environment_and_options_reach_the_run(
    bertcore_command: Command,
    tiny_en: Path,
    small_rte: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("torch")
    file = tmp_path / "run.toml"
    file.write_text(
        f'task = "rte"\n[model]\npath = "{tiny_en}"\n[data]\npath = "{small_rte}"\n'
        "[train]\nmax_steps = 1\nbatch_size = 1\nlearning_rate = 1e-5\n"
    )
    monkeypatch.setenv("BERTCORE_BACKEND", "torch")
    monkeypatch.setenv("BERTCORE_TRAIN__BATCH_SIZE", "2")
    outcome = bertcore_command(
        "run", "-c", file, "--output", tmp_path / "run", "--set", "train.max_steps=2", "--seed", 6
    )
    assert outcome.code == 0, outcome.err
    config = tomllib.loads((tmp_path / "run" / "config.toml").read_text())
    assert (config["task"], config["backend"], config["run"]["seed"]) == ("rte", "torch", 6)
    assert (config["train"]["max_steps"], config["train"]["batch_size"]) == (2, 2)
    assert config["train"]["learning_rate"] == 1e-5
    assert "2 steps of 2 examples, learning rate 1e-05, seed 6" in outcome.out


def test_a_run_without_output_goes_below_runs(
    bertcore_command: Command, tiny_en: Path, small_rte: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torch")
    monkeypatch.chdir(tmp_path)
    place = ["--task", "rte", "--backend", "torch", "--model", tiny_en, "--data", small_rte]
    outcome = bertcore_command("run", *place, "--set", "train.max_steps=1")
    assert outcome.code == 0, outcome.err
    (folder,) = (tmp_path / "runs").iterdir()
    assert folder.name.startswith("rte-torch-20")
    assert bertcore_command("evaluate", folder).last_line == outcome.last_line


# The backend that is taken


def test_the_only_backend_that_is_installed_is_taken(
    bertcore_command: Command, tiny_en: Path, small_rte: Path, tmp_path: Path
) -> None:
    pytest.importorskip("torch")
    place = ["run", "--task", "rte", "--model", tiny_en, "--data", small_rte, "--output", tmp_path / "run"]
    outcome = bertcore_command("-p", "no:mindspore", *place, "--set", "train.max_steps=1")
    assert outcome.code == 0, outcome.err
    assert tomllib.loads((tmp_path / "run" / "config.toml").read_text())["backend"] == "torch"
    rows = json.loads(bertcore_command("-p", "no:mindspore", "config", "show", "--json").out)
    shown = next(row for row in rows if row["key"] == "backend")
    assert (shown["value"], shown["origin"]) == ("torch", "the only one installed")
    model = ["predict", tmp_path / "run" / "best", "--task", "rte", "--text", "a", "--text", "b"]
    assert bertcore_command("-p", "no:mindspore", *model).code == 0


def test_of_several_backends_one_must_be_named_and_without_any_that_is_said(
    bertcore_command: Command, tiny_en: Path, small_rte: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from importlib import metadata

    place = ["run", "--task", "rte", "--model", tiny_en, "--data", small_rte]

    def says(*packages: str) -> list[str]:
        def version(name: str) -> str:
            if name in packages:
                return "1"
            raise metadata.PackageNotFoundError(name)

        monkeypatch.setattr(metadata, "version", version)
        outcome = bertcore_command(*place)
        assert outcome.code == 2
        return outcome.err.splitlines()

    assert says("torch", "mindspore") == [
        "error: no backend is named, and mindspore, torch are installed",
        "remedy: give --backend with one of mindspore, torch",
    ]
    assert says() == [
        "error: no backend is installed; mindspore needs mindspore; torch needs torch",
        "remedy: pip install 'bertcore[torch]'",
    ]


# Everyday options


def test_everyday_options_are_settings(
    bertcore_command: Command, tiny_en: Path, small_rte: Path, tmp_path: Path
) -> None:
    pytest.importorskip("torch")
    place = ["run", "--task", "rte", "--backend", "torch", "--model", tiny_en, "--data", small_rte]
    options = ["--epochs", 0.5, "--learning-rate", "3e-4", "--batch-size", 9, "--max-length", 40]
    outcome = bertcore_command(*place, *options, "--output", tmp_path / "run", "--tracker", "tensorboard")
    assert outcome.code == 0, outcome.err
    assert "4 steps of 9 examples, learning rate 0.0003" in outcome.out  # 72 pairs, half of them, 9 at a time
    config = tomllib.loads((tmp_path / "run" / "config.toml").read_text())
    assert (config["train"]["epochs"], config["data"]["max_length"]) == (0.5, 40)
    assert config["run"]["trackers"] == ["console", "metrics_jsonl", "tensorboard"]
    evaluated = bertcore_command("evaluate", tmp_path / "run", "--max-length", 30, "--batch-size", 3)
    assert "at most 30 tokens" in evaluated.out


def test_a_tracker_that_is_added_joins_those_of_the_run(
    bertcore_command: Command, copied_run: Path, tmp_path: Path
) -> None:
    outcome = bertcore_command(
        "run", "--resume", copied_run, "--tracker", "tensorboard", "--set", 'run.trackers=["console"]', "--epochs", 9
    )
    assert outcome.code == 0, outcome.err
    config = tomllib.loads((copied_run / "config.toml").read_text())
    assert config["run"]["trackers"] == ["console", "tensorboard"]
    outcome = bertcore_command("run", "--resume", copied_run, "--tracker", "tensorbord")
    assert outcome.code == 2
    assert "did you mean 'tensorboard'?" in outcome.err


# Going on and evaluating by command


def test_resume_and_its_last_line(bertcore_command: Command, tiny_en: Path, small_rte: Path, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    place = ["--task", "rte", "--backend", "torch", "--model", tiny_en, "--data", small_rte]
    options = ["--set", "train.max_steps=4", "--set", "train.batch_size=8"]
    folder = tmp_path / "run"
    stopped = bertcore_command("run", *place, *options, "--output", folder, "--set", "train.stop_after=2")
    assert stopped.code == 0
    assert stopped.last_line == "stopped after step 2 of 4; go on with --resume"
    resumed = bertcore_command("run", "--resume", folder)
    assert resumed.code == 0, resumed.err
    assert "going on from step 2" in resumed.out
    assert "total_num 30" in resumed.last_line
    log = (folder / "run.log").read_text()
    assert "".join(line[20:] for line in log.splitlines(keepends=True)) == stopped.out + resumed.out  # after the time

    refused = bertcore_command("run", "--resume", folder, "--output", tmp_path / "other")
    assert refused.code == 2
    assert "--resume goes on with one run in its own folder" in refused.err


def test_evaluate_shows_what_it_evaluates(bertcore_command: Command, finished_run: Path) -> None:
    outcome = bertcore_command("evaluate", finished_run, "--backend", "torch")
    header = dict(line.split(maxsplit=1) for line in outcome.out.splitlines()[:6])
    assert list(header) == ["task", "backend", "device", "precision", "model", "data"]
    assert "dev 30, at most 512 tokens" in header["data"]
    assert "examples/s, baseline: accuracy 0." in outcome.out
    folder = finished_run / "evaluations" / "dev-torch"
    assert f"report and predictions: {folder}" in outcome.out
    report = json.loads((folder / "report.json").read_text())
    assert report["summary"] == outcome.last_line
    assert "curves.png" not in (folder / "report.md").read_text()
    assert {path.name for path in folder.iterdir()} == {"report.json", "report.md", "predictions.jsonl"}
