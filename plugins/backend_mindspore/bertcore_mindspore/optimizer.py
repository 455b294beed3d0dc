"""AdamW as one compiled update graph over accumulated gradients."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

import mindspore
import numpy as np
from mindspore import Parameter, ParameterTuple, Tensor, nn, ops

from bertcore.contracts.backend import TrainingSpecification
from bertcore.contracts.training_step import OptimizerState
from bertcore.numerics.optimization import (
    FIRST_LOSS_SCALE,
    LazyStepResult,
    LossScale,
    group_of,
    missed_updates,
    own_updates,
)
from bertcore_mindspore.averages import Averages, average
from bertcore_mindspore.devices import DeviceKind
from bertcore_mindspore.fused_optimizer import FusedUpdate, Trained
from bertcore_mindspore.lanes import Lanes
from bertcore_mindspore.values import copy_into, to_numpy

if TYPE_CHECKING:
    from bertcore_kernels import Kernels

# Over parameters a graph maps, and does not loop: a loop is compiled as nested calls, which 24 layers make too many of.
_set_to_zero = ops.MultitypeFuncGraph("set_to_zero")
_sum_of_squares = ops.MultitypeFuncGraph("sum_of_squares")
_take_part = ops.MultitypeFuncGraph("take_part")
_decay = ops.MultitypeFuncGraph("decay")
_adam = ops.MultitypeFuncGraph("adam")


@_set_to_zero.register("Tensor")
def _set_tensor_to_zero(accumulator: Tensor) -> Tensor:
    return ops.assign(accumulator, ops.zeros_like(accumulator))


@_sum_of_squares.register("Function", "TypeType", "Tensor", "Tensor")
def _sum_of_squares_of(product: ops.MatMul, wide_dtype: mindspore.Type, ones: Tensor, gradient: Tensor) -> Tensor:
    # Along rows by a product, then over rows: one float32 sum over millions of squares loses three digits.
    rows = ops.reshape(gradient, (-1, ones.shape[0]))
    return ops.sum(ops.cast(product(rows * rows, ones), wide_dtype))


@_take_part.register("Tensor", "Tensor")
def _part_of_gradient(part: Tensor, gradient: Tensor) -> Tensor:
    return ops.assign(gradient, ops.where(part > 0, gradient, ops.zeros_like(gradient)))


@_decay.register("Tensor", "Tensor")
def _decay_parameter(factor: Tensor, parameter: Tensor) -> Tensor:
    return ops.assign(parameter, parameter * factor)


@_adam.register("Function", "Tuple", *("Tensor",) * 5)
def _adam_step(
    adam: ops.Adam,
    rule: tuple[Tensor, Tensor, Tensor, Tensor, Tensor],
    factor: Tensor,
    parameter: Tensor,
    first_moment: Tensor,
    second_moment: Tensor,
    gradient: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    no_power, rate, beta1, beta2, eps = rule
    return adam(parameter, first_moment, second_moment, no_power, no_power, rate, beta1, beta2, eps, gradient * factor)


class _UpdateGraph(nn.Cell):
    """Norm, clipping and update of all trained parameters; leaves the accumulated gradients at zero.

    Args:
        parameters: what is trained.
        moments: both of them.
        gradients: their accumulated gradients.
        loss_sum: the accumulated loss sum.
        lanes: what is updated alike.
        specification: decay of the groups, betas and clipping norm.
        wide_dtype: what the norm is summed in.
        averages: of what is trained; empty where none are kept.
    """

    def __init__(
        self,
        parameters: ParameterTuple,
        moments: tuple[ParameterTuple, ParameterTuple],
        gradients: ParameterTuple,
        loss_sum: Parameter,
        lanes: Lanes,
        specification: TrainingSpecification,
        wide_dtype: mindspore.Type,
        averages: Sequence[Parameter],
    ) -> None:
        super().__init__(auto_prefix=False)
        self.gradients = gradients
        self.keeps_averages = bool(averages)
        self.averages = (ParameterTuple(list(averages)), parameters) if averages else ()
        self.loss_sum = loss_sum
        self.gradual = lanes.gradual
        count = 6 if lanes.gradual else 3
        # Of every lane: where its scalars begin, whether it decays, and what belongs to it.
        self.members = tuple(
            (
                count * lane,
                specification.groups[group].weight_decay != 0,
                *(
                    ParameterTuple([values[index] for index in lanes.members[lane]])
                    for values in (parameters, *moments, gradients)
                ),
            )
            for lane, group in enumerate(lanes.groups)
        )
        self.beta1, self.beta2 = (Tensor(beta, mindspore.float32) for beta in specification.betas)
        self.adam = ops.Adam()
        # The caller corrects the bias, so that the primitive must not: its powers of beta are zero.
        self.no_power = Tensor(0.0, mindspore.float32)
        self.wide_dtype = wide_dtype
        self.clip_norm = specification.clip_norm
        self.ones = tuple(Tensor(np.ones((parameter.shape[-1], 1), np.float32)) for parameter in parameters)
        self.map, self.partial = ops.HyperMap(), ops.Partial()
        self.product = ops.MatMul()
        self.stack, self.sum = ops.Stack(), ops.ReduceSum()
        self.cast, self.root = ops.Cast(), ops.Sqrt()
        self.absolute, self.minimum = ops.Abs(), ops.Minimum()
        self.is_finite, self.logical_and = ops.IsFinite(), ops.LogicalAnd()

    def construct(self, inverse: Tensor, inverse_loss_scale: Tensor, *scalars: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Updates. All corrections of bias are made by the caller, in float64.

        Args:
            inverse: one over loss denominator and loss scale, with which the gradients are multiplied.
            inverse_loss_scale: one over the loss scale.
            scalars: those of :meth:`Lanes.scalars`, and last those of the averages where they are kept.

        Returns:
            Loss sum, gradient norm and whether both are finite.
        """
        if self.gradual:
            for first, _, _, _, _, gradients in self.members:
                self.map(self.partial(_take_part, scalars[first + 3]), gradients)
        squares = self.map(self.partial(_sum_of_squares, self.product, self.wide_dtype), self.ones, self.gradients)
        norm = self.cast(self.root(self.sum(self.stack(squares))), mindspore.float32) * self.absolute(inverse)
        loss = self.loss_sum * inverse_loss_scale
        finite = self.logical_and(self.is_finite(norm), self.is_finite(loss))
        factor = inverse
        if self.clip_norm is not None:
            factor = inverse * self.minimum(self.clip_norm / (norm + 1e-6), 1.0)
        if finite:
            for first, decays, parameters, first_moments, second_moments, gradients in self.members:
                if decays:
                    self.map(self.partial(_decay, scalars[first + 2]), parameters)
                beta1, beta2 = self.beta1, self.beta2
                if self.gradual:  # a lane that waits keeps its moments, by a decay of 1
                    beta1, beta2 = scalars[first + 4], scalars[first + 5]
                rule = (self.no_power, scalars[first], beta1, beta2, scalars[first + 1])
                step = self.partial(_adam, self.adam, rule, factor)
                self.map(step, parameters, first_moments, second_moments, gradients)
            if self.keeps_averages:
                self.map(self.partial(average, scalars[-2], scalars[-1]), *self.averages)
        self.map(_set_to_zero, self.gradients)
        _set_to_zero(self.loss_sum)
        return loss, norm, finite


class AdamW:
    """``torch.optim.AdamW`` with clipping, guarded against what is not finite (Loshchilov and Hutter, 1711.05101).

    Args:
        parameters: canonical name to parameter, of the whole table.
        specification: groups, betas, eps and clipping norm. A group whose rate is 0 is frozen.
        device: how graphs are compiled.
        scaled: whether the loss is scaled (fp16).
        kernels: of the host, which then updates; None where a graph does.

    Attributes:
        trained: names of the parameters that are trained, in the order of the table.
        gradients: their accumulators, which the compiled gradient graph adds to.
        loss_sum: the accumulator of the loss sum, times the loss scale.
        averages: of what is trained, where they are kept.

    Raises:
        ConfigError: a parameter belongs to no group.
    """

    def __init__(
        self,
        parameters: Mapping[str, Parameter],
        specification: TrainingSpecification,
        device: DeviceKind,
        *,
        scaled: bool,
        kernels: Kernels | None = None,
    ) -> None:
        groups = {name: group_of(name, specification.groups) for name in parameters}
        self.trained = [name for name, index in groups.items() if specification.groups[index].learning_rate != 0]
        self._groups = {name: groups[name] for name in self.trained}
        self._specification, self._device = specification, device
        self._loss_scale = LossScale(scaled)
        self._parameters = trained = ParameterTuple([parameters[name] for name in self.trained])
        self.gradients = trained.clone("gradient", "zeros")
        self._moments = trained.clone("first_moment", "zeros"), trained.clone("second_moment", "zeros")
        self.averages: Averages | None = None
        if specification.ema is not None and self.trained:
            self.averages = Averages({name: parameters[name] for name in self.trained}, specification.ema, device)
        self.loss_sum = Parameter(Tensor(0.0, mindspore.float32), name="loss_sum", requires_grad=False)
        self._fused_update: FusedUpdate | None = None
        if kernels is not None:
            belongings = zip(self._groups.items(), trained, *self._moments, self.gradients, strict=True)
            updated = {name: Trained(group, *own) for (name, group), *own in belongings}
            self._fused_update = FusedUpdate(updated, self.loss_sum, specification, kernels)
        self._lanes: Lanes | None = None
        self._shapes = {name: parameter.shape for name, parameter in parameters.items()}
        self._pending: tuple[LazyStepResult, Collection[int]] | None = None
        self.reset()

    @property
    def loss_scale(self) -> float:
        """What the loss is multiplied by."""
        return self._loss_scale.value

    def reset(self) -> None:
        """Starts anew: moments, update count and loss scale."""
        zeros = {name: np.zeros(shape, dtype=np.float32) for name, shape in self._shapes.items()}
        self.restore(OptimizerState(zeros, zeros, 0, FIRST_LOSS_SCALE, 0))
        self.drop_gradients()

    def drop_gradients(self) -> None:
        """Sets the accumulated gradients and losses to zero."""
        for name, accumulator in zip(self.trained, self.gradients, strict=True):
            copy_into(accumulator, np.zeros(self._shapes[name], dtype=np.float32))
        copy_into(self.loss_sum, np.zeros((), dtype=np.float32))

    def update(
        self, denominator: float, learning_rates: Sequence[float], waiting: Collection[int] = ()
    ) -> LazyStepResult:
        """Updates the parameters from the accumulated gradients, and sets these to zero.

        Args:
            denominator: the gradients are divided by it.
            learning_rates: of each group.
            waiting: groups that take no part, whatever their gradients are.
        """
        updates = self._settled_updates()
        assert self._lanes is not None
        divisor = denominator * self.loss_scale
        # Also for a denominator of zero: what is not finite is left to the guard.
        inverse = 1 / divisor if divisor else math.nan
        if self._fused_update is not None:
            result = self._fused_update(
                inverse, 1 / self.loss_scale, learning_rates, waiting, self._lanes.own_updates()
            )
            if self.averages is not None and result.finite:
                self.averages.move(updates)
        else:
            of_averages = () if self.averages is None else self.averages.scalars(updates)
            scalars = (inverse, 1 / self.loss_scale, *self._lanes.scalars(learning_rates, waiting))
            result = LazyStepResult(
                *self._update(*(Tensor(value, mindspore.float32) for value in scalars), *of_averages)
            )
        self._pending = result, waiting
        result.skipped = self._loss_scale.skips(result)
        return result

    def state(self) -> OptimizerState:
        """Returns copies of the state under canonical names."""
        updates = self._settled_updates()
        first, second = (
            {**frozen, **{name: to_numpy(value) for name, value in zip(self.trained, moments, strict=True)}}
            for frozen, moments in zip((self._frozen_first, self._frozen_second), self._moments, strict=True)
        )
        assert self._lanes is not None
        own = {**self._frozen_own, **self._lanes.own_updates()}
        return OptimizerState(
            {name: first[name] for name in self._shapes},
            {name: second[name] for name in self._shapes},
            updates,
            self._loss_scale.value,
            self._loss_scale.good_steps,
            {} if self.averages is None else self.averages.state(updates),
            missed_updates(updates, {name: own[name] for name in self._shapes}),
        )

    def restore(self, state: OptimizerState) -> None:
        """Continues from a state; the moments of frozen parameters are kept as they are."""
        self._pending = None
        self._updates = state.updates
        self._loss_scale.restore(state.loss_scale, state.good_steps)
        frozen = [name for name in self._shapes if name not in set(self.trained)]
        self._frozen_first = {name: state.first_moment[name] for name in frozen}
        self._frozen_second = {name: state.second_moment[name] for name in frozen}
        for index, name in enumerate(self.trained):
            copy_into(self._moments[0][index], state.first_moment[name])
            copy_into(self._moments[1][index], state.second_moment[name])
        own = own_updates(self._shapes, state)
        self._frozen_own = {name: own[name] for name in frozen}
        self._divide(Lanes(self._specification, self._groups, own))
        if self.averages is not None:
            self.averages.restore(state.averages, state.updates)

    def _divide(self, lanes: Lanes) -> None:
        """Takes other lanes; another graph is made only where they have other members, when a run is resumed so."""
        if self._fused_update is None and (self._lanes is None or self._lanes.members != lanes.members):
            graph = _UpdateGraph(
                self._parameters,
                self._moments,
                self.gradients,
                self.loss_sum,
                lanes,
                self._specification,
                getattr(mindspore, self._device.wide_dtype),
                () if self.averages is None else self.averages.values,
            )
            self._update = mindspore.jit(graph, jit_level=self._device.jit_level, backend="ms_backend")
        self._lanes = lanes

    def _settled_updates(self) -> int:
        """Updates done so far; asks the last step, which is over by now, whether it was one."""
        if self._pending is not None:
            (result, waiting), self._pending = self._pending, None
            if result.finite and self._lanes is not None:
                self._updates += 1
                self._lanes.count(waiting)
        return self._updates
