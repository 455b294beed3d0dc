"""Damage on the disk is named, and a run goes on from the checkpoint before."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import bertcore
from bertcore.api import resume
from bertcore.engine import report, training
from bertcore.engine.checkpoint import load_checkpoint
from bertcore.errors import ModelError

pytest.importorskip("torch")

FILES = ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "vocab.txt")


@pytest.fixture(autouse=True)
def no_curves(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing takes longer than such a run."""
    monkeypatch.setattr(report, "_write_curves", lambda *arguments: False)


@pytest.fixture(scope="module")
def start(tiny_task: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Starts the tiny run with some changes, and returns its folder."""

    def run(**changes: Any) -> Path:
        settings = {**tiny_task["settings"], **{f"train.{key}": value for key, value in changes.items()}}
        output = tmp_path_factory.mktemp("runs") / "run"
        return bertcore.run(**{**tiny_task, "settings": settings}, output=output).folder

    return run


@pytest.fixture(scope="module")
def stopped(start: Callable[..., Path]) -> Path:
    """Stopped after step 3 of 4: best/ of step 2, checkpoints of 2 and 3."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(report, "_write_curves", lambda *arguments: False)
        return start(stop_after=3)


@pytest.fixture
def copied(stopped: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(stopped, tmp_path / "copied"))


def flip(file: Path, place: float = 0.5) -> None:
    """Flips the lowest bit of one byte, which breaks no JSON and no length."""
    content = bytearray(file.read_bytes())
    content[int(len(content) * place)] ^= 1
    file.write_bytes(content)


def step_of(checkpoint: Path) -> int:
    return int(json.loads((checkpoint / "state.json").read_text())["progress"]["step"])


def log_of(folder: Path) -> str:
    return (folder / "run.log").read_text(encoding="utf-8")


@pytest.mark.parametrize("keep", [1, 2, 3])
def test_so_many_checkpoints_are_kept(start: Callable[..., Path], keep: int) -> None:
    folder = start(keep_checkpoints=keep)
    assert step_of(folder / "checkpoint") == 4
    earlier = {"checkpoint-3", "checkpoint-2"} if keep == 3 else {"checkpoint-3"} if keep == 2 else set()
    assert {path.name for path in folder.glob("checkpoint-*")} == earlier
    for name in earlier:
        assert step_of(folder / name) == int(name.removeprefix("checkpoint-"))
        assert load_checkpoint(folder / name).progress.step == step_of(folder / name)


@pytest.mark.parametrize(
    "file", ["state.json", "optimizer.safetensors", "bertcore_manifest.json", *(f"model/{name}" for name in FILES)]
)
def test_a_run_goes_on_from_the_checkpoint_before_a_damaged_one_to_the_bit(
    start: Callable[..., Path], copied: Path, file: str, request: pytest.FixtureRequest
) -> None:
    flip(copied / "checkpoint" / file)
    with pytest.raises(ModelError, match=f"{copied}/checkpoint/{file}: damaged or changed"):
        load_checkpoint(copied / "checkpoint")
    resumed = resume(copied, settings={"train.stop_after": None})
    assert resumed.finished
    assert f"{copied}/checkpoint/{file}: damaged or changed" in log_of(copied)
    assert "going on from the one before, checkpoint-2, step 2" in log_of(copied)
    assert "going on from step 2" in log_of(copied)
    whole = whole_run(start)
    for name in ("best/model.safetensors", "checkpoint/model/model.safetensors", "checkpoint/optimizer.safetensors"):
        assert (copied / name).read_bytes() == (whole / name).read_bytes(), name
    # The damaged one has made room for a good one.
    assert {path.name for path in copied.glob("checkpoint*")} == {"checkpoint", "checkpoint-3"}
    assert [load_checkpoint(copied / name).progress.step for name in ("checkpoint", "checkpoint-3")] == [4, 3]


_WHOLE: list[Path] = []


def whole_run(start: Callable[..., Path]) -> Path:
    if not _WHOLE:
        _WHOLE.append(start())
    return _WHOLE[0]


def test_a_damaged_checkpoint_stays_until_a_new_one_is_complete(copied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever has a copy can still restore it."""
    flip(copied / "checkpoint" / "optimizer.safetensors")
    monkeypatch.setattr(training.Trainer, "train", lambda trainer: False)
    resume(copied)
    assert {path.name for path in copied.glob("checkpoint*")} == {"checkpoint", "checkpoint-2"}
    flip(copied / "checkpoint" / "optimizer.safetensors")  # as it was
    assert load_checkpoint(copied / "checkpoint").progress.step == 3


def test_where_all_are_damaged_the_newest_is_named_and_nothing_is_changed(copied: Path) -> None:
    flip(copied / "checkpoint" / "optimizer.safetensors")
    flip(copied / "checkpoint-2" / "state.json")
    before = {path: path.read_bytes() for path in copied.rglob("*") if path.is_file()}
    with pytest.raises(ModelError, match=f"^{copied}/checkpoint/optimizer.safetensors: damaged or changed"):
        resume(copied)
    assert {path: path.read_bytes() for path in copied.rglob("*") if path.is_file()} == before


def test_a_checkpoint_that_was_changed_on_purpose_is_used_without_its_manifest(copied: Path) -> None:
    file = copied / "checkpoint" / "state.json"
    state = json.loads(file.read_text())
    state["progress"]["worse_evaluations"] = 7
    file.write_text(json.dumps(state))
    (copied / "checkpoint" / "bertcore_manifest.json").unlink()
    assert load_checkpoint(copied / "checkpoint").progress.worse_evaluations == 7
    assert resume(copied, settings={"train.stop_after": None}).finished
    assert "damaged" not in log_of(copied)


def test_a_checkpoint_of_a_run_that_an_earlier_release_was_killed_in_is_found(copied: Path) -> None:
    """It renamed the old one away before the new one had its place, and kept only one."""
    shutil.rmtree(copied / "checkpoint-2")
    (copied / "checkpoint" / "bertcore_manifest.json").unlink()
    (copied / "checkpoint").rename(copied / ".checkpoint.0123abcd.old")
    (copied / ".checkpoint.0123abcd.tmp").mkdir()
    assert resume(copied, settings={"train.stop_after": None}).finished
    assert "going on from step 3" in log_of(copied)
    assert list(copied.glob(".*")) == []


# The best model


@pytest.mark.parametrize("file", [*FILES, "bertcore_manifest.json"])
def test_a_damaged_best_model_is_named_wherever_it_is_read(
    copied: Path, tiny_task: dict[str, Any], tmp_path: Path, file: str
) -> None:
    flip(copied / "best" / file)
    calls: list[Callable[[], Any]] = [
        lambda: bertcore.predict(copied, [{"text": "a"}]),
        lambda: bertcore.predict(copied / "best", [{"text": "a"}], task="classification", backend="torch"),
        lambda: bertcore.evaluate(copied),
        lambda: bertcore.convert(copied / "best", tmp_path / "converted.ckpt"),
        lambda: bertcore.run(**{**tiny_task, "model": copied / "best"}, output=tmp_path / "next"),
    ]
    for call in calls:
        with pytest.raises(ModelError) as caught:
            call()
        assert caught.value.cause.startswith(f"{copied}/best/{file}: damaged or changed")
        assert f"if it was changed on purpose, delete {copied}/best/bertcore_manifest.json" in caught.value.remedy
    assert not (tmp_path / "converted.ckpt").exists()
    assert not (tmp_path / "next").exists()


def test_a_best_model_that_was_changed_on_purpose_is_used_without_its_manifest(copied: Path) -> None:
    config = json.loads((copied / "best" / "config.json").read_text())
    config["note"] = "mine"
    (copied / "best" / "config.json").write_text(json.dumps(config))
    (copied / "best" / "bertcore_manifest.json").unlink()
    (prediction,) = bertcore.predict(copied, [{"text": "a"}])
    assert prediction["prediction"] in ("a", "b")


def test_transformers_opens_a_best_model_with_its_manifest(copied: Path) -> None:
    transformers = pytest.importorskip("transformers")
    assert (copied / "best" / "bertcore_manifest.json").is_file()
    model = transformers.AutoModelForSequenceClassification.from_pretrained(copied / "best")
    tokenizer = transformers.AutoTokenizer.from_pretrained(copied / "best")
    model(**tokenizer("a b", return_tensors="pt"))


def test_a_damaged_best_model_is_made_again_from_the_checkpoint_of_its_step(
    start: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = start(stop_after=2)
    before = {path.name: path.read_bytes() for path in (folder / "best").iterdir()}
    predictions = (folder / "predictions.jsonl").read_bytes()
    for name in ("model.safetensors", "vocab.txt"):
        flip(folder / "best" / name)
    (folder / "predictions.jsonl").unlink()
    monkeypatch.setattr(training, "_better", lambda *arguments: False)
    resumed = resume(folder, settings={"train.stop_after": None})
    assert resumed.best_step == 2
    assert "it is made again from the checkpoint" in log_of(folder)
    assert (folder / "best" / "model.safetensors").read_bytes() == before["model.safetensors"]
    assert (folder / "best" / "vocab.txt").read_bytes() == before["vocab.txt"]
    assert (folder / "predictions.jsonl").read_bytes() == predictions


def test_a_damaged_best_model_that_cannot_be_made_again_is_named_before_training(copied: Path) -> None:
    flip(copied / "best" / "model.safetensors")  # of step 2; the checkpoint is of step 3
    with pytest.raises(ModelError, match=f"{copied}/best/model.safetensors: damaged or changed"):
        resume(copied, settings={"train.stop_after": None})
    assert step_of(copied / "checkpoint") == 3


def test_the_report_names_the_step_of_the_best_model_that_is_there(
    copied: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed after best/ of step 4 was written and before the checkpoint; the resumed run then learned less."""
    whole = copied.parent / "whole"
    shutil.copytree(copied, whole)
    monkeypatch.setattr(training, "_better", lambda *arguments: True)
    assert resume(whole, settings={"train.stop_after": None}).best_step == 4
    for name in ("best", "predictions.jsonl", "best_model.pt"):
        shutil.rmtree(copied / name) if name == "best" else (copied / name).unlink()
        (whole / name).rename(copied / name)
    monkeypatch.setattr(training, "_better", lambda *arguments: False)
    resumed = resume(copied, settings={"train.stop_after": None, "train.learning_rate": 1e-6})
    assert "is of step 4, and the checkpoint counts on that of step 2" in log_of(copied)
    assert resumed.best_step == 4
    assert json.loads((copied / "report.json").read_text())["best_step"] == 4
