"""Which tensors of a file belong to a model: the encoder, found behind whatever wraps it, the head, or none."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from bertcore.contracts.bert_config import BertConfig
from bertcore.contracts.converter import KeyReport, WeightSet
from bertcore.contracts.family import ModelFamily
from bertcore.contracts.head import Head
from bertcore.errors import ModelError, Origin, printable
from bertcore.weights.converters.rules import ENCODER_PARTS, joined_actions, renamed
from bertcore.weights.converters.wrappers import encoder_prefixes, one_encoder, parents, set_aside_copies

_STRANGER = "skipped: no model has it"
_SINGLE = "skipped: a single value, as training scripts save it"
_READS_ENCODER = re.compile(r"(classifier|qa_outputs|classifier\.(dense|out_proj))\.weight")


class ModelTensors:
    """The canonical names that transformers' classes of a family have, in the encoder and in heads.

    Args:
        family: the model family.
        config: sizes, by which the encoder's names are known; without them they are those of BERT, of any layer.
        heads: the classes of all heads that are registered.
    """

    def __init__(self, family: ModelFamily, config: BertConfig | None, heads: Iterable[type[Head]]) -> None:
        self.family = family
        self._heads = tuple(heads)
        self._config = config
        table = {} if config is None else family.known_table(config)
        self._names = {name.removeprefix(family.prefix) for name in table if name.startswith(family.prefix)}
        self._pattern = re.compile(ENCODER_PARTS)

    def in_encoder(self, name: str) -> bool:
        """Whether a name is one of the encoder's parameters; without the family's prefix."""
        return name in self._names if self._config is not None else self._pattern.fullmatch(name) is not None

    def is_buffer(self, name: str) -> bool:
        """Whether files of the family hold a tensor of this canonical name beside the parameters."""
        return any(re.fullmatch(rule.pattern, name) for rule in self.family.skip_rules)

    def has(self, name: str, shape: tuple[int, ...]) -> bool:
        """Whether there is a tensor of this canonical name; the matrix of a head must have the encoder's width."""
        if name.startswith(self.family.prefix):
            return self.in_encoder(name.removeprefix(self.family.prefix)) or self.is_buffer(name)
        if not self.family.has_in_head(name, self._heads):
            return False
        return self._config is None or not _READS_ENCODER.fullmatch(name) or shape[1:] == (self._config.hidden_size,)

    def strangers(self, tensors: Mapping[str, NDArray[np.generic]]) -> tuple[str, ...]:
        """Names beside the encoder that no model has: a script's own layers, a head of another width and its bias."""
        names = [
            name
            for name, tensor in tensors.items()
            if not name.startswith(self.family.prefix) and not self.has(name, tensor.shape)
        ]
        biases = {f"{name.removesuffix('weight')}bias" for name in names if name.endswith(".weight")}
        return tuple(name for name in tensors if name in names or name in biases)


def canonical_weights(weights: WeightSet, known: ModelTensors, origin: str = "the weights") -> WeightSet:
    """Finds the encoder whatever stands before its names, brings all names under the family's, and drops copies.

    Copies of the model (gradients, moments, averages) and single values of a training script are left out and
    reported. A script's own layers stay.

    Args:
        weights: what a converter read.
        known: the tensors that models of the family have.
        origin: the file, for the message.

    Raises:
        ModelError: there are several encoders, a tensor is there with and without prefix, or one of the model holds no
            floats and is no known buffer; or the file holds an adapter (LoRA) beside the weights that it changes.
    """
    family, tensors = known.family, dict(weights.tensors)
    adapter = next((name for name in tensors if re.search(r"\.(base_layer|lora_[AB](\.\w+)?)\.weight$", name)), None)
    if adapter is not None:
        raise ModelError(
            f"holds an adapter that is not merged into its weights: {printable(adapter, 200)}",
            "merge it where it was trained: model.merge_and_unload().save_pretrained(OUT), then give OUT",
            origin=Origin(origin),
            code="adapter-unmerged",
        )
    found = encoder_prefixes(tensors, known.in_encoder)
    prefix = one_encoder(found, origin)
    kept, aside, skipped = set_aside_copies(tensors, prefix, found.keys() - {prefix + family.prefix})
    canonical, report = renamed(kept, _renaming(prefix, family), origin)
    then = {entry.source: entry for entry in (*skipped, *report)}
    for name, source in [(entry.target or "", entry.source) for entry in report]:
        tensor = canonical[name]
        if known.has(name, tensor.shape):
            if not np.issubdtype(tensor.dtype, np.floating) and not known.is_buffer(name):
                raise ModelError(
                    f"{name} holds {tensor.dtype}, and weights are floats",
                    "use a model that is not quantized",
                    origin=Origin(origin),
                    code="weights-unsupported",
                )
        elif tensor.size == 1 and not name.startswith(family.prefix):
            aside[source] = canonical.pop(name)
            then[source] = KeyReport(source, None, _SINGLE)
    sources = {entry.target: entry.source for entry in weights.report}
    notes = weights.notes
    if prefix not in ("", family.prefix):
        notes += (f"{origin}: the encoder's names begin with {printable(prefix, 200)}",)
    zeros = _zero_matrices(canonical, known)
    if zeros:
        notes += (
            f"{origin}: {len(zeros)} matrices of the encoder hold nothing but zeros, as {zeros[0]}; "
            "was the file copied or downloaded to its end?",
        )
    return replace(
        weights,
        tensors=canonical,
        report=_joined(weights.report, then),
        left_out={**weights.left_out, **{sources.get(name, name): tensor for name, tensor in aside.items()}},
        notes=notes,
    )


def _zero_matrices(tensors: Mapping[str, NDArray[np.generic]], known: ModelTensors) -> list[str]:
    """Names of the encoder's matrices of zeros, which no training gives; a model without segments has such a table."""
    prefix = known.family.prefix
    return [
        name
        for name, tensor in tensors.items()
        if tensor.ndim == 2
        and name.startswith(prefix)
        and known.in_encoder(name.removeprefix(prefix))
        and "token_type" not in name
        # Both ends first: they tell nearly always, and the whole matrix need not be read from the disk for it.
        and not (tensor[:1, :64].any() or tensor[-1:, -64:].any() or tensor.any())
    ]


def without_strangers(weights: WeightSet, known: ModelTensors) -> WeightSet:
    """Leaves out what no model has, with an entry of the report for each tensor and a note that names them."""
    strangers = known.strangers(weights.tensors)
    tensors = {name: tensor for name, tensor in weights.tensors.items() if name not in strangers}
    report = tuple(
        replace(entry, target=None, action=_STRANGER) if entry.target in strangers else entry
        for entry in weights.report
    )
    notes = weights.notes
    reasons = Counter(entry.action.removeprefix("skipped: ") for entry in weights.report if entry.target is None)
    if reasons:
        notes += ("left out: " + "; ".join(f"{count} ({reason})" for reason, count in reasons.items()),)
    if strangers:
        notes += (
            f"left out, as no {known.family.architecture} model has them: {_grouped(strangers)}; "
            "--keep-unknown keeps them",
        )
        pretraining = re.compile(known.family.pretraining_heads)
        heads = [
            name
            for name in tensors
            if not name.startswith(known.family.prefix) and not pretraining.fullmatch(name) and name not in strangers
        ]
        if heads:
            notes += (f"{_grouped(heads)} may have read what those layers gave, and not the encoder",)
    return replace(weights, tensors=tensors, report=report, notes=notes)


def with_strangers(weights: WeightSet, known: ModelTensors) -> WeightSet:
    """Keeps what no model has: what is beside the encoder, and under its own name what was left out before."""
    kept = {name: tensor for name, tensor in weights.left_out.items() if tensor.dtype.kind in "fiub"}
    kept = {name: tensor for name, tensor in kept.items() if name not in weights.tensors}
    report = tuple(
        KeyReport(entry.source, entry.source, "kept") if entry.source in kept else entry for entry in weights.report
    )
    return replace(weights, tensors={**weights.tensors, **kept}, report=report, left_out={})


def _grouped(names: Sequence[str], most: int = 8) -> str:
    """Names in one line: those of one module together, and the rest counted."""
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(name.partition(".")[0], []).append(name)
    texts = [
        f"{first}.* ({len(members)} tensors)" if len(members) > 2 else ", ".join(members)
        for first, members in groups.items()
    ]
    texts = [printable(text, 300) for text in texts]
    more = f" and {len(texts) - most} more groups of names" if len(texts) > most else ""
    return ", ".join(texts[:most]) + more


def _renaming(prefix: str, family: ModelFamily) -> Callable[[str], str]:
    """From names in a file whose encoder has a prefix to canonical ones."""
    modules = tuple(f"{module}." for module in family.encoder_modules)

    def bare(name: str) -> str:
        return family.prefix + name if name.startswith(modules) else name

    own = "" if not prefix.endswith(family.prefix) else family.prefix
    wrapper = prefix.removesuffix(own)
    outer = parents(prefix)  # there a head may stand: beside the encoder, or beside what wraps it

    def wrapped(name: str) -> str:
        if name.startswith(wrapper):
            inside = name.removeprefix(wrapper)
            return inside if own else bare(inside)
        return name.removeprefix(next(place for place in outer if name.startswith(place)))

    return wrapped if wrapper else bare


def _joined(first: tuple[KeyReport, ...], then: Mapping[str, KeyReport]) -> tuple[KeyReport, ...]:
    """One report of two renamings, the second of what the first one made."""
    joined = []
    for entry in first:
        if entry.target is not None:
            later = then[entry.target]
            action = later.action if later.target is None else joined_actions(entry.action, later.action)
            entry = KeyReport(entry.source, later.target, action)
        joined.append(entry)
    return tuple(joined)
