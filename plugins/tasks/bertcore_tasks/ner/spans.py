"""JSON lines with entities as spans of characters, in CLUENER's form or as a list.

``{"text": ..., "label": {"name": {"叶老桂": [[9, 11]]}}}`` names surface, first and last character (inclusive);
``{"text": ..., "entities": [{"start": 9, "end": 12, "type": "name"}]}`` names the character behind the last one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bertcore.data.bad_examples import one_example
from bertcore.data.tables import read_json_lines
from bertcore.errors import DataError
from bertcore.tagging import Span

from bertcore_tasks.ner.units import Sentence, UnitKind, split_units
from bertcore_tasks.texts import identifier_of

GOLD_FIELDS = ("label", "entities")
PREDICTED_FIELDS = ("entities", "label")
"""Where gold and predicted entities are looked for, in this order: bertcore's own predictions hold both."""


def read_span_file(
    file: Path,
    unit: UnitKind,
    *,
    text_field: str = "text",
    label_field: str | None = None,
    labeled: bool = True,
    types: Sequence[str] | None = None,
) -> list[Sentence]:
    """Reads the texts of a file, each with its entities.

    Args:
        file: JSON lines.
        unit: how texts are split.
        text_field: the field of the text.
        label_field: the field of the entities; ``label``, else ``entities``, where None.
        labeled: whether each line must have its entities.
        types: that they may have; None for any.

    Raises:
        DataError: the file holds nothing, or a line is wrong (file, line and field).
    """
    fields = GOLD_FIELDS if label_field is None else (label_field,)
    sentences: list[Sentence] = []
    for number, (record, origin) in enumerate(read_json_lines(file)):
        with one_example:
            text = record.get(text_field)
            if not isinstance(text, str):
                problem = "is no text" if text_field in record else "is missing"
                remedy = 'write {"text": "...", "label": {...}}'
                raise DataError(f"{origin}: the field {text_field!r} {problem}", remedy)
            entities = read_entities(record, text, origin, fields)
            if entities is None and labeled:
                raise DataError(
                    f"{origin}: the field {fields[0]!r} is missing", "name the entities of each text, {} for none"
                )
            unknown = next((span.type for span in entities or () if types is not None and span.type not in types), None)
            if unknown is not None:
                raise DataError(f"{origin}: unknown type {unknown!r}", f"known types: {', '.join(types or ())}")
            identifier = identifier_of(record, "id", number)
            sentences.append(Sentence(identifier, {"text": text}, entities, origin, split_units(text, unit)))
    if not sentences:
        raise DataError(f"{file}: no text", "write one JSON object a line")
    return sentences


def read_entities(record: Mapping[str, Any], text: str, origin: str, fields: Sequence[str]) -> tuple[Span, ...] | None:
    """Reads the entities of a line.

    Args:
        record: the JSON object.
        text: that they must agree with.
        origin: where the line stands.
        fields: that may hold the entities; the first that is there does.

    Returns:
        The entities in order, each once; None where the line has none of the fields.

    Raises:
        DataError: a field has another form, or a span leaves the text or has another surface.
    """
    name = next((field for field in fields if field in record), None)
    if name is None:
        return None
    value = record[name]
    if isinstance(value, dict):
        spans = _from_surfaces(value, text, f"{origin}: {name}")
    elif isinstance(value, list):
        spans = [_from_object(item, text, f"{origin}: {name}[{number}]") for number, item in enumerate(value)]
    else:
        raise DataError(
            f"{origin}: the field {name!r} is neither an object nor a list",
            'write {type: {surface: [[first, last]]}} or [{"start": ..., "end": ..., "type": ...}]',
        )
    return tuple(sorted(set(spans)))


def surfaces(entities: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, list[list[int]]]]:
    """Entities as bertcore writes them, in CLUENER's form."""
    label: dict[str, dict[str, list[list[int]]]] = {}
    for entity in entities:
        places = label.setdefault(entity["type"], {}).setdefault(entity["text"], [])
        places.append([entity["start"], entity["end"] - 1])
    return label


def _from_surfaces(label: Mapping[str, Any], text: str, origin: str) -> list[Span]:
    spans: list[Span] = []
    for kind, by_surface in label.items():
        if not isinstance(by_surface, dict) or not kind:
            raise DataError(f"{origin}.{kind}: no object of surfaces", "write {surface: [[first, last]]} for each type")
        for surface, places in by_surface.items():
            where = f"{origin}.{kind}.{surface}"
            if not isinstance(places, list) or not all(_is_pair(place) for place in places):
                raise DataError(f"{where}: no list of [first, last]", "name the first and the last character, from 0")
            for first, last in places:
                spans.append(_checked(Span(first, last + 1, kind), surface, text, where))
    return spans


def _from_object(item: Any, text: str, origin: str) -> Span:
    remedy = 'write {"start": first character from 0, "end": the one behind the last, "type": "..."}'
    if not isinstance(item, dict):
        raise DataError(f"{origin}: no object", remedy)
    for field in ("start", "end", "type"):
        if field not in item:
            raise DataError(f"{origin}: the field {field!r} is missing", remedy)
    if not _is_pair([item["start"], item["end"]]):
        raise DataError(f"{origin}: start and end are no whole numbers", remedy)
    if not isinstance(item["type"], str) or not item["type"]:
        raise DataError(f"{origin}: the field 'type' is no text", remedy)
    surface = item.get("text")
    return _checked(Span(item["start"], item["end"], item["type"]), surface, text, origin)


def _checked(span: Span, surface: Any, text: str, origin: str) -> Span:
    if not 0 <= span.start < span.end:
        raise DataError(
            f"{origin}: the span from {span.start} to {span.end} (exclusive) is empty or begins before the text",
            "count characters from 0",
        )
    if span.end > len(text):
        raise DataError(
            f"{origin}: the span from {span.start} to {span.end} (exclusive) leaves the text of {len(text)} characters",
            "count characters, not bytes or tokens",
        )
    if surface is not None and text[span.start : span.end] != surface:
        raise DataError(
            f"{origin}: the text says {text[span.start : span.end]!r} there and not {surface!r}",
            "correct the offsets; they count characters, not bytes or tokens",
        )
    return span


def _is_pair(value: Any) -> bool:
    return (
        isinstance(value, list)
        and len(value) == 2
        and all(isinstance(number, int) and not isinstance(number, bool) for number in value)
    )
