"""The parts of a model from below to above, found in its names.

::

    depth   part                 BERT                                  DistilBERT
    0       embeddings           bert.embeddings.*                     distilbert.embeddings.*
    1       layers.0             bert.encoder.layer.0.*                distilbert.transformer.layer.0.*
    ...
    n       layers.n-1           bert.encoder.layer.{n-1}.*            distilbert.transformer.layer.{n-1}.*
    n+1     pooler               bert.pooler.*
    n+2     head                 classifier.*, crf.*                   classifier.*

A layer is known by the first number in a name, whatever stands around it, so that a foreign encoder needs no table of
its own. ALBERT's layers are one set of weights under one number: it has the one layer ``layers.0``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from bertcore.errors import ConfigError
from bertcore.near_misses import nearest_name

EMBEDDINGS, POOLER, HEAD = "embeddings", "pooler", "head"

_NUMBERED = re.compile(r"(.*?)\.(\d+)\.")


@dataclass(frozen=True)
class ModelParts:
    """Which part of its model each parameter belongs to.

    Attributes:
        part_of: canonical name to ``embeddings``, ``layers.N``, ``pooler`` or ``head``, in the order of the table.
        layers: how many layers have weights of their own.
    """

    part_of: Mapping[str, str]
    layers: int

    def depth(self, part: str) -> int:
        """How far above the input a part stands: 0 for embeddings, ``layers + 2`` for the head."""
        if part.startswith("layers."):
            return int(part.removeprefix("layers.")) + 1
        return {EMBEDDINGS: 0, POOLER: self.layers + 1, HEAD: self.layers + 2}[part]

    def named_by(self, word: str, key: str) -> frozenset[str]:
        """Names of the parameters of a part: ``embeddings``, ``layers.3``, ``layers.0-5``, ``encoder``, ...

        Args:
            word: the part; ``encoder`` is all that is no head. Or a module's name in transformers, as
                ``bert.encoder.layer.0``, for all that is in it.
            key: of the configuration, for the message.

        Raises:
            ConfigError: the model has no such part, or not all of it.
        """
        wanted = set(self._parts_in(word))
        if not wanted and word:
            below = frozenset(name for name in self.part_of if f"{name}.".startswith(f"{word}."))
            if below:
                return below
        if not wanted or not wanted <= set(self.part_of.values()):
            raise no_such_parameters(key, word, self)
        return frozenset(name for name, part in self.part_of.items() if part in wanted)

    def words(self) -> list[str]:
        """The words by which parts of the model can be named, without ranges."""
        return [*dict.fromkeys(self.part_of.values()), "encoder"]

    def _parts_in(self, word: str) -> Iterator[str]:
        layers = re.fullmatch(r"layers\.(\d+)(?:-(\d+))?", word)
        if layers is not None:
            first, last = int(layers[1]), int(layers[2] or layers[1])
            # One more than there are is enough to be refused.
            yield from (f"layers.{layer}" for layer in range(first, min(last, max(first, self.layers)) + 1))
        elif word == "encoder":
            yield from (part for part in self.part_of.values() if part != HEAD)
        elif word in (EMBEDDINGS, POOLER, HEAD):
            yield word


def parts_of(names: Iterable[str], prefix: str) -> ModelParts:
    """Finds the parts of a model.

    The longest numbered lists are the layers: there may be several, as XLM's ``attentions.0`` and ``ffns.0``. What
    stands in front of them, or embeds, is of the embeddings, as ELECTRA's ``embeddings_project``; what stands behind
    them, as a last normalization, belongs to the last layer.

    Args:
        names: canonical names, in the order of the table.
        prefix: what the names of the encoder begin with; all others are of the head.
    """
    names = list(names)
    inner = {name: f".{name.removeprefix(prefix)}" for name in names if name.startswith(prefix)}
    numbered = {name: found for name in inner if (found := _NUMBERED.match(inner[name])) is not None}
    lists: dict[str, set[int]] = {}
    for found in numbered.values():
        lists.setdefault(found[1], set()).add(int(found[2]))
    layers = max(map(len, lists.values()), default=0)
    stacks = {stem for stem, indices in lists.items() if len(indices) == layers}
    part_of: dict[str, str] = {}
    reached = EMBEDDINGS
    for name in names:
        if name not in inner:
            part_of[name] = HEAD
        elif name in numbered and numbered[name][1] in stacks:
            part_of[name] = reached = f"layers.{int(numbered[name][2])}"
        elif re.search(r"\.pooler\.", inner[name]):
            part_of[name] = POOLER
        else:
            part_of[name] = EMBEDDINGS if "embed" in inner[name] else reached
    return ModelParts(part_of, layers)


def no_such_parameters(key: str, text: str, parts: ModelParts) -> ConfigError:
    """The error of a rule that matches nothing, with the nearest of what there is.

    Args:
        key: of the rule in the configuration.
        text: what shall be matched.
        parts: of the model.
    """
    layers = re.match(r"layers\.(\d+)-", text)
    if layers is not None and int(layers[1]) < parts.layers:
        near: str | None = f"layers.{layers[1]}-{parts.layers - 1}"
    else:
        near = nearest_name(text, [*parts.words(), *parts.part_of])
    known = ", ".join(word for word in parts.words() if not word.startswith("layers."))
    return ConfigError(
        f"{text!r} of {key} matches no parameter of the model, which has {_layers_in_words(parts.layers)}",
        f"did you mean {near!r}?" if near is not None else f"it has {known}",
        code="parameters-missing",
    )


def _layers_in_words(count: int) -> str:
    return {0: "no numbered layers", 1: "the one layer 0"}.get(count, f"the layers 0 to {count - 1}")
