"""LoRA beside linear layers, of bertcore's encoder and of foreign ones, neither of which knows of it.

The branch is computed beside the frozen product, and the frozen weight has no gradient: of the three products of a
layer's training step (forward, gradient of the input, gradient of the weight) the third is saved, and two narrow ones
are added to each.

The code of an adapter for this backend is a class like :class:`LoraBranches`: made by ``Class(adapter)``, with
``attach``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from bertcore.errors import ConfigError
from bertcore.numerics.lora import A_SUFFIX, B_SUFFIX, Lora
from bertcore.numerics.randomness import adapter_input
from torch import Tensor, nn

from bertcore_torch.dropout import Dropout


class LoraBranches:
    """:class:`bertcore.numerics.lora.Lora` beside the layers of a model."""

    def __init__(self, lora: Lora) -> None:
        self._lora = lora

    def attach(self, model: nn.Module, names: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
        """Puts a branch beside each target; the model is called as before.

        Args:
            model: an encoder with a head, called with its dropout as the third argument.
            names: name of each parameter of the model to the canonical names of its parts.

        Returns:
            The same of the parameters that are added.

        Raises:
            ConfigError: a target is no linear layer.
        """
        current = _CurrentDropout()
        model.register_forward_pre_hook(current.note)
        added: dict[str, tuple[str, ...]] = {}
        for name, parts in names.items():
            layers = [part.removesuffix(".weight") for part in parts]
            if set(layers).isdisjoint(self._lora.targets):
                continue
            path = name.rsplit(".", 1)[0]
            module = model.get_submodule(path)
            if not isinstance(module, nn.Linear):
                raise ConfigError(
                    f"{layers[0]} is a {type(module).__name__}, and LoRA stands beside linear layers",
                    "name others with train.lora.targets",
                    code="adapter-target",
                )
            module.adapter = LoraBranch(self._lora, layers, module, current)
            module.register_forward_hook(module.adapter.add)
            for part in module.adapter.pairs:
                added[f"{path}.adapter.pairs.{part}.lora_A"] = (f"{layers[int(part)]}{A_SUFFIX}",)
                added[f"{path}.adapter.pairs.{part}.lora_B"] = (f"{layers[int(part)]}{B_SUFFIX}",)
        return added


class _CurrentDropout:
    """The dropout of the pass that a model is in, which its layers are not told."""

    def __init__(self) -> None:
        self.dropout = Dropout()

    def note(self, model: nn.Module, arguments: tuple[Any, ...]) -> None:
        self.dropout = arguments[2]


class LoraPair(nn.Module):
    """A and B of one target."""

    def __init__(self, rank: int, columns: int, rows: int) -> None:
        super().__init__()
        self.lora_A = nn.Parameter(torch.empty(rank, columns))
        self.lora_B = nn.Parameter(torch.empty(rows, rank))


class LoraBranch(nn.Module):
    """What is added to the output of a linear layer, or of several whose weights lie one below the other.

    Of query, key and value in one, with branches beside the first and the last::

                       A of query                            B of query |     0
        x [tokens, in] ----------  ->  [tokens, 2 * rank]         0     |     0         ->  [tokens, 3 * out]
                       A of value                                 0     | B of value

    Args:
        lora: the description.
        layers: canonical names of the layers that are joined.
        module: computes them.
        current: the dropout of the pass.
    """

    def __init__(self, lora: Lora, layers: list[str], module: nn.Linear, current: _CurrentDropout) -> None:
        super().__init__()
        self._scale, self._rank, self._rate = lora.scale, lora.rank, lora.dropout
        self._sites = [adapter_input(layer) for layer in layers]
        self._rows = module.out_features // len(layers)
        self._current = current
        self.pairs = nn.ModuleDict(
            {
                str(part): LoraPair(lora.rank, module.in_features, self._rows)
                for part, layer in enumerate(layers)
                if layer in lora.targets
            }
        )

    def add(self, module: nn.Module, arguments: tuple[Tensor, ...], output: Any) -> Any:
        """Adds to what the layer gives; called with its input, ``QueryKeyValue`` perhaps with the first tokens, too."""
        x = arguments[0]
        if not isinstance(output, tuple):
            return self._added(output, x, range(len(self._sites)))
        query, key_value = output
        return self._added(query, x.index_select(0, arguments[1]), [0]), self._added(key_value, x, [1, 2])

    def _added(self, output: Tensor, x: Tensor, parts: Iterable[int]) -> Tensor:
        parts = list(parts)
        own = [part for part in parts if str(part) in self.pairs]
        if not own:
            return output
        narrow = self._narrow(x.flatten(0, -2), own)
        wide = self._wide(parts, own)
        return torch.addmm(output.flatten(0, -2), narrow, wide.t(), alpha=self._scale).view_as(output)

    def _narrow(self, x: Tensor, own: list[int]) -> Tensor:
        """``x A^T`` of some parts side by side, ``[tokens, parts * rank]``."""
        weights = [self.pairs[str(part)].lora_A for part in own]
        if not self._current.dropout.active(self._rate):
            return F.linear(x, torch.cat(weights))
        dropped = [self._current.dropout(x, self._sites[part], self._rate) for part in own]
        return torch.cat([F.linear(one, weight) for one, weight in zip(dropped, weights, strict=True)], dim=1)

    def _wide(self, parts: list[int], own: list[int]) -> Tensor:
        """B of each part in rows and columns of its own, ``[parts * out, own * rank]``."""
        blocks = []
        for part in parts:
            if part in own:
                before = own.index(part)
                around = (before * self._rank, (len(own) - 1 - before) * self._rank)
                blocks.append(F.pad(self.pairs[str(part)].lora_B, around))
            else:
                like = self.pairs[str(own[0])].lora_B
                blocks.append(like.new_zeros(self._rows, len(own) * self._rank))
        return blocks[0] if len(blocks) == 1 else torch.cat(blocks)
