"""The contract of a weight converter: how weights are stored elsewhere.

Not to be confused with transformers' own class ``WeightConverter``, which renames tensors inside transformers.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

MADE = "-"
"""Stands for the key of a tensor that is not in the file and was made by its reader."""


@dataclass(frozen=True)
class KeyReport:
    """What became of one key.

    Attributes:
        source: key in the file, or :data:`MADE`.
        target: canonical name, or None where the key was skipped.
        action: what was done: copied, renamed, transposed, or, each with the reason, skipped or made.
    """

    source: str
    target: str | None
    action: str


@dataclass(frozen=True)
class WeightSet:
    """Weights as a converter hands them over.

    Attributes:
        tensors: canonical names to arrays of any float dtype, or integers; not yet checked against a table. The
            family's prefix may be missing, as in a file of the bare encoder: :mod:`bertcore.weights.opening` adds it.
        config: content of ``config.json`` where one lies beside the weights, else None.
        folder: the folder in which tokenizer files may lie.
        report: one entry for each key of the source.
        left_out: tensors of the file that are none of the model, such as an optimizer's, by the file's names.
        notes: what the user should read.
    """

    tensors: Mapping[str, NDArray[np.generic]]
    config: Mapping[str, Any] | None = None
    folder: Path | None = None
    report: tuple[KeyReport, ...] = field(default_factory=tuple)
    left_out: Mapping[str, NDArray[np.generic]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class ModelParts:
    """A model as one program understands the tensors of a file.

    Names of parts: ``word``, ``position`` and ``token_type`` are tables of embeddings, ``embedding_norm`` and
    ``embedding_projection`` (ELECTRA) follow them. In each layer ``query``, ``key``, ``value``, ``attention_output``,
    ``attention_norm``, ``intermediate``, ``output``, ``output_norm``. On top ``pooler``, ``classifier``,
    ``classifier_dense`` and ``classifier_out`` (a head of two layers), ``summary`` (in the pooler's place), ``spans``;
    of a CRF ``transitions`` (from one tag, the row, to the next), ``start`` and ``end``.

    Attributes:
        tensors: the tensors by the names in the file, as they lie there.
        names: name of each part: the key in the file, which may have ``{layer}``, or, for a linear layer or a
            LayerNorm, the keys of its weight and its bias. Several choices, the first that is there counts.
        in_out: parts whose matrix the program multiplies from the right, as in ``x @ W``: ``[in, out]``. All others
            are ``[out, in]``, as in ``x @ W.T``.
    """

    tensors: Mapping[str, NDArray[np.generic]]
    names: Mapping[str, Sequence[str | tuple[str, str]]]
    in_out: frozenset[str] = frozenset()


class WeightConverter(ABC):
    """Base of all converters; an instance is registered by ``bertcore_register_converters``.

    Class attributes:
        name: as in ``bertcore convert --from NAME --to NAME``.
        description: one line.
        suffixes: which destinations are written in this layout when no ``--to`` is given: suffixes of files, and the
            empty string for a folder.
        writes: false for a layout that is only read.
    """

    name: ClassVar[str]
    description: ClassVar[str]
    suffixes: ClassVar[tuple[str, ...]] = ()
    writes: ClassVar[bool] = True

    @abstractmethod
    def recognizes(self, path: Path) -> bool:
        """Whether the file or folder looks like this layout; reads no more than it must, and never raises."""

    @abstractmethod
    def read(self, path: Path) -> WeightSet:
        """Reads the weights under canonical names.

        Raises:
            ModelError: the file is missing, damaged, refused, or holds a key that no rule knows.
        """

    @abstractmethod
    def write(self, weights: WeightSet, path: Path) -> tuple[KeyReport, ...]:
        """Writes the weights, complete or not at all, and reports what became of each canonical key.

        Raises:
            OutputError: the destination cannot be written.
            ModelError: the layout has no place for some of the weights, or no config where it needs one.
        """

    def parts(self, path: Path) -> ModelParts | None:
        """The tensors as they lie in the file, and what the layout's own program takes each of them for.

        :mod:`bertcore.weights.verification` computes a model from them, as a proof of :meth:`read` and
        :meth:`write`. So they must come from what is known of that program, never from the rules of conversion.
        None, the default: this layout cannot be verified.

        Raises:
            ModelError: the file is missing, damaged or refused.
        """
        return None
