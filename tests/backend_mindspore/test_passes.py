"""Passes with dropout on MindSpore against torch, mask for mask, and how far embeddings are moved on the host."""

from __future__ import annotations

import dataclasses
from functools import partial
from typing import Any

import numpy as np
import pytest
from bertcore_mindspore.backend import MindSporeBackend
from bertcore_mindspore.perturbation import WordPerturbation
from bertcore_mindspore.rows import pack
from bertcore_mindspore.shapes import Shape
from bertcore_torch.backend import TorchBackend

from bertcore.contracts.backend import SessionSpecification, TrainingSpecification, Workload
from bertcore.contracts.batch import Column, from_rows
from bertcore.contracts.head import Head
from bertcore.contracts.objective import HeadLoss, Pass
from bertcore.contracts.training_step import StepContext
from bertcore.families.bert import BertFamily
from bertcore.heads import SequenceClassification, TokenClassification
from bertcore.plugins.registry import Registry
from bertcore.testing.backend_suite.samples import CONFIG, GRADIENTS, ONE_GROUP, random_parameters
from bertcore.testing.reference import perturbed

pytestmark = pytest.mark.mindspore

HEAD = SequenceClassification(("a", "b", "c"))
TAGS = TokenClassification(("a", "b", "c"))
# R-Drop and two steps of PGD, each pass with masks of its own.
ALL_KINDS = HeadLoss((Pass(0), Pass(1), Pass(2, 0.5, 0.0, 0.8), Pass(3, 0.5, 1.0, 0.8)), agreement=4.0)


def test_a_step_of_all_kinds_of_passes_equals_that_of_torch() -> None:
    """A row that fills the static shape, all of it tagged: both backends draw the same masks at every site."""
    generator = np.random.default_rng(4)
    rows = [generator.integers(1, CONFIG.vocab_size, 32).tolist()]
    labels = {"labels": Column(generator.integers(0, 3, 32), "label")}
    batch = from_rows(rows, [[0] * 32], labels, label_positions=[list(range(32))])
    training = dataclasses.replace(GRADIENTS, objective=ALL_KINDS, dropout=True)
    results, gradients = [], []
    for backend in (TorchBackend(), MindSporeBackend()):
        specification = specification_of(backend.name, training, batch.lengths, TAGS)
        session = backend.open(specification)
        session.load(random_parameters(specification))
        results.append(session.train_step([batch], StepContext(5, 11, (1e-3,), 1.0)).loss_sum)
        gradients.append(session.state().first_moment)
        session.close()
    assert results[1] == pytest.approx(results[0], rel=1e-5)
    norm = np.sqrt(sum(float(np.square(value).sum()) for value in gradients[0].values()))
    for name, expected in gradients[0].items():
        difference = np.linalg.norm(gradients[1][name] - expected)
        assert difference <= 1e-4 * np.linalg.norm(expected) + 1e-6 * norm, name


def test_one_graph_serves_all_passes_but_where_clean_ones_agree() -> None:
    """A graph is compiled once for each shape; FGM and PGD need no further one, with R-Drop one more."""
    batch = from_rows([[5, 6, 7]], [[0] * 3], {"labels": Column(np.array([1]), "row")})

    def graphs(objective: HeadLoss) -> set[str]:
        training = TrainingSpecification(ONE_GROUP, objective=objective, dropout=False)
        specification = specification_of("mindspore", training, batch.lengths)
        session: Any = MindSporeBackend().open(specification)
        session.load(random_parameters(specification))
        session.train_step([batch], StepContext(0, 1, (1e-3,), 1.0))
        return {name for name, _ in session._compiled}

    assert graphs(HeadLoss((Pass(), Pass(1, 0.3, 0.0, 1.0), Pass(2, 0.3, 1.0, 1.0)))) == {"gradient"}
    assert graphs(ALL_KINDS) == {"gradient", "perturbed"}


@pytest.mark.parametrize("scale", [1.0, 2.0**16])
@pytest.mark.parametrize("radius", [None, 0.9])
def test_rows_move_along_the_gradient_of_their_tokens(scale: float, radius: float | None) -> None:
    """Equal tokens alike, over several calls, from wherever they lie in a shape, whatever the loss scale."""
    rows = [[7, 3, 7], [3, 9], [9, 9, 9, 2]]
    batch = from_rows(rows, [[0] * len(row) for row in rows])
    calls = pack(batch, (Shape(length=5, bins=1),))
    assert len(calls) > 1
    words = WordPerturbation([batch, batch.select([])], 4)
    generator, expected = np.random.default_rng(3), np.zeros((10, 4))
    for _ in range(2):
        gradient = np.zeros((10, 4))
        for call in calls:
            of_positions = generator.normal(size=(call.shape.tokens, 4))
            np.add.at(gradient, call.batch.input_ids, of_positions[call.token_positions])
            words.add(call, scale * of_positions)
        words.move(0.7, radius)
        expected = perturbed(expected, gradient, 0.7, radius)
    for call in calls:
        offsets = words.of(call)
        np.testing.assert_allclose(offsets[call.token_positions], expected[call.batch.input_ids], rtol=1e-6)
        assert not np.delete(offsets, call.token_positions, axis=0).any()


def specification_of(
    backend: str, training: TrainingSpecification, lengths: Any, head: Head = HEAD
) -> SessionSpecification:
    return SessionSpecification(
        config=CONFIG,
        head=head,
        table=BertFamily().parameter_table(CONFIG, head),
        device="cpu",
        precision="fp32",
        prediction_precision="fp32",
        workload=Workload(lengths, lengths, len(lengths), len(lengths), CONFIG.max_length),
        code_of=partial(Registry().code_of, backend),
        training=training,
    )
