"""Proves a conversion by numbers: the model is computed from both files, each by its own program's semantics.

Nothing here knows the rules of conversion. A converter hands over the tensors as they lie in its file and what the
program that the file is for takes each of them for (:class:`bertcore.contracts.converter.ModelParts`); the equations
of BERT (Devlin et al. 2019, arXiv 1810.04805) are computed from them in float64, with numpy. A matrix that the rules
turned the wrong way, or a query in the place of a key, changes the numbers, even where every shape fits.

    source file      -- rules -->  canonical tensors  -- rules -->  destination file
         |                                                               |
    parts(), as its own program reads it                            parts(), as its own program reads it
         |                                                               |
    float64 outputs  ------------ equal to 1e-5 of the largest -------  float64 outputs
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bertcore.contracts.bert_config import BertConfig
from bertcore.contracts.converter import ModelParts
from bertcore.errors import ModelError, Origin
from bertcore.tokenization.tokenizer import Tokenizer
from bertcore.weights.computed_model import Array, ComputedModel

TOLERANCE = 1e-5
"""The largest difference, as a part of the larger of 1 and the largest value of the source."""

_TEXTS = (
    ("The keel of the ship was laid in 1911.", "It was launched a year later."),
    ("No weapons were found, officials said on Tuesday.", "They found some."),
    ("她在北京大学学习了四年。", "她是学生。"),
    ("海钓比赛地点在厦门与金门之间的海域。", "The quick brown fox jumps over the lazy dog!"),
)
_LONGEST_ROW = 32
_SHORTEST_ROW = 8
_RANDOM_ROWS = (3, 7, 12)
"""Where there is no tokenizer: lengths of rows of ids that look random and are always the same."""

_OPTIONAL = ("embedding_projection", "pooler", "classifier", "classifier_dense", "classifier_out", "summary", "spans")
_CRF = ("transitions", "start", "end")


@dataclass(frozen=True)
class Difference:
    """How far one kind of output differs.

    Attributes:
        output: ``hidden states``, ``pooled output``, ``logits``, ``start and end logits`` or ``score of tags``.
        largest: the largest difference of two values.
        reference: the largest value of the source.
    """

    output: str
    largest: float
    reference: float

    @property
    def limit(self) -> float:
        """What the largest difference may be."""
        return TOLERANCE * max(1.0, self.reference)

    @property
    def is_within(self) -> bool:
        """Whether it is small enough; no number at all is not."""
        return self.largest <= self.limit


@dataclass(frozen=True)
class Verification:
    """What a conversion was proved by.

    Attributes:
        rows: rows of tokens that both sides computed.
        tokens: how many tokens they have together.
        text: what the tokens are: real text, or ids without a tokenizer.
        differences: one for each kind of output.
    """

    rows: int
    tokens: int
    text: str
    differences: tuple[Difference, ...]

    @property
    def summary(self) -> str:
        """One line for people."""
        found = ", ".join(f"{item.output} {item.largest:.1e} (limit {item.limit:.1e})" for item in self.differences)
        return f"verified on {self.rows} rows of {self.text}, {self.tokens} tokens; largest differences: {found}"


def verify(
    source: ModelParts, destination: ModelParts, config: BertConfig | None, folder: Path | None, origin: str
) -> Verification:
    """Computes a model from both files and compares all that it gives.

    Args:
        source: the tensors of the source.
        destination: those of the destination.
        config: sizes and constants; without one, heads of 64 and the constants of BERT.
        folder: where the tokenizer's files may lie.
        origin: both files, for the message.

    Raises:
        ModelError: an output differs by more than :data:`TOLERANCE`, only one side has a part, or the files hold no
            encoder that can be computed.
    """
    expected_model = ComputedModel(source, config, f"{origin}: source")
    found_model = ComputedModel(destination, config, origin)
    _compare_parts(expected_model, found_model, origin)
    try:
        rows, text = _rows(expected_model, folder)
        outputs = [model.outputs(rows) for model in (expected_model, found_model)]
    except (ValueError, IndexError) as error:
        raise ModelError(
            f"verification failed: the shapes do not fit each other: {error}",
            "check that the layout is the right one: --from NAME",
            origin=Origin(origin),
            code="verification-failed",
        ) from error
    differences = []
    for name, expected in outputs[0].items():
        found = outputs[1][name]
        if found.shape != expected.shape:
            raise ModelError(
                f"verification failed: {name} have the shape {list(found.shape)} instead of {list(expected.shape)}",
                "report this as a defect of the converter",
                origin=Origin(origin),
                code="verification-failed",
            )
        differences.append(Difference(name, float(np.abs(found - expected).max()), float(np.abs(expected).max())))
    result = Verification(len(rows), sum(len(ids) for ids, _ in rows), text, tuple(differences))
    wrong = [item for item in differences if not item.is_within]
    if wrong:
        raise ModelError(
            "verification failed: "
            + ", ".join(f"{item.output} differ by {item.largest:.2g} (limit {item.limit:.1e})" for item in wrong),
            "nothing was written; the source is not what its layout says, or the converter has a defect",
            origin=Origin(origin),
            code="verification-failed",
        )
    return result


def _compare_parts(source: ComputedModel, result: ComputedModel, origin: str) -> None:
    """Refuses what only one side has, before anything is computed."""
    if source.layers != result.layers:
        raise ModelError(
            f"verification failed: {result.layers} layers instead of {source.layers}",
            "report this as a defect of the converter",
            origin=Origin(origin),
            code="verification-failed",
        )
    for part in (*_OPTIONAL, *_CRF):
        if source.has(part) != result.has(part):
            which = "the result lacks" if source.has(part) else "only the result has"
            raise ModelError(
                f"verification failed: {which} {part.replace('_', ' ')}",
                "choose a layout that has a place for it, or leave --verify out",
                origin=Origin(origin),
                code="verification-failed",
            )


def _rows(model: ComputedModel, folder: Path | None) -> tuple[list[tuple[Array, Array]], str]:
    """Token ids and types of some rows, and what they are."""
    vocabulary = len(model.tensor("word"))
    longest = min(len(model.tensor("position")) - model.offset, _LONGEST_ROW)
    if longest < 1:
        raise ValueError(f"there is no position {model.offset}")
    types = len(model.tensor("token_type")) if model.has("token_type") else 1
    if folder is not None and longest >= _SHORTEST_ROW:
        try:
            encoded = Tokenizer.load(folder).encode([text for text, _ in _TEXTS], [pair for _, pair in _TEXTS], longest)
        except ModelError:
            encoded = None
        if encoded is not None and max(map(max, encoded.input_ids)) < vocabulary:
            pairs = zip(encoded.input_ids, encoded.token_type_ids, strict=True)
            return [(np.array(ids), np.array(types)) for ids, types in pairs], "English and Chinese text"
    generator = np.random.default_rng(0)
    lengths = [min(length, longest) for length in _RANDOM_ROWS]
    return [
        (generator.integers(0, vocabulary, length), generator.integers(0, types, length)) for length in lengths
    ], "token ids drawn by chance (there is no tokenizer)"
