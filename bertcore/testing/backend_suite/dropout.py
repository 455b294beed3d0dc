"""Dropout masks depend on seed, step, micro-batch and rank alone."""

from __future__ import annotations

import dataclasses

import pytest

from bertcore.contracts.backend import TrainingSpecification
from bertcore.contracts.head import Head
from bertcore.contracts.training_step import StepContext
from bertcore.testing.backend_suite.asserts import assert_outputs
from bertcore.testing.backend_suite.bench import BackendSuite, Bench
from bertcore.testing.backend_suite.samples import context_of, rows_of


class Dropout(BackendSuite):
    """See :class:`bertcore.testing.BackendConformance`."""

    def test_dropout_is_a_function_of_its_place(
        self, bench: Bench, classifier: Head, dropout: TrainingSpecification
    ) -> None:
        """The same masks for the same seed, step, micro-batch and rank; other masks for any other."""
        batch = rows_of(classifier)
        context = context_of(dropout, step=3)

        def loss(changed: StepContext, parts: int = 1) -> float:
            session, _ = bench.session(classifier, dropout)
            return session.train_step([batch] * parts, changed).loss_sum

        first = loss(context)
        assert loss(context) == first
        for change in ({"seed": 12}, {"step": 4}, {"rank": 1}):
            assert loss(dataclasses.replace(context, **change)) != first, change  # type: ignore[arg-type]
        second_part = loss(context, parts=2) - first
        assert second_part != pytest.approx(first, rel=1e-6), "both micro-batches had the same masks"

    def test_predictions_have_no_dropout(self, bench: Bench, classifier: Head, dropout: TrainingSpecification) -> None:
        """Neither before a training step nor after one."""
        batch = rows_of(classifier)
        session, parameters = bench.session(classifier, dropout)
        for _ in range(2):
            expected = bench.expected(classifier, parameters, batch)
            assert_outputs(session.predict(batch, (*classifier.outputs, "loss")), expected, self.forward_tolerance)
            session.train_step([batch], context_of(dropout))
            parameters = session.parameters()
