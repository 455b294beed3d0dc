"""A model on one device: training steps and predictions on ragged batches, arrays in and out."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import mindspore
import numpy as np
from mindspore import Parameter, ParameterTuple, Tensor, nn, ops
from numpy.typing import NDArray

from bertcore.contracts.backend import OptimizerState, Outputs, Precision, Session, SessionSpecification, StepContext
from bertcore.contracts.batch import Batch
from bertcore.contracts.parameters import Parameters
from bertcore.numerics.optimization import LazyStepResult
from bertcore_mindspore.devices import DeviceKind
from bertcore_mindspore.dropout import DropoutPlan, MaskSource
from bertcore_mindspore.encoder import Encoder, Inputs
from bertcore_mindspore.layout import INPUT_NAMES, Layout, arrange, in_row_order
from bertcore_mindspore.optimizer import AdamW, add_to, copy_into, to_numpy
from bertcore_mindspore.shapes import (
    PREDICTION_SHAPES,
    TRAINING_SHAPES,
    Shape,
    choose_shapes,
    shape_beyond,
    token_limit,
)

DTYPES: Mapping[Precision, mindspore.Type] = MappingProxyType(
    {"fp32": mindspore.float32, "bf16": mindspore.bfloat16, "fp16": mindspore.float16}
)


class Forward(nn.Cell):
    """Forward passes of one micro-batch, as an objective sees them.

    Args:
        encoder: the encoder.
        head: the head.
    """

    def __init__(self, encoder: Encoder, head: nn.Cell) -> None:
        super().__init__(auto_prefix=False)
        self.encoder = encoder
        self.head = head
        self.sum = ops.ReduceSum()

    def construct(
        self, batch: Inputs, forward_pass: int = 0, embedding_offset: Tensor | None = None
    ) -> dict[str, Tensor]:
        """Returns the head's outputs in the static shape.

        Args:
            batch: arrays of the call.
            forward_pass: which dropout masks; the same number gives the same masks.
            embedding_offset: added to the sum of the embeddings before it is normalized, ``[tokens, embedding
                width]``.
        """
        return self.head(self.encoder(batch, forward_pass, embedding_offset), batch, forward_pass)

    def loss_sum(self, outputs: dict[str, Tensor], batch: Inputs) -> Tensor:
        """Returns the head's loss sum of these outputs, a float32 scalar."""
        return self.sum(self.head.losses(outputs, batch))


class _GradientGraph(nn.Cell):
    """Adds the gradient of one call's loss sum, and the loss sum, to their accumulators."""

    def __init__(
        self,
        forward: Forward,
        objective: nn.Cell,
        word_embeddings: Parameter,
        parameters: Mapping[str, Parameter],
        optimizer: AdamW,
        word_embeddings_name: str,
    ) -> None:
        super().__init__(auto_prefix=False)
        self.forward = forward
        self.objective = objective
        self.word_embeddings = word_embeddings
        accumulators = dict(zip(optimizer.trained, optimizer.gradients, strict=True))
        # The table's gradient touches only the rows of the call: it is added row by row, not as a whole table.
        self.trains_words = word_embeddings_name in accumulators
        self.word_accumulator = accumulators.pop(word_embeddings_name, word_embeddings)
        self.accumulators = ParameterTuple(list(accumulators.values()))
        self.loss_sum = optimizer.loss_sum
        self.names = (*INPUT_NAMES, *forward.head.column_names)
        self.gather = ops.Gather()
        self.add = ops.AssignAdd()
        self.map = ops.HyperMap()
        self.scatter_add = ops.ScatterAdd()
        self.value_and_grad = mindspore.value_and_grad(
            self.scaled_loss, 0, ParameterTuple([parameters[name] for name in accumulators])
        )

    def scaled_loss(self, word_vectors: Tensor, loss_scale: Tensor, *inputs: Tensor) -> Tensor:
        """Returns the loss sum of a call, times the loss scale."""
        batch = {"word_vectors": word_vectors, "masks": inputs[len(self.names) :]}
        for index in range(len(self.names)):
            batch[self.names[index]] = inputs[index]
        return self.objective.loss_sum(self.forward, batch) * loss_scale

    def construct(self, loss_scale: Tensor, *inputs: Tensor) -> Tensor:
        """Takes the arrays of ``INPUT_NAMES``, the head's columns and the masks."""
        word_vectors = self.gather(self.word_embeddings, inputs[0], 0)
        loss, gradients = self.value_and_grad(word_vectors, loss_scale, *inputs)
        if self.trains_words:
            self.scatter_add(self.word_accumulator, inputs[0], gradients[0])
        self.map(add_to, self.accumulators, gradients[1])
        self.add(self.loss_sum, loss)
        return loss


class _PredictionGraph(nn.Cell):
    """The head's outputs and losses of one call."""

    def __init__(self, forward: Forward, word_embeddings: Parameter, outputs: tuple[str, ...]) -> None:
        super().__init__(auto_prefix=False)
        self.forward = forward
        self.word_embeddings = word_embeddings
        self.outputs = outputs
        self.names = (*INPUT_NAMES, *forward.head.column_names)
        self.gather = ops.Gather()

    def construct(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Takes the arrays of ``INPUT_NAMES`` and the head's columns; returns the outputs, then the losses."""
        batch = {"word_vectors": self.gather(self.word_embeddings, inputs[0], 0), "masks": ()}
        for index in range(len(self.names)):
            batch[self.names[index]] = inputs[index]
        outputs = self.forward(batch)
        values = ()
        for name in self.outputs:
            values = (*values, outputs[name])
        return (*values, self.forward.head.losses(outputs, batch))


class MindSporeSession(Session):
    """A session on MindSpore in graph mode.

    One gradient graph and one prediction graph are compiled for each of the few shapes that the workload asks for,
    and one update graph; nothing else that changes from step to step is compiled in, so that :meth:`load` starts
    another run on the same graphs.

    Args:
        specification: what the session is opened with.
        device: the row of the table of devices.

    Raises:
        ConfigError: a parameter belongs to no group.
        UsageError: the encoder, the head or the objective is not computed here.
    """

    def __init__(self, specification: SessionSpecification, device: DeviceKind) -> None:
        self._specification = specification
        self._device = device
        self._config = specification.config
        self._compile_seconds = 0.0
        self._compiled: set[tuple[str, Shape]] = set()
        self._words = f"{self._config.prefix}embeddings.word_embeddings.weight"
        self._parameters = {
            name: Parameter(Tensor(np.zeros(spec.shape, dtype=np.float32)), name=name)
            for name, spec in specification.table.items()
        }
        self._encoder_class: type[Encoder] = specification.code_of(specification.config)
        self._head_class = specification.code_of(specification.head)
        self._choose_shapes()
        silent = DropoutPlan(self._config, head_per=None, forward_passes=1, active=False)
        forward = self._forward(specification.prediction_precision, silent)
        self._output_names: tuple[str, ...] = forward.head.output_names
        self._head = forward.head
        self._predict = self._jit(_PredictionGraph(forward, self._parameters[self._words], self._output_names))
        self._optimizer: AdamW | None = None
        if specification.training is not None:
            self._prepare_training()

    def _prepare_training(self) -> None:
        specification, training = self._specification, self._specification.training
        assert training is not None
        objective: Any = specification.code_of(training.objective)(training.objective)
        self._dropout = DropoutPlan(
            self._config,
            head_per=self._head_class.dropout_per,
            forward_passes=objective.forward_passes,
            active=training.dropout,
        )
        self._optimizer = AdamW(self._parameters, training, self._device, scaled=specification.precision == "fp16")
        forward = self._forward(specification.precision, self._dropout)
        self._add_gradients = self._jit(
            _GradientGraph(
                forward, objective, self._parameters[self._words], self._parameters, self._optimizer, self._words
            )
        )

    def load(self, parameters: Parameters) -> None:
        """Takes all parameters of the table and starts a new optimizer state; compiles nothing anew."""
        for name, parameter in self._parameters.items():
            copy_into(parameter, parameters[name])
        if self._optimizer is not None:
            self._optimizer.reset()

    def parameters(self) -> Parameters:
        """Returns float32 copies of all parameters in the order of the table."""
        return {name: to_numpy(parameter) for name, parameter in self._parameters.items()}

    def train_step(self, micro_batches: Sequence[Batch], context: StepContext) -> LazyStepResult:
        """One optimizer step; nothing waits for the device, except with fp16."""
        self._accumulate(micro_batches, context)
        return self._require_optimizer().update(context.loss_denominator, context.learning_rates)

    def predict(self, batch: Batch, want: Sequence[str]) -> Outputs:
        """Returns the named outputs in row order, without dropout."""
        layouts = arrange(batch, self._shapes_for(batch, self._prediction_shapes))
        results = [self._predict_call(layout) for layout in layouts]
        outputs: Outputs = {}
        for name in want:
            if name == "loss":
                losses = [
                    layout.row_sums(result[-1], self._head.loss_per)
                    for layout, result in zip(layouts, results, strict=True)
                ]
                outputs[name] = in_row_order(layouts, losses, "row", np.zeros(0, dtype=np.float32))
                continue
            index = self._output_names.index(name)
            outputs[name] = in_row_order(
                layouts,
                [result[index] for result in results],
                self._specification.head.outputs[name],
                self._head.empty_output(name),
            )
        return outputs

    def state(self) -> OptimizerState:
        """Returns copies of the moments, the update count and the loss scale."""
        return self._require_optimizer().state()

    def restore(self, state: OptimizerState) -> None:
        """Continues from a state of any backend."""
        self._require_optimizer().restore(state)

    @property
    def compile_seconds(self) -> float:
        """Seconds spent in the first call of each graph, which compiles it."""
        return self._compile_seconds

    def _require_optimizer(self) -> AdamW:
        if self._optimizer is None:
            raise RuntimeError("this session was opened without a training specification")
        return self._optimizer

    def _choose_shapes(self) -> None:
        workload = self._specification.workload
        self._training_shapes = choose_shapes(
            workload.training_lengths,
            workload.batch_size,
            workload.max_length,
            token_limit(self._config, training=True),
            TRAINING_SHAPES,
        )
        self._prediction_shapes = choose_shapes(
            workload.prediction_lengths,
            workload.prediction_batch_size,
            workload.max_length,
            token_limit(self._config, training=False),
            PREDICTION_SHAPES,
        )

    def _shapes_for(self, batch: Batch, shapes: tuple[Shape, ...]) -> tuple[Shape, ...]:
        if len(batch) and int(batch.lengths.max()) > shapes[-1].length:
            return (*shapes, shape_beyond(shapes, self._specification.workload.max_length))
        return shapes

    def _forward(self, precision: Precision, dropout: DropoutPlan) -> Forward:
        encoder = self._encoder_class(self._config, self._parameters, self._device, DTYPES[precision], dropout)
        head = self._head_class(self._config, self._specification.head, self._parameters, self._device, dropout)
        return Forward(encoder, head)

    def _jit(self, graph: nn.Cell) -> Callable[..., Any]:
        compiled: Callable[..., Any] = mindspore.jit(graph, jit_level=self._device.jit_level, backend="ms_backend")
        return compiled

    def _accumulate(self, micro_batches: Sequence[Batch], context: StepContext) -> None:
        """Adds the gradients and loss sums of all micro-batches, times the loss scale, to the accumulators."""
        optimizer = self._require_optimizer()
        loss_scale = Tensor(optimizer.loss_scale, mindspore.float32)
        for index, batch in enumerate(micro_batches):
            masks = MaskSource(self._dropout, context, index)
            for layout in arrange(batch, self._shapes_for(batch, self._training_shapes)):
                inputs = [*self._inputs(layout), *map(Tensor, masks.draw(layout.shape))]
                self._call("gradient", layout.shape, self._add_gradients, loss_scale, *inputs)

    def _predict_call(self, layout: Layout) -> list[NDArray[np.generic]]:
        results = self._call("prediction", layout.shape, self._predict, *self._inputs(layout))
        return [result.asnumpy() for result in results]

    def _inputs(self, layout: Layout) -> list[Tensor]:
        arrays = {**layout.inputs(self._config), **self._head.columns(layout)}
        return [Tensor(arrays[name]) for name in (*INPUT_NAMES, *self._head.column_names)]

    def _call(self, name: str, shape: Shape, graph: Callable[..., Any], *inputs: Tensor) -> Any:
        """Runs a graph; the first call for a shape compiles it and is timed."""
        if (name, shape) in self._compiled:
            return graph(*inputs)
        start = time.perf_counter()
        result = graph(*inputs)
        (result[-1] if isinstance(result, tuple) else result).asnumpy()  # waits for the device
        self._compile_seconds += time.perf_counter() - start
        self._compiled.add((name, shape))
        return result
