"""Gradients equal the reference, over one micro-batch and over several."""

from __future__ import annotations

import numpy as np
import pytest

from bertcore.contracts.head import Head
from bertcore.contracts.parameters import Parameters
from bertcore.testing.backend_suite.asserts import norm_of
from bertcore.testing.backend_suite.bench import BackendSuite, Bench
from bertcore.testing.backend_suite.samples import CONFIG, GRADIENTS, context_of, rows_of
from bertcore.testing.heads import reference_of
from bertcore.testing.reference import ReferenceModel


class Gradients(BackendSuite):
    """See :class:`bertcore.testing.BackendConformance`."""

    def test_loss_and_gradients_equal_the_reference(self, bench: Bench, head: Head) -> None:
        """The loss sum, each gradient divided by the denominator, and their global norm."""
        session, parameters = bench.session(head, GRADIENTS)
        batch = rows_of(head)
        result = session.train_step([batch], context_of(GRADIENTS, denominator=5.0))
        losses = bench.expected(head, parameters, batch)["loss"]
        of_the_sum = reference_of(head).gradients(head, ReferenceModel(parameters, CONFIG), batch)
        expected = {name: gradient / 5.0 for name, gradient in of_the_sum.items()}
        assert result.finite
        assert not result.skipped
        assert result.loss_sum == pytest.approx(float(losses.sum()), rel=self.forward_tolerance)
        assert result.gradient_norm == pytest.approx(norm_of(expected), rel=self.gradient_tolerance[0])
        relative, absolute = self.gradient_tolerance
        actual = session.state().first_moment
        for name, gradient in expected.items():
            difference = np.linalg.norm(actual[name] - gradient)
            assert difference <= relative * np.linalg.norm(gradient) + absolute * norm_of(expected), name

    def test_accumulation_equals_one_batch(self, bench: Bench, head: Head) -> None:
        """Over micro-batches of unequal rows and counts, whatever their order, and with an empty one among them."""
        batch = rows_of(head)
        session, _ = bench.session(head, GRADIENTS)
        context = context_of(GRADIENTS, denominator=head.loss_count(batch))
        whole = session.train_step([batch], context)
        expected = session.state().first_moment
        for parts in ([[0, 1, 2, 3, 4], [5], [6, 7]], [[7, 1], [], [0, 2, 3, 4, 5, 6]]):
            session, _ = bench.session(head, GRADIENTS)
            result = session.train_step([batch.select_units(rows) for rows in parts], context)
            assert result.loss_sum == pytest.approx(whole.loss_sum, rel=self.accumulation_tolerance)
            self._assert_same_gradients(session.state().first_moment, expected)

    def test_the_denominator_divides_once(self, bench: Bench, head: Head) -> None:
        """Twice the denominator, half the gradient, the same loss sum; over one micro-batch and over two."""
        batch = rows_of(head)
        for parts in ([batch], [batch.select_units([0, 1, 2]), batch.select_units([3, 4, 5, 6, 7])]):
            session, _ = bench.session(head, GRADIENTS)
            first = session.train_step(parts, context_of(GRADIENTS, denominator=4.0))
            expected = {name: value / 2 for name, value in session.state().first_moment.items()}
            session, _ = bench.session(head, GRADIENTS)
            second = session.train_step(parts, context_of(GRADIENTS, denominator=8.0))
            assert second.loss_sum == first.loss_sum
            assert second.gradient_norm == pytest.approx(first.gradient_norm / 2, rel=self.accumulation_tolerance)
            self._assert_same_gradients(session.state().first_moment, expected)

    def _assert_same_gradients(self, actual: Parameters, expected: Parameters) -> None:
        for name, gradient in expected.items():
            difference = float(np.linalg.norm(actual[name].astype(np.float64) - gradient))
            allowed = self.accumulation_tolerance * (float(np.linalg.norm(gradient)) + norm_of(expected))
            assert difference <= allowed, name
