"""The update is AdamW with clipping, and touches nothing where a number is not finite."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator

import numpy as np
import pytest

from bertcore.contracts.head import Head
from bertcore.contracts.training_step import StepResult
from bertcore.testing.backend_suite.asserts import assert_equal, assert_same_state
from bertcore.testing.backend_suite.bench import BackendSuite, Bench
from bertcore.testing.backend_suite.samples import (
    FOUR_GROUPS,
    GRADIENTS,
    UPDATES,
    context_of,
    of_head,
    random_state,
    rows_of,
)
from bertcore.testing.reference import AdamW, clip_by_global_norm


class Updates(BackendSuite):
    """See :class:`bertcore.testing.BackendConformance`."""

    @pytest.mark.parametrize("denominator", [1.0, 1e3], ids=["clipped", "not clipped"])
    def test_the_update_is_adamw(self, bench: Bench, classifier: Head, denominator: float) -> None:
        """From a state in the middle of a training, with clipping, a rate and a decay per group and a frozen group."""
        batch = rows_of(classifier)
        session, parameters = bench.session(classifier, GRADIENTS)
        session.train_step([batch], context_of(GRADIENTS, denominator))
        gradients = {name: value.astype(np.float64) for name, value in session.state().first_moment.items()}

        session, _ = bench.session(classifier, UPDATES)
        state = random_state(parameters)
        session.restore(state)
        rates = (0.0, 7e-3, 5e-4, 3e-4)  # of the moment, as a schedule gives them
        result = session.train_step(
            [batch], dataclasses.replace(context_of(UPDATES, denominator), learning_rates=rates)
        )

        groups = {name: _group(name) for name in parameters}
        trained = {name: gradients[name] for name, group in groups.items() if FOUR_GROUPS[group].name != "frozen"}
        assert UPDATES.clip_norm is not None
        clipped, norm = clip_by_global_norm(trained, UPDATES.clip_norm)
        assert (norm > UPDATES.clip_norm) == (denominator == 1.0), "the test must clip in one case and not in the other"
        assert result.gradient_norm == pytest.approx(norm, rel=10 * self.update_tolerance)
        actual, actual_state = session.parameters(), session.state()
        assert actual_state.updates == state.updates + 1
        for name, group in groups.items():
            if name not in trained:
                np.testing.assert_array_equal(actual[name], parameters[name], err_msg=name)
                continue
            expected = AdamW(UPDATES.betas, UPDATES.eps, FOUR_GROUPS[group].weight_decay).update(
                parameters[name].astype(np.float64),
                clipped[name],
                state.first_moment[name].astype(np.float64),
                state.second_moment[name].astype(np.float64),
                state.updates + 1,
                rates[group],
            )
            found = (actual[name], actual_state.first_moment[name], actual_state.second_moment[name])
            for value, target in zip(found, expected, strict=True):
                scale = float(np.abs(target).max())
                np.testing.assert_allclose(value, target, rtol=0, atol=self.update_tolerance * scale, err_msg=name)

    def test_a_rate_of_zero_changes_no_parameter(self, bench: Bench, classifier: Head) -> None:
        """The first step of a warm-up moves the moments only."""
        session, parameters = bench.session(classifier, UPDATES)
        session.train_step([rows_of(classifier)], dataclasses.replace(context_of(UPDATES), learning_rates=(0.0,) * 4))
        assert_equal(session.parameters(), parameters)
        assert session.state().updates == 1
        assert all(np.any(session.state().first_moment[name]) for name in of_head(parameters))

    def test_nothing_changes_unless_all_is_finite(self, bench: Bench, classifier: Head) -> None:
        """A loss that is no number leaves parameters, moments and the count of updates as they are, to the bit."""
        session, parameters = bench.session(classifier, GRADIENTS)
        state = random_state(parameters)
        parameters[of_head(parameters)[0]][:] = np.inf
        session.load(parameters)
        session.restore(state)
        result = session.train_step([rows_of(classifier)], context_of(GRADIENTS))
        assert not result.finite
        assert not result.skipped  # that is for fp16
        assert_equal(session.parameters(), parameters)
        assert_same_state(session.state(), state)

        session, _ = bench.session(classifier, GRADIENTS)
        assert session.train_step([rows_of(classifier)], context_of(GRADIENTS)).finite, "the session goes on afterwards"

    def test_a_result_may_be_read_late(self, bench: Bench, classifier: Head) -> None:
        """A step's loss and norm stay its own when further steps were done before they are read."""
        batch = rows_of(classifier)

        def steps() -> Iterator[StepResult]:
            session, _ = bench.session(classifier, UPDATES)
            for step in range(3):
                yield session.train_step([batch.select_units([step, 7])], context_of(UPDATES, step=step))

        at_once = [(result.loss_sum, result.gradient_norm) for result in steps()]
        results = list(steps())
        assert [(result.loss_sum, result.gradient_norm) for result in results] == at_once


def _group(name: str) -> int:
    """The first group whose pattern is found in the name."""
    return next(index for index, group in enumerate(FOUR_GROUPS) if re.search(group.pattern, name))
