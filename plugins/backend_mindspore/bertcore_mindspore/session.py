"""A model on one device: training steps and predictions on ragged batches, arrays in and out."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import mindspore
import numpy as np
from mindspore import Parameter, Tensor, nn
from numpy.typing import NDArray

from bertcore.contracts.backend import Outputs, Precision, Session, SessionSpecification
from bertcore.contracts.batch import Batch
from bertcore.contracts.objective import HeadLoss, Pass
from bertcore.contracts.parameters import Parameters
from bertcore.contracts.training_step import DeviceMemoryError, OptimizerState, StepContext
from bertcore.numerics.kernels import chosen_kernels
from bertcore.numerics.optimization import LazyStepResult, waiting_groups
from bertcore_mindspore.devices import DeviceKind
from bertcore_mindspore.dropout import DropoutPlan, MaskSource
from bertcore_mindspore.encoder import Encoder
from bertcore_mindspore.graphs import GradientGraph, MovedGradientGraph, PredictionGraph, SumGraph
from bertcore_mindspore.memory import memory_errors
from bertcore_mindspore.objectives import Forward
from bertcore_mindspore.optimizer import AdamW
from bertcore_mindspore.perturbation import WordPerturbation
from bertcore_mindspore.ranks import join
from bertcore_mindspore.rows import INPUT_NAMES, PackedRows, in_row_order, pack
from bertcore_mindspore.shapes import Shape, prediction_shapes, training_shapes, with_room
from bertcore_mindspore.values import copy_into, to_numpy

FEWEST_IDS = 256
"""Token ids of a step are counted in powers of two from here, so that few graphs are compiled for them."""

DTYPES: Mapping[Precision, mindspore.Type] = MappingProxyType(
    {"fp32": mindspore.float32, "bf16": mindspore.bfloat16, "fp16": mindspore.float16}
)


@dataclass(frozen=True)
class Stage:
    """What is done with all micro-batches of a step, before the next stage begins.

    Attributes:
        name: of the graph.
        graph: adds a gradient.
        forward_passes: numbers of the passes in it, by which masks are drawn.
        perturbed, radius, weight: those of :class:`bertcore.contracts.objective.Pass`.
    """

    name: str
    graph: Callable[..., Any]
    forward_passes: tuple[int, ...]
    perturbed: float = 0.0
    radius: float | None = None
    weight: float = 1.0


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
        self._communicator = join(specification.ranks, device.target)
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
        adapter = specification.adapter
        self._adapter = None if adapter is None else specification.code_of(adapter)(adapter, specification.table)
        workload = specification.workload
        self._training_shapes = training_shapes(self._config, workload, fused=device.fused)
        self._prediction_shapes = prediction_shapes(self._config, workload, fused=device.fused)
        self._optimizer: AdamW | None = None
        if specification.training is not None:
            self._prepare_training()
        silent = DropoutPlan(self._config, head_per=None, active=False, adapter=self._adapter)
        predicting = {**self._parameters, **self._averages}
        forward = self._forward(specification.prediction_precision, silent, predicting)
        self._output_names: tuple[str, ...] = forward.head.output_names
        self._head = forward.head
        self._predict = self._jit(PredictionGraph(forward, predicting[self._words], self._output_names))

    def _prepare_training(self) -> None:
        specification, training = self._specification, self._specification.training
        assert training is not None
        objective: Any = specification.code_of(training.objective)(training.objective)
        self._dropout = DropoutPlan(
            self._config, self._head_class.dropout_per, training.dropout, self._adapter, self._device.fused
        )
        kernels = chosen_kernels(specification.kernels) if self._device.fused else None
        self._optimizer = AdamW(
            self._parameters, training, self._device, scaled=specification.precision == "fp16", kernels=kernels
        )
        self._columns = training.objective.columns(specification.head)
        taught = specification.head.compared_outputs if self._columns else ()
        forward = self._forward(specification.precision, self._dropout, self._parameters, taught)
        perturbed = training.objective.perturbed_passes
        graph = self._gradient_graph(forward, objective, perturbed)
        self._stages = [Stage("gradient", graph, objective.forward_passes)]
        name = "gradient"
        if perturbed and training.objective.clean != HeadLoss():
            # Else the one graph serves all passes, which differ in masks and offsets alone.
            one_pass = specification.code_of(HeadLoss())(HeadLoss())
            name, graph = "perturbed", self._gradient_graph(forward, one_pass, perturbed)
        if self._communicator is not None:
            words = self._words if training.objective.keeps_tokens else None
            self._sum = self._jit(SumGraph(self._optimizer, words))
            self._most_ids = FEWEST_IDS
        self._stages += [Stage(name, graph, (one.dropout,), one.perturbed, one.radius, one.weight) for one in perturbed]

    def load(self, parameters: Parameters) -> None:
        """Takes all parameters of the table and starts a new optimizer state; compiles nothing anew."""
        for name, parameter in self._parameters.items():
            copy_into(parameter, parameters[name])
        if self._optimizer is not None:
            self._optimizer.reset()

    def parameters(self) -> Parameters:
        """Returns float32 copies of all parameters in the order of the table."""
        return {name: to_numpy(parameter) for name, parameter in self._parameters.items()}

    def predicting_parameters(self) -> Parameters:
        """Returns the same with the averages, where they are kept."""
        averages = {name: to_numpy(value) for name, value in self._averages.items()}
        return {**self.parameters(), **averages}

    def train_step(self, micro_batches: Sequence[Batch], context: StepContext) -> LazyStepResult:
        """One optimizer step; nothing waits for the device, except with fp16 and where embeddings are perturbed."""
        try:
            with memory_errors():
                self._accumulate(micro_batches, context)
        except DeviceMemoryError:
            self._require_optimizer().drop_gradients()
            raise
        stop = self._sum_over_ranks(context)
        assert self._specification.training is not None
        waiting = waiting_groups(self._specification.training.groups, context.step)
        result = self._require_optimizer().update(context.loss_denominator, context.learning_rates, waiting)
        result.stop = stop
        return result

    def predict(self, batch: Batch, want: Sequence[str]) -> Outputs:
        """Returns the named outputs in row order, without dropout."""
        calls = pack(batch, self._shapes_for(batch, self._prediction_shapes))
        with memory_errors():
            results = [self._predict_call(rows) for rows in calls]
        outputs: Outputs = {}
        for name in want:
            if name == "loss":
                losses = [
                    rows.row_sums(result[-1], self._head.loss_per) for rows, result in zip(calls, results, strict=True)
                ]
                outputs[name] = in_row_order(calls, losses, "row", np.zeros(0, dtype=np.float32))
                continue
            index = self._output_names.index(name)
            outputs[name] = in_row_order(
                calls,
                [result[index] for result in results],
                self._specification.head.outputs[name],
                self._head.empty_output(name),
            )
        return outputs

    def exchange(self, content: bytes) -> list[bytes]:
        """Gives something to all ranks, and returns what each of them gave."""
        return [content] if self._communicator is None else self._communicator.exchange(content)

    def state(self) -> OptimizerState:
        """Returns copies of the moments, the update count, the loss scale and the averages."""
        return self._require_optimizer().state()

    def restore(self, state: OptimizerState) -> None:
        """Continues from a state of any backend."""
        self._require_optimizer().restore(state)

    @property
    def compile_seconds(self) -> float:
        """Seconds spent in the first call of each graph, which compiles it."""
        return self._compile_seconds

    @property
    def _averages(self) -> Mapping[str, Parameter]:
        """Of what is trained, where they are kept."""
        if self._optimizer is None or self._optimizer.averages is None:
            return {}
        return self._optimizer.averages.named

    def _require_optimizer(self) -> AdamW:
        if self._optimizer is None:
            raise RuntimeError("this session was opened without a training specification")
        return self._optimizer

    def _shapes_for(self, batch: Batch, shapes: tuple[Shape, ...]) -> tuple[Shape, ...]:
        return with_room(shapes, batch.lengths, self._specification.workload.max_length, batch.groups)

    def _forward(
        self,
        precision: Precision,
        dropout: DropoutPlan,
        parameters: Mapping[str, Parameter],
        taught: tuple[str, ...] = (),
    ) -> Forward:
        device = self._device.for_precision(precision)
        dtype = mindspore.float32 if device.products == "rounded" else DTYPES[precision]
        encoder = self._encoder_class(self._config, parameters, device, dtype, dropout)
        head = self._head_class(self._config, self._specification.head, parameters, device, dropout)
        # An adapter's masks are those of all tokens.
        if device.fused and self._adapter is None and hasattr(encoder, "first_only"):
            encoder.first_only = getattr(head, "reads_first_tokens", False)
        return Forward(encoder, head, taught)

    def _gradient_graph(self, forward: Forward, objective: nn.Cell, perturbed: Sequence[Pass]) -> Callable[..., Any]:
        optimizer = self._require_optimizer()
        arguments = (forward, objective, self._parameters[self._words], self._parameters, optimizer, self._words)
        if not perturbed:
            return self._jit(GradientGraph(*arguments))
        return self._jit(MovedGradientGraph(*arguments, always_kept=all(one.weight for one in perturbed)))

    def _jit(self, graph: nn.Cell) -> Callable[..., Any]:
        compiled: Callable[..., Any] = mindspore.jit(graph, jit_level=self._device.jit_level, backend="ms_backend")
        return compiled

    def _accumulate(self, micro_batches: Sequence[Batch], context: StepContext) -> None:
        """Adds the gradients and loss sums of all micro-batches, times the loss scale, to the accumulators."""
        first, *perturbed = self._stages
        if not perturbed:
            self._accumulate_stage(first, micro_batches, context, None)
            return
        words = WordPerturbation(micro_batches, self._config.embedding_width, self._communicator, context.step_ids)
        for stage in self._stages:
            words.move(stage.perturbed, stage.radius)
            self._accumulate_stage(stage, micro_batches, context, words)

    def _sum_over_ranks(self, context: StepContext) -> Tensor | float:
        """Adds up what all ranks accumulated; returns whether any of them was asked to end."""
        if self._communicator is None or context.step_ids is None:
            return float(context.wants_to_stop)
        while self._most_ids < len(context.step_ids):
            self._most_ids *= 2
        # The last one again, which gives the same row the same sum.
        ids = np.pad(context.step_ids, (0, self._most_ids - len(context.step_ids)), mode="edge").astype(np.int32)
        wish = np.array([context.wants_to_stop], dtype=np.float32)
        with self._communicator.meeting("were lost"):
            shape = Shape(1, self._most_ids)
            wishes: Tensor = self._call("sum", shape, self._sum, Tensor(wish), Tensor(ids))
        return wishes

    def _accumulate_stage(
        self, stage: Stage, micro_batches: Sequence[Batch], context: StepContext, words: WordPerturbation | None
    ) -> None:
        """The same of one stage; a perturbation gives it offsets, and takes the gradient of the word vectors."""
        scales = [self._require_optimizer().loss_scale * (stage.weight or 1.0)]
        if words is not None:
            scales.append(float(stage.weight != 0))  # whether it is kept
        scalars = [Tensor(value, mindspore.float32) for value in scales]
        for index, batch in enumerate(micro_batches):
            masks = MaskSource(self._dropout, context, index, stage.forward_passes)
            for rows in pack(batch, self._shapes_for(batch, self._training_shapes)):
                moved = [] if words is None else [Tensor(words.of(rows))]
                inputs = [*self._inputs(rows), *self._taught(rows), *map(Tensor.from_numpy, masks.draw(rows))]
                result = self._call(stage.name, rows.shape, stage.graph, *scalars, *moved, *inputs)
                if words is not None:
                    words.add(rows, result.asnumpy())

    def _predict_call(self, rows: PackedRows) -> list[NDArray[np.generic]]:
        results = self._call("prediction", rows.shape, self._predict, *self._inputs(rows))
        return [result.asnumpy() for result in results]

    def _taught(self, rows: PackedRows) -> list[Tensor]:
        """What the objective reads beside the head's columns: the outputs of a teacher."""
        return [Tensor(rows.spread(rows.batch.columns[name].values, per)) for name, per in self._columns.items()]

    def _inputs(self, rows: PackedRows) -> list[Tensor]:
        arrays = {**rows.inputs(self._config), **self._head.columns(rows)}
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
