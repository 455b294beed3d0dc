"""Averages of the weights: their formula, and that the session predicts with them."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from bertcore.contracts.backend import Precision, Session
from bertcore.contracts.head import Head
from bertcore.contracts.parameters import Parameters
from bertcore.contracts.training_step import StepResult
from bertcore.testing.backend_suite.asserts import assert_equal, assert_outputs, assert_same_state
from bertcore.testing.backend_suite.bench import BackendSuite, Bench
from bertcore.testing.backend_suite.samples import UPDATES, context_of, random_parameters, rows_of
from bertcore.testing.reference import Array, moving_average

DECAY = 0.6
AVERAGED = dataclasses.replace(UPDATES, ema=DECAY)


class Averages(BackendSuite):
    """See :class:`bertcore.testing.BackendConformance`."""

    def test_averages_follow_the_updates(self, bench: Bench, classifier: Head) -> None:
        """The first is copied, the others are averaged; what is frozen has none."""
        session, parameters = bench.session(classifier, AVERAGED)
        assert session.state().averages == {}
        expected: dict[str, Array] = {}
        for number in range(4):
            _step(session, classifier, number)
            updated = session.parameters()
            averages = session.state().averages
            assert list(averages) == [name for name in parameters if "word_embeddings" not in name]
            for name, value in averages.items():
                expected[name] = moving_average(expected.get(name), updated[name].astype(np.float64), DECAY)
                assert value.dtype == np.float32
                scale = float(np.abs(expected[name]).max())
                np.testing.assert_allclose(
                    value, expected[name], rtol=0, atol=self.update_tolerance * scale, err_msg=f"{name}, step {number}"
                )
            assert_equal(session.predicting_parameters(), {**updated, **averages})

    def test_predictions_are_made_with_the_averages(self, bench: Bench, classifier: Head) -> None:
        """Once there are some; training goes on from the parameters themselves."""
        session, parameters = bench.session(classifier, AVERAGED)
        batch = rows_of(classifier)
        wanted = (*classifier.outputs, "loss")

        def compare(predicting: Parameters) -> None:
            expected = bench.expected(classifier, predicting, batch)
            assert_outputs(session.predict(batch, wanted), expected, self.forward_tolerance)

        compare(parameters)
        for number in range(3):
            result = _step(session, classifier, number)
            before, trained = session.parameters(), result.loss_sum
            compare({**before, **session.state().averages})
        expected_loss = bench.expected(classifier, before, batch)["loss"].sum()
        assert abs(session.predict(batch, ["loss"])["loss"].sum() - expected_loss) > 1e-3, "the averages differ"
        trained = _step(session, classifier, 3).loss_sum
        assert trained == pytest.approx(float(expected_loss), rel=1e-4)
        session.load(parameters)
        compare(parameters)

    def test_an_update_that_is_not_made_is_not_averaged(self, bench: Bench, classifier: Head) -> None:
        """Neither as the first one, nor as any other."""
        session, parameters = bench.session(classifier, AVERAGED)
        no_number = context_of(AVERAGED, float("nan"))
        assert not session.train_step([rows_of(classifier)], no_number).finite
        assert session.state().averages == {}
        assert_equal(session.predicting_parameters(), parameters)
        for number in range(2):
            _step(session, classifier, number)
        before = session.state()
        assert not session.train_step([rows_of(classifier)], no_number).finite
        assert_same_state(session.state(), before)

    def test_averages_go_on_to_the_bit(self, bench: Bench, classifier: Head) -> None:
        """Two steps, everything out and in again, two steps: equal to four steps."""
        session, parameters = bench.session(classifier, AVERAGED)
        for number in range(4):
            _step(session, classifier, number)
        expected, expected_state = session.predicting_parameters(), session.state()

        session.load(parameters)
        assert session.state().averages == {}
        for number in range(2):
            _step(session, classifier, number)
        saved, saved_state = session.parameters(), session.state()
        _step(session, classifier, 7)  # something else in between, as another process would do
        session.load(saved)
        session.restore(saved_state)
        assert_same_state(session.state(), saved_state)
        for number in range(2, 4):
            _step(session, classifier, number)
        assert_same_state(session.state(), expected_state)
        assert_equal(session.predicting_parameters(), expected)

    def test_without_averages_none_are_kept(self, bench: Bench, classifier: Head) -> None:
        """And predictions are those of the parameters."""
        session, _ = bench.session(classifier, UPDATES)
        _step(session, classifier, 0)
        assert session.state().averages == {}
        assert_equal(session.predicting_parameters(), session.parameters())

    def test_averages_in_low_precision(self, bench: Bench, precision: Precision, classifier: Head) -> None:
        """They are float32, and predictions in each precision are made with them."""
        specification = dataclasses.replace(
            bench.specification(classifier, AVERAGED), precision=precision, prediction_precision=precision
        )
        session = bench.backend.open(specification)
        session.load(random_parameters(specification))
        batch = rows_of(classifier)
        for number in range(3):
            _step(session, classifier, number)
            session.predict(batch, ["loss"])
        averages = session.state().averages
        assert {value.dtype for value in averages.values()} == {np.dtype(np.float32)}
        expected = bench.expected(classifier, {**session.parameters(), **averages}, batch)
        found = session.predict(batch, (*classifier.outputs, "loss"))
        assert_outputs(found, expected, self.low_precision_tolerance)
        masters = bench.expected(classifier, session.parameters(), batch)["loss"]
        losses = found["loss"].astype(np.float64)
        assert np.abs(losses - expected["loss"]).mean() < np.abs(losses - masters).mean()
        session.close()


def _step(session: Session, head: Head, number: int) -> StepResult:
    return session.train_step([rows_of(head)], context_of(AVERAGED, step=number))
