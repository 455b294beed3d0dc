"""What a run leaves behind, and what it shows while it goes on."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

import bertcore
from bertcore.config import RunConfig
from bertcore.contracts.events import Event, RunStarted, StepLogged, TrackerFactory
from bertcore.errors import Origin, OutputError
from bertcore.plugins.discovery import installed_plugins
from bertcore.plugins.registry import Registry

pytest.importorskip("torch")


class LogReader:
    """A tracker that reads ``run.log`` after each logged step, as a person with ``tail -f`` would."""

    seen: dict[int, str]

    def __init__(self, run: RunStarted) -> None:
        self._log = run.folder / "run.log"
        LogReader.seen = {}

    def on_event(self, event: Event) -> None:
        if isinstance(event, StepLogged):
            LogReader.seen[event.step] = self._log.read_text(encoding="utf-8")

    def close(self) -> None:
        pass


class LogReaderPlugin:
    @staticmethod
    @bertcore.hookimpl
    def bertcore_register_trackers() -> list[TrackerFactory]:
        return [TrackerFactory("log_reader", "reads the log", LogReader)]


@dataclass(frozen=True)
class FinishedRun:
    result: bertcore.api.RunResult
    terminal: str
    log_while_running: dict[int, str]

    @property
    def folder(self) -> Path:
        return self.result.folder


@pytest.fixture(scope="module")
def finished(tiny_en: Path, small_rte: Path, tmp_path_factory: pytest.TempPathFactory) -> FinishedRun:
    """Six steps with texts cut at 32 tokens."""
    import contextlib
    import io

    plugins = installed_plugins()
    plugins.register(LogReaderPlugin, "log_reader")
    terminal = io.StringIO()
    with contextlib.redirect_stdout(terminal):
        result = bertcore.run(
            task="rte",
            backend="torch",
            model=tiny_en,
            data=small_rte,
            output=tmp_path_factory.mktemp("runs") / "finished",
            registry=Registry(plugins),
            settings={
                "train.max_steps": 6,
                "train.batch_size": 8,
                "train.log_steps": 2,
                "train.evaluate_steps": 3,
                "data.max_length": 32,
            },
        )
    return FinishedRun(result, terminal.getvalue(), LogReader.seen)


def test_content(finished: FinishedRun) -> None:
    names = {str(path.relative_to(finished.folder)) for path in finished.folder.rglob("*") if path.is_file()}
    model = {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "vocab.txt"}
    assert names == {
        "run.log",
        "config.toml",
        "metrics.jsonl",
        "report.json",
        "report.md",
        "curves.png",
        "predictions.jsonl",
        "best_model.pt",
        *(f"best/{name}" for name in model | {"bertcore_manifest.json"}),
        *(
            f"{checkpoint}/{name}"
            for checkpoint in ("checkpoint", "checkpoint-3")  # of step 6, and the one before
            for name in (
                "state.json",
                "optimizer.safetensors",
                "bertcore_manifest.json",
                *(f"model/{name}" for name in model),
            )
        ),
    }


def without_times(log: str) -> str:
    """The lines of ``run.log`` as the terminal showed them; each must begin with its time."""
    lines = [re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d (.*)", line) for line in log.splitlines()]
    assert all(lines), log
    return "".join(f"{line[1]}\n" for line in lines if line)


def test_log_is_what_the_terminal_showed_with_times(finished: FinishedRun) -> None:
    log = (finished.folder / "run.log").read_text(encoding="utf-8")
    assert without_times(log) == finished.terminal
    times = [datetime.fromisoformat(line[:19]) for line in log.splitlines()]
    assert times == sorted(times)
    assert abs((times[-1] - datetime.fromtimestamp((finished.folder / "run.log").stat().st_mtime)).total_seconds()) < 2


def test_log_is_readable_while_the_run_goes_on(finished: FinishedRun) -> None:
    assert sorted(finished.log_while_running) == [2, 4, 6]
    for step, text in finished.log_while_running.items():
        assert without_times(text).splitlines()[-1].startswith(f"step {step}/6, ")
        assert finished.terminal.startswith(without_times(text))


def test_header(finished: FinishedRun) -> None:
    import torch
    from transformers import AutoTokenizer

    header = dict(line.split(maxsplit=1) for line in finished.terminal.splitlines()[:9])
    assert header["task"] == "rte"
    assert header["backend"].startswith(f"torch, torch {torch.__version__}")
    assert header["device"] in ("cpu", "cuda:0")
    assert header["precision"] == "fp32, evaluation fp32"
    assert "bert-tiny-en (bert, 2 layers, hidden size 128)" in header["model"]
    assert header["output"] == str(finished.folder)
    # Every text that was cut is counted: by transformers' tokenizer as well.
    tokenizer = AutoTokenizer.from_pretrained(finished.folder / "best")
    counts = {}
    for split in ("train", "dev"):
        folder = tomllib.loads((finished.folder / "config.toml").read_text())["data"]["path"]
        rows = [line.split("\t") for line in (Path(folder) / f"{split}.tsv").read_text().splitlines()[1:]]
        counts[split] = sum(len(tokenizer(row[1], row[2])["input_ids"]) > 32 for row in rows)
    assert min(counts.values()) > 0
    assert f"train 72, {counts['train']} truncated, dev 30, {counts['dev']} truncated, at most 32" in header["data"]


def test_lines_of_steps_and_evaluations(finished: FinishedRun) -> None:
    steps = [line for line in finished.terminal.splitlines() if line.startswith("step ")]
    pattern = (
        r"step [246]/6, epoch \d\.\d\d, loss \d\.\d{4}, learning rate \d\.\d\de-\d\d, gradient norm \d+\.\d{3}, "
        r"\d+\.\d examples/s"
    )
    assert len(steps) == 3
    for line in steps:
        assert re.fullmatch(pattern, line), line
    evaluations = [line for line in finished.terminal.splitlines() if line.startswith("dev at step ")]
    assert [line.split(":")[0] for line in evaluations] == ["dev at step 3", "dev at step 6"]
    for line in evaluations:
        assert re.search(r"accuracy 0\.\d{4} \(baseline 0\.\d{4}\), 30 examples, \d+\.\d examples/s", line), line
    assert "best so far" in evaluations[0]


def test_last_line(finished: FinishedRun) -> None:
    last = finished.terminal.splitlines()[-1]
    match = re.fullmatch(r"acc_num (\d+), total_num 30, accuracy (\d\.\d{6})", last)
    assert match
    assert float(match[2]) == round(int(match[1]) / 30, 6)
    assert last == finished.result.summary


def test_configuration_starts_the_same_run_again(finished: FinishedRun, tmp_path: Path) -> None:
    tree = tomllib.loads((finished.folder / "config.toml").read_text(encoding="utf-8"))
    config = RunConfig.model_validate(tree)
    assert config.data.max_length == 32
    assert config.train.max_steps == 6
    assert Path(config.model.path or "").is_absolute()
    assert Path(config.data.path or "").is_absolute()
    tree["run"]["output"] = str(tmp_path / "again")
    settings = {
        f"{section}.{key}": value
        for section, values in tree.items()
        if isinstance(values, dict)
        for key, value in values.items()
        if section not in ("model",) and f"{section}.{key}" not in ("data.path", "run.output", "run.seed")
    }
    again = bertcore.run(
        task=tree["task"],
        backend=tree["backend"],
        model=tree["model"]["path"],
        data=tree["data"]["path"],
        output=tmp_path / "again",
        seed=tree["run"]["seed"],
        settings=settings,
    )
    for name in ("best/model.safetensors", "predictions.jsonl"):
        assert (again.folder / name).read_bytes() == (finished.folder / name).read_bytes()


def test_metrics(finished: FinishedRun, read_metrics: Callable[[Path], list[dict[str, Any]]]) -> None:
    entries = read_metrics(finished.folder)
    assert [(entry["kind"], entry["step"]) for entry in entries] == [
        ("train", 2),
        ("evaluation", 3),
        ("train", 4),
        ("train", 6),
        ("evaluation", 6),
    ]
    for entry in entries:
        assert entry["epoch"] == pytest.approx(entry["step"] / 9)
    assert entries[1]["split"] == "dev"
    assert entries[1]["examples"] == 30
    assert set(entries[0]["learning_rates"]) == {"encoder", "encoder, no decay", "head", "head, no decay"}


def test_report(finished: FinishedRun) -> None:
    report = json.loads((finished.folder / "report.json").read_text(encoding="utf-8"))
    predictions = [json.loads(line) for line in (finished.folder / "predictions.jsonl").read_text().splitlines()]
    assert report["summary"] == finished.result.summary
    assert report["metrics"] == finished.result.metrics
    assert report["total"] == 30
    assert report["best_step"] == finished.result.best_step
    labels = report["confusion"]["labels"]
    for row, gold in zip(report["confusion"]["counts"], labels, strict=True):
        for count, predicted in zip(row, labels, strict=True):
            assert count == sum(entry["label"] == gold and entry["prediction"] == predicted for entry in predictions), (
                gold,
                predicted,
            )
    wrong = [entry for entry in predictions if entry["label"] != entry["prediction"]]
    surest = sorted(wrong, key=lambda entry: -max(entry["probabilities"].values()))
    assert report["errors"][0]["sentence1"] == surest[0]["sentence1"]
    assert [error["probability"] for error in report["errors"]] == pytest.approx(
        [max(entry["probabilities"].values()) for entry in surest[:20]], abs=1e-4
    )
    assert re.fullmatch(r".*/dev\.tsv:\d+", report["errors"][0]["origin"])
    assert report["environment"]["bertcore"] == bertcore.__version__
    assert report["options"]["train.max_steps"] == 6


def test_readable_report(finished: FinishedRun) -> None:
    text = (finished.folder / "report.md").read_text(encoding="utf-8")
    report = json.loads((finished.folder / "report.json").read_text(encoding="utf-8"))
    assert finished.result.summary in text
    assert "![loss and scores](curves.png)" in text
    assert "## Confusion matrix" in text
    assert report["errors"][0]["sentence1"] in text
    assert "| train.max_steps | 6 |" in text
    assert (finished.folder / "curves.png").read_bytes().startswith(b"\x89PNG\r\n\x1a\n")


def test_predictions(finished: FinishedRun) -> None:
    for line in (finished.folder / "predictions.jsonl").read_text(encoding="utf-8").splitlines():
        entry = json.loads(line)
        assert set(entry) == {"id", "sentence1", "sentence2", "prediction", "probabilities", "label"}
        assert sum(entry["probabilities"].values()) == pytest.approx(1, abs=1e-5)
        assert entry["prediction"] == max(entry["probabilities"], key=entry["probabilities"].get)


def test_the_best_model_is_of_one_step_in_all_its_forms(
    tiny_en: Path, small_rte: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What fails while one of them is written leaves all of them as they were."""
    import torch
    from safetensors.torch import load_file

    from bertcore.engine import best_model, training

    output, save = tmp_path / "full", best_model.save_weights

    def fail_the_second_time(file: Path, *arguments: Any) -> None:
        if (output / "predictions.jsonl").exists():
            raise OutputError("no space left on device", "free some space", origin=Origin(str(file)), code="disk-full")
        save(file, *arguments)

    monkeypatch.setattr(best_model, "save_weights", fail_the_second_time)
    monkeypatch.setattr(training, "_better", lambda *arguments: True)
    settings = {"train.max_steps": 2, "train.batch_size": 8, "train.evaluate_steps": 1, "data.max_length": 32}
    with pytest.raises(OutputError, match=f"{output}/best_model.pt: no space"):
        bertcore.run(task="rte", backend="torch", model=tiny_en, data=small_rte, output=output, settings=settings)
    folder, file = load_file(output / "best" / "model.safetensors"), torch.load(output / "best_model.pt")
    name = "classifier.weight"
    torch.testing.assert_close(folder[name], file[name], rtol=0, atol=0)
    assert not list(output.glob(".*"))
