"""Adapters: what is trained beside frozen weights equals the effective model and its gradient, pulled back."""

from __future__ import annotations

import dataclasses
import re

import numpy as np
import pytest

from bertcore.contracts.backend import ParameterGroup, Precision, Session, SessionSpecification, TrainingSpecification
from bertcore.contracts.batch import Batch
from bertcore.contracts.head import Head
from bertcore.contracts.parameters import Parameters
from bertcore.numerics.lora import A_SUFFIX, B_SUFFIX, Lora
from bertcore.testing.backend_suite.asserts import assert_equal, assert_outputs, assert_same_state, norm_of
from bertcore.testing.backend_suite.bench import BackendSuite, Bench
from bertcore.testing.backend_suite.passes import FGM, expected_step, training_with
from bertcore.testing.backend_suite.samples import CONFIG, context_of, random_parameters, rows_of
from bertcore.testing.gradients import showing_gradients
from bertcore.testing.heads import reference_of
from bertcore.testing.reference import Array, ReferenceModel

LAYERS = f"{CONFIG.prefix}encoder.layer."
# In the first layer two of the three that some backends join, in the last one all three, and those of other shapes.
LORA = Lora(
    rank=3,
    alpha=2.0,
    targets=(
        *(f"{LAYERS}0.attention.self.{name}" for name in ("query", "value")),
        *(f"{LAYERS}1.attention.self.{name}" for name in ("query", "key", "value")),
        *(f"{LAYERS}0.{name}" for name in ("attention.output.dense", "intermediate.dense", "output.dense")),
    ),
)
WITHOUT_DROPOUT = dataclasses.replace(CONFIG, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
GROUPS = (
    ParameterGroup("adapter", r"\.lora_[AB]\.", 1e-2, 0.1),
    ParameterGroup("frozen", f"^{re.escape(CONFIG.prefix)}", 0.0, 0.1),
    ParameterGroup("head", ".", 1e-3, 0.0),
)
TRAINING = TrainingSpecification(GROUPS, dropout=False)
GRADIENTS = showing_gradients(TRAINING)
WITH_DROPOUT = dataclasses.replace(TRAINING, dropout=True)


def effective(parameters: Parameters) -> dict[str, Array]:
    """The model that is meant, in float64."""
    return LORA.effective({name: value.astype(np.float64) for name, value in parameters.items()})


def is_trained(name: str) -> bool:
    """Whether it is the adapter's or the head's."""
    return not name.startswith(CONFIG.prefix) or name.endswith((A_SUFFIX, B_SUFFIX))


class Adapters(BackendSuite):
    """See :class:`bertcore.testing.BackendConformance`."""

    @pytest.fixture(autouse=True)
    def _adapters(self, request: pytest.FixtureRequest) -> None:
        if request.function.__name__ in vars(Adapters):
            self.expect(request, "adapters")

    def test_an_adapted_model_predicts_as_the_merged_one(self, bench: Bench, head: Head) -> None:
        """Its outputs and losses are those of the effective weights."""
        session, parameters = bench.session(head, GRADIENTS, adapter=LORA)
        batch = rows_of(head)
        expected = reference_of(head).outputs(head, ReferenceModel(effective(parameters), CONFIG), batch)
        assert_outputs(session.predict(batch, (*head.outputs, "loss")), expected, self.forward_tolerance)

    def test_gradients_of_an_adapter_are_pulled_back(self, bench: Bench, head: Head) -> None:
        """From those of the effective weights, over one micro-batch and two; the frozen ones count for nothing."""
        batch = rows_of(head)
        session, parameters = bench.session(head, GRADIENTS, adapter=LORA)
        model = ReferenceModel(effective(parameters), CONFIG)
        expected = self._expected(reference_of(head).gradients(head, model, batch), parameters)
        for parts in ([batch], [batch.select_units([0, 1, 2, 3, 4]), batch.select_units([5, 6, 7])]):
            session.load(parameters)
            result = session.train_step(parts, context_of(GRADIENTS, denominator=8.0))
            losses = reference_of(head).outputs(head, model, batch)["loss"]
            assert result.loss_sum == pytest.approx(float(losses.sum()), rel=self.forward_tolerance)
            assert result.gradient_norm == pytest.approx(norm_of(expected), rel=self.gradient_tolerance[0])
            self._assert_near(session.state().first_moment, expected)

    def test_gradients_of_an_adapter_at_moved_embeddings(
        self, bench: Bench, classifier: Head, request: pytest.FixtureRequest
    ) -> None:
        """A perturbed pass (FGM) moves the frozen table, and trains the adapter there."""
        self.expect(request, "passes")
        batch, training = rows_of(classifier), training_with(FGM, GRADIENTS)
        session, parameters = bench.session(classifier, training, adapter=LORA)
        loss_sum, gradients = expected_step(FGM, classifier, effective(parameters), batch)
        result = session.train_step([batch], context_of(training, denominator=8.0))
        assert result.loss_sum == pytest.approx(loss_sum, rel=self.forward_tolerance)
        self._assert_near(session.state().first_moment, self._expected(gradients, parameters))

    def test_an_adapter_is_trained_and_the_encoder_is_not(self, bench: Bench, classifier: Head) -> None:
        """Every array of adapter and head moves, and nothing else by a bit."""
        session, parameters = bench.session(classifier, TRAINING, adapter=LORA)
        for step in range(2):
            assert session.train_step([rows_of(classifier)], context_of(TRAINING, step=step)).finite
        for name, value in session.parameters().items():
            assert np.array_equal(value, parameters[name]) != is_trained(name), name

    def test_an_adapter_drops_what_it_reads(
        self, bench: Bench, classifier: Head, dropout: TrainingSpecification, request: pytest.FixtureRequest
    ) -> None:
        """By masks of its place, and nothing of what the frozen layers read."""
        lora = dataclasses.replace(LORA, dropout=0.4)
        config = dataclasses.replace(WITHOUT_DROPOUT, classifier_dropout=0.0)
        session, parameters = bench.session(classifier, WITH_DROPOUT, config, adapter=lora)

        def loss(given: Parameters, step: int) -> float:
            session.load(given)
            return session.train_step([rows_of(classifier)], context_of(WITH_DROPOUT, step=step)).loss_sum

        first = loss(parameters, 0)
        assert loss(parameters, 0) == first
        assert loss(parameters, 1) != pytest.approx(first, rel=1e-6)
        silent = {name: value * (not name.endswith(B_SUFFIX)) for name, value in parameters.items()}
        expected = bench.expected(classifier, silent, rows_of(classifier), config)["loss"].sum()
        assert loss(silent, 0) == pytest.approx(float(expected), rel=self.forward_tolerance)
        session.load(parameters)
        merged = bench.expected(classifier, _float32(effective(parameters)), rows_of(classifier), config)
        found = session.predict(rows_of(classifier), (*classifier.outputs, "loss"))
        assert_outputs(found, merged, self.forward_tolerance)

    def test_a_resumed_training_of_an_adapter_goes_on_to_the_bit(self, bench: Bench, classifier: Head) -> None:
        """Two steps, everything out and in again, two steps: equal to four steps."""
        session, parameters = bench.session(classifier, TRAINING, adapter=LORA)
        _steps(session, classifier, range(4))
        expected, expected_state = session.parameters(), session.state()
        assert list(expected) == list(bench.specification(classifier, TRAINING, adapter=LORA).table)
        session.load(parameters)
        _steps(session, classifier, range(2))
        saved, saved_state = session.parameters(), session.state()
        _steps(session, classifier, range(7, 9))
        session.load(saved)
        session.restore(saved_state)
        _steps(session, classifier, range(2, 4))
        assert_equal(session.parameters(), expected)
        assert_same_state(session.state(), expected_state)

    def test_an_adapter_in_low_precision(self, bench: Bench, precision: Precision) -> None:
        """Beside weights of that precision; what is handed out is float32."""
        head = bench.first_head()
        specification: SessionSpecification = dataclasses.replace(
            bench.specification(head, TRAINING, adapter=LORA), precision=precision
        )
        session, parameters = bench.backend.open(specification), random_parameters(specification)
        session.load(parameters)
        batch = rows_of(head)
        expected = bench.expected(head, _float32(effective(parameters)), batch)["loss"].sum()
        result = session.train_step([batch], context_of(TRAINING))
        assert result.finite
        assert result.loss_sum == pytest.approx(float(expected), rel=self.low_precision_tolerance)
        assert {value.dtype for value in session.parameters().values()} == {np.dtype(np.float32)}
        session.close()

    def _expected(self, gradients: dict[str, Array], parameters: Parameters) -> dict[str, Array]:
        wide = {name: value.astype(np.float64) for name, value in parameters.items()}
        pulled_back = LORA.pull_back(gradients, wide)
        return {name: gradient / 8.0 for name, gradient in pulled_back.items() if is_trained(name)}

    def _assert_near(self, found: Parameters, expected: dict[str, Array]) -> None:
        relative, absolute = self.gradient_tolerance
        for name, gradient in expected.items():
            difference = float(np.linalg.norm(found[name] - gradient))
            assert difference <= relative * float(np.linalg.norm(gradient)) + absolute * norm_of(expected), name


def _steps(session: Session, head: Head, numbers: range) -> None:
    batch: Batch = rows_of(head)
    for step in numbers:
        session.train_step([batch.select_units([0, 3, 6]), batch.select_units([2])], context_of(TRAINING, 4.0, step))


def _float32(parameters: dict[str, Array]) -> Parameters:
    return {name: value.astype(np.float32) for name, value in parameters.items()}
