"""Sessions with the fused kernels against sessions with MindSpore's own operators, which are the oracle."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import pytest
from bertcore_mindspore import kernels as mindspore_kernels
from bertcore_mindspore.backend import MindSporeBackend

from bertcore.contracts.backend import ParameterGroup, Session, SessionSpecification, TrainingSpecification, Workload
from bertcore.contracts.batch import Batch, Column, from_rows
from bertcore.contracts.bert_config import BertConfig
from bertcore.contracts.head import Head
from bertcore.contracts.training_step import StepContext
from bertcore.errors import DeviceError
from bertcore.families.bert import BertFamily
from bertcore.heads import SequenceClassification, TokenClassification
from bertcore.numerics import kernels
from bertcore.numerics.kernels import find_kernels
from bertcore.plugins.registry import Registry

pytestmark = [
    pytest.mark.mindspore,
    pytest.mark.skipif(find_kernels()[0] is None, reason=f"no fused kernels: {find_kernels()[1]}"),
]

CONFIG = BertConfig(200, 48, 2, 3, 96, max_position_embeddings=64)
CLASSES = SequenceClassification(("a", "b"))
TAGS = TokenClassification(("a", "b", "c"), crf=True)
GROUPS = (
    ParameterGroup("no decay", r"bias$|LayerNorm", 2e-4, 0.0),
    ParameterGroup("rest", ".", 2e-4, 0.01),
)
STEPS, ROWS = 50, 7


def batches(head: Head) -> Iterator[Batch]:
    """Rows of 1 to 60 tokens, whose labels can be learned."""
    generator = np.random.default_rng(4)
    for _ in range(STEPS):
        lengths = generator.integers(1, 61, ROWS)
        ids = [generator.integers(1, CONFIG.vocab_size, length) for length in lengths]
        if isinstance(head, SequenceClassification):
            labels = Column(np.array([int(row[0] > 100) for row in ids]), "row")
            yield from_rows([row.tolist() for row in ids], [[0] * len(row) for row in ids], {"labels": labels})
            continue
        labels = Column(np.concatenate([row % 3 for row in ids]), "label", ignore=-100)
        yield from_rows(
            [row.tolist() for row in ids],
            [[0] * len(row) for row in ids],
            {"labels": labels},
            label_positions=[list(range(len(row))) for row in ids],
        )


def open_session(head: Head, **changes: Any) -> Session:
    table = BertFamily().parameter_table(CONFIG, head)
    lengths = np.array([20, 40, 60], dtype=np.int64)
    specification = SessionSpecification(
        config=CONFIG,
        head=head,
        table=table,
        device="cpu",
        precision="fp32",
        prediction_precision="fp32",
        workload=Workload(lengths, lengths, ROWS, ROWS, 64),
        code_of=partial(Registry().code_of, "mindspore"),
        training=TrainingSpecification(GROUPS, ema=0.9),
    )
    session = MindSporeBackend().open(dataclasses.replace(specification, **changes))
    generator = np.random.default_rng(7)
    session.load(
        {
            name: np.ones(spec.shape, np.float32)
            if name.endswith("LayerNorm.weight")
            else (generator.standard_normal(spec.shape) * 0.05).astype(np.float32)
            for name, spec in table.items()
        }
    )
    return session


def losses_of(session: Session, head: Head) -> list[float]:
    context = [StepContext(step, 3, (2e-4, 2e-4), float(ROWS)) for step in range(STEPS)]
    return [session.train_step([batch], one).loss_sum / ROWS for batch, one in zip(batches(head), context, strict=True)]


@pytest.fixture(scope="module", params=["classes", "tags"])
def runs(request: pytest.FixtureRequest) -> dict[str, tuple[Session, list[float], Head]]:
    """Fifty steps with dropout, by what computes them."""
    head = CLASSES if request.param == "classes" else TAGS
    ways: dict[str, dict[str, Any]] = {"reference": {"kernels": "reference"}, "fused": {}}
    if head is CLASSES:
        ways["bf16"] = {"precision": "bf16", "prediction_precision": "bf16"}
    sessions = {name: open_session(head, **changes) for name, changes in ways.items()}
    # Masks are drawn call by call, and which rows share a call follows from what calls cost, which kernels change.
    for session in sessions.values():
        session._training_shapes = sessions["reference"]._training_shapes  # type: ignore[attr-defined]
    return {name: (session, losses_of(session, head), head) for name, session in sessions.items()}


def test_losses_over_fifty_steps_with_dropout_are_the_same(runs: Any) -> None:
    reference, fused = runs["reference"][1], runs["fused"][1]
    np.testing.assert_allclose(fused, reference, rtol=1e-5)
    assert np.ptp(reference) > 0.05, "they must move for this to say anything"


def test_parameters_moments_and_averages_agree_after_them(runs: Any) -> None:
    (reference, _, _), (fused, _, _) = runs["reference"], runs["fused"]
    for found, expected in (
        (fused.parameters(), reference.parameters()),
        (fused.predicting_parameters(), reference.predicting_parameters()),
        (fused.state().first_moment, reference.state().first_moment),
    ):
        for name, values in expected.items():
            scale = max(float(np.abs(values).max()), 1e-3)
            assert np.abs(found[name] - values).max() <= 2e-3 * scale, name
    assert fused.state().updates == reference.state().updates == STEPS


def test_predictions_agree(runs: Any) -> None:
    (reference, _, head), (fused, _, _) = runs["reference"], runs["fused"]
    fused.load(reference.parameters())
    reference.load(reference.parameters())
    for batch in list(batches(head))[:4]:
        found, expected = (session.predict(batch, ["logits"])["logits"] for session in (fused, reference))
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("runs", ["classes"], indirect=True)
def test_rounded_products_learn_alike(runs: Any) -> None:
    reference, rounded = runs["reference"][1], runs["bf16"][1]
    assert rounded != reference
    np.testing.assert_allclose(rounded, reference, rtol=0, atol=0.05)
    np.testing.assert_allclose(np.mean(rounded), np.mean(reference), rtol=0.01)


def test_bf16_is_refused_where_there_are_no_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DeviceError, match=r"run\.kernels=reference"):
        open_session(CLASSES, precision="bf16", kernels="reference")
    monkeypatch.setattr(kernels, "find_kernels", lambda: (None, "there is no C++ compiler"))
    with pytest.raises(DeviceError, match=r"no C\+\+ compiler"):
        open_session(CLASSES, prediction_precision="bf16")


def test_without_its_onednn_the_products_are_mindspores(monkeypatch: pytest.MonkeyPatch, runs: Any) -> None:
    """As on a processor for which MindSpore brings none: the other kernels compute, and bf16 is refused."""
    monkeypatch.setattr(mindspore_kernels, "use_products_of_mindspore", lambda: False)
    (reference, _, head) = runs["reference"]
    session = open_session(head)
    session.load(reference.parameters())
    batch = next(batches(head))
    found, expected = (one.predict(batch, ["logits"])["logits"] for one in (session, reference))
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)
    with pytest.raises(DeviceError, match="oneDNN"):
        open_session(head, prediction_precision="bf16")
