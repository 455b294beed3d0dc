"""Conversion as data: ordered, reversible rules between the names of a foreign layout and the canonical ones.

A rule is a pair of patterns with the same fields in braces:

    RenameRule("encoder.blocks.{layer}.attention.dense1.{kind}", "encoder.layer.{layer}.attention.self.query.{kind}")

Reading applies every rule once, in order, each to what the ones before it made of the name; writing applies them in
reverse order and in the other direction. A name that no rule matches stays as it is.

    reading                                                                                    ^
    |   bert.bert.bert_encoder.encoder.blocks.3.attention.dense1.weight                          |
    |       bert.bert.{rest}                          <->  bert.{rest}                           |
    |   bert.bert_encoder.encoder.blocks.3.attention.dense1.weight                               |
    |       bert.bert_encoder.encoder.blocks.{layer}.attention.dense1.{kind}                     |
    |                                 <->  bert.encoder.layer.{layer}.attention.self.query.{kind} |
    v   bert.encoder.layer.3.attention.self.query.weight                                   writing

So a layout is one list, and nobody writes the way back, which is where the two would part.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from bertcore.contracts.converter import KeyReport
from bertcore.contracts.parameters import SkipRule
from bertcore.errors import ModelError, Origin

Tensors = dict[str, NDArray[np.generic]]

_FIELDS = {
    "layer": r"\d+",
    "kind": "weight|bias",
    "path": r"(?:.*\.)?",  # nothing, or some modules, each with its dot
    "rest": ".+",
}
_FIELD = re.compile(r"\{(\w+)\}")

FAMILY_PREFIX = r"(?:bert|roberta|electra)\."
"""A pattern of what stands before an encoder's names, by its family."""

ENCODER_PARTS = (
    r"(?:embeddings\.(?:(?:word|position|token_type)_embeddings\.weight|LayerNorm\.(?:weight|bias))"
    r"|(?:embeddings_project|pooler\.dense)\.(?:weight|bias)"
    r"|encoder\.layer\.\d+\.(?:attention\.(?:self\.(?:query|key|value)|output\.(?:dense|LayerNorm))"
    r"|intermediate\.dense|output\.(?:dense|LayerNorm))\.(?:weight|bias))"
)
"""A pattern of the names of an encoder of BERT, RoBERTa or ELECTRA, without the family's prefix."""

_OF_ENCODER = re.compile(rf"{FAMILY_PREFIX}|(?:embeddings|embeddings_project|encoder|pooler)\.")
_ENCODER_NAME = re.compile(rf"(?:{FAMILY_PREFIX})?{ENCODER_PARTS}")


@dataclass(frozen=True)
class RenameRule:
    """One pair of names.

    Attributes:
        foreign: the name in the file, with fields: ``{layer}`` (digits), ``{kind}`` (weight or bias), ``{path}``
            (nothing, or modules with their dots) and ``{rest}`` (anything).
        canonical: the canonical name, with the same fields.
        transpose: whether the file holds the transposed matrix.
        written: false for an old spelling, which is read but never written.
    """

    foreign: str
    canonical: str
    transpose: bool = False
    written: bool = True

    def __post_init__(self) -> None:
        fields = sorted(_FIELD.findall(self.foreign))
        if fields != sorted(_FIELD.findall(self.canonical)) or not set(fields) <= _FIELDS.keys():
            raise ValueError(f"a rule needs the same known fields on both sides: {self.foreign} and {self.canonical}")

    @cached_property
    def _patterns(self) -> tuple[re.Pattern[str], re.Pattern[str]]:
        return _compiled(self.foreign), _compiled(self.canonical)

    def to_canonical(self, name: str) -> str | None:
        """The canonical name, or None where the rule does not match."""
        match = self._patterns[0].fullmatch(name)
        return None if match is None else self.canonical.format_map(match.groupdict())

    def to_foreign(self, name: str) -> str | None:
        """The name in the file, or None where the rule does not match or is for reading only."""
        match = self._patterns[1].fullmatch(name) if self.written else None
        return None if match is None else self.foreign.format_map(match.groupdict())


OLD_LAYER_NORM = (
    RenameRule("{path}LayerNorm.gamma", "{path}LayerNorm.weight", written=False),
    RenameRule("{path}LayerNorm.beta", "{path}LayerNorm.bias", written=False),
)
"""TensorFlow's and MindSpore's names of a LayerNorm, and nothing else that happens to be called gamma."""


def to_canonical(
    tensors: Mapping[str, NDArray[np.generic]],
    rules: Sequence[RenameRule],
    skip_rules: Sequence[SkipRule] = (),
    origin: str = "the weights",
) -> tuple[Tensors, tuple[KeyReport, ...]]:
    """Renames the tensors of a file.

    Args:
        tensors: the tensors by the file's names.
        rules: what is renamed.
        skip_rules: names of the file that are left out, before any rule.
        origin: the file, for the message.

    Returns:
        the tensors by canonical names, and what became of each name of the file.

    Raises:
        ModelError: two names of the file mean the same tensor; both are named.
    """
    return _renamed(tensors, [(rule.to_canonical, rule.transpose) for rule in rules], skip_rules, origin)


def to_foreign(
    tensors: Mapping[str, NDArray[np.generic]],
    rules: Sequence[RenameRule],
    skip_rules: Sequence[SkipRule] = (),
    origin: str = "the weights",
) -> tuple[Tensors, tuple[KeyReport, ...]]:
    """Renames canonical tensors to what a file is to hold: the inverse of :func:`to_canonical`.

    Args:
        tensors: the tensors by canonical names.
        rules: what is renamed.
        skip_rules: canonical names that the layout has no place for, before any rule.
        origin: the file, for the message.

    Returns:
        the tensors by the file's names, and what became of each canonical name (``source``).

    Raises:
        ModelError: two tensors would have the same name in the file; both are named.
    """
    return _renamed(tensors, [(rule.to_foreign, rule.transpose) for rule in reversed(rules)], skip_rules, origin)


def renamed(
    tensors: Mapping[str, NDArray[np.generic]], rename: Callable[[str], str], origin: str
) -> tuple[Tensors, tuple[KeyReport, ...]]:
    """Renames the tensors of a file by a function; results and errors as in :func:`to_canonical`."""
    return _renamed(tensors, [(rename, False)], (), origin)


def left_out(tensors: Mapping[str, NDArray[np.generic]], report: Iterable[KeyReport]) -> Tensors:
    """The tensors of a file that a report says were skipped."""
    return {entry.source: tensors[entry.source] for entry in report if entry.target is None and entry.source in tensors}


def _renamed(
    tensors: Mapping[str, NDArray[np.generic]],
    steps: Sequence[tuple[Callable[[str], str | None], bool]],
    skip_rules: Sequence[SkipRule],
    origin: str,
) -> tuple[Tensors, tuple[KeyReport, ...]]:
    """Applies each step, a renaming and whether it transposes, to what the ones before it made of a name."""
    result: Tensors = {}
    source_of: dict[str, str] = {}
    report = []
    for source, tensor in tensors.items():
        reason = _skip_reason(source, tensor, skip_rules)
        if reason is not None:
            report.append(KeyReport(source, None, f"skipped: {reason}"))
            continue
        target, transposed = source, False
        for rename, transposes in steps:
            renamed = rename(target)
            if renamed is not None:
                target, transposed = renamed, transposed ^ transposes
        if target in source_of:
            raise ModelError(
                f"{source_of[target]} and {source} are both {target}",
                "remove the one that does not belong to the model",
                origin=Origin(origin),
                code="weights-mismatch",
            )
        source_of[target] = source
        result[target] = tensor.T if transposed else tensor
        report.append(KeyReport(source, target, _action(source, target, transposed)))
    return result, tuple(report)


def refuse_unknown(names: Iterable[str], inside: Sequence[str], where: str) -> None:
    """Refuses names of the encoder that are none; what stands beside the encoder, such as a head, is free.

    Args:
        names: the canonical names.
        inside: what names of the encoder begin with, besides the prefixes of the families and the canonical modules.
        where: the file or the layout, for the message.

    Raises:
        ModelError: there are some; the first of them are named.
    """
    unknown = [
        name
        for name in names
        if (_OF_ENCODER.match(name) or name.startswith(tuple(inside))) and not _ENCODER_NAME.fullmatch(name)
    ]
    if unknown:
        more = f" and {len(unknown) - 8} more" if len(unknown) > 8 else ""
        raise ModelError(
            f"no rule of this layout knows {', '.join(unknown[:8])}{more}",
            "check that this is a BERT encoder, and the layout with --from NAME or --to NAME",
            origin=Origin(str(where)),
            code="layout-unknown",
        )


def joined_actions(first: str, second: str) -> str:
    """The actions of two renamings, one after the other, as one text."""
    actions = dict.fromkeys([*first.split(", "), *second.split(", ")])
    return ", ".join(action for action in actions if action != "copied") or "copied"


def _skip_reason(name: str, tensor: NDArray[np.generic], skip_rules: Sequence[SkipRule]) -> str | None:
    reason = next((rule.reason for rule in skip_rules if re.fullmatch(rule.pattern, name)), None)
    if reason is None and tensor.size == 1 and tensor.dtype.kind in "iub":
        return "a single whole number, as training scripts save the epoch"
    return "a text" if reason is None and tensor.dtype.kind == "U" else reason


def _compiled(pattern: str) -> re.Pattern[str]:
    # re.split with one group alternates literal text and names of fields.
    pieces = _FIELD.split(pattern)
    return re.compile(
        "".join(
            f"(?P<{piece}>{_FIELDS[piece]})" if index % 2 else re.escape(piece) for index, piece in enumerate(pieces)
        )
    )


def _action(source: str, target: str, transposed: bool) -> str:
    actions = ["renamed"] * (source != target) + ["transposed"] * transposed
    return ", ".join(actions) or "copied"
