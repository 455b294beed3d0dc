"""Parameters and optimizer state go out and in to the bit."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bertcore.contracts.backend import Session, TrainingSpecification
from bertcore.contracts.head import Head
from bertcore.contracts.training_step import OptimizerState
from bertcore.testing.backend_suite.asserts import assert_equal, assert_same_state
from bertcore.testing.backend_suite.bench import BackendSuite, Bench
from bertcore.testing.backend_suite.samples import GRADIENTS, UPDATES, context_of, random_state, rows_of


class Resuming(BackendSuite):
    """See :class:`bertcore.testing.BackendConformance`."""

    def test_parameters_round_trip(self, bench: Bench, head: Head) -> None:
        """To the bit, float32, in the order of the table, and as copies."""
        session, parameters = bench.session(head, GRADIENTS)
        expected = {name: value.copy() for name, value in parameters.items()}
        found = session.parameters()
        assert list(found) == list(bench.specification(head).table)
        assert {value.dtype for value in found.values()} == {np.dtype(np.float32)}
        assert_equal(found, expected)
        for arrays in (found, parameters):
            for value in arrays.values():
                value += 1
        assert_equal(session.parameters(), expected)

    def test_loading_starts_a_new_optimizer_state(self, bench: Bench, classifier: Head) -> None:
        """Moments and the count of updates are zero again."""
        session, parameters = bench.session(classifier, UPDATES)
        session.train_step([rows_of(classifier)], context_of(UPDATES))
        assert session.state().updates == 1
        session.load(parameters)
        state = session.state()
        zeros = {name: np.zeros_like(value) for name, value in parameters.items()}
        assert_same_state(state, OptimizerState(zeros, zeros, 0, state.loss_scale))

    def test_state_round_trip(self, bench: Bench, classifier: Head) -> None:
        """To the bit, for every parameter of the table, and as copies."""
        session, parameters = bench.session(classifier, UPDATES)
        state = random_state(parameters)
        session.restore(state)
        before = session.state()
        assert_same_state(before, state)
        session.train_step([rows_of(classifier)], context_of(UPDATES))
        assert_same_state(before, random_state(parameters))

    def test_a_resumed_training_goes_on_to_the_bit(
        self, bench: Bench, classifier: Head, training: TrainingSpecification
    ) -> None:
        """Two steps, everything out and in again, two steps: equal to four steps."""
        batch = rows_of(classifier)

        def steps(session: Session, numbers: Sequence[int]) -> list[float]:
            parts = [batch.select_units([0, 3, 6]), batch.select_units([2])]
            return [session.train_step(parts, context_of(training, 4.0, step)).loss_sum for step in numbers]

        session, parameters = bench.session(classifier, training)
        losses = steps(session, range(4))
        expected, expected_state = session.parameters(), session.state()

        session.load(parameters)
        resumed_losses = steps(session, range(2))
        saved, saved_state = session.parameters(), session.state()
        steps(session, range(7, 9))  # something else in between, as another process would do
        session.load(saved)
        session.restore(saved_state)
        resumed_losses += steps(session, range(2, 4))
        assert resumed_losses == losses
        assert_equal(session.parameters(), expected)
        assert_same_state(session.state(), expected_state)
