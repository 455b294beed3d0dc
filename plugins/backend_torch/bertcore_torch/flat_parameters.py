"""All parameters in one float32 buffer, in the order in which they are updated.

Only this file knows of the buffer. Models see ordinary parameters, which are views of it or of a copy of it in a
lower precision; everybody else sees canonical names and numpy arrays. With two groups, and the embeddings frozen:

    values     | no decay: biases, LayerNorm | rest: weights          | frozen: embeddings |
    gradient   |                             |                        |   (none: the trained ones come first)
    moments    |                             |                        |
               |<- run of group 0 ---------->|<- run of group 1 ----->|
               |<- trained_size ------------------------------------->|

So the norm is one reduction over one array and an update one kernel for each group, not one for each of 200
parameters. A joined parameter of the model (query, key and value in one matrix) is the views of its parts, which lie
one behind the other:

    query.weight [hidden, hidden] | key.weight | value.weight   =   query_key_value.weight [3 hidden, hidden]
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from bertcore.contracts.backend import ParameterGroup
from bertcore.contracts.parameters import Parameters, ParameterSpec
from bertcore.numerics.optimization import group_of
from torch import Tensor, nn

FROZEN = -1
ALIGNMENT = 16
"""Every parameter of a model begins at a multiple of so many values (64 bytes)."""


@dataclass(frozen=True)
class Run:
    """Neighbouring parameters of one group and count of updates, or frozen ones: what one update kernel works on."""

    group: int
    start: int
    stop: int
    names: tuple[str, ...]
    updates: int = 0


class FlatParameters:
    """The float32 masters of all parameters, one after the other.

    The parameters that are trained come first, those of one group together, so that norm and update touch nothing
    else and need few kernels.

    Args:
        table: canonical names and shapes.
        joined: name of each parameter of the model to the canonical names of its parts.
        groups: parameter groups; empty where nothing is trained.
        device: where the buffers lie.

    Attributes:
        names: of all parameters, in the order of the table.
        values: the masters, float32 ``[size]``.
        trained_size: the trained ones are ``values[:trained_size]``.
        frozen_parts: what lies among them although it is not trained, because the model joins it with what is.
    """

    def __init__(
        self,
        table: Mapping[str, ParameterSpec],
        joined: Mapping[str, tuple[str, ...]],
        groups: Sequence[ParameterGroup],
        device: torch.device,
    ) -> None:
        self._table = table
        self.names = tuple(table)
        self._joined = joined
        self._groups = {name: group_of(name, groups) for name in table} if groups else dict.fromkeys(table, 0)
        frozen = {index for index, group in enumerate(groups) if group.learning_rate == 0}
        self.trained = {name for name in table if groups and self._groups[name] not in frozen}
        self._starts: dict[str, int] = {}
        self._joined_starts: dict[str, int] = {}
        self.trained_size = 0
        self._pieces: list[Run] = []
        position = 0

        def order(name: str) -> tuple[bool, int]:
            return self.trained.isdisjoint(joined[name]), self._groups[joined[name][0]]

        for joined_name in sorted(joined, key=order):
            self._joined_starts[joined_name] = position
            for name in joined[joined_name]:
                start, position = position, position + int(np.prod(table[name].shape))
                self._starts[name] = start
                self._pieces.append(
                    Run(self._groups[name] if name in self.trained else FROZEN, start, position, (name,))
                )
            # What this leaves between two parameters holds zeros, which every update leaves zero.
            position += -position % ALIGNMENT
            if not self.trained.isdisjoint(joined[joined_name]):
                self.trained_size = position
        runs = [run for run in _merged(self._pieces) if run.start < self.trained_size]
        self.frozen_parts = [slice(run.start, min(run.stop, self.trained_size)) for run in runs if run.group == FROZEN]
        self.values = torch.zeros(position, device=device)

    def runs(self, updates: Mapping[str, int]) -> list[Run]:
        """Returns runs that cover what is trained, each of parameters that took part in as many updates."""
        counted = [replace(piece, updates=updates[piece.names[0]]) for piece in self._pieces]
        return [run for run in _merged(counted) if run.group != FROZEN]

    def takes_part(self, name: str, waiting: Collection[int]) -> bool:
        """Whether any part of a parameter of the model is trained, and not of a group that waits."""
        return any(part in self.trained and self._groups[part] not in waiting for part in self._joined[name])

    def still_parts(self, waiting: Collection[int]) -> list[slice]:
        """What takes no part among the trained ones: :attr:`frozen_parts`, and the groups that wait."""
        return self.frozen_parts + [slice(run.start, run.stop) for run in self._pieces if run.group in waiting]

    def bind(
        self, model: nn.Module, buffer: Tensor | None = None, averages: Tensor | None = None
    ) -> dict[str, nn.Parameter]:
        """Makes the parameters of a model views of a buffer, and returns them.

        Args:
            model: its parameters are replaced.
            buffer: of the size of :attr:`values`; None for the masters themselves. Those of a module that is
                ``always_float32`` are views of the masters in any case.
            averages: ``[trained_size]``, what stands for the masters of the trained ones.
        """
        bound: dict[str, nn.Parameter] = {}
        for name, parts in self._joined.items():
            rows = sum(self._table[part].shape[0] for part in parts)
            shape = (rows, *self._table[parts[0]].shape[1:])
            path, leaf = name.rsplit(".", 1)
            module = model.get_submodule(path)
            start = self._joined_starts[name]
            source = self.values if averages is None or start >= self.trained_size else averages
            if buffer is not None and not getattr(module, "always_float32", False):
                source = buffer
            view = self._view(source, start, shape)
            trained = any(part in self.trained for part in parts)
            bound[name] = nn.Parameter(view, requires_grad=trained)
            setattr(module, leaf, bound[name])
        return bound

    def copy_trained_to(self, buffer: Tensor, averages: Tensor | None = None) -> None:
        """Fills the trained part of a buffer of another precision from the masters, or from their averages."""
        buffer[: self.trained_size].copy_(self.values[: self.trained_size] if averages is None else averages)

    def copy_frozen_to(self, buffer: Tensor) -> None:
        """Fills the rest of it, which no update changes."""
        buffer[self.trained_size :].copy_(self.values[self.trained_size :])

    def trained_place(self, name: str) -> slice | None:
        """Where a parameter lies in the buffers; None where it is not trained, or is none of the table."""
        if name not in self.trained:
            return None
        return slice(self._starts[name], self._starts[name] + int(np.prod(self._table[name].shape)))

    def joined_view(self, buffer: Tensor, name: str) -> Tensor:
        """Returns the part of a buffer that belongs to a parameter of the model, flat."""
        size = sum(int(np.prod(self._table[part].shape)) for part in self._joined[name])
        start = self._joined_starts[name]
        return buffer[start : start + size]

    def views(self, buffer: Tensor) -> Iterator[tuple[str, Tensor]]:
        """Canonical names, in the order of the table, and their part of a buffer in its shape."""
        for name, spec in self._table.items():
            yield name, self._view(buffer, self._starts[name], spec.shape)

    def trained_views(self, buffer: Tensor) -> Iterator[tuple[str, Tensor]]:
        """The same of what is trained, in a buffer that needs to be no longer."""
        for name, spec in self._table.items():
            if name in self.trained:
                yield name, self._view(buffer, self._starts[name], spec.shape)

    def of_frozen(self, values: Parameters) -> Parameters:
        """Copies of what is not trained, on the host; zeros, which take no memory, where nothing but zeros is given."""
        return {
            name: values[name].copy() if name in values and values[name].any() else np.zeros(spec.shape, np.float32)
            for name, spec in self._table.items()
            if name not in self.trained
        }

    @staticmethod
    def _view(buffer: Tensor, start: int, shape: tuple[int, ...]) -> Tensor:
        return buffer[start : start + int(np.prod(shape))].view(shape)


def _merged(runs: Sequence[Run]) -> list[Run]:
    """Joins neighbours of one group and count, over the zeros between them."""
    merged: list[Run] = []
    for run in runs:
        if merged and (merged[-1].group, merged[-1].updates) == (run.group, run.updates):
            merged[-1] = replace(merged[-1], stop=run.stop, names=merged[-1].names + run.names)
        else:
            merged.append(run)
    return merged
