"""A teacher's outputs in columns of the batch: the loss and its gradient are those of the closed form."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from bertcore.contracts.backend import TrainingSpecification
from bertcore.contracts.batch import Batch, Column
from bertcore.contracts.head import Head
from bertcore.contracts.objective import TEACHER, HeadLoss, Pass
from bertcore.contracts.parameters import Parameters
from bertcore.testing.backend_suite.asserts import norm_of
from bertcore.testing.backend_suite.bench import BackendSuite, Bench
from bertcore.testing.backend_suite.samples import GRADIENTS, ONE_GROUP, context_of, rows_of
from bertcore.testing.heads import reference_of
from bertcore.testing.reference import Array

TEMPERATURE = 3.0
ALONE = HeadLoss(distillation=1.0, temperature=TEMPERATURE)
MIXED = HeadLoss(distillation=0.3, temperature=TEMPERATURE)
STEP = 1e-3


def training_with(objective: HeadLoss, training: TrainingSpecification = GRADIENTS) -> TrainingSpecification:
    """The same training with another objective."""
    return dataclasses.replace(training, objective=objective)


def taught(bench: Bench, head: Head, batch: Batch) -> tuple[Batch, dict[str, Array]]:
    """The rows with outputs of a teacher, as far from the model's own as labels are; and these outputs."""
    _, parameters = bench.session(head, GRADIENTS)
    generator = np.random.default_rng(31)
    others = {name: value + generator.normal(0, 0.1, value.shape) for name, value in parameters.items()}
    outputs = bench.expected(head, others, batch)
    columns = {
        f"{TEACHER}{name}": Column((4 * outputs[name]).astype(np.float32), head.outputs[name])
        for name in head.compared_outputs
    }
    teacher = {name: 4 * outputs[name] for name in head.compared_outputs}
    return dataclasses.replace(batch, columns={**batch.columns, **columns}), teacher


class Distillation(BackendSuite):
    """See :class:`bertcore.testing.BackendConformance`."""

    @pytest.mark.parametrize("objective", [ALONE, MIXED], ids=["alone", "mixed"])
    def test_the_loss_is_the_closed_form(self, bench: Bench, head: Head, objective: HeadLoss) -> None:
        """Of every head, in float64: ``(1 - w) loss + w T^2 KL(teacher || outputs)``; rows in any call and order."""
        batch = rows_of(head)
        with_teacher, teacher = taught(bench, head, batch)
        session, parameters = bench.session(head, training_with(objective))
        expected = self._closed_form(bench, head, parameters, batch, teacher, objective)
        result = session.train_step([with_teacher], context_of(GRADIENTS))
        assert result.loss_sum == pytest.approx(expected, rel=2 * self.forward_tolerance)
        session, _ = bench.session(head, training_with(objective))
        parts = [with_teacher.select_units(rows) for rows in _halves(with_teacher.unit_count)]
        found = session.train_step(parts, context_of(GRADIENTS)).loss_sum
        assert found == pytest.approx(expected, rel=2 * self.forward_tolerance)

    def test_the_gradient_is_that_of_the_closed_form(self, bench: Bench, head: Head) -> None:
        """A small step along it changes the loss, in float64, by as much as its square says."""
        batch = rows_of(head)
        with_teacher, teacher = taught(bench, head, batch)
        session, parameters = bench.session(head, training_with(ALONE))
        session.train_step([with_teacher], context_of(GRADIENTS, 1.0))
        gradients = session.state().first_moment
        norm = norm_of(gradients)
        losses = [
            self._closed_form(
                bench,
                head,
                {name: value + sign * STEP / norm * gradients[name].astype(np.float64) for name, value in wide.items()},
                batch,
                teacher,
                ALONE,
            )
            for sign in (1, -1)
            for wide in [{name: value.astype(np.float64) for name, value in parameters.items()}]
        ]
        assert (losses[0] - losses[1]) / (2 * STEP) == pytest.approx(norm, rel=1e-3)

    def test_an_own_teacher_teaches_nothing_new(self, bench: Bench, classifier: Head) -> None:
        """Towards its own outputs the loss and the gradient of distillation are zero."""
        batch = rows_of(classifier)
        session, parameters = bench.session(classifier, training_with(ALONE))
        own = bench.expected(classifier, parameters, batch)
        columns = {f"{TEACHER}logits": Column(own["logits"].astype(np.float32), "row")}
        same = dataclasses.replace(batch, columns={**batch.columns, **columns})
        result = session.train_step([same], context_of(GRADIENTS))
        assert result.loss_sum == pytest.approx(0, abs=1e-5)
        assert norm_of(session.state().first_moment) < 1e-4

    @pytest.mark.usefixtures("passes")
    def test_a_teacher_beside_passes_that_agree(self, bench: Bench, classifier: Head) -> None:
        """Each clean pass learns from it, and a perturbed one from the labels: all weights add up."""
        batch = rows_of(classifier)
        with_teacher, teacher = taught(bench, classifier, batch)
        both = HeadLoss((Pass(0), Pass(1, weight=0.5)), agreement=2.0, distillation=0.3, temperature=TEMPERATURE)
        session, parameters = bench.session(classifier, training_with(both))
        expected = self._closed_form(bench, classifier, parameters, batch, teacher, MIXED)
        found = session.train_step([with_teacher], context_of(GRADIENTS)).loss_sum
        assert found == pytest.approx(1.5 * expected, rel=2 * self.forward_tolerance)
        moved = dataclasses.replace(both, passes=(*both.passes, Pass(2, perturbed=0.5)))
        session, _ = bench.session(classifier, training_with(moved))
        with_moved = session.train_step([with_teacher], context_of(GRADIENTS)).loss_sum
        plain = HeadLoss((Pass(), Pass(1, perturbed=0.5)))
        assert plain.columns(classifier) == {}
        assert with_moved > found + 0.1

    def test_a_teacher_is_followed(self, bench: Bench, classifier: Head) -> None:
        """Steps with AdamW bring the outputs nearer to the teacher's."""
        batch = rows_of(classifier)
        with_teacher, _ = taught(bench, classifier, batch)
        training = dataclasses.replace(training_with(ALONE), groups=ONE_GROUP, betas=(0.9, 0.999))
        session, _ = bench.session(classifier, training)
        losses = [session.train_step([with_teacher], context_of(training, step=step)).loss_sum for step in range(8)]
        assert losses[-1] < 0.9 * losses[0]

    def _closed_form(
        self,
        bench: Bench,
        head: Head,
        parameters: Parameters,
        batch: Batch,
        teacher: dict[str, Array],
        objective: HeadLoss,
    ) -> float:
        outputs = bench.expected(head, parameters, batch)
        towards = {name: value.astype(np.float32).astype(np.float64) for name, value in teacher.items()}
        divergence = reference_of(head).divergence(head, batch, outputs, towards, objective.temperature)
        weight = objective.distillation
        loss = float(outputs["loss"].sum())
        return (1 - weight) * loss + weight * objective.temperature**2 * float(divergence.sum())


def _halves(units: int) -> list[list[int]]:
    order = list(range(units))[::-1]
    return [order[: units // 2], order[units // 2 :]]
