"""Objectives of several passes: what clean ones add up to and agree on, and those at moved word embeddings."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from bertcore.contracts.backend import Precision, TrainingSpecification
from bertcore.contracts.batch import Batch
from bertcore.contracts.head import Head
from bertcore.contracts.objective import HeadLoss, Pass
from bertcore.contracts.parameters import Parameters
from bertcore.testing.backend_suite.asserts import assert_equal, assert_same_state, norm_of
from bertcore.testing.backend_suite.bench import BackendSuite, Bench
from bertcore.testing.backend_suite.samples import (
    CONFIG,
    DROPOUT,
    FOUR_GROUPS,
    GRADIENTS,
    context_of,
    random_parameters,
    rows_of,
)
from bertcore.testing.heads import reference_of
from bertcore.testing.reference import Array, ReferenceModel, perturbed

WORDS = f"{CONFIG.prefix}embeddings.word_embeddings.weight"
# Moved far enough to be seen in every gradient, and with a weight of its own.
FGM = HeadLoss((Pass(), Pass(1, perturbed=0.8, weight=0.7)))
# Of three steps of 0.5, the second reaches the radius already.
PGD = HeadLoss((Pass(), Pass(1, 0.5, 0.0, 0.9), Pass(2, 0.5, 0.0, 0.9), Pass(3, 0.5, 1.0, 0.9)))
BOTH = HeadLoss((Pass(0), Pass(1), Pass(2, perturbed=0.8)), agreement=3.0)


def training_with(objective: HeadLoss, training: TrainingSpecification = GRADIENTS) -> TrainingSpecification:
    """The same training with another objective."""
    return dataclasses.replace(training, objective=objective)


def expected_step(
    objective: HeadLoss, head: Head, parameters: Mapping[str, NDArray[Any]], batch: Batch
) -> tuple[float, dict[str, Array]]:
    """Loss sum and gradient of a step without dropout, where clean passes differ in nothing and so agree."""
    reference, model = reference_of(head), ReferenceModel(parameters, CONFIG)
    weight = sum(one.weight for one in objective.clean_passes)
    loss_sum = weight * float(reference.outputs(head, model, batch)["loss"].sum())
    gradients = reference.gradients(head, model, batch)
    total = {name: weight * gradient for name, gradient in gradients.items()}
    perturbation = np.zeros_like(gradients[WORDS])
    for one in objective.perturbed_passes:
        perturbation = perturbed(perturbation, gradients[WORDS], one.perturbed, one.radius)
        table = parameters[WORDS].astype(np.float64) + perturbation
        moved = ReferenceModel({**parameters, WORDS: table}, CONFIG)
        loss_sum += one.weight * float(reference.outputs(head, moved, batch)["loss"].sum())
        gradients = reference.gradients(head, moved, batch)
        for name, gradient in gradients.items():
            total[name] += one.weight * gradient
    return loss_sum, total


@pytest.mark.usefixtures("passes")
class Passes(BackendSuite):
    """See :class:`bertcore.testing.BackendConformance`."""

    def test_a_perturbed_pass_equals_the_reference(self, bench: Bench, head: Head) -> None:
        """A clean pass, and one at embeddings moved along their gradient (FGM): loss sum and gradients."""
        self._assert_as_expected(bench, head, FGM)

    def test_perturbed_passes_go_on_within_their_radius(self, bench: Bench, classifier: Head) -> None:
        """Three of them, of which the last alone counts, drawn back to the radius (PGD)."""
        self._assert_as_expected(bench, classifier, PGD)

    @pytest.mark.parametrize("objective", [FGM, PGD], ids=["FGM", "PGD"])
    def test_perturbed_passes_are_those_of_the_whole_step(
        self, bench: Bench, classifier: Head, objective: HeadLoss
    ) -> None:
        """Over micro-batches of unequal rows, and with an empty one among them, the step is that of one batch."""
        batch, training = rows_of(classifier), training_with(objective)
        expected, whole = self._gradients(bench, classifier, training, [batch])
        tolerance = 10 * self.accumulation_tolerance  # the rounding of one pass is the way of the next
        for parts in ([[0, 1, 2, 3, 4], [5], [6, 7]], [[7, 1], [], [0, 2, 3, 4, 5, 6]]):
            found, loss_sum = self._gradients(bench, classifier, training, [batch.select_units(rows) for rows in parts])
            assert loss_sum == pytest.approx(whole, rel=tolerance)
            _assert_near(found, expected, (tolerance, tolerance))

    def test_frozen_embeddings_are_moved_all_the_same(self, bench: Bench, classifier: Head) -> None:
        """For a step alone: the gradient is that of the vectors, whether or not the table is trained."""
        training = dataclasses.replace(training_with(FGM), groups=FOUR_GROUPS)
        batch = rows_of(classifier)
        found, loss_sum = self._gradients(bench, classifier, training, [batch])
        session, parameters = bench.session(classifier, training)
        expected_sum, expected = expected_step(FGM, classifier, parameters, batch)
        assert loss_sum == pytest.approx(expected_sum, rel=self.forward_tolerance)
        assert not found[WORDS].any()
        trained = {name: gradient / 8.0 for name, gradient in expected.items() if name != WORDS}
        _assert_near(found, trained, self.gradient_tolerance)
        session.train_step([batch], context_of(training))
        np.testing.assert_array_equal(session.parameters()[WORDS], parameters[WORDS])

    @pytest.mark.usefixtures("dropout")
    def test_masks_and_agreement_of_clean_passes(self, bench: Bench, classifier: Head) -> None:
        """Masks of a pass are those of its number; passes that differ in them alone disagree, and pay for it."""
        batch = rows_of(classifier)

        def loss(objective: HeadLoss) -> float:
            training = training_with(objective, DROPOUT)
            return bench.session(classifier, training)[0].train_step([batch], context_of(training)).loss_sum

        first, second = loss(HeadLoss((Pass(0),))), loss(HeadLoss((Pass(1),)))
        assert second != pytest.approx(first, rel=1e-6), "both passes had the same masks"
        once, thrice = (loss(HeadLoss((Pass(0), Pass(1, weight=0.5)), agreement)) for agreement in (1.0, 3.0))
        assert thrice > once + 1e-3
        without = once - (thrice - once) / 2  # a line through both
        assert without == pytest.approx(first + 0.5 * second, rel=2 * self.forward_tolerance)

    def test_passes_without_dropout_agree(self, bench: Bench, classifier: Head) -> None:
        """Nothing is paid then, and the gradient is that of as many passes."""
        self._assert_as_expected(bench, classifier, BOTH)

    @pytest.mark.usefixtures("dropout")
    def test_a_resumed_training_of_several_passes_goes_on_to_the_bit(self, bench: Bench, classifier: Head) -> None:
        """A step of all kinds of passes is a function of parameters, state, rows and place alone."""
        batch, training = rows_of(classifier), training_with(BOTH, DROPOUT)
        session, parameters = bench.session(classifier, training)
        parts = [batch.select_units([0, 3, 6]), batch.select_units([2])]
        losses = [session.train_step(parts, context_of(training, 4.0, step)).loss_sum for step in range(2)]
        expected, expected_state = session.parameters(), session.state()
        session.load(parameters)
        resumed = [session.train_step(parts, context_of(training, 4.0, 0)).loss_sum]
        saved, saved_state = session.parameters(), session.state()
        session.train_step([batch], context_of(training, 4.0, 7))  # something else in between
        session.load(saved)
        session.restore(saved_state)
        resumed.append(session.train_step(parts, context_of(training, 4.0, 1)).loss_sum)
        assert resumed == losses
        assert_equal(session.parameters(), expected)
        assert_same_state(session.state(), expected_state)

    def test_perturbed_passes_in_low_precision(self, bench: Bench, precision: Precision) -> None:
        """The direction has no scale, so that the loss scale of fp16 does not lengthen the way."""
        head, training = bench.first_head(), training_with(FGM)
        specification = dataclasses.replace(bench.specification(head, training), precision=precision)
        session, parameters = bench.backend.open(specification), random_parameters(specification)
        session.load(parameters)
        batch = rows_of(head)
        result = session.train_step([batch], context_of(training))
        assert result.finite
        expected_sum, _ = expected_step(FGM, head, parameters, batch)
        assert result.loss_sum == pytest.approx(expected_sum, rel=self.low_precision_tolerance)
        session.close()

    def _assert_as_expected(self, bench: Bench, head: Head, objective: HeadLoss) -> None:
        batch, training = rows_of(head), training_with(objective)
        found, loss_sum = self._gradients(bench, head, training, [batch])
        expected_sum, expected = expected_step(objective, head, bench.session(head, training)[1], batch)
        assert loss_sum == pytest.approx(expected_sum, rel=self.forward_tolerance)
        _assert_near(found, {name: gradient / 8.0 for name, gradient in expected.items()}, self.gradient_tolerance)

    def _gradients(
        self, bench: Bench, head: Head, training: TrainingSpecification, parts: Sequence[Batch]
    ) -> tuple[Parameters, float]:
        """Those of one step, and its loss sum."""
        session, _ = bench.session(head, training)
        result = session.train_step(parts, context_of(training, denominator=8.0))
        assert result.finite
        return session.state().first_moment, result.loss_sum


def _assert_near(found: Parameters, expected: Mapping[str, NDArray[Any]], tolerance: tuple[float, float]) -> None:
    relative, absolute = tolerance
    for name, gradient in expected.items():
        difference = float(np.linalg.norm(found[name] - gradient))
        assert difference <= relative * float(np.linalg.norm(gradient)) + absolute * norm_of(expected), name
