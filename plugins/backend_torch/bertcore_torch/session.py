"""A model on one device: training steps and predictions on ragged batches, arrays in and out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import torch
from bertcore.contracts.backend import Outputs, Precision, Session, SessionSpecification, TrainingSpecification
from bertcore.contracts.batch import Batch
from bertcore.contracts.parameters import Parameters
from bertcore.contracts.training_step import OptimizerState, StepContext
from bertcore.numerics.optimization import LazyStepResult, waiting_groups
from torch import Tensor

from bertcore_torch.averages import Averages
from bertcore_torch.devices import kind_of, resolve_device
from bertcore_torch.dropout import MaskSeed
from bertcore_torch.encoder import PackedModel
from bertcore_torch.flat_parameters import FlatParameters
from bertcore_torch.foreign_encoder import ForeignModel
from bertcore_torch.heads import HeadModule
from bertcore_torch.memory import keep_freed_memory, memory_errors
from bertcore_torch.objectives import Forward, LossOf, perturbed_loss_sum
from bertcore_torch.optimizer import AdamW
from bertcore_torch.perturbation import WordPerturbation, untrained
from bertcore_torch.ranks import join
from bertcore_torch.values import from_numpy, to_numpy

if TYPE_CHECKING:
    from bertcore_torch.whole_encoder import WholeEncoder

DTYPES: Mapping[Precision, torch.dtype] = MappingProxyType(
    {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
)

META = torch.device("meta")


class TorchSession(Session):
    """A session on torch.

    The master parameters, their gradient, the moments and averages are float32. A precision below that computes on a
    copy of the parameters, which is made anew after every update; there is no autocast.

    Raises:
        DeviceError: the device or a precision is absent.
        ConfigError: a parameter belongs to no group.
    """

    def __init__(self, specification: SessionSpecification) -> None:
        self._specification = specification
        self._word_embeddings = f"{specification.config.prefix}embeddings.word_embeddings.weight"
        training = specification.training
        precisions: tuple[Precision, ...] = (specification.prediction_precision,)
        if training is not None:
            precisions = (specification.precision, *precisions)
        self._device = resolve_device(specification.device, precisions)
        self._kind = kind_of(self._device, specification.kernels)
        self._communicator = join(specification.ranks, self._device)
        self._model_class: type[PackedModel | ForeignModel] = specification.code_of(specification.config)
        self._head_class: type[HeadModule] = specification.code_of(specification.head)
        names = self._build_model(META)[1]
        groups = () if training is None else training.groups
        self._parameters = FlatParameters(specification.table, names, groups, self._device)
        # By precision, and whether they hold the averages.
        self._models: dict[tuple[Precision, bool], PackedModel | ForeignModel] = {}
        self._buffers: dict[tuple[Precision, bool], Tensor] = {}
        self._current: set[tuple[Precision, bool]] = set()
        self._whole: WholeEncoder | None = None
        self._filled: set[tuple[Precision, bool]] = set()  # whose frozen parameters are those that were loaded
        self._averages: Averages | None = None
        self._waiting: frozenset[int] = frozenset()
        self._optimizer: AdamW | None = None
        if training is not None:
            if self._device.type == "cpu":
                keep_freed_memory()
            self._trained_model = self._model(specification.precision)
            self._trained_parameters = {
                name: parameter for name, parameter in self._trained_model.named_parameters() if parameter.requires_grad
            }
            self._objective: Any = specification.code_of(training.objective)(training.objective)
            self._optimizer = self._new_optimizer(training)
            if training.ema is not None:
                self._averages = Averages(self._parameters, training.ema)

    def load(self, parameters: Parameters) -> None:
        """Takes all parameters of the table and starts a new optimizer state."""
        from_numpy(self._parameters.views(self._parameters.values), parameters)
        self._parameters_changed()
        self._filled.clear()
        if self._optimizer is not None:
            self._optimizer.reset()
        if self._averages is not None:
            self._averages.reset()

    def parameters(self) -> Parameters:
        """Returns float32 copies of all parameters in the order of the table."""
        return to_numpy(self._parameters.views(self._parameters.values))

    def predicting_parameters(self) -> Parameters:
        """Returns the same with the averages, where they are kept."""
        averages = {} if self._averages is None else self._averages.state()
        return {**self.parameters(), **averages}

    def train_step(self, micro_batches: Sequence[Batch], context: StepContext) -> LazyStepResult:
        """One optimizer step; nothing waits for the device, except with fp16."""
        with self._gradients_dropped_on_failure(), memory_errors():
            loss_sum = self._backward(micro_batches, context)
        loss_sum, stop = self._sum_over_ranks(loss_sum, context)
        result = self._require_optimizer().update(
            loss_sum, context.loss_denominator, context.learning_rates, self._waiting
        )
        result.stop = stop
        if self._averages is not None:
            self._averages.update(result.loss, result.norm)
        self._parameters_changed()
        if self._require_optimizer().copy is not None:
            self._current.add((self._specification.precision, False))
        return result

    def predict(self, batch: Batch, want: Sequence[str]) -> Outputs:
        """Returns the named outputs in row order, without dropout."""
        with memory_errors(), torch.inference_mode():
            forward = self._predicting_forward()
            outputs = forward(batch)
            if "loss" in want:
                outputs = {**outputs, "loss": forward.row_losses(outputs, batch)}
            return {name: outputs[name].cpu().numpy() for name in want}

    def exchange(self, content: bytes) -> list[bytes]:
        """Gives something to all ranks, and returns what each of them gave."""
        return [content] if self._communicator is None else self._communicator.exchange(content)

    def state(self) -> OptimizerState:
        """Returns copies of the moments, the update count, the loss scale and the averages."""
        state = self._require_optimizer().state()
        return state if self._averages is None else replace(state, averages=self._averages.state())

    def restore(self, state: OptimizerState) -> None:
        """Continues from a state of any backend."""
        self._require_optimizer().restore(state)
        if self._averages is not None:
            self._averages.restore(state.averages)
            self._parameters_changed()

    @property
    def peak_memory(self) -> int | None:
        """Most bytes of CUDA's memory that were in use since the process began."""
        return torch.cuda.max_memory_allocated(self._device) if self._device.type == "cuda" else None

    def _require_optimizer(self) -> AdamW:
        if self._optimizer is None:
            raise RuntimeError("this session was opened without a training specification")
        return self._optimizer

    def _new_optimizer(self, training: TrainingSpecification) -> AdamW:
        precision = self._specification.precision
        if self._kind.fused_layers:
            from bertcore_torch.fused_optimizer import FusedAdamW

            copy = self._buffers.get((precision, False))
            return FusedAdamW.of_model(self._trained_model, self._parameters, training, copy)
        return AdamW(self._parameters, training, fused=self._kind.fused_adamw, scaled=precision == "fp16")

    @contextmanager
    def _gradients_dropped_on_failure(self) -> Iterator[None]:
        """Leaves no gradient of a part of the step for the next one to add to."""
        try:
            yield
        except BaseException:
            for parameter in self._trained_parameters.values():
                parameter.grad = None
            raise

    def _backward(self, micro_batches: Sequence[Batch], context: StepContext) -> Tensor:
        """Leaves the gradient of the loss sum, times the loss scale, with the optimizer; returns the loss sum."""
        optimizer, training = self._require_optimizer(), self._specification.training
        assert training is not None
        self._wait(waiting_groups(training.groups, context.step))
        optimizer.begin()
        perturbed = training.objective.perturbed_passes
        width = self._trained_model.embedding_width
        words = None
        if perturbed:
            words = WordPerturbation(micro_batches, width, self._device, self._communicator, context.step_ids)
        loss_sum = self._add_gradients(self._objective.loss_sum, micro_batches, context, words)
        for one in perturbed:
            assert words is not None
            words.move(one.perturbed, one.radius)
            if one.weight:
                loss_sum = loss_sum + self._add_gradients(perturbed_loss_sum(one), micro_batches, context, words)
                continue
            with untrained(self._trained_parameters.values()):
                self._add_gradients(perturbed_loss_sum(one), micro_batches, context, words)
        for part in self._parameters.still_parts(self._waiting):
            optimizer.gradient[part].zero_()
        return loss_sum

    def _sum_over_ranks(self, loss_sum: Tensor, context: StepContext) -> tuple[Tensor, Tensor | float]:
        """Adds up the gradient, the loss sum and the wishes to stop over all ranks.

        ::

            gradient    | ... | word embeddings [vocabulary, width] | ... |
            summed      | ... |   only the rows of the step's ids   | ... |     the others are zero on every rank
        """
        training = self._specification.training
        if self._communicator is None or training is None:
            return loss_sum, float(context.wants_to_stop)
        gradient = self._require_optimizer().gradient
        wishes = torch.full_like(loss_sum, context.wants_to_stop)
        scalars = torch.stack([loss_sum, wishes])
        place = self._parameters.trained_place(self._word_embeddings)
        if place is None or context.step_ids is None or not training.objective.keeps_tokens:
            self._communicator.sum([gradient, scalars])
        else:
            table = gradient[place].view(-1, self._trained_model.embedding_width)
            ids = torch.from_numpy(context.step_ids).to(self._device)
            rows = table[ids]
            self._communicator.sum([gradient[: place.start], gradient[place.stop :], rows, scalars])
            table[ids] = rows
        return scalars[0], scalars[1]

    def _add_gradients(
        self,
        loss_of: LossOf,
        micro_batches: Sequence[Batch],
        context: StepContext,
        words: WordPerturbation | None,
    ) -> Tensor:
        """Adds the gradient of a loss of all micro-batches; returns its sum.

        Args:
            loss_of: gives the loss sum of a micro-batch.
            micro_batches: those of the step.
            context: of the step.
            words: how far the word embeddings are moved, and where their gradient goes.
        """
        optimizer, training = self._require_optimizer(), self._specification.training
        assert training is not None
        model = self._model(self._specification.precision)
        loss_sum = torch.zeros((), device=self._device)
        for index, batch in enumerate(micro_batches):
            if not len(batch):
                continue
            mask_seed = None
            if training.dropout:
                mask_seed = MaskSeed(context.seed, context.step, index, context.rank)
            loss = loss_of(Forward(model, self._device, mask_seed, words), batch)
            if loss.requires_grad:
                (loss * optimizer.loss_scale).backward()
            loss_sum += loss.detach()
            self._collect_gradients(optimizer)
        return loss_sum

    def _wait(self, waiting: frozenset[int]) -> None:
        """Asks for no gradient of groups that take no part yet; below the lowest that does, no layer goes back."""
        if waiting != self._waiting:
            self._waiting = waiting
            for name, parameter in self._trained_parameters.items():
                parameter.requires_grad_(self._parameters.takes_part(name, waiting))

    def _collect_gradients(self, optimizer: AdamW) -> None:
        """Adds the gradients of a micro-batch in float32, whatever they were computed in."""
        targets, gradients = [], []
        for name, parameter in self._trained_parameters.items():
            if parameter.grad is not None:
                targets.append(self._parameters.joined_view(optimizer.gradient, name))
                gradients.append(parameter.grad.reshape(-1))
                parameter.grad = None
        if targets:
            torch._foreach_add_(targets, gradients)

    def _build_model(self, device: torch.device) -> tuple[PackedModel | ForeignModel, dict[str, tuple[str, ...]]]:
        """Builds the model on a device, its parameters without values or with values that nobody reads.

        Returns:
            The model, and name of each of its parameters to the canonical names of its parts.
        """
        config, adapter = self._specification.config, self._specification.adapter
        with device:
            model = self._model_class(config, self._kind, self._head_class(config, self._specification.head))
            names = model.canonical_names()
            if adapter is not None:
                names |= self._specification.code_of(adapter)(adapter).attach(model, names)
        return model, names

    def _predicting_forward(self) -> Forward:
        """Predicts with the parameters, or with their averages, as they are now."""
        averages = None if self._averages is None else self._averages.values
        if self._kind.fused_layers:
            from bertcore_torch.whole_encoder import WholeEncoder, WholeForward, computes

            if computes(self._specification, self._model_class):
                if self._whole is None:
                    self._whole = WholeEncoder.of(self._specification, self._parameters, averages)
                return WholeForward(self._model("fp32", averages is not None), self._whole)
        model = self._model(self._specification.prediction_precision, averages is not None)
        return Forward(model, self._device, mask_seed=None)

    def _parameters_changed(self) -> None:
        """Has what was made of the parameters made anew when it is needed."""
        self._current.clear()
        self._whole = None

    def _model(self, precision: Precision, averaged: bool = False) -> PackedModel | ForeignModel:
        """Returns the model of a precision, its parameters equal to the masters, or to their averages."""
        key = precision, averaged
        averages = self._averages.values if averaged and self._averages is not None else None
        if key not in self._models:
            # Its parameters are bound below, and need no memory of their own.
            model, _ = self._build_model(self._device if self._model_class.has_buffers else META)
            if precision != "fp32":
                self._buffers[key] = torch.empty_like(self._parameters.values, dtype=DTYPES[precision])
            self._parameters.bind(model, self._buffers.get(key), averages)
            self._models[key] = model
        if key not in self._current:
            if key in self._buffers:
                self._parameters.copy_trained_to(self._buffers[key], averages)
                if key not in self._filled:
                    self._parameters.copy_frozen_to(self._buffers[key])
                    self._filled.add(key)
            self._current.add(key)
        return self._models[key]
