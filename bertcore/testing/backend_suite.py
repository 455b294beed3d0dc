"""Conformance of a backend: the contract of :mod:`bertcore.contracts.backend`, against the equations in numpy float64.

Everything is observed through the contract alone. A gradient is read from the optimizer's state: with ``betas[0] = 0``
the first moment after a step from zero is the gradient itself.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping, Sequence
from importlib import metadata
from typing import Any, ClassVar

import numpy as np
import pytest
from numpy.typing import NDArray

from bertcore.contracts.backend import (
    PRECISIONS,
    Backend,
    OptimizerState,
    Outputs,
    ParameterGroup,
    Precision,
    Session,
    SessionSpecification,
    StepContext,
    StepResult,
    TrainingSpecification,
    Workload,
)
from bertcore.contracts.batch import Batch, Column, from_rows
from bertcore.contracts.family import BertConfig, ModelFamily
from bertcore.contracts.head import Head
from bertcore.contracts.objective import HeadLoss
from bertcore.contracts.parameters import Parameters
from bertcore.contracts.tagging import LegalTransitions
from bertcore.errors import DeviceError
from bertcore.heads import Regression, SequenceClassification, SpanExtraction, TokenClassification
from bertcore.numerics.crf import reference as crf_reference
from bertcore.testing import reference
from bertcore.testing.gradients import showing_gradients
from bertcore.testing.plugin_under_test import imported_modules, load_plugin, only
from bertcore.testing.reference import ReferenceModel

LABELS = ("red", "green", "blue")
HEADS: dict[str, Head] = {
    "classification": SequenceClassification(LABELS),
    "multi-label": SequenceClassification(LABELS, multi_label=True),
    "regression": Regression(),
    "token": TokenClassification(LABELS),
    "crf": TokenClassification(("O", "B-X", "I-X"), crf=True, scheme="BIO", forbid="training"),
    "span": SpanExtraction(),
}
CLASSIFICATION = HEADS["classification"]

CONFIG = BertConfig(
    vocab_size=50,
    hidden_size=32,
    num_hidden_layers=2,
    num_attention_heads=4,
    intermediate_size=64,
    max_position_embeddings=34,
)
# What a family may vary about the encoder.
VARIANTS = {
    "names, positions and head of RoBERTa": {
        "prefix": "other.",
        "position_offset": 2,
        "token_types": False,
        "head_variant": "dense",
    },
    "embeddings and head of ELECTRA": {
        "embedding_size": 24,
        "head_variant": "dense",
        "head_activation": "gelu",
        "hidden_act": "gelu_new",
    },
    "relu and another epsilon": {"hidden_act": "relu", "layer_norm_eps": 1e-2},
}
LENGTHS = (1, 7, 32, 2, 13, 31, 5, 20)  # one token alone, the longest that fits, and what lies between
MAX_LENGTH = 32

ONE_GROUP = (ParameterGroup("all", ".", 1e-3, 0.0),)
GRADIENTS = showing_gradients(TrainingSpecification(ONE_GROUP, dropout=False))
FOUR_GROUPS = (
    ParameterGroup("frozen", r"word_embeddings", 0.0, 0.1),
    ParameterGroup("head", r"^classifier", 1e-2, 0.1),
    ParameterGroup("no decay", r"bias$|LayerNorm", 1e-3, 0.0),
    ParameterGroup("decay", r".", 1e-3, 0.1),
)
UPDATES = TrainingSpecification(FOUR_GROUPS, betas=(0.8, 0.95), eps=1e-6, clip_norm=0.5, dropout=False)
DROPOUT = dataclasses.replace(UPDATES, dropout=True)


class Bench:
    """The backend under test with its heads, and the sessions opened so far, each opened once."""

    def __init__(self, plugin: str, name: str, device: str) -> None:
        self.registry = load_plugin(plugin)
        self.backend: Backend = self.registry.backend(only(dict(self.registry.backends), name, "backend"))
        assert self.backend.problem() is None
        self.device = device or self.backend.available_devices()[0]
        self._sessions: dict[SessionKey, Session] = {}

    def specification(
        self, head: Head, training: TrainingSpecification | None = None, config: BertConfig = CONFIG
    ) -> SessionSpecification:
        """A session in fp32 for the rows of :func:`rows_of`."""
        lengths = np.array(LENGTHS, dtype=np.int64)
        none = np.zeros(0, dtype=np.int64)
        return SessionSpecification(
            config=config,
            head=head,
            table=_Family(config).parameter_table(config, head),
            device=self.device,
            precision="fp32",
            prediction_precision="fp32",
            workload=Workload(lengths if training else none, lengths, len(lengths), len(lengths), MAX_LENGTH),
            training=training,
            head_implementation=self.registry.head_implementation(head, self.backend.name),
            objective_implementation=self.registry.objective(HeadLoss.name, {}, self.backend.name)[1],
        )

    def session(
        self, head: Head, training: TrainingSpecification | None = None, config: BertConfig = CONFIG
    ) -> tuple[Session, Parameters]:
        """A session with new random parameters loaded, and these parameters."""
        specification = self.specification(head, training, config)
        key = (head, training, config)
        if key not in self._sessions:
            self._sessions[key] = self.backend.open(specification)
        parameters = random_parameters(specification)
        self._sessions[key].load(parameters)
        return self._sessions[key], parameters

    def heads(self) -> dict[str, Head]:
        """Those of :data:`HEADS` that are registered for this backend."""
        return {
            name: head for name, head in HEADS.items() if f"{head.name} on {self.backend.name}" in self.registry.heads
        }

    def close(self) -> None:
        """Closes all sessions."""
        for session in self._sessions.values():
            session.close()


SessionKey = tuple[Head, TrainingSpecification | None, BertConfig]


class BackendConformance:
    """Subclass it in a test module of the plugin, and name the plugin as its entry point does.

    Attributes:
        plugin: value of the entry point, ``module`` or ``module:attribute``.
        backend: name of the backend, where the plugin registers several.
        device: device to test on; by default the backend's first.
        has_dropout: whether the backend computes dropout.
        has_crf: whether its token classification knows the conditional random field.
        forward_tolerance: largest absolute difference of an output, or of a row's loss, from the reference.
        gradient_tolerance: largest norm of a gradient's difference from the reference, as a part of the tensor's
            own norm and as a part of the norm of all gradients (the gradient of a key's bias is zero up to noise).
        accumulation_tolerance: the same between one batch and several, as a part of both norms together.
        update_tolerance: largest relative difference of an updated value from the reference.
        low_precision_tolerance: largest absolute difference of an output in bf16 or fp16.
    """

    plugin: ClassVar[str]
    backend: ClassVar[str] = ""
    device: ClassVar[str] = ""
    has_dropout: ClassVar[bool] = True
    has_crf: ClassVar[bool] = True
    forward_tolerance: ClassVar[float] = 1e-5
    gradient_tolerance: ClassVar[tuple[float, float]] = (5e-5, 1e-7)
    accumulation_tolerance: ClassVar[float] = 1e-6
    update_tolerance: ClassVar[float] = 1e-6
    low_precision_tolerance: ClassVar[float] = 0.05

    @pytest.fixture(scope="class")
    @classmethod
    def bench(cls) -> Iterator[Bench]:
        """The backend under test."""
        bench = Bench(cls.plugin, cls.backend, cls.device)
        yield bench
        bench.close()

    @pytest.fixture(params=list(HEADS.values()), ids=list(HEADS))
    def head(self, bench: Bench, request: pytest.FixtureRequest) -> Head:
        """Each head that the plugin registers for its backend."""
        head: Head = request.param
        if head not in bench.heads().values():
            pytest.skip(f"the plugin registers no head {head.name!r} for {bench.backend.name}")
        if isinstance(head, TokenClassification) and head.crf and not self.has_crf:
            pytest.skip("the backend has no conditional random field")
        return head

    # What a backend says about itself

    def test_static_facts(self, bench: Bench) -> None:
        """Name, devices, precisions and files are what listings and the engine expect."""
        backend = bench.backend
        assert re.fullmatch(r"[a-z0-9][a-z0-9_-]*", backend.name)
        assert backend.description
        assert "\n" not in backend.description
        assert all(isinstance(package, str) for package in backend.packages)
        assert backend.devices
        for precisions in backend.devices.values():
            assert "fp32" in precisions
            assert set(precisions) <= set(PRECISIONS)
        file, converter = backend.weight_file
        assert "/" not in file
        assert converter
        assert isinstance(backend.distributed, bool)
        assert bench.heads(), "the plugin registers no head for its backend"
        objective = f"{HeadLoss.name} on {backend.name}"
        assert objective in bench.registry.objectives, "the plugin registers no objective: a run needs the heads' loss"

    def test_listing_imports_no_framework(self, bench: Bench) -> None:
        """Loading the plugin, calling its hooks and reading static facts import none of the backend's packages."""
        packages = {name.lower().replace("_", "-") for name in bench.backend.packages}
        modules = [
            module
            for module, distributions in metadata.packages_distributions().items()
            if packages & {name.lower().replace("_", "-") for name in distributions}
        ]
        code = (
            "from bertcore.testing.plugin_under_test import load_plugin\n"
            f"for entry in load_plugin({self.plugin!r}).backends.values():\n"
            "    backend = entry.item\n"
            "    backend.name, backend.description, backend.packages, backend.devices, backend.weight_file\n"
        )
        # The backend's own distribution may be among its packages; its modules are what a listing loads.
        own = type(bench.backend).__module__.partition(".")[0]
        assert imported_modules(code, [name for name in modules if name != own]) == []

    def test_devices_of_this_machine(self, bench: Bench) -> None:
        """The backend runs here, on devices that it declares, and its own check passes on each."""
        devices = bench.backend.available_devices()
        assert devices
        assert {device.partition(":")[0] for device in devices} <= set(bench.backend.devices)
        for device in devices:
            check = bench.backend.check(device)
            assert check.passed, check
            assert check.operation
        versions = bench.backend.versions()
        assert versions
        assert all(isinstance(part, str) for item in versions.items() for part in item)

    def test_an_absent_device_is_refused(self, bench: Bench) -> None:
        """With one line of cause and one of remedy."""
        specification = bench.specification(_first(bench))
        for device in ("abacus", "abacus:0"):
            with pytest.raises(DeviceError) as caught:
                bench.backend.open(dataclasses.replace(specification, device=device))
            _assert_two_lines(caught.value)

    def test_an_absent_precision_is_refused(self, bench: Bench) -> None:
        """For training and for predictions, where the device lacks one."""
        declared = bench.backend.devices[bench.device.partition(":")[0]]
        specification = bench.specification(_first(bench), GRADIENTS)
        for precision in set(PRECISIONS) - set(declared):
            for changed in (
                dataclasses.replace(specification, precision=precision),
                dataclasses.replace(specification, prediction_precision=precision),
            ):
                with pytest.raises(DeviceError) as caught:
                    bench.backend.open(changed)
                _assert_two_lines(caught.value)

    def test_one_process_is_rank_0_of_1(self, bench: Bench) -> None:
        """Collective operations of one process give back what they get."""
        session, _ = bench.session(_first(bench), GRADIENTS)
        values = np.array([1.5, -2.0])
        assert (session.rank, session.world_size) == (0, 1)
        np.testing.assert_array_equal(session.all_reduce(values), values)
        np.testing.assert_array_equal(session.gather(values), [values])
        assert session.compile_seconds >= 0

    # Predictions

    def test_predictions_equal_the_reference(self, bench: Bench, head: Head) -> None:
        """All outputs and each row's loss, on rows of mixed lengths."""
        session, parameters = bench.session(head, GRADIENTS)
        batch = rows_of(head)
        outputs = session.predict(batch, (*_outputs(head), "loss"))
        _assert_outputs(outputs, reference_outputs(head, CONFIG, parameters, batch), self.forward_tolerance)

    def test_predictions_follow_the_order_of_rows(self, bench: Bench, head: Head) -> None:
        """Rows in another order, or alone, get the same outputs."""
        session, parameters = bench.session(head, GRADIENTS)
        batch = rows_of(head)
        selections = [[5, 0, 7, 2], list(reversed(range(len(batch)))), *([row] for row in range(len(batch)))]
        for rows in selections:
            chosen = batch.select(rows)
            outputs = session.predict(chosen, (*_outputs(head), "loss"))
            _assert_outputs(outputs, reference_outputs(head, CONFIG, parameters, chosen), self.forward_tolerance)

    def test_predictions_need_no_labels(self, bench: Bench, head: Head) -> None:
        """Only the outputs asked for come back, and a batch without labels gives logits."""
        session, parameters = bench.session(head, GRADIENTS)
        batch = rows_of(head)
        for want in _outputs(head):
            outputs = session.predict(batch.without(*batch.columns), (want,))
            expected = reference_outputs(head, CONFIG, parameters, batch)
            _assert_outputs(outputs, {want: expected[want]}, self.forward_tolerance)

    def test_a_session_may_only_predict(self, bench: Bench, head: Head) -> None:
        """Without a training specification."""
        session, parameters = bench.session(head)
        batch = rows_of(head)
        outputs = session.predict(batch, _outputs(head))
        expected = reference_outputs(head, CONFIG, parameters, batch)
        _assert_outputs(outputs, {name: expected[name] for name in _outputs(head)}, self.forward_tolerance)

    @pytest.mark.parametrize("changes", list(VARIANTS.values()), ids=list(VARIANTS))
    def test_predictions_of_other_families(self, bench: Bench, changes: dict[str, Any]) -> None:
        """Names, positions, token types, embeddings, activations, epsilon and head are the configuration's."""
        head, config = _first(bench), dataclasses.replace(CONFIG, **changes)
        session, parameters = bench.session(head, None, config)
        batch = rows_of(head)
        outputs = session.predict(batch, _outputs(head))
        expected = reference_outputs(head, config, parameters, batch)
        _assert_outputs(outputs, {name: expected[name] for name in _outputs(head)}, self.forward_tolerance)

    @pytest.mark.parametrize("precision", ["bf16", "fp16"])
    def test_low_precision(self, bench: Bench, precision: Precision) -> None:
        """Trains and predicts near fp32, and hands out float32 all the same."""
        if precision not in bench.backend.devices[bench.device.partition(":")[0]]:
            pytest.skip(f"{bench.backend.name} declares no {precision} on {bench.device}")
        head = _first(bench)
        specification = dataclasses.replace(
            bench.specification(head, GRADIENTS), precision=precision, prediction_precision=precision
        )
        session = bench.backend.open(specification)
        parameters = random_parameters(specification)
        session.load(parameters)
        batch = rows_of(head)
        expected = reference_outputs(head, CONFIG, parameters, batch)
        _assert_outputs(session.predict(batch, (*_outputs(head), "loss")), expected, self.low_precision_tolerance)
        result = session.train_step([batch], _context(GRADIENTS, denominator=8.0))
        assert result.finite
        assert not result.skipped
        assert result.loss_sum == pytest.approx(float(expected["loss"].sum()), rel=self.low_precision_tolerance)
        assert {value.dtype for value in session.parameters().values()} == {np.dtype(np.float32)}
        session.close()

    # Gradients

    def test_loss_and_gradients_equal_the_reference(self, bench: Bench, head: Head) -> None:
        """The loss sum, each gradient divided by the denominator, and their global norm."""
        session, parameters = bench.session(head, GRADIENTS)
        batch = rows_of(head)
        result = session.train_step([batch], _context(GRADIENTS, denominator=5.0))
        losses = reference_outputs(head, CONFIG, parameters, batch)["loss"]
        expected = reference_gradients(head, CONFIG, parameters, batch, denominator=5.0)
        assert result.finite
        assert not result.skipped
        assert result.loss_sum == pytest.approx(float(losses.sum()), rel=self.forward_tolerance)
        assert result.gradient_norm == pytest.approx(_norm(expected), rel=self.gradient_tolerance[0])
        relative, absolute = self.gradient_tolerance
        actual = session.state().first_moment
        for name, gradient in expected.items():
            difference = np.linalg.norm(actual[name] - gradient)
            assert difference <= relative * np.linalg.norm(gradient) + absolute * _norm(expected), name

    def test_accumulation_equals_one_batch(self, bench: Bench, head: Head) -> None:
        """Over micro-batches of unequal rows and counts, whatever their order, and with an empty one among them."""
        batch = rows_of(head)
        session, _ = bench.session(head, GRADIENTS)
        context = _context(GRADIENTS, denominator=head.loss_count(batch))
        whole = session.train_step([batch], context)
        expected = session.state().first_moment
        for parts in ([[0, 1, 2, 3, 4], [5], [6, 7]], [[7, 1], [], [0, 2, 3, 4, 5, 6]]):
            session, _ = bench.session(head, GRADIENTS)
            result = session.train_step([batch.select(rows) for rows in parts], context)
            assert result.loss_sum == pytest.approx(whole.loss_sum, rel=self.accumulation_tolerance)
            self._assert_same_gradients(session.state().first_moment, expected)

    def test_the_denominator_divides_once(self, bench: Bench, head: Head) -> None:
        """Twice the denominator, half the gradient, the same loss sum; over one micro-batch and over two."""
        batch = rows_of(head)
        for parts in ([batch], [batch.select([0, 1, 2]), batch.select([3, 4, 5, 6, 7])]):
            session, _ = bench.session(head, GRADIENTS)
            first = session.train_step(parts, _context(GRADIENTS, denominator=4.0))
            expected = {name: value / 2 for name, value in session.state().first_moment.items()}
            session, _ = bench.session(head, GRADIENTS)
            second = session.train_step(parts, _context(GRADIENTS, denominator=8.0))
            assert second.loss_sum == first.loss_sum
            assert second.gradient_norm == pytest.approx(first.gradient_norm / 2, rel=self.accumulation_tolerance)
            self._assert_same_gradients(session.state().first_moment, expected)

    # Updates

    @pytest.mark.parametrize("denominator", [1.0, 1e3], ids=["clipped", "not clipped"])
    def test_the_update_is_adamw(self, bench: Bench, denominator: float) -> None:
        """From a state in the middle of a training, with clipping, a rate and a decay per group and a frozen group."""
        head = _pooled(bench)
        batch = rows_of(head)
        session, parameters = bench.session(head, GRADIENTS)
        session.train_step([batch], _context(GRADIENTS, denominator))
        gradients = {name: value.astype(np.float64) for name, value in session.state().first_moment.items()}

        session, _ = bench.session(head, UPDATES)
        state = random_state(parameters)
        session.restore(state)
        rates = (0.0, 7e-3, 5e-4, 3e-4)  # of the moment, as a schedule gives them
        result = session.train_step([batch], dataclasses.replace(_context(UPDATES, denominator), learning_rates=rates))

        groups = {name: _group(UPDATES, name) for name in parameters}
        trained = {name: gradients[name] for name, group in groups.items() if FOUR_GROUPS[group].name != "frozen"}
        assert UPDATES.clip_norm is not None
        clipped, norm = reference.clip_by_global_norm(trained, UPDATES.clip_norm)
        assert (norm > UPDATES.clip_norm) == (denominator == 1.0), "the test must clip in one case and not in the other"
        assert result.gradient_norm == pytest.approx(norm, rel=10 * self.update_tolerance)
        actual, actual_state = session.parameters(), session.state()
        assert actual_state.updates == state.updates + 1
        for name, group in groups.items():
            if name not in trained:
                np.testing.assert_array_equal(actual[name], parameters[name], err_msg=name)
                continue
            expected = reference.adamw_update(
                parameters[name].astype(np.float64),
                clipped[name],
                state.first_moment[name].astype(np.float64),
                state.second_moment[name].astype(np.float64),
                state.updates + 1,
                rates[group],
                UPDATES.betas,
                UPDATES.eps,
                FOUR_GROUPS[group].weight_decay,
            )
            found = (actual[name], actual_state.first_moment[name], actual_state.second_moment[name])
            for value, target in zip(found, expected, strict=True):
                scale = float(np.abs(target).max())
                np.testing.assert_allclose(value, target, rtol=0, atol=self.update_tolerance * scale, err_msg=name)

    def test_a_rate_of_zero_changes_no_parameter(self, bench: Bench) -> None:
        """The first step of a warm-up moves the moments only."""
        head = _pooled(bench)
        session, parameters = bench.session(head, UPDATES)
        session.train_step([rows_of(head)], dataclasses.replace(_context(UPDATES), learning_rates=(0.0,) * 4))
        _assert_equal(session.parameters(), parameters)
        assert session.state().updates == 1
        assert np.any(session.state().first_moment["classifier.bias"])

    def test_nothing_changes_unless_all_is_finite(self, bench: Bench) -> None:
        """A loss that is no number leaves parameters, moments and the count of updates as they are, to the bit."""
        head = _pooled(bench)
        session, parameters = bench.session(head, GRADIENTS)
        state = random_state(parameters)
        parameters["classifier.weight"][:] = np.inf
        session.load(parameters)
        session.restore(state)
        result = session.train_step([rows_of(head)], _context(GRADIENTS))
        assert not result.finite
        assert not result.skipped  # that is for fp16
        _assert_equal(session.parameters(), parameters)
        _assert_same_state(session.state(), state)

        session, _ = bench.session(head, GRADIENTS)
        assert session.train_step([rows_of(head)], _context(GRADIENTS)).finite, "the session goes on afterwards"

    def test_a_result_may_be_read_late(self, bench: Bench) -> None:
        """A step's loss and norm stay its own when further steps were done before they are read."""
        head = _pooled(bench)
        batch = rows_of(head)

        def steps() -> Iterator[StepResult]:
            session, _ = bench.session(head, UPDATES)
            for step in range(3):
                yield session.train_step([batch.select([step, 7])], _context(UPDATES, step=step))

        at_once = [(result.loss_sum, result.gradient_norm) for result in steps()]
        results = list(steps())
        assert [(result.loss_sum, result.gradient_norm) for result in results] == at_once

    # Parameters and state in and out

    def test_parameters_round_trip(self, bench: Bench, head: Head) -> None:
        """To the bit, float32, in the order of the table, and as copies."""
        session, parameters = bench.session(head, GRADIENTS)
        expected = {name: value.copy() for name, value in parameters.items()}
        found = session.parameters()
        assert list(found) == list(bench.specification(head).table)
        assert {value.dtype for value in found.values()} == {np.dtype(np.float32)}
        _assert_equal(found, expected)
        for arrays in (found, parameters):
            for value in arrays.values():
                value += 1
        _assert_equal(session.parameters(), expected)

    def test_loading_starts_a_new_optimizer_state(self, bench: Bench) -> None:
        """Moments and the count of updates are zero again."""
        head = _pooled(bench)
        session, parameters = bench.session(head, UPDATES)
        session.train_step([rows_of(head)], _context(UPDATES))
        assert session.state().updates == 1
        session.load(parameters)
        state = session.state()
        zeros = {name: np.zeros_like(value) for name, value in parameters.items()}
        _assert_same_state(state, OptimizerState(zeros, zeros, 0, state.loss_scale))

    def test_state_round_trip(self, bench: Bench) -> None:
        """To the bit, for every parameter of the table, and as copies."""
        head = _pooled(bench)
        session, parameters = bench.session(head, UPDATES)
        state = random_state(parameters)
        session.restore(state)
        before = session.state()
        _assert_same_state(before, state)
        session.train_step([rows_of(head)], _context(UPDATES))
        _assert_same_state(before, random_state(parameters))

    @pytest.mark.parametrize("training", [UPDATES, DROPOUT], ids=["without dropout", "with dropout"])
    def test_a_resumed_training_goes_on_to_the_bit(self, bench: Bench, training: TrainingSpecification) -> None:
        """Two steps, everything out and in again, two steps: equal to four steps."""
        if training.dropout and not self.has_dropout:
            pytest.skip("the backend has no dropout")
        head = _pooled(bench)
        batch = rows_of(head)

        def steps(session: Session, numbers: Sequence[int]) -> list[float]:
            parts = [batch.select([0, 3, 6]), batch.select([2])]
            return [session.train_step(parts, _context(training, 4.0, step)).loss_sum for step in numbers]

        session, parameters = bench.session(head, training)
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
        _assert_equal(session.parameters(), expected)
        _assert_same_state(session.state(), expected_state)

    # Dropout

    def test_dropout_is_a_function_of_its_place(self, bench: Bench) -> None:
        """The same masks for the same seed, step, micro-batch and rank; other masks for any other."""
        if not self.has_dropout:
            pytest.skip("the backend has no dropout")
        head = _pooled(bench)
        batch = rows_of(head)
        context = _context(DROPOUT, step=3)

        def loss(changed: StepContext, parts: int = 1) -> float:
            session, _ = bench.session(head, DROPOUT)
            return session.train_step([batch] * parts, changed).loss_sum

        first = loss(context)
        assert loss(context) == first
        for change in ({"seed": 12}, {"step": 4}, {"rank": 1}):
            assert loss(dataclasses.replace(context, **change)) != first, change  # type: ignore[arg-type]
        second_part = loss(context, parts=2) - first
        assert second_part != pytest.approx(first, rel=1e-6), "both micro-batches had the same masks"

    def test_predictions_have_no_dropout(self, bench: Bench) -> None:
        """Neither before a training step nor after one."""
        if not self.has_dropout:
            pytest.skip("the backend has no dropout")
        head = _pooled(bench)
        batch = rows_of(head)
        session, parameters = bench.session(head, DROPOUT)
        for _ in range(2):
            expected = reference_outputs(head, CONFIG, parameters, batch)
            _assert_outputs(session.predict(batch, ("logits", "loss")), expected, self.forward_tolerance)
            session.train_step([batch], _context(DROPOUT))
            parameters = session.parameters()

    def _assert_same_gradients(self, actual: Parameters, expected: Parameters) -> None:
        for name, gradient in expected.items():
            difference = float(np.linalg.norm(actual[name].astype(np.float64) - gradient))
            allowed = self.accumulation_tolerance * (float(np.linalg.norm(gradient)) + _norm(expected))
            assert difference <= allowed, name


# ---------------------------------------------------------------------------------------------------------------------
# What the tests feed, the same in every run
# ---------------------------------------------------------------------------------------------------------------------


class _Family(ModelFamily):
    """The table of a configuration, under its own names."""

    def __init__(self, config: BertConfig) -> None:
        self.prefix = config.prefix  # type: ignore[misc]


def rows_of(head: Head) -> Batch:
    """One row for each of :data:`LENGTHS`, with the columns that the head reads."""
    generator = np.random.default_rng(5)
    rows = len(LENGTHS)
    input_ids = [generator.integers(1, CONFIG.vocab_size, length).tolist() for length in LENGTHS]
    token_type_ids = [[int(2 * position >= length) for position in range(length)] for length in LENGTHS]
    columns: dict[str, Column] = {}
    label_positions: list[list[int]] | None = None
    if isinstance(head, SequenceClassification) and head.multi_label:
        columns["labels"] = Column(generator.integers(0, 2, (rows, len(LABELS))).astype(np.float32), "row")
    elif isinstance(head, SequenceClassification):
        labels = generator.integers(0, len(LABELS), rows).astype(np.int32)
        labels[4] = -100
        columns["labels"] = Column(labels, "row", ignore=-100)
    elif isinstance(head, Regression):
        columns["labels"] = Column(generator.normal(2, 1, rows).astype(np.float32), "row")
    elif isinstance(head, TokenClassification):
        label_positions = [list(range(0 if length < 3 else 1, length, 2)) for length in LENGTHS]
        labels = generator.integers(0, len(LABELS), sum(map(len, label_positions))).astype(np.int32)
        labels[3] = -100
        columns["labels"] = Column(labels, "label", ignore=-100)
    elif isinstance(head, SpanExtraction):
        starts = [int(generator.integers(0, length)) for length in LENGTHS]
        ends = [int(generator.integers(start, length)) for start, length in zip(starts, LENGTHS, strict=True)]
        columns["start_positions"] = Column(np.array(starts, dtype=np.int32), "row")
        columns["end_positions"] = Column(np.array(ends, dtype=np.int32), "row")
    return from_rows(input_ids, token_type_ids, columns, label_positions=label_positions)


def random_parameters(specification: SessionSpecification) -> Parameters:
    """Values of which none is zero or one by habit, so that no bias or LayerNorm can be left out unnoticed."""
    generator = np.random.default_rng(17)
    return {
        name: (generator.normal(0, 0.15, spec.shape) + (spec.initializer == "ones")).astype(np.float32)
        for name, spec in specification.table.items()
    }


def random_state(parameters: Parameters) -> OptimizerState:
    """The state of an optimizer that has done some updates."""
    generator = np.random.default_rng(23)
    first = {name: generator.normal(0, 0.01, value.shape).astype(np.float32) for name, value in parameters.items()}
    second = {name: generator.uniform(1e-5, 1e-3, value.shape).astype(np.float32) for name, value in parameters.items()}
    return OptimizerState(first, second, updates=3)


# ---------------------------------------------------------------------------------------------------------------------
# What the reference says
# ---------------------------------------------------------------------------------------------------------------------

Array = NDArray[np.float64]


def reference_outputs(head: Head, config: BertConfig, parameters: Parameters, batch: Batch) -> dict[str, Array]:
    """All outputs of the head and ``loss``, as a session would give them, in float64."""
    model = reference_model(config, parameters)
    rows = [_reference_row(head, model, batch, row) for row in range(len(batch))]
    outputs: dict[str, Array] = {"loss": np.array([loss for _, loss, _ in rows])}
    logits = [row[0] for row in rows]
    if isinstance(head, SpanExtraction):
        joined = np.concatenate(logits)
        outputs["start_logits"], outputs["end_logits"] = joined[:, 0], joined[:, 1]
    else:
        per_row = head.outputs["logits"] == "row"
        outputs["logits"] = np.stack(logits) if per_row else np.concatenate(logits)
    if isinstance(head, TokenClassification):
        outputs["tags"] = np.concatenate([_best_tags(head, parameters, row) for row in logits])
    return outputs


def reference_gradients(
    head: Head, config: BertConfig, parameters: Parameters, batch: Batch, denominator: float
) -> dict[str, Array]:
    """The gradient of the loss sum divided by the denominator, for every parameter."""
    model = reference_model(config, parameters)
    total = {name: np.zeros(value.shape) for name, value in parameters.items()}
    kind: reference.HeadName = (
        "span" if isinstance(head, SpanExtraction) else "token" if isinstance(head, TokenClassification) else "sequence"
    )
    for row in range(len(batch)):
        logits, _, logits_gradient = _reference_row(head, model, batch, row)
        for name, gradient in model.gradients(*_tokens(batch, row), logits_gradient, kind).items():
            total[name] += gradient / denominator
        if isinstance(head, TokenClassification) and head.crf:
            labels = _row_labels(batch, row)[1]
            found = crf_reference.gradients(*_sequence(logits, labels), _crf_scores(parameters), _legal_in_loss(head))
            total["crf.transitions"] += found.transitions / denominator
            total["crf.start_transitions"] += found.start / denominator
            total["crf.end_transitions"] += found.end / denominator
    return total


def reference_model(config: BertConfig, parameters: Parameters) -> ReferenceModel:
    """The reference with these parameters."""
    return ReferenceModel(
        parameters,
        num_hidden_layers=config.num_hidden_layers,
        num_attention_heads=config.num_attention_heads,
        layer_norm_eps=config.layer_norm_eps,
        hidden_act=config.hidden_act,
        prefix=config.prefix,
        position_offset=config.position_offset,
        token_types=config.reads_token_types,
        head_activation=config.head_activation,
    )


def _reference_row(head: Head, model: ReferenceModel, batch: Batch, row: int) -> tuple[Array, float, Array]:
    """Logits of one row as the head gives them, its loss, and the loss's gradient as ``model.gradients`` takes it."""
    tokens = _tokens(batch, row)
    if isinstance(head, SpanExtraction):
        both = np.stack(model.span_logits(*tokens))
        labels = [batch.columns[name].values[row] for name in ("start_positions", "end_positions")]
        gradient = reference.softmax_cross_entropy_gradient(both, labels) / 2
        return both.T, reference.softmax_cross_entropy(both, labels) / 2, gradient.T
    if isinstance(head, TokenClassification):
        positions, tags = _row_labels(batch, row)
        all_logits = model.token_logits(*tokens)
        gradient = np.zeros_like(all_logits)
        if head.crf:
            sequence = (*_sequence(all_logits[positions], tags), _crf_scores(model.parameters), _legal_in_loss(head))
            gradient[positions[tags != -100]] = crf_reference.gradients(*sequence).emissions
            return all_logits[positions], crf_reference.loss(*sequence), gradient
        gradient[positions] = reference.softmax_cross_entropy_gradient(all_logits[positions], tags)
        return all_logits[positions], reference.softmax_cross_entropy(all_logits[positions], tags), gradient
    logits, label = model.sequence_logits(*tokens), batch.columns["labels"].values[row]
    if isinstance(head, Regression):
        return logits, reference.squared_error(logits, [label]), reference.squared_error_gradient(logits, [label])
    assert isinstance(head, SequenceClassification)
    if head.multi_label:
        size = len(head.labels)
        loss = reference.binary_cross_entropy(logits, label) / size
        return logits, loss, reference.binary_cross_entropy_gradient(logits, label) / size
    loss = reference.softmax_cross_entropy(logits[None], [label])
    return logits, loss, reference.softmax_cross_entropy_gradient(logits[None], [label])[0]


def _row_labels(batch: Batch, row: int) -> tuple[NDArray[np.int32], NDArray[Any]]:
    """Tokens of a row that carry a label, and the labels."""
    assert batch.label_offsets is not None
    assert batch.label_positions is not None
    chosen = slice(batch.label_offsets[row], batch.label_offsets[row + 1])
    return batch.label_positions[chosen], batch.columns["labels"].values[chosen]


def _sequence(emissions: Array, labels: NDArray[Any]) -> tuple[Array, NDArray[Any]]:
    """The sequence of a conditional random field: a position whose label is ignored is absent."""
    return emissions[labels != -100], labels[labels != -100]


def _crf_scores(parameters: Mapping[str, NDArray[Any]]) -> crf_reference.Scores:
    names = ("crf.transitions", "crf.start_transitions", "crf.end_transitions")
    return crf_reference.Scores(*(parameters[name].astype(np.float64) for name in names))


def _legal_in_loss(head: TokenClassification) -> LegalTransitions | None:
    return head.legal_transitions() if head.forbid == "training" else None


def _best_tags(head: TokenClassification, parameters: Parameters, logits: Array) -> NDArray[np.int32]:
    if not head.crf:
        best: NDArray[np.int32] = logits.argmax(axis=1).astype(np.int32)
        return best
    legal = None if head.forbid == "never" else head.legal_transitions()
    return crf_reference.viterbi(logits, _crf_scores(parameters), legal)


def _tokens(batch: Batch, row: int) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    tokens = slice(batch.offsets[row], batch.offsets[row + 1])
    return batch.input_ids[tokens], batch.token_type_ids[tokens]


# ---------------------------------------------------------------------------------------------------------------------
# Small helpers
# ---------------------------------------------------------------------------------------------------------------------


def _first(bench: Bench) -> Head:
    return next(iter(bench.heads().values()))


def _pooled(bench: Bench) -> Head:
    """A head with the parameters ``classifier.*``, which the groups of the tests name."""
    if CLASSIFICATION not in bench.heads().values():
        pytest.skip(f"the plugin registers no head {CLASSIFICATION.name!r} for {bench.backend.name}")
    return CLASSIFICATION


def _outputs(head: Head) -> tuple[str, ...]:
    return tuple(head.outputs)


def _context(training: TrainingSpecification, denominator: float = 8.0, step: int = 0) -> StepContext:
    return StepContext(step, 11, tuple(group.learning_rate for group in training.groups), denominator)


def _group(training: TrainingSpecification, name: str) -> int:
    return next(index for index, group in enumerate(training.groups) if re.search(group.pattern, name))


def _norm(gradients: Any) -> float:
    return float(np.sqrt(sum(float((value.astype(np.float64) ** 2).sum()) for value in gradients.values())))


def _assert_outputs(actual: Outputs, expected: dict[str, Array], tolerance: float) -> None:
    assert set(actual) == set(expected)
    for name, values in expected.items():
        assert actual[name].dtype == (np.int32 if name == "tags" else np.float32), name
        assert actual[name].shape == values.shape, name
        found = actual[name].astype(np.float64)
        np.testing.assert_allclose(found, values, rtol=tolerance, atol=tolerance, err_msg=name)


def _assert_equal(actual: Parameters, expected: Parameters) -> None:
    assert list(actual) == list(expected)
    for name, value in expected.items():
        np.testing.assert_array_equal(actual[name], value, err_msg=name)


def _assert_same_state(actual: OptimizerState, expected: OptimizerState) -> None:
    assert actual.updates == expected.updates
    assert actual.loss_scale == expected.loss_scale
    for name in ("first_moment", "second_moment"):
        moment: Parameters = getattr(actual, name)
        assert {value.dtype for value in moment.values()} == {np.dtype(np.float32)}
        _assert_equal(moment, getattr(expected, name))


def _assert_two_lines(error: DeviceError) -> None:
    assert error.cause
    assert error.remedy
    assert "\n" not in error.cause + error.remedy
