"""Runs that learn from a teacher: its outputs once, the closed form, a stop without it, and what is refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bertcore
from bertcore.api import resume
from bertcore.errors import ConfigError, ModelError, UsageError
from bertcore.formats.safetensors_file import read_safetensors, write_safetensors

pytest.importorskip("torch")

ONE_STEP: dict[str, Any] = {
    "train.max_steps": 1,
    "train.batch_size": 128,
    "train.dropout": False,
    "train.log_steps": 1,
    "train.distill.temperature": 3.0,
    "train.distill.weight": 0.4,
}
SHORT: dict[str, Any] = {"train.max_steps": 3, "train.batch_size": 8, "train.log_steps": 1, "train.r_drop": 1.0}


@pytest.fixture(scope="module")
def teacher(tiny_with_head: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another model, whose two labels stand in the other order."""
    folder = Path(shutil.copytree(tiny_with_head, tmp_path_factory.mktemp("teacher") / "model"))
    generator = np.random.default_rng(4)
    weights = {name: np.array(value) for name, value in read_safetensors(folder / "model.safetensors").items()}
    weights["classifier.weight"] = generator.normal(0, 0.3, (2, 128)).astype(np.float32)
    weights["classifier.bias"] = np.array([0.5, -0.5], dtype=np.float32)
    write_safetensors(folder / "model.safetensors", weights)
    config = json.loads((folder / "config.json").read_text())
    labels = ["not_entailment", "entailment"]
    config |= {"id2label": dict(enumerate(labels)), "label2id": {name: index for index, name in enumerate(labels)}}
    (folder / "config.json").write_text(json.dumps(config))
    return folder


@pytest.fixture
def start(tiny_with_head: Path, small_rte: Path, tmp_path: Path) -> Callable[..., Any]:
    def run(name: str, teacher: Path | None, settings: dict[str, Any], **changes: Any) -> Any:
        common = {"task": "rte", "backend": "torch", "model": tiny_with_head, "data": small_rte, "seed": 7}
        return bertcore.run(**{**common, **changes}, output=tmp_path / name, teacher=teacher, settings=settings)

    return run


def test_the_first_loss_is_the_closed_form_of_transformers_logits(
    start: Callable[..., Any],
    teacher: Path,
    tiny_with_head: Path,
    small_rte: Path,
    transformers_logits: Callable[[Path, Path], Any],
    losses_of: Callable[[Path], list[float]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = start("run", teacher, ONE_STEP).folder
    file = small_rte / "train.tsv"
    ours = np.asarray(transformers_logits(tiny_with_head, file), dtype=np.float64)
    theirs = np.asarray(transformers_logits(teacher, file), dtype=np.float64)[:, ::-1]  # in the student's order
    lines = file.read_text(encoding="utf-8").splitlines()[1:]
    labels = [("entailment", "not_entailment").index(line.split("\t")[3]) for line in lines]
    p, q = log_softmax(theirs / 3), log_softmax(ours / 3)
    divergence = (np.exp(p) * (p - q)).sum(axis=1)
    cross_entropy = -log_softmax(ours)[np.arange(len(labels)), labels]
    assert losses_of(folder) == pytest.approx([(0.6 * cross_entropy + 0.4 * 9 * divergence).mean()], rel=1e-5)
    assert divergence.mean() > 0.01
    kept = read_safetensors(folder / "teacher" / "outputs.safetensors")
    np.testing.assert_allclose(kept["teacher_logits"], theirs, atol=1e-5)
    shown = capsys.readouterr()
    assert "torch on cpu; temperature 3, weight 0.4" in shown.err + shown.out


def test_a_run_goes_on_to_the_bit_without_its_teacher(start: Callable[..., Any], teacher: Path, tmp_path: Path) -> None:
    gone = Path(shutil.copytree(teacher, tmp_path / "gone"))
    whole = start("whole", gone, SHORT).folder
    part = start("part", gone, {**SHORT, "train.stop_after": 2}).folder
    shutil.rmtree(gone)
    resume(part, settings={"train.stop_after": None})
    for file in ("checkpoint/model/model.safetensors", "checkpoint/optimizer.safetensors"):
        assert (whole / file).read_bytes() == (part / file).read_bytes(), file
    with pytest.raises(ConfigError) as caught:
        resume(part, settings={"train.distill.weight": 0.9})
    assert caught.value.code == "setting-fixed"


def test_damaged_outputs_are_asked_for_again(
    start: Callable[..., Any], teacher: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    part = start("part", teacher, {**SHORT, "train.stop_after": 2}).folder
    outputs = part / "teacher" / "outputs.safetensors"
    right = outputs.read_bytes()
    outputs.write_bytes(right[:-4] + b"abcd")
    resume(part, settings={"train.stop_after": None})
    shown = capsys.readouterr()
    assert "the teacher is asked again" in shown.err + shown.out
    assert outputs.read_bytes() == right


def test_a_run_teaches_another_one(start: Callable[..., Any], teacher: Path, tiny_en: Path) -> None:
    """The teacher is the folder of a run; the student a model whose head is new."""
    taught = start("first", None, {"train.max_steps": 1}).folder
    result = start("second", taught, {"train.max_steps": 1}, model=tiny_en)
    assert result.finished
    assert (result.folder / "teacher" / "outputs.safetensors").is_file()


def test_a_teacher_of_other_labels_is_refused(start: Callable[..., Any], teacher: Path, tmp_path: Path) -> None:
    other = Path(shutil.copytree(teacher, tmp_path / "other"))
    config = json.loads((other / "config.json").read_text())
    config["id2label"] = {"0": "yes", "1": "no"}
    config["label2id"] = {"yes": 0, "no": 1}
    (other / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match=r"the teacher predicts yes, no .* the student entailment, not_ent") as caught:
        start("run", other, ONE_STEP)
    assert caught.value.code == "head-mismatch"
    assert not (tmp_path / "run").exists()


def test_a_teacher_of_tokens_must_read_the_same_ones(tiny_en: Path, tmp_path: Path) -> None:
    """Of two windows where the student has one, as of another tokenizer."""
    sentence = "\n".join(f"{word}\t{tag}" for word, tag in [("john", "B-PER"), ("is", "O"), ("here", "O")] * 8)
    file = tmp_path / "train.bio"
    file.write_text(f"{sentence}\n\n" * 3, encoding="utf-8")
    common = {"task": "ner", "backend": "torch", "model": tiny_en, "train": file, "dev": file}
    settings = {"train.max_steps": 1, "train.batch_size": 2}
    narrow = bertcore.run(**common, output=tmp_path / "narrow", settings={**settings, "data.max_length": 16}).folder
    with pytest.raises(UsageError, match="the teacher's tokens are not the student's") as caught:
        bertcore.run(**common, output=tmp_path / "wide", teacher=narrow, settings=settings)
    assert caught.value.code == "teacher-unfit"
    again = {**settings, "data.max_length": 16, "head.crf": True}
    assert bertcore.run(**common, output=tmp_path / "same", teacher=narrow, settings=again).finished


def test_options_of_a_teacher_need_one(start: Callable[..., Any]) -> None:
    with pytest.raises(ConfigError, match=r"weight needs train\.distill\.teacher"):
        start("run", None, {"train.distill.weight": 0.9})


def log_softmax(logits: Any) -> Any:
    shifted = logits - logits.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
