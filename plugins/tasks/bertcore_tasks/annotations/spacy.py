"""Training data of spaCy in JSON, which are no lists of objects: texts with their entities, and documents of version 2.

``[["text", {"entities": [[0, 4, "PER"]]}], ...]``, the same below ``annotations`` beside ``classes``, and
``[{"id": 0, "paragraphs": [{"raw": ..., "sentences": [{"tokens": [{"orth": ..., "ner": ...}]}]}]}]``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

from bertcore.data.tables import Record
from bertcore.errors import DataError, Origin

_PAIRS = re.compile(rb'\s*\[\s*\[\s*"')
_CLASSES = re.compile(rb'\s*\{\s*"classes"\s*:')
_PAIR_FORM = 'write ["text", {"entities": [[start, end, "TYPE"], ...]}]'


def spacy_records(content: bytes, name: str) -> list[Record] | None:
    """Reads a file in one of the first two forms; None for any other.

    Raises:
        DataError: it is no JSON, or an entry has another form (with its number).
    """
    if not (_PAIRS.match(content) or _CLASSES.match(content)):
        return None
    try:
        value = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise DataError(f"no JSON: {error}", _PAIR_FORM, origin=Origin(name), code="not-json") from None
    pairs = value.get("annotations") if isinstance(value, dict) else value
    if not isinstance(pairs, list):
        return None
    records: list[Record] = []
    for number, pair in enumerate(pairs):
        if pair is None:  # what the annotator of the web page skipped
            continue
        origin = Origin(name, part=f"[{number}]")
        if not isinstance(pair, list) or len(pair) != 2 or not isinstance(pair[1], dict):
            problem = "no pair of a text and its entities"
            raise DataError(problem, _PAIR_FORM, origin=origin, code="json-form-unknown")
        records.append(({"text": pair[0], "entities": pair[1].get("entities", [])}, origin))
    return records


def is_documents(fields: Any) -> bool:
    """Whether a record is a document of spaCy's version 2."""
    paragraphs = fields.get("paragraphs")
    return isinstance(paragraphs, list) and all(
        isinstance(paragraph, dict) and isinstance(paragraph.get("sentences"), list) for paragraph in paragraphs
    )


def sentences_of_documents(records: Sequence[Record]) -> list[Record]:
    """The sentences of documents, each with its tokens and their tags, BILUO as spaCy writes them."""
    sentences: list[Record] = []
    for document, origin in records:
        if not is_documents(document):
            raise DataError(
                "no document with 'paragraphs' of 'sentences'",
                "write it with spaCy's convert",
                origin=origin,
                code="json-form-unknown",
            )
        sentences += [(fields, origin) for fields in _sentences(document, origin)]
    if not sentences:
        problem = "no sentence in its documents"
        raise DataError(problem, "check the file", origin=records[0][1], code="examples-missing")
    return sentences


def _sentences(document: Any, origin: Origin) -> Iterator[dict[str, Any]]:
    for paragraph in document["paragraphs"]:
        for sentence in paragraph["sentences"]:
            tokens = sentence.get("tokens") if isinstance(sentence, dict) else None
            if not isinstance(tokens, list) or not all(isinstance(token, dict) and "orth" in token for token in tokens):
                form = 'each token is {"orth": "...", "ner": "..."}'
                raise DataError("a sentence without tokens", form, origin=origin, code="json-form-unknown")
            tags = [token.get("ner", "O") for token in tokens]
            yield {
                "tokens": [token["orth"] for token in tokens],
                "ner_tags": ["O" if t in ("-", "") else t for t in tags],
            }
