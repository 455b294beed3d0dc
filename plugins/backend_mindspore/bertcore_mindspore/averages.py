"""Averages of the weights, with which a session predicts: a part of the update graph, or a graph of their own behind
a fused update."""

from __future__ import annotations

from collections.abc import Mapping

import mindspore
from mindspore import Parameter, ParameterTuple, Tensor, nn, ops

from bertcore.contracts.parameters import Parameters
from bertcore_mindspore.devices import DeviceKind
from bertcore_mindspore.values import copy_into, to_numpy

average = ops.MultitypeFuncGraph("average")


@average.register("Tensor", "Tensor", "Tensor", "Tensor")
def _average(begun: Tensor, weight: Tensor, mean: Tensor, parameter: Tensor) -> Tensor:
    # Before the first update the mean holds the parameter as it was: 0 and a weight of 1 make a copy to the bit.
    start = mean * begun
    return ops.assign(mean, start + weight * (parameter - start))


class _AverageGraph(nn.Cell):
    """Moves the averages by themselves."""

    def __init__(self, averages: ParameterTuple, parameters: ParameterTuple) -> None:
        super().__init__(auto_prefix=False)
        self.moved = (averages, parameters)
        self.map, self.partial = ops.HyperMap(), ops.Partial()

    def construct(self, begun: Tensor, weight: Tensor) -> Tensor:
        """Takes :meth:`Averages.scalars`."""
        self.map(self.partial(average, begun, weight), *self.moved)
        return weight


class Averages:
    """An exponential moving average of what is trained, as torch's ``AveragedModel`` keeps it.

    Until the first update they are the parameters, so that predictions need not ask.

    Args:
        trained: canonical name to parameter.
        decay: of ``get_ema_multi_avg_fn``.
        device: how a graph is compiled.

    Attributes:
        values: the averages, in the order of the parameters.
    """

    def __init__(self, trained: Mapping[str, Parameter], decay: float, device: DeviceKind) -> None:
        self._trained = trained
        self._decay = decay
        self._start = 0  # updates that were made before there was any average
        parameters = ParameterTuple(list(trained.values()))
        self.values = parameters.clone("average", "zeros")
        graph = _AverageGraph(self.values, parameters)
        self._graph = mindspore.jit(graph, jit_level=device.jit_level, backend="ms_backend")

    @property
    def named(self) -> dict[str, Parameter]:
        """Canonical name to average."""
        return dict(zip(self._trained, self.values, strict=True))

    def scalars(self, updates: int) -> tuple[Tensor, Tensor]:
        """What the graph is told: whether there is an average already, and how far it moves.

        Args:
            updates: made so far.
        """
        begun = updates > self._start
        return Tensor(float(begun), mindspore.float32), Tensor(1 - self._decay if begun else 1.0, mindspore.float32)

    def move(self, updates: int) -> None:
        """Moves them behind an update that no graph has made.

        Args:
            updates: made before.
        """
        self._graph(*self.scalars(updates))

    def state(self, updates: int) -> Parameters:
        """Returns copies of the averages under canonical names; none before the first update.

        Args:
            updates: made so far.
        """
        return {} if updates <= self._start else {name: to_numpy(value) for name, value in self.named.items()}

    def restore(self, averages: Parameters, updates: int) -> None:
        """Continues from a state; what it does not have starts from the parameters as they are.

        Args:
            averages: by canonical name.
            updates: made so far.
        """
        self._start = -1 if averages else updates
        for name, value in self.named.items():
            copy_into(value, averages.get(name, self._trained[name].asnumpy()))
