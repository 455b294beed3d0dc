"""What is frozen, for ever or until its group begins, does not move, and nothing else moves otherwise for it."""

from __future__ import annotations

import dataclasses
import re

import numpy as np
import pytest

from bertcore.contracts.backend import ParameterGroup, Session
from bertcore.contracts.head import Head
from bertcore.contracts.parameters import Parameters
from bertcore.contracts.training_step import OptimizerState
from bertcore.testing.backend_suite.asserts import assert_equal, assert_same_state, norm_of
from bertcore.testing.backend_suite.bench import BackendSuite, Bench
from bertcore.testing.backend_suite.samples import GRADIENTS, UPDATES, context_of, random_state, rows_of
from bertcore.testing.reference import AdamW, clip_by_global_norm

BOTTOM = r"embeddings|layer\.0\."
REST = ParameterGroup("rest", ".", 1e-3, 0.1)
FROZEN_BOTTOM = dataclasses.replace(UPDATES, groups=(ParameterGroup("bottom", BOTTOM, 0.0, 0.1), REST))
LATE_BOTTOM = dataclasses.replace(
    UPDATES, groups=(ParameterGroup("bottom", BOTTOM, 1e-3, 0.1, first_step=2), REST), ema=0.6
)


class Freezing(BackendSuite):
    """See :class:`bertcore.testing.BackendConformance`."""

    def test_a_frozen_bottom_does_not_move(self, bench: Bench, classifier: Head) -> None:
        """Its parameters and moments stay to the bit; the rest has its gradients, and their norm is the norm."""
        rows = rows_of(classifier)
        session, _ = bench.session(classifier, GRADIENTS)
        session.train_step([rows], context_of(GRADIENTS))
        expected = _above(session.state().first_moment)
        showing = dataclasses.replace(GRADIENTS, groups=FROZEN_BOTTOM.groups)
        session, parameters = bench.session(classifier, showing)
        state = random_state(parameters)
        session.restore(state)
        result = session.train_step([rows], context_of(showing))
        found = session.state()
        for name in parameters.keys() - expected.keys():
            np.testing.assert_array_equal(session.parameters()[name], parameters[name], err_msg=name)
            np.testing.assert_array_equal(found.first_moment[name], state.first_moment[name], err_msg=name)
            np.testing.assert_array_equal(found.second_moment[name], state.second_moment[name], err_msg=name)
        part, whole = self.gradient_tolerance
        for name, value in expected.items():
            error = float(np.linalg.norm(found.first_moment[name] - value))
            assert error <= part * float(np.linalg.norm(value)) + whole * norm_of(expected), name
            assert not np.array_equal(session.parameters()[name], parameters[name]), name
        assert result.gradient_norm == pytest.approx(norm_of(expected), rel=1e-4)
        assert found.missed == dict.fromkeys((name for name in parameters if name not in expected), 1)

    def test_what_was_frozen_counts_its_own_updates(self, bench: Bench, classifier: Head) -> None:
        """A run that goes on with fewer frozen: the new ones have the correction of bias of their first update."""
        session, parameters = bench.session(classifier, UPDATES)
        state = dataclasses.replace(random_state(parameters), updates=30)
        new = [name for name in parameters if name.startswith("classifier") or "layer.0.output" in name]
        for name in new:
            state.first_moment[name][:] = state.second_moment[name][:] = 0
        state = dataclasses.replace(state, missed=dict.fromkeys(new, 30))
        session.restore(state)
        assert_same_state(session.state(), state)
        self._assert_updated(bench, classifier, session, state, 0)
        assert session.state().missed == {**state.missed, **dict.fromkeys(_of_words(parameters), 1)}

    def test_a_group_begins_with_its_first_step(self, bench: Bench, classifier: Head) -> None:
        """Until then it is as if frozen; from then on it is trained with moments and counts of its own."""
        session, parameters = bench.session(classifier, LATE_BOTTOM)
        frozen, _ = bench.session(classifier, FROZEN_BOTTOM)
        rows = rows_of(classifier)
        for step in range(2):
            norm = session.train_step([rows], context_of(LATE_BOTTOM, step=step)).gradient_norm
            expected_norm = frozen.train_step([rows], context_of(FROZEN_BOTTOM, step=step)).gradient_norm
            assert norm == pytest.approx(expected_norm, rel=1e-5)
        bottom = [name for name in parameters if name not in _above(parameters)]
        for name, value in session.parameters().items():
            if name in bottom:
                np.testing.assert_array_equal(value, parameters[name], err_msg=name)
            np.testing.assert_allclose(value, frozen.parameters()[name], rtol=0, atol=1e-5, err_msg=name)
        state = session.state()
        assert (state.updates, state.missed) == (2, dict.fromkeys(bottom, 2))
        for name in bottom:
            assert not state.first_moment[name].any(), name
            assert not state.second_moment[name].any(), name
            np.testing.assert_array_equal(state.averages[name], parameters[name], err_msg=name)
        for step in range(2, 4):
            self._assert_updated(bench, classifier, session, session.state(), step)
        assert session.state().missed == dict.fromkeys(bottom, 2)

    def test_a_group_that_has_not_begun_is_resumed_to_the_bit(self, bench: Bench, classifier: Head) -> None:
        """One step, everything out and in again, three steps: equal to four steps."""
        session, parameters = bench.session(classifier, LATE_BOTTOM)
        rows = rows_of(classifier)

        def steps(first: int, last: int) -> None:
            for step in range(first, last):
                session.train_step([rows], context_of(LATE_BOTTOM, step=step))

        steps(0, 4)
        expected, expected_state = session.parameters(), session.state()
        session.load(parameters)
        steps(0, 1)
        saved, saved_state = session.parameters(), session.state()
        steps(5, 7)  # something else in between, as another process would do
        session.load(saved)
        session.restore(saved_state)
        steps(1, 4)
        assert_equal(session.parameters(), expected)
        assert_same_state(session.state(), expected_state)

    def _assert_updated(self, bench: Bench, head: Head, session: Session, state: OptimizerState, step: int) -> None:
        """One step more is AdamW by each parameter's own count of updates."""
        parameters = session.parameters()
        showing, _ = bench.session(head, GRADIENTS)
        showing.load(parameters)
        showing.train_step([rows_of(head)], context_of(GRADIENTS))
        gradients = {name: value.astype(np.float64) for name, value in showing.state().first_moment.items()}
        training = LATE_BOTTOM if state.averages else UPDATES
        moving = [name for name in parameters if training is LATE_BOTTOM or name not in _of_words(parameters)]
        assert training.clip_norm is not None
        clipped, _ = clip_by_global_norm({name: gradients[name] for name in moving}, training.clip_norm)
        session.train_step([rows_of(head)], context_of(training, step=step))
        found = session.parameters()
        for name in moving:
            group = next(group for group in training.groups if _matches(group, name))
            expected, _, _ = AdamW(training.betas, training.eps, group.weight_decay).update(
                parameters[name].astype(np.float64),
                clipped[name],
                state.first_moment[name].astype(np.float64),
                state.second_moment[name].astype(np.float64),
                state.updates - state.missed.get(name, 0) + 1,
                group.learning_rate,
            )
            # Gradients of another session differ in their last digits, and a first update divides them by themselves.
            moved = float(np.abs(expected - parameters[name]).max())
            np.testing.assert_allclose(found[name], expected, rtol=0, atol=1e-2 * moved, err_msg=name)


def _matches(group: ParameterGroup, name: str) -> bool:
    return re.search(group.pattern, name) is not None


def _above(parameters: Parameters) -> Parameters:
    return {name: value for name, value in parameters.items() if not re.search(BOTTOM, name)}


def _of_words(parameters: Parameters) -> list[str]:
    return [name for name in parameters if "word_embeddings" in name]
