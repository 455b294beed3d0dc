"""Outputs and losses equal the reference, in any order of rows."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from bertcore.contracts.backend import Precision
from bertcore.contracts.head import Head
from bertcore.testing.backend_suite.asserts import assert_outputs
from bertcore.testing.backend_suite.bench import BackendSuite, Bench
from bertcore.testing.backend_suite.samples import (
    CONFIG,
    GRADIENTS,
    LENGTHS,
    VARIANTS,
    context_of,
    random_parameters,
    rows_of,
)


class Predictions(BackendSuite):
    """See :class:`bertcore.testing.BackendConformance`."""

    def test_predictions_equal_the_reference(self, bench: Bench, head: Head) -> None:
        """All outputs and each row's loss, on rows of mixed lengths."""
        session, parameters = bench.session(head, GRADIENTS)
        batch = rows_of(head)
        outputs = session.predict(batch, (*head.outputs, "loss"))
        assert_outputs(outputs, bench.expected(head, parameters, batch), self.forward_tolerance)

    def test_predictions_follow_the_order_of_rows(self, bench: Bench, head: Head) -> None:
        """Rows in another order, or alone, get the same outputs."""
        session, parameters = bench.session(head, GRADIENTS)
        batch = rows_of(head)
        selections = [[5, 0, 7, 2], list(reversed(range(len(LENGTHS)))), *([row] for row in range(len(LENGTHS)))]
        for rows in selections:
            chosen = batch.select_units(rows)
            outputs = session.predict(chosen, (*head.outputs, "loss"))
            assert_outputs(outputs, bench.expected(head, parameters, chosen), self.forward_tolerance)

    def test_predictions_need_no_labels(self, bench: Bench, head: Head) -> None:
        """Only the outputs asked for come back, and a batch without labels gives logits."""
        session, parameters = bench.session(head, GRADIENTS)
        batch = rows_of(head)
        for want in tuple(head.outputs):
            outputs = session.predict(batch.without(*batch.columns), (want,))
            expected = bench.expected(head, parameters, batch)
            assert_outputs(outputs, {want: expected[want]}, self.forward_tolerance)

    def test_a_session_may_only_predict(self, bench: Bench, head: Head) -> None:
        """Without a training specification."""
        session, parameters = bench.session(head)
        batch = rows_of(head)
        outputs = session.predict(batch, tuple(head.outputs))
        expected = bench.expected(head, parameters, batch)
        assert_outputs(outputs, {name: expected[name] for name in tuple(head.outputs)}, self.forward_tolerance)

    @pytest.mark.parametrize("changes", list(VARIANTS.values()), ids=list(VARIANTS))
    def test_predictions_of_other_families(self, bench: Bench, changes: dict[str, Any]) -> None:
        """Names, positions, token types, embeddings, activations, epsilon and head are the configuration's."""
        head, config = bench.first_head(), dataclasses.replace(CONFIG, **changes)
        session, parameters = bench.session(head, None, config)
        batch = rows_of(head)
        outputs = session.predict(batch, tuple(head.outputs))
        expected = bench.expected(head, parameters, batch, config)
        assert_outputs(outputs, {name: expected[name] for name in tuple(head.outputs)}, self.forward_tolerance)

    def test_low_precision(self, bench: Bench, precision: Precision) -> None:
        """Trains and predicts near fp32, and hands out float32 all the same."""
        head = bench.first_head()
        specification = dataclasses.replace(
            bench.specification(head, GRADIENTS), precision=precision, prediction_precision=precision
        )
        session = bench.backend.open(specification)
        parameters = random_parameters(specification)
        session.load(parameters)
        batch = rows_of(head)
        expected = bench.expected(head, parameters, batch)
        assert_outputs(session.predict(batch, (*head.outputs, "loss")), expected, self.low_precision_tolerance)
        result = session.train_step([batch], context_of(GRADIENTS, denominator=8.0))
        assert result.finite
        assert not result.skipped
        assert result.loss_sum == pytest.approx(float(expected["loss"].sum()), rel=self.low_precision_tolerance)
        assert {value.dtype for value in session.parameters().values()} == {np.dtype(np.float32)}
        session.close()
