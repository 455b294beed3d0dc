"""The conditional random field on MindSpore: both ways to compute it against the reference, and frozen transitions."""

from __future__ import annotations

import dataclasses
from functools import partial
from typing import Any

import mindspore
import numpy as np
import pytest
from bertcore_mindspore import crf
from bertcore_mindspore.backend import MindSporeBackend
from bertcore_mindspore.devices import DEVICES, configure
from bertcore_mindspore.rows import PackedRows, pack
from bertcore_mindspore.shapes import Shape
from bertcore_mindspore.values import copy_into
from mindspore import Parameter, ParameterTuple, Tensor, nn

from bertcore.contracts.backend import ParameterGroup, SessionSpecification, TrainingSpecification, Workload
from bertcore.contracts.batch import Batch, Column, from_rows
from bertcore.contracts.bert_config import BertConfig
from bertcore.contracts.training_step import StepContext
from bertcore.families.bert import BertFamily
from bertcore.heads import TokenClassification
from bertcore.numerics.crf import host, reference
from bertcore.plugins.registry import Registry

pytestmark = pytest.mark.mindspore

TAGS = ("O", "B-X", "I-X")
LENGTHS = [5, 0, 1, 13, 9, 2]
SHAPE = Shape(length=24, bins=2)  # 24 leaves, halved to 3, which are filled up
SCORE_NAMES = ("crf.transitions", "crf.start_transitions", "crf.end_transitions")


class Losses(nn.Cell):
    """Weighted losses of a call with their gradients, and the best tags."""

    def __init__(self, field: crf.ConditionalRandomField, parameters: dict[str, Parameter]) -> None:
        super().__init__(auto_prefix=False)
        self.field = field
        self.names = (*crf.COLUMN_NAMES, "row_weights", "blocked")
        weights = ParameterTuple([parameters[name] for name in SCORE_NAMES])
        self.gradients = mindspore.grad(self.weighted, 0, weights)

    def collect(self, arrays: tuple[Tensor, ...]) -> dict[str, Tensor]:
        batch = {}
        for index in range(len(self.names)):
            batch[self.names[index]] = arrays[index]
        return batch

    def weighted(self, logits: Tensor, weights: Tensor, *arrays: Tensor) -> Tensor:
        return (self.field.losses(logits, self.collect(arrays)) * weights).sum()

    def construct(self, logits: Tensor, weights: Tensor, *arrays: Tensor) -> Any:
        batch = self.collect(arrays)
        gradients = self.gradients(logits, weights, *arrays)
        return self.field.losses(logits, batch), self.field.decode(logits, batch), gradients


def random_batch(generator: np.random.Generator) -> Batch:
    """Rows with a label on each token but the first, some of them ignored."""
    labels = generator.integers(0, 3, sum(LENGTHS))
    labels[::4] = -100
    return from_rows(
        [[1] * (length + 1) for length in LENGTHS],
        [[0] * (length + 1) for length in LENGTHS],
        {"labels": Column(labels, "label", ignore=-100)},
        label_positions=[list(range(1, length + 1)) for length in LENGTHS],
    )


@pytest.mark.parametrize("way", ["host", "graph"])
@pytest.mark.parametrize("scheme", ["", "BIO"])
def test_both_ways_equal_the_reference(way: str, scheme: str) -> None:
    """One graph, many scores: moderate, extreme, and with walls."""
    configure(mindspore, "cpu")
    head = TokenClassification(TAGS, crf=True, scheme=scheme, forbid="training")
    legal = head.legal_transitions() if scheme else None
    parameters = {
        name: Parameter(Tensor(np.zeros(shape, np.float32)), name=name)
        for name, shape in zip(SCORE_NAMES, ((3, 3), (3,), (3,)), strict=True)
    }
    field = crf.ConditionalRandomField(head, parameters, dataclasses.replace(DEVICES["cpu"], crf=way))
    compute = mindspore.jit(Losses(field, parameters), jit_level="O0", backend="ms_backend")
    generator = np.random.default_rng(6)
    packed, *others = pack(random_batch(generator), [SHAPE])
    assert not others
    for emission_scale, score_scale, wall in ((2, 1, None), (1e4, 1, None), (1e4, 1e4, None), (30, 1, -1e4)):
        scores = [generator.normal(size=shape) * score_scale for shape in ((3, 3), 3, 3)]
        if wall is not None:
            scores[0][0, 2] = scores[0][1, 1] = wall
        for name, part in zip(SCORE_NAMES, scores, strict=True):
            copy_into(parameters[name], part)
        logits = (generator.normal(size=(SHAPE.tokens, 3)) * emission_scale).astype(np.float32)
        weights = generator.normal(size=SHAPE.rows).astype(np.float32)
        arrays = {**crf.columns(packed, "labels"), **packed.inputs(CONFIG)}
        names = (*crf.COLUMN_NAMES, "row_weights", "blocked")
        losses, tags, (logits_gradient, gradients) = compute(
            Tensor(logits), Tensor(weights), *(Tensor(arrays[name]) for name in names)
        )
        expected = expected_of(
            packed, logits, weights, reference.Scores(*(part.astype("f4") for part in scores)), legal
        )
        np.testing.assert_allclose(losses.asnumpy(), expected["losses"], rtol=1e-5, atol=1e-5)
        np.testing.assert_array_equal(tags.asnumpy()[packed.label_positions], expected["tags"])
        np.testing.assert_allclose(logits_gradient.asnumpy(), expected["logits"], atol=1e-5)
        for found, name in zip(gradients, SCORE_NAMES, strict=True):
            np.testing.assert_allclose(found.asnumpy(), expected[name], atol=1e-5)


def expected_of(packed: PackedRows, logits: Any, weights: Any, scores: reference.Scores, legal: Any) -> dict[str, Any]:
    batch = packed.batch
    assert batch.label_offsets is not None
    labels = batch.columns["labels"].values
    result = {
        "losses": np.zeros(packed.shape.rows),
        "logits": np.zeros(logits.shape),
        **{name: np.zeros(shape) for name, shape in zip(SCORE_NAMES, ((3, 3), (3,), (3,)), strict=True)},
    }
    tags = []
    for row in range(len(batch)):
        own = np.arange(batch.label_offsets[row], batch.label_offsets[row + 1])
        tags.append(reference.viterbi(logits[packed.label_positions[own]], scores, legal))
        kept = own[labels[own] != -100]
        emissions = logits[packed.label_positions[kept]]
        result["losses"][row] = reference.loss(emissions, labels[kept], scores, legal)
        gradients = reference.gradients(emissions, labels[kept], scores, legal)
        result["logits"][packed.label_positions[kept]] = gradients.emissions * weights[row]
        for name, part in zip(SCORE_NAMES, (gradients.transitions, gradients.start, gradients.end), strict=True):
            result[name] += part * weights[row]
    return {**result, "tags": np.concatenate(tags)}


CONFIG = BertConfig(
    vocab_size=20,
    hidden_size=16,
    num_hidden_layers=1,
    num_attention_heads=2,
    intermediate_size=16,
    max_position_embeddings=24,
)


def test_frozen_transitions_stay_and_the_rest_learns(monkeypatch: pytest.MonkeyPatch) -> None:
    """And no training step looks for the best tags."""
    decoded: list[int] = []
    decode = host.decode

    def noted(emissions: Any, *others: Any) -> Any:
        decoded.append(len(emissions))
        return decode(emissions, *others)

    monkeypatch.setattr(host, "decode", noted)
    head = TokenClassification(TAGS, crf=True, scheme="BIO", crf_learning_rate=0.0)
    groups = (ParameterGroup("crf", r"^crf\.", 0.0, 0.0), ParameterGroup("rest", ".", 1e-2, 0.0))
    lengths = np.array(LENGTHS) + 1
    table = BertFamily().parameter_table(CONFIG, head)
    session = MindSporeBackend().open(
        SessionSpecification(
            config=CONFIG,
            head=head,
            table=table,
            device="cpu",
            precision="fp32",
            prediction_precision="fp32",
            workload=Workload(lengths, lengths, len(lengths), len(lengths), 24),
            code_of=partial(Registry().code_of, "mindspore"),
            training=TrainingSpecification(groups, dropout=False),
        )
    )
    generator = np.random.default_rng(9)
    before = {
        name: (generator.normal(0, 0.3, spec.shape) + (spec.initializer == "ones")).astype(np.float32)
        for name, spec in table.items()
    }
    session.load(before)
    batch = random_batch(generator)
    steps = [session.train_step([batch], StepContext(step, 1, (0.0, 1e-2), 6.0)).loss_sum for step in range(8)]
    after = session.parameters()
    assert decoded == []
    assert steps[-1] < 0.8 * steps[0]
    for name, value in before.items():
        assert np.array_equal(after[name], value) == name.startswith("crf."), name
    assert len(session.predict(batch, ["tags"])["tags"]) == sum(decoded) == sum(LENGTHS)
    empty = session.predict(batch.select([]), ["tags", "logits"])
    assert (empty["tags"].dtype, empty["tags"].shape, empty["logits"].shape) == (np.int32, (0,), (0, 3))
