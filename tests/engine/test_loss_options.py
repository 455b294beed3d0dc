"""What label smoothing, focal loss and class weights do to a run, and what they leave alone."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bertcore
from bertcore.api import RunResult, resume
from bertcore.config import HeadConfig, RunConfig
from bertcore.contracts.batch import Column, from_rows
from bertcore.contracts.head import Head
from bertcore.contracts.loss_options import LossOptions, balanced_weights
from bertcore.data.plans import plan_training
from bertcore.engine.loss_options import describe_loss, settle_weights, with_loss
from bertcore.errors import ConfigError, UsageError
from bertcore.heads import GlobalPointer, Regression, SequenceClassification, SpanExtraction, TokenClassification

pytest.importorskip("torch")

LABELS = ("entailment", "not_entailment")
WEIGHTS = {"entailment": 0.5, "not_entailment": 2.5}
SHAPED = {"head.class_weights": WEIGHTS, "head.label_smoothing": 0.1}
# Nothing moves, so that every step's loss is one of the model as it was given.
STILL = {
    "train.max_steps": 4,
    "train.batch_size": 5,
    "train.accumulation": 2,
    "train.learning_rate": 0.0,
    "train.dropout": False,
    "train.log_steps": 1,
    "train.metric": "loss",
    "data.cache": False,
}


@pytest.fixture(scope="module")
def train(tiny_with_head: Path, small_rte: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., RunResult]:
    def run(**settings: Any) -> RunResult:
        return bertcore.run(
            task="rte",
            backend="torch",
            model=tiny_with_head,
            data=small_rte,
            seed=7,
            output=tmp_path_factory.mktemp("losses") / "run",
            settings={**STILL, **settings},
        )

    return run


@pytest.fixture(scope="module")
def shaped(train: Callable[..., RunResult]) -> RunResult:
    return train(**SHAPED)


def labels_of(file: Path) -> np.ndarray:
    lines = file.read_text(encoding="utf-8").split("\n")[1:]
    return np.array([LABELS.index(line.split("\t")[3]) for line in lines if line])


def events(folder: Path, kind: str) -> list[dict[str, Any]]:
    lines = (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return [entry for entry in map(json.loads, lines) if entry["kind"] == kind]


def mean_loss(logits: np.ndarray, labels: np.ndarray) -> float:
    import torch

    weights = torch.tensor(list(WEIGHTS.values()))
    mean = torch.nn.functional.cross_entropy(torch.tensor(logits), torch.tensor(labels), weights, label_smoothing=0.1)
    return float(mean)


def test_losses_of_steps_and_of_evaluations_are_torchs_weighted_means(
    shaped: RunResult, tiny_with_head: Path, small_rte: Path, transformers_logits: Callable[[Path, Path], np.ndarray]
) -> None:
    """Over micro-batches of five and of fewer rows; the evaluation's loss is shaped, too, as transformers' is."""
    logits, labels = transformers_logits(tiny_with_head, small_rte / "train.tsv"), labels_of(small_rte / "train.tsv")
    plan = plan_training(np.ones(len(labels), dtype=np.int64), 5, seed=7, epoch=0)
    for number, step in enumerate(events(shaped.folder, "train")[: len(plan) // 2]):
        rows = np.concatenate(plan[2 * number : 2 * number + 2])
        assert step["loss"] == pytest.approx(mean_loss(logits[rows], labels[rows]), rel=1e-5)
    logits, labels = transformers_logits(tiny_with_head, small_rte / "dev.tsv"), labels_of(small_rte / "dev.tsv")
    assert shaped.metrics["loss"] == pytest.approx(mean_loss(logits, labels), rel=1e-5)
    again = bertcore.evaluate(shaped.folder)
    assert again.evaluation.metrics["loss"] == pytest.approx(shaped.metrics["loss"], rel=1e-6)


def test_the_header_shows_how_the_loss_is_shaped_and_the_model_folder_does_not_keep_it(
    shaped: RunResult, train: Callable[..., RunResult]
) -> None:
    plain = train()
    assert "weights entailment 0.5, not_entailment 2.5" in (shaped.folder / "report.md").read_text(encoding="utf-8")
    assert "label smoothing" not in (plain.folder / "report.md").read_text(encoding="utf-8")
    written = [json.loads((run.folder / "best" / "config.json").read_text(encoding="utf-8")) for run in (shaped, plain)]
    assert written[0] == written[1]


def test_each_option_alone_is_said_in_words() -> None:
    given = {"label_smoothing": 0.1}, {"focal_gamma": 2.0}, {"class_weights": (0.5, 2.0)}
    words = [describe_loss(SequenceClassification(LABELS, loss=LossOptions(**options))) for options in given]
    assert words == ["label smoothing 0.1", "focal with gamma 2", "weights entailment 0.5, not_entailment 2"]


def test_balanced_weights_are_those_of_scikit_learn_and_stay_with_the_run(
    train: Callable[..., RunResult], small_rte: Path
) -> None:
    from sklearn.utils.class_weight import compute_class_weight

    stopped = train(**{"head.class_weights": "balanced", "train.stop_after": 2})
    labels = labels_of(small_rte / "train.tsv")
    expected = dict(zip(LABELS, compute_class_weight("balanced", classes=np.arange(2), y=labels), strict=True))
    stored = tomllib.loads((stopped.folder / "config.toml").read_text(encoding="utf-8"))["head"]["class_weights"]
    assert stored == pytest.approx(expected, rel=1e-15)
    resume(stopped.folder, settings={"train.stop_after": None})
    whole = train(**{"head.class_weights": stored})
    assert events(stopped.folder, "train")[-1]["loss"] == events(whole.folder, "train")[-1]["loss"]
    with pytest.raises(ConfigError, match=r"head\.class_weights was .* and cannot become"):
        resume(stopped.folder, settings={"head.class_weights": {"entailment": 9.0}})


def test_balanced_weights_count_neither_ignored_labels_nor_absent_ones() -> None:
    from sklearn.utils.class_weight import compute_class_weight

    ids = np.array([0, 0, 0, 2, 3, 3, -100])
    found = balanced_weights(("O", "B-PER", "I-PER", "O"), Column(ids, "row", ignore=-100))
    kept = np.where(ids == 3, 0, ids)[:-1]  # two labels are one by their name
    expected = compute_class_weight("balanced", classes=np.array([0, 2]), y=kept)
    assert found == pytest.approx({"O": expected[0], "I-PER": expected[1]})


def test_balanced_weights_of_several_labels_are_torchs_pos_weight() -> None:
    head = SequenceClassification(("rare", "often", "always", "never"), multi_label=True)
    rows = np.array([[1, 1, 1, 0], [0, 1, 1, 0], [0, 1, 1, 0], [0, 0, 1, 0]], dtype=np.float32)
    batch = from_rows([[1]] * 4, [[0]] * 4, {"labels": Column(rows, "row")})
    assert head.balanced_weights(batch) == {"rare": 3.0, "often": pytest.approx(1 / 3)}


def test_a_label_that_cannot_be_balanced_keeps_its_weight_and_is_named() -> None:
    head = TokenClassification(("O", "B-PER", "S-PER"), scheme="BMES")
    labels = Column(np.array([0, 0, 0, 1, -100]), "label", ignore=-100)
    batch = from_rows([[1] * 5], [[0] * 5], {"labels": labels}, label_positions=[range(5)])
    notes: list[str] = []
    config = RunConfig(head=HeadConfig(class_weights="balanced"))
    settled = settle_weights(config, head, batch, notes.append)
    assert settled.head.class_weights == {"O": pytest.approx(4 / 6), "B-PER": 2.0}
    assert with_loss(head, settled.head).loss.class_weights[2] == 1.0
    assert "nothing to balance of S-PER" in notes[0]


def test_labels_of_a_stream_are_not_counted() -> None:
    config = RunConfig(head=HeadConfig(class_weights="balanced"))
    with pytest.raises(UsageError, match="counts the labels of the training split, which is a stream"):
        settle_weights(config, SequenceClassification(LABELS), None, print)


@pytest.mark.parametrize(
    ("head", "option"),
    [
        (Regression(), {"focal_gamma": 2.0}),
        (SpanExtraction(), {"label_smoothing": 0.1}),
        (TokenClassification(("O", "B-PER"), crf=True), {"class_weights": "balanced"}),
        (GlobalPointer(("PER",)), {"class_weights": {"PER": 2.0}}),
    ],
)
def test_a_head_without_a_loss_over_labels_takes_no_option(head: Head, option: dict[str, Any]) -> None:
    assert with_loss(head, HeadConfig()) is head
    with pytest.raises(ConfigError, match=f"does not fit the loss of this {head.name} head") as caught:
        with_loss(head, HeadConfig(**option))
    assert caught.value.cause.startswith(f"head.{next(iter(option))} ")
    assert "\n" not in caught.value.cause


@pytest.mark.parametrize(
    ("task", "settings", "message"),
    [
        ("rte", {"head.class_weights": {"entailmnt": 2.0}}, r"'entailmnt', which is no label.*\n.*'entailment'"),
        ("rte", {"head.class_weights": {"entailment": -1.0}}, "no weight may be below 0"),
        ("rte", {"head.class_weights": "equal"}, r"head\.class_weights = 'equal'"),
        ("rte", {"head.label_smoothing": 1.0}, r"head\.label_smoothing = 1\.0"),
        ("cluener", {"head.class_weights": "balanced", "head.crf": True}, "needs the loss of a softmax"),
    ],
)
def test_a_wrong_option_is_refused_before_anything_is_written(
    task: str, settings: dict[str, Any], message: str, tiny_en: Path, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        bertcore.run(
            task=task, backend="torch", model=tiny_en, data="sample", output=tmp_path / "run", settings=settings
        )
    assert "\n" not in caught.value.cause
    assert not (tmp_path / "run").exists()


def test_rows_are_found_again_whatever_the_loss() -> None:
    """The repr of a head is part of the key of its encoded rows."""
    assert repr(SequenceClassification(LABELS, loss=LossOptions(0.1))) == repr(SequenceClassification(LABELS))
