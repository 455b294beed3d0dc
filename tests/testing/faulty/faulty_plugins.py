"""Plugins that are right but for one fault each; the conformance suites must find every one.

A backend's fault is a change of the example's numpy session, a task's one of the example's task, a converter's one of
its converter, a record format's one of its format. ``FOUND_BY`` names a test that must fail.
"""

from __future__ import annotations

import dataclasses
from contextlib import contextmanager
from types import SimpleNamespace

import numpy as np
from bertcore_example import reference_backend
from bertcore_example.colour import ColourAccumulator, ColourTask
from bertcore_example.npy_records import NpyRecords
from bertcore_example.npz import NpzConverter
from bertcore_example.plugins import ReferenceNumpy
from bertcore_example.reference_backend import ReferenceBackend, ReferenceSession

from bertcore import hookimpl
from bertcore.contracts.converter import ModelParts, WeightSet
from bertcore.contracts.dataset import LeftOut
from bertcore.contracts.implementations import Implementation
from bertcore.contracts.objective import HeadLoss
from bertcore.contracts.record_format import FeatureRecord
from bertcore.contracts.task import Encoding
from bertcore.contracts.training_step import OptimizerState
from bertcore.errors import DataError
from bertcore.heads import GlobalPointer, MultipleChoice
from bertcore.numerics.lora import Lora
from bertcore.testing.heads import reference_of
from bertcore.testing.reference import perturbed
from bertcore.weights.converters.transformers_parts import transformers_parts

FOUND_BY: dict[str, str] = {}


def fault(found_by: str):
    """Notes which test must find the fault of a class."""

    def note(plugin: type) -> type:
        FOUND_BY[plugin.__name__] = found_by
        return plugin

    return note


def backend_plugin(session: type[ReferenceSession]) -> SimpleNamespace:
    class Backend(ReferenceBackend):
        def open(self, specification):
            super().open(specification)
            return session(specification)

    # What computes nothing row by row needs no code of the head.
    head = session.described if issubclass(session, HeadSession) else None
    further = [Implementation(head, Backend.name, "bertcore_example.reference_heads:RegressionLoss")] if head else []
    return SimpleNamespace(
        bertcore_register_backends=hookimpl(lambda: [Backend()]),
        bertcore_register_implementations=hookimpl(
            lambda: [*ReferenceNumpy.bertcore_register_implementations(), *further]
        ),
    )


def changed_training(session: ReferenceSession, **changes) -> None:
    training = dataclasses.replace(session._specification.training, **changes)
    session._specification = dataclasses.replace(session._specification, training=training)


@contextmanager
def replaced(module, **values):
    before = {name: getattr(module, name) for name in values}
    vars(module).update(values)
    try:
        yield
    finally:
        vars(module).update(before)


def changed_config(session: ReferenceSession, **changes) -> None:
    config = dataclasses.replace(session._specification.config, **changes)
    session._specification = dataclasses.replace(session._specification, config=config)


# Backends


@fault("test_predictions_follow_the_order_of_rows")
class RowsSortedByLength(ReferenceSession):
    def predict(self, batch, want):
        return super().predict(batch.select(np.argsort(batch.lengths, kind="stable")), want)


@fault("test_predictions_of_other_families")
class ActivationIgnored(ReferenceSession):
    def __init__(self, specification):
        super().__init__(specification)
        changed_config(self, hidden_act="gelu")


@fault("test_predictions_of_other_families")
class PositionOffsetIgnored(ReferenceSession):
    def __init__(self, specification):
        super().__init__(specification)
        changed_config(self, position_offset=0)


@fault("test_predictions_of_other_families")
class FrameworkEpsilon(ReferenceSession):
    def __init__(self, specification):
        super().__init__(specification)
        changed_config(self, layer_norm_eps=1e-5)


@fault("test_predictions_of_other_families")
class TokenTypesNeverIgnored(ReferenceSession):
    def __init__(self, specification):
        super().__init__(specification)
        changed_config(self, token_types=True)


@fault("test_predictions_of_other_families")
class HeadActivationIgnored(ReferenceSession):
    def __init__(self, specification):
        super().__init__(specification)
        changed_config(self, head_activation="tanh")


@fault("test_predictions_equal_the_reference")
class TransposedPooler(ReferenceSession):
    def _model(self, parameters):
        model = super()._model(parameters)
        name = f"{model.config.prefix}pooler.dense.weight"
        model.parameters[name] = model.parameters[name].T
        return model


@fault("test_predictions_equal_the_reference")
class TokenTypesIgnored(ReferenceSession):
    def predict(self, batch, want):
        return super().predict(dataclasses.replace(batch, token_type_ids=0 * batch.token_type_ids), want)


@fault("test_predictions_need_no_labels")
class LabelsAlwaysRead(ReferenceSession):
    def predict(self, batch, want):
        outputs = super().predict(batch, (*want, "loss"))
        return {name: outputs[name] for name in want}


@fault("test_accumulation_equals_one_batch")
class MicroBatchesAveraged(ReferenceSession):
    def train_step(self, micro_batches, context):
        denominator = context.loss_denominator * len(micro_batches)
        return super().train_step(micro_batches, dataclasses.replace(context, loss_denominator=denominator))


@fault("test_accumulation_equals_one_batch")
class LastMicroBatchDropped(ReferenceSession):
    def train_step(self, micro_batches, context):
        return super().train_step(micro_batches[:-1] or micro_batches, context)


@fault("test_loss_and_gradients_equal_the_reference")
class MeanOfTheBatchItself(ReferenceSession):
    def train_step(self, micro_batches, context):
        rows = float(sum(map(len, micro_batches)))
        return super().train_step(micro_batches, dataclasses.replace(context, loss_denominator=rows))


@fault("test_the_update_is_adamw")
class NeverClipped(ReferenceSession):
    def __init__(self, specification):
        super().__init__(specification)
        if specification.training:
            changed_training(self, clip_norm=None)


@fault("test_the_update_is_adamw")
class BiasesDecayed(ReferenceSession):
    def __init__(self, specification):
        super().__init__(specification)
        if specification.training:
            groups = specification.training.groups
            changed_training(self, groups=tuple(dataclasses.replace(group, weight_decay=0.1) for group in groups))


@fault("test_the_update_is_adamw")
class FrozenGroupTrained(ReferenceSession):
    def __init__(self, specification):
        super().__init__(specification)
        if specification.training:
            groups = specification.training.groups
            changed_training(self, groups=tuple(dataclasses.replace(group, learning_rate=1.0) for group in groups))


@fault("test_the_update_is_adamw")
class BiasCorrectionRestarted(ReferenceSession):
    def restore(self, state):
        super().restore(state)
        self._own_updates = dict.fromkeys(self._own_updates, 0)


@fault("test_nothing_changes_unless_all_is_finite")
class UpdatesCountedWhenNotFinite(ReferenceSession):
    def train_step(self, micro_batches, context):
        result = super().train_step(micro_batches, context)
        self._updates += not result.finite
        return result


@fault("test_loading_starts_a_new_optimizer_state")
class MomentsKeptOnLoading(ReferenceSession):
    def load(self, parameters):
        state = self.state() if hasattr(self, "_updates") else None
        super().load(parameters)
        if state:
            self.restore(state)


@fault("test_parameters_round_trip")
class ParametersNotCopied(ReferenceSession):
    def parameters(self):
        return self._parameters


@fault("test_parameters_round_trip")
class ParametersInAlphabeticalOrder(ReferenceSession):
    def parameters(self):
        return dict(sorted(super().parameters().items()))


@fault("test_state_round_trip")
class StateNotCopied(ReferenceSession):
    def state(self):
        return OptimizerState(self._first_moment, self._second_moment, self._updates)


@fault("test_a_resumed_training_goes_on_to_the_bit")
class StateInHalfPrecision(ReferenceSession):
    def state(self):
        state = super().state()
        rounded = {name: value.astype(np.float16).astype(np.float32) for name, value in state.second_moment.items()}
        return dataclasses.replace(state, second_moment=rounded)


class ChangedObjective(ReferenceSession):
    """Its objective is changed before a session is opened."""

    def changes(self, objective):
        raise NotImplementedError

    def __init__(self, specification):
        super().__init__(specification)
        if specification.training and specification.training.objective.distillation:
            objective = specification.training.objective
            changed_training(self, objective=dataclasses.replace(objective, **self.changes(objective)))


@fault("test_the_loss_is_the_closed_form")
class TemperatureIgnored(ChangedObjective):
    def changes(self, objective):
        return {"temperature": 1.0}


@fault("test_the_loss_is_the_closed_form")
class TeacherForHalf(ChangedObjective):
    def changes(self, objective):
        return {"distillation": 0.5}


@fault("test_the_loss_is_the_closed_form")
class NotTimesTheTemperatureSquared(ReferenceSession):
    def _loss(self, logits, batch, row, objective):
        loss, gradient = super()._loss(logits, batch, row, objective)
        if not objective.distillation:
            return loss, gradient
        plain, of_plain = super()._loss(logits, batch, row, HeadLoss())
        square = objective.temperature**2
        rest = 1 - objective.distillation
        return rest * plain + (loss - rest * plain) / square, rest * of_plain + (gradient - rest * of_plain) / square


@fault("test_the_gradient_is_that_of_the_closed_form")
class GradientOfTheLabels(ReferenceSession):
    def _loss(self, logits, batch, row, objective):
        return super()._loss(logits, batch, row, objective)[0], self._head.gradient(
            logits, batch.columns[self._label_column].values[row]
        )


@fault("test_the_loss_is_the_closed_form")
class TeacherOfAnotherRow(ReferenceSession):
    def _loss(self, logits, batch, row, objective):
        columns = dict(batch.columns)
        for name in objective.columns(self._specification.head):
            columns[name] = dataclasses.replace(columns[name], values=columns[name].values[::-1])
        return super()._loss(logits, dataclasses.replace(batch, columns=columns), row, objective)


@fault("test_a_frozen_bottom_does_not_move")
class MomentsOfFrozenOnesDecay(ReferenceSession):
    def train_step(self, micro_batches, context):
        result = super().train_step(micro_batches, context)
        for name in self._first_moment.keys() - set(self._trained()):
            self._first_moment[name] *= np.float32(0.9)
        return result


@fault("test_what_was_frozen_counts_its_own_updates")
class OneCountOfUpdatesForAll(ReferenceSession):
    def restore(self, state):
        super().restore(state)
        self._own_updates = dict.fromkeys(self._own_updates, state.updates)


@fault("test_a_group_begins_with_its_first_step")
class AllGroupsBeginAtOnce(ReferenceSession):
    def __init__(self, specification):
        super().__init__(specification)
        if specification.training:
            groups = specification.training.groups
            changed_training(self, groups=tuple(dataclasses.replace(group, first_step=0) for group in groups))


@fault("test_a_group_begins_with_its_first_step")
class WaitsByARateOfZero(AllGroupsBeginAtOnce):
    def train_step(self, micro_batches, context):
        rates = zip(context.learning_rates, self.waits, strict=True)
        changed = tuple(0.0 if first_step > context.step else rate for rate, first_step in rates)
        return super().train_step(micro_batches, dataclasses.replace(context, learning_rates=changed))

    def __init__(self, specification):
        super().__init__(specification)
        self.waits = [group.first_step for group in specification.training.groups] if specification.training else []


@fault("test_averages_follow_the_updates")
class AverageStartsBeforeTheFirstUpdate(ReferenceSession):
    def train_step(self, micro_batches, context):
        if self._specification.training.ema is not None and not self._averages:
            self._averages = self.parameters()
        return super().train_step(micro_batches, context)


@fault("test_averages_follow_the_updates")
class FrozenOnesAveraged(ReferenceSession):
    def state(self):
        state = super().state()
        return dataclasses.replace(state, averages=state.averages and self.predicting_parameters())


@fault("test_predictions_are_made_with_the_averages")
class PredictsWithoutTheAverages(ReferenceSession):
    def predict(self, batch, want):
        averages, self._averages = self._averages, {}
        outputs = super().predict(batch, want)
        self._averages = averages
        return outputs


@fault("test_predictions_are_made_with_the_averages")
class TrainsFromTheAverages(ReferenceSession):
    def train_step(self, micro_batches, context):
        self._parameters |= self._averages
        return super().train_step(micro_batches, context)


@fault("test_an_update_that_is_not_made_is_not_averaged")
class AveragedWhenNotFinite(ReferenceSession):
    def train_step(self, micro_batches, context):
        result = super().train_step(micro_batches, context)
        if not result.finite:
            self._averages = {name: self._parameters[name].copy() for name in self._averages}
        return result


@fault("test_averages_go_on_to_the_bit")
class AveragesNotRestored(ReferenceSession):
    def restore(self, state):
        super().restore(dataclasses.replace(state, averages={}))


class OtherLoss(ReferenceSession):
    """Shapes the loss in a way of its own."""

    def change(self, loss):
        raise NotImplementedError

    def __init__(self, specification):
        super().__init__(specification)
        head = specification.head
        if head.loss_options:
            self._head = specification.code_of(head)(dataclasses.replace(head, loss=self.change(head.loss)))


@fault("test_predictions_equal_the_reference")
class ClassWeightsIgnored(OtherLoss):
    def change(self, loss):
        return dataclasses.replace(loss, class_weights=())


@fault("test_predictions_equal_the_reference")
class LabelSmoothingIgnored(OtherLoss):
    def change(self, loss):
        return dataclasses.replace(loss, label_smoothing=0.0)


@fault("test_loss_and_gradients_equal_the_reference")
class FocalGammaIgnored(OtherLoss):
    def change(self, loss):
        return dataclasses.replace(loss, focal_gamma=0.0)


@fault("test_accumulation_equals_one_batch")
class WeightedMeanOfEachMicroBatch(ReferenceSession):
    def _one_pass(self, model, micro_batches):
        head = self._specification.head
        loss_sum, total = super()._one_pass(model, [])
        for batch in micro_batches:
            of_batch, gradients = super()._one_pass(model, [batch])
            weight = len(batch) / (head.loss_count(batch) or 1.0)
            loss_sum += weight * of_batch
            for name, gradient in gradients.items():
                total[name] += weight * gradient
        return loss_sum, total


class HeadSession(ReferenceSession):
    """A head as its reference has it, of which each fault below changes one thing."""

    def predict(self, batch, want):
        head = self._specification.head
        if not isinstance(head, self.described):
            return super().predict(batch, want)
        outputs = self.changed(reference_of(head).outputs(head, self._model(self._parameters), self.read(batch)), batch)
        return {name: outputs[name].astype(np.float32) for name in want}

    def read(self, batch):
        return batch

    def changed(self, outputs, batch):
        return outputs


class SpansSession(HeadSession):
    described = GlobalPointer


class ChoiceSession(HeadSession):
    described = MultipleChoice


@fault("test_predictions_equal_the_reference")
class SoftmaxOverAllRows(ChoiceSession):
    def read(self, batch):
        labels, choices = batch.columns["labels"], np.arange(len(batch))
        first = choices[batch.columns["choices"].values == 0]
        columns = {
            "labels": dataclasses.replace(labels, values=labels.values[:1] + first[:1]),
            "choices": dataclasses.replace(batch.columns["choices"], values=choices),
        }
        return dataclasses.replace(batch, groups=np.zeros(len(batch), dtype=np.int64), columns=columns)


@fault("test_predictions_equal_the_reference")
class FirstChoiceTaken(ChoiceSession):
    def read(self, batch):
        labels = batch.columns["labels"]
        values = np.where(labels.values == labels.ignore, labels.ignore, 0)
        return dataclasses.replace(
            batch, columns={**batch.columns, "labels": dataclasses.replace(labels, values=values)}
        )


@fault("test_predictions_equal_the_reference")
class LossOfAllChoices(ChoiceSession):
    def changed(self, outputs, batch):
        return {**outputs, "loss": np.repeat(np.bincount(batch.groups, outputs["loss"]), np.bincount(batch.groups))}


@fault("test_predictions_equal_the_reference")
class LossOfTypesAdded(SpansSession):
    def changed(self, outputs, batch):
        return {**outputs, "loss": outputs["loss"] * outputs["logits"].shape[1]}


@fault("test_predictions_equal_the_reference")
class PairsInOrderOfEnds(SpansSession):
    def changed(self, outputs, batch):
        rows = zip(batch.pair_offsets[:-1], np.diff(batch.label_offsets), strict=True)
        order = np.concatenate([first + np.lexsort(np.triu_indices(count)) for first, count in rows])
        return {**outputs, "logits": outputs["logits"][order]}


@fault("test_predictions_equal_the_reference")
class NestedSpansNotLearned(SpansSession):
    def read(self, batch):
        _, starts, ends = batch.columns["spans"].values.T
        rows = np.repeat(np.arange(len(batch)), np.diff(batch.ragged["span"]))
        inside = (rows[:, None] == rows) & (starts[:, None] >= starts) & (ends[:, None] <= ends)
        kept = inside.sum(axis=1) == 1
        column = dataclasses.replace(batch.columns["spans"], values=batch.columns["spans"].values[kept])
        offsets = np.concatenate([[0], np.cumsum(np.bincount(rows[kept], minlength=len(batch)))])
        return dataclasses.replace(batch, columns={"spans": column}, ragged={"span": offsets})


class OtherPasses(ReferenceSession):
    """Makes passes of its own of those that it is told."""

    def change(self, one, number):
        raise NotImplementedError

    def __init__(self, specification):
        super().__init__(specification)
        if specification.training:
            objective = specification.training.objective
            passes = tuple(self.change(one, number) for number, one in enumerate(objective.passes))
            changed_training(self, objective=HeadLoss(passes, objective.agreement))


@fault("test_a_perturbed_pass_equals_the_reference")
class WeightOfPassesIgnored(OtherPasses):
    def change(self, one, number):
        return dataclasses.replace(one, weight=1.0)


@fault("test_a_perturbed_pass_equals_the_reference")
class MovedAgainstTheGradient(OtherPasses):
    def change(self, one, number):
        return dataclasses.replace(one, perturbed=-one.perturbed)


@fault("test_perturbed_passes_go_on_within_their_radius")
class RadiusIgnored(OtherPasses):
    def change(self, one, number):
        return dataclasses.replace(one, radius=None)


@fault("test_passes_without_dropout_agree")
class OneCleanPassOfTwo(OtherPasses):
    def change(self, one, number):
        return dataclasses.replace(one, weight=0.0) if number == 1 and not one.perturbed else one


@fault("test_perturbed_passes_go_on_within_their_radius")
class EveryPerturbationFromTheStart(ReferenceSession):
    def _all_passes(self, micro_batches):
        with replaced(reference_backend, perturbed=lambda moved, *rest: perturbed(np.zeros_like(moved), *rest)):
            return super()._all_passes(micro_batches)


@fault("test_a_perturbed_pass_equals_the_reference")
class EachTokensGradientOfLengthOne(ReferenceSession):
    def _all_passes(self, micro_batches):
        def by_row(moved, gradient, distance, radius):
            return moved + distance * gradient / np.maximum(np.linalg.norm(gradient, axis=1, keepdims=True), 1e-30)

        with replaced(reference_backend, perturbed=by_row):
            return super()._all_passes(micro_batches)


@fault("test_perturbed_passes_are_those_of_the_whole_step")
class EachMicroBatchPerturbedForItself(ReferenceSession):
    def _all_passes(self, micro_batches):
        loss_sum, total = super()._all_passes([])
        for batch in micro_batches:
            of_batch, gradients = super()._all_passes([batch])
            loss_sum += of_batch
            for name, gradient in gradients.items():
                total[name] += gradient
        return loss_sum, total


@fault("test_frozen_embeddings_are_moved_all_the_same")
class FrozenEmbeddingsNotMoved(ReferenceSession):
    def _all_passes(self, micro_batches):
        words = "bert.embeddings.word_embeddings.weight"
        training = self._specification.training
        if training.groups[self._group(words)].learning_rate == 0:
            first = training.objective.passes[0]
            weight = sum(one.weight for one in training.objective.passes)
            changed_training(self, objective=HeadLoss((dataclasses.replace(first, weight=weight),)))
        return super()._all_passes(micro_batches)


@fault("test_frozen_embeddings_are_moved_all_the_same")
class MovedEmbeddingsKept(ReferenceSession):
    def _all_passes(self, micro_batches):
        def into_the_table(*arguments):
            moved = perturbed(*arguments)
            self._parameters["bert.embeddings.word_embeddings.weight"] += moved
            return moved

        with replaced(reference_backend, perturbed=into_the_table):
            return super()._all_passes(micro_batches)


def changed_adapter(session: ReferenceSession, change) -> None:
    if session._specification.adapter is not None:
        adapter = change(session._specification.adapter)
        session._specification = dataclasses.replace(session._specification, adapter=adapter)


class OtherAdapter(ReferenceSession):
    """Everything with another adapter than the one that is described."""

    def __init__(self, specification):
        super().__init__(specification)
        changed_adapter(self, self.change)


@fault("test_an_adapted_model_predicts_as_the_merged_one")
class AdapterWithoutItsFactor(OtherAdapter):
    def change(self, lora):
        return dataclasses.replace(lora, alpha=float(lora.rank))


@fault("test_an_adapted_model_predicts_as_the_merged_one")
class KeysWithoutTheirAdapter(OtherAdapter):
    def change(self, lora):
        return dataclasses.replace(lora, targets=tuple(name for name in lora.targets if not name.endswith("key")))


class FactorMissingInTheGradient(Lora):
    def pull_back(self, gradients, parameters):
        return dataclasses.replace(self, alpha=float(self.rank)).pull_back(gradients, parameters)


@fault("test_gradients_of_an_adapter_are_pulled_back")
class AdapterGradientWithoutTheFactor(OtherAdapter):
    def change(self, lora):
        return FactorMissingInTheGradient(**dataclasses.asdict(lora))


class SecondFactorFrozen(Lora):
    def pull_back(self, gradients, parameters):
        pulled_back = super().pull_back(gradients, parameters)
        return {name: value * (not name.endswith("lora_B.weight")) for name, value in pulled_back.items()}


@fault("test_gradients_of_an_adapter_are_pulled_back")
class OnlyTheFirstFactorTrained(OtherAdapter):
    def change(self, lora):
        return SecondFactorFrozen(**dataclasses.asdict(lora))


@fault("test_gradients_of_an_adapter_at_moved_embeddings")
class AdapterTrainedByTheCleanPassAlone(ReferenceSession):
    def _all_passes(self, micro_batches):
        loss_sum, total = super()._all_passes(micro_batches)
        if self._specification.adapter is not None:
            objective = self._specification.training.objective
            changed_training(self, objective=objective.clean)
            _, clean = super()._all_passes(micro_batches)
            changed_training(self, objective=objective)
            total |= {name: value for name, value in clean.items() if ".lora_" in name}
        return loss_sum, total


@fault("test_an_adapter_is_trained_and_the_encoder_is_not")
class EncoderTrainedBesideItsAdapter(ReferenceSession):
    def __init__(self, specification):
        super().__init__(specification)
        if specification.adapter is not None:
            of_adapter, *others = specification.training.groups
            changed_training(self, groups=(dataclasses.replace(of_adapter, pattern="."), *others))


@fault("test_a_resumed_training_of_an_adapter_goes_on_to_the_bit")
class MomentsOfTheAdapterNotRestored(ReferenceSession):
    def restore(self, state):
        super().restore(state)
        for name, value in self._first_moment.items():
            value *= ".lora_" not in name


# Tasks


@fault("test_every_example_is_encoded")
class LastExampleDropped(ColourTask):
    def encode(self, examples, tokenizer, head, max_length, data):
        return super().encode(examples[:-1] or examples, tokenizer, head, max_length, data)


@fault("test_every_example_is_encoded")
class NothingTruncated(ColourTask):
    def encode(self, examples, tokenizer, head, max_length, data):
        return super().encode(examples, tokenizer, head, 4096, data)


@fault("test_truncated_examples_are_counted")
class TruncationNotCounted(ColourTask):
    def encode(self, examples, tokenizer, head, max_length, data):
        return Encoding(super().encode(examples, tokenizer, head, max_length, data).batch)


@fault("test_encoding_is_deterministic")
class ExamplesShuffled(ColourTask):
    def encode(self, examples, tokenizer, head, max_length, data):
        shuffled = np.random.default_rng().permutation(len(examples))
        return super().encode([examples[index] for index in shuffled], tokenizer, head, max_length, data)


@fault("test_labels_fit_the_head")
class LabelsFromOne(ColourTask):
    def encode(self, examples, tokenizer, head, max_length, data):
        encoding = super().encode(examples, tokenizer, head, max_length, data)
        for column in encoding.batch.columns.values():
            column.values[:] += 1
        return encoding


@fault("test_the_order_of_rows_does_not_matter")
class PredictionsInOrderOfRows(ColourTask):
    def accumulator(self, examples, head, data):
        class Accumulator(ColourAccumulator):
            rows = 0

            def add(self, batch, outputs):
                for logits in outputs["logits"]:
                    self._predicted[self.rows] = logits.argmax()
                    self.rows += 1

        return Accumulator(examples)


@fault("test_right_predictions_give_the_best_score")
class PartialBatchNotScored(ColourTask):
    def accumulator(self, examples, head, data):
        class Accumulator(ColourAccumulator):
            def result(self):
                full = len(self._examples) // 4 * 4
                return dataclasses.replace(super().result(), total=full)

        return Accumulator(examples)


@fault("test_a_wrong_path_is_a_data_error")
class WrongPathNotChecked(ColourTask):
    def open(self, data):
        with open(f"{data.path}/dev.tsv", encoding="utf-8"):
            return super().open(data)


@fault("test_reading_changes_nothing")
class NotesGrowWithEveryReading(ColourTask):
    def open(self, data):
        dataset = super().open(data)
        notes = []

        def read(split):
            notes.append(f"{split} was read")
            return dataclasses.replace(dataset.read(split), notes=tuple(notes))

        return dataclasses.replace(dataset, read=read)


@fault("test_reading_changes_nothing")
class LeftOutWhatIsThere(ColourTask):
    def open(self, data):
        dataset = super().open(data)

        def read(split):
            found = dataset.read(split)
            first = LeftOut(found[0].identifier, found[0].origin, "no label")
            return dataclasses.replace(found, left_out=(first,))

        return dataclasses.replace(dataset, read=read)


# Converters


class Changed(NpzConverter):
    """Reads what a change of the tensors makes of them."""

    def change(self, tensors):
        raise NotImplementedError

    def read(self, path):
        found = super().read(path)
        return WeightSet(self.change(dict(found.tensors)), found.config, found.folder, found.report)


@fault("test_round_trip")
class PoolerTransposed(Changed):
    def change(self, tensors):
        return {name: value.T if "pooler.dense.weight" in name else value for name, value in tensors.items()}


@fault("test_round_trip")
class RoundedToHalf(Changed):
    def change(self, tensors):
        return {name: value.astype(np.float16).astype(np.float32) for name, value in tensors.items()}


@fault("test_round_trip")
class CrfLeftOut(Changed):
    def change(self, tensors):
        return {name: value for name, value in tensors.items() if not name.startswith("crf.")}


@fault("test_nothing_is_lost_unnoticed")
class UnknownKeysDropped(NpzConverter):
    def read(self, path):
        found = super().read(path)
        kept = {name: value for name, value in found.tensors.items() if "stranger" not in name}
        return WeightSet(kept, found.config, found.folder, tuple(e for e in found.report if e.source in kept))


@fault("test_the_stated_meaning_of_the_tensors")
class QueryForKey(NpzConverter):
    def parts(self, path):
        parts = transformers_parts(self.read(path).tensors, str(path))
        names = {**parts.names, "query": parts.names["key"], "key": parts.names["query"]}
        return ModelParts(parts.tensors, names)


@fault("test_a_failed_write_leaves_the_old_file")
class WrittenInPlace(NpzConverter):
    def write(self, weights, path):
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(path, **weights.tensors)
        return super().write(weights, path)


@fault("test_a_truncated_file_is_a_model_error")
class EmptyFileIsEmptyModel(NpzConverter):
    def read(self, path):
        if path.is_file() and path.stat().st_size == 0:
            return WeightSet({})
        return super().read(path)


# Record formats


@fault("test_round_trip")
class LastRecordLost(NpyRecords):
    def read(self, file):
        yield from list(super().read(file))[:-1]


@fault("test_round_trip")
class IntegersInHalfTheBits(NpyRecords):
    def read(self, file):
        for record in super().read(file):
            yield FeatureRecord({name: value.astype(np.int32) for name, value in record.features.items()})


@fault("test_records_are_written_as_they_come")
class AllHeldInMemory(NpyRecords):
    def write(self, file, records):
        return super().write(file, list(records))


@fault("test_a_truncated_file")
class EndNotChecked(NpyRecords):
    def read(self, file):
        last = None
        try:
            for last in super().read(file):
                yield last
        except DataError:
            yield last or FeatureRecord({})


@fault("test_a_missing_file_is_a_data_error")
class MissingFileIsEmpty(NpyRecords):
    def read(self, file):
        if file.is_file():
            yield from super().read(file)


@fault("test_a_full_disk_is_an_error")
class FullDiskNotNoticed(NpyRecords):
    def write(self, file, records):
        waiting = list(records)
        try:
            return super().write(file, waiting)
        except OSError:
            return len(waiting)


def plugins() -> dict[str, SimpleNamespace]:
    """A plugin for each fault."""
    found = {}
    for name in FOUND_BY:
        faulty = globals()[name]
        if issubclass(faulty, ReferenceSession):
            found[name] = backend_plugin(faulty)
        elif issubclass(faulty, ColourTask):
            found[name] = SimpleNamespace(bertcore_register_tasks=hookimpl(lambda faulty=faulty: [faulty()]))
        elif issubclass(faulty, NpyRecords):
            found[name] = SimpleNamespace(bertcore_register_record_formats=hookimpl(lambda faulty=faulty: [faulty()]))
        else:
            found[name] = SimpleNamespace(bertcore_register_converters=hookimpl(lambda faulty=faulty: [faulty()]))
    return found


PLUGINS = SimpleNamespace(**plugins())
