"""From ``train.lora`` to the adapter that a session is opened with."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from bertcore.config import LoraOptions, words_of
from bertcore.contracts.adapter import Adapter
from bertcore.contracts.parameters import FitReport, ParameterSpec
from bertcore.engine.model_parts import HEAD, POOLER, ModelParts, no_such_parameters, parts_of
from bertcore.errors import ConfigError
from bertcore.numerics.lora import Lora
from bertcore.weights.adapter_folder import StoredAdapter

KEY = "train.lora.targets"
ALL = "all-linear"


def choose_adapter(options: LoraOptions, table: Mapping[str, ParameterSpec], prefix: str) -> Lora | None:
    """The adapter that the configuration asks for, or None.

    Args:
        options: the section ``train.lora``.
        table: of the model.
        prefix: what names of the encoder begin with.

    Raises:
        ConfigError: a target names no linear layer of the encoder.
    """
    if options.rank is None:
        return None
    parts = parts_of(table, prefix)
    linear = [name.removesuffix(".weight") for name in table if _is_linear(name, table, parts)]
    chosen: set[str] = set()
    for word in words_of(options.targets):
        found = set(_named(word, linear, parts))
        if not found:
            raise _no_linear_layer(word, linear, parts)
        chosen |= found
    targets = tuple(name for name in linear if name in chosen)
    return Lora(rank=options.rank, alpha=options.alpha, targets=targets, dropout=options.dropout)


def describe_adapter(lora: Lora) -> str:
    """In a line, for the header of a run."""
    names = ", ".join(dict.fromkeys(target.rpartition(".")[2] for target in lora.targets))
    dropout = f", dropout {lora.dropout:g}" if lora.dropout else ""
    return f"LoRA of rank {lora.rank}, alpha {lora.alpha:g}{dropout}, beside {len(lora.targets)} layers: {names}"


def new_names(fit: FitReport, stored: StoredAdapter | None, prefix: str) -> frozenset[str]:
    """Names of the encoder's that are trained as a whole beside an adapter: those that no file gave a value.

    An adapter that goes on, that of a checkpoint among them, holds those that were new when it began.
    """
    held = () if stored is None else stored.others
    return frozenset(name for name in (*fit.initialized, *held) if name.startswith(prefix))


def own_names(adapter: Adapter | None, table: Mapping[str, ParameterSpec]) -> frozenset[str]:
    """Names of the adapter's own parameters in a table that holds them."""
    return frozenset() if adapter is None else frozenset(adapter.parameters(table))


def _is_linear(name: str, table: Mapping[str, ParameterSpec], parts: ModelParts) -> bool:
    """A matrix of a layer, or another that has a bias: what embeds has none."""
    if not name.endswith(".weight") or len(table[name].shape) != 2 or parts.part_of[name] in (HEAD, POOLER):
        return False
    return parts.part_of[name].startswith("layers.") or f"{name.removesuffix('.weight')}.bias" in table


def _named(word: str, linear: list[str], parts: ModelParts) -> Iterator[str]:
    """The layers that a word means: the end of their names, as in peft, or what train.freeze means by it."""
    if word == ALL:
        yield from linear
        return
    ends = [name for name in linear if f".{name}".endswith(f".{word}")]
    if ends or re.fullmatch(r"[\w.-]+", word) is None:
        yield from ends
        return
    try:
        within = parts.named_by(word, KEY)
    except ConfigError:
        return
    yield from (name for name in linear if f"{name}.weight" in within)


def _no_linear_layer(word: str, linear: list[str], parts: ModelParts) -> ConfigError:
    ends = list(dict.fromkeys(name.rpartition(".")[2] for name in linear))
    if word in parts.words():
        return ConfigError(
            f"{word!r} of {KEY} has no linear layer that LoRA stands beside",
            f"name linear layers of the encoder: {', '.join(ends)}",
            code="adapter-target",
        )
    error = no_such_parameters(KEY, word, parts)
    return ConfigError(error.cause, f"linear layers end in {', '.join(ends)}, or {ALL}", code="adapter-target")
