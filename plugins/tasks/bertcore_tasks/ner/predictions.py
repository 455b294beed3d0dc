"""Files of predictions, of bertcore or of any other program, for ``bertcore score``.

Columns: the sentences of the split in their order, a unit and its predicted tag a line (the last column; gold tags may
stand between them, as conlleval wants it). JSON lines (``.json``, ``.jsonl``): CLUENER's form or a list of entities,
each text by its ``id``, or in the order of the split.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bertcore.contracts.tagging import SCHEMES, Span, check_tag, chunks, spans_to_tags
from bertcore.data.tables import read_json_lines
from bertcore.errors import DataError, Origin

from bertcore_tasks.ner.columns import Columns, read_columns
from bertcore_tasks.ner.scoring import Prediction
from bertcore_tasks.ner.span_files import PREDICTED_FIELDS, read_entities
from bertcore_tasks.ner.tags import Clean, TaggedLines, check_tags
from bertcore_tasks.ner.units import Sentence, align

JSON_LINES = (".json", ".jsonl")

_OTHER_SPLIT = "check that the predictions are those of this split"


def read_predictions(
    file: Path, sentences: Sequence[Sentence], scheme: str, columns: Columns, clean: Clean | None
) -> list[Prediction]:
    """Reads the predictions of all sentences.

    Args:
        file: of columns or JSON lines, as its suffix says.
        sentences: of the split.
        scheme: of the tags in columns.
        columns: which of them holds the units and which the predicted tags.
        clean: turns the units of the file into those of the text.

    Raises:
        DataError: the file is damaged, lacks a sentence, holds another one, or does not agree with a text (file, line).
    """
    if file.suffix.lower() in JSON_LINES:
        return _from_json_lines(file, sentences, scheme)
    read = read_columns(file, columns).sentences
    words = [lines.words for lines in read] if clean is None else clean(read)
    return _from_columns(file, read, words, sentences, scheme)


def _from_columns(
    file: Path, read: Sequence[TaggedLines], words: Sequence[list[str]], sentences: Sequence[Sentence], scheme: str
) -> list[Prediction]:
    predictions: list[Prediction] = []
    for sentence, lines, found in zip(sentences, read, words, strict=False):
        expected = sentence.words
        for line, word, wanted in zip(lines.lines, found, expected, strict=False):
            if word != wanted:
                raise DataError(
                    f"{word!r} where {sentence.origin} and what follows says {wanted!r}",
                    "keep the sentences and their lines in the order of the split",
                    origin=Origin(str(file), line),
                    code="predictions-shifted",
                )
        if len(found) != len(expected):
            raise DataError(
                f"a sentence of {len(found)} lines where {sentence.origin} has {len(expected)}",
                "predict every line, and keep the blank lines between sentences",
                origin=Origin(str(file), lines.lines[0]),
                code="predictions-shifted",
            )
        check_tags(file, lines, scheme, None)
        assert lines.tags is not None
        predictions.append(Prediction.of_tags(sentence, lines.tags, scheme))
    if len(read) != len(sentences):
        raise DataError(
            f"{len(read)} sentences instead of {len(sentences)}",
            "predict every sentence of the split once",
            origin=Origin(str(file)),
            code="predictions-shifted",
        )
    return predictions


def _from_json_lines(file: Path, sentences: Sequence[Sentence], scheme: str) -> list[Prediction]:
    places = {sentence.identifier: index for index, sentence in enumerate(sentences)}
    predictions: list[Prediction | None] = [None] * len(sentences)
    for number, (record, origin) in enumerate(read_json_lines(file)):
        identifier = str(record.get("id", number))
        if identifier not in places:
            problem = f"there is no text with the id {identifier!r}"
            raise DataError(problem, _OTHER_SPLIT, origin=origin, code="prediction-unknown")
        index = places[identifier]
        if predictions[index] is not None:
            problem = f"a second prediction for the id {identifier!r}"
            raise DataError(problem, "leave one of them out", origin=origin, code="prediction-repeated")
        sentence = sentences[index]
        if record.get("text", sentence.text) != sentence.text:
            problem = f"another text than {sentence.origin}, which has the id {identifier!r}"
            raise DataError(problem, _OTHER_SPLIT, origin=origin, code="prediction-unknown")
        # In bertcore's own lines, which hold the tags, too, a label is the gold one.
        own = "tags" in record
        fields = PREDICTED_FIELDS[:1] if own else PREDICTED_FIELDS
        entities = read_entities(record, sentence.text, origin, fields)
        if entities is None:
            problem = "the field 'entities' is missing" if own else "neither the field 'label' nor 'entities'"
            raise DataError(problem, "name the entities, if only {}", origin=origin, code="field-missing")
        predictions[index] = _of_entities(sentence, entities, record.get("tags"), scheme)
    read = [prediction for prediction in predictions if prediction is not None]
    if len(read) != len(sentences):
        missing = next(sentence for sentence, found in zip(sentences, predictions, strict=True) if found is None)
        raise DataError(
            f"no prediction for {len(sentences) - len(read)} of {len(sentences)} texts, the first has the id "
            f"{missing.identifier!r}",
            "predict every text of the split once",
            origin=Origin(str(file)),
            code="prediction-missing",
        )
    return read


def _of_entities(sentence: Sentence, entities: Sequence[Span], written: Any, scheme: str) -> Prediction:
    """What a line says; a file of bertcore's own holds the tags, too, from which conlleval reads more than entities."""
    tags = spans_to_tags(align(entities, sentence.units).spans, len(sentence.units), scheme)
    if not isinstance(written, list) or len(written) != len(tags) or not all(_is_tag(tag) for tag in written):
        return Prediction(tags, entities, entities)
    known = all(check_tag(tag, scheme) is None for tag in written)
    return Prediction(written if known else tags, entities, [sentence.in_characters(span) for span in chunks(written)])


def _is_tag(value: Any) -> bool:
    return isinstance(value, str) and any(check_tag(value, scheme) is None for scheme in SCHEMES)
