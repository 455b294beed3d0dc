"""JSON lines with entities as spans of characters, in CLUENER's form or as a list.

``{"text": ..., "label": {"name": {"叶老桂": [[9, 11]]}}}`` names surface, first and last character (inclusive);
``{"text": ..., "entities": [{"start": 9, "end": 12, "type": "name"}]}`` names the character behind the last one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bertcore.contracts.tagging import Span
from bertcore.data.bad_examples import one_example
from bertcore.data.tables import read_json_lines
from bertcore.errors import DataError, Origin

from bertcore_tasks.fields import identifier_of, text_field
from bertcore_tasks.ner.span_lists import SpanReport, checked_span, read_span_list
from bertcore_tasks.ner.units import Sentence, UnitKind, split_units

GOLD_FIELDS = ("label", "entities")
PREDICTED_FIELDS = ("entities", "label")
"""Where gold and predicted entities are looked for, in this order: bertcore's own predictions hold both."""


def read_span_file(
    file: Path,
    unit: UnitKind,
    *,
    labeled: bool = True,
    types: Sequence[str] | None = None,
) -> list[Sentence]:
    """Reads the texts of a file, each with its entities.

    Args:
        file: JSON lines.
        unit: how texts are split.
        labeled: whether each line must have its entities.
        types: that they may have; None for any.

    Raises:
        DataError: the file holds nothing, or a line is wrong (file, line and field).
    """
    sentences: list[Sentence] = []
    for number, (record, origin) in enumerate(read_json_lines(file)):
        with one_example:
            text = text_field(record, "text", origin, 'write {"text": "...", "label": {...}}')
            entities = read_entities(record, text, origin, GOLD_FIELDS)
            if entities is None and labeled:
                raise DataError(
                    "the field 'label' is missing",
                    "name the entities of each text, {} for none",
                    origin=origin,
                    code="labels-missing",
                )
            unknown = next((span.type for span in entities or () if types is not None and span.type not in types), None)
            if unknown is not None:
                remedy = f"known types: {', '.join(types or ())}"
                raise DataError(f"unknown type {unknown!r}", remedy, origin=origin, code="label-unknown")
            identifier = identifier_of(record, "id", number)
            sentences.append(Sentence(identifier, {"text": text}, entities, origin, split_units(text, unit)))
    if not sentences:
        raise no_texts(file)
    return sentences


def no_texts(file: Path) -> DataError:
    """The error about a file without any text."""
    return DataError("no text", "write one JSON object a line", origin=Origin(str(file)), code="examples-missing")


def read_entities(
    record: Mapping[str, Any],
    text: str,
    origin: Origin,
    fields: Sequence[str],
    report: SpanReport | None = None,
    *,
    end_inside: bool | None = None,
    in_utf16: bool = False,
) -> tuple[Span, ...] | None:
    """Reads the entities of a line.

    Args:
        record: the JSON object.
        text: that they must agree with.
        origin: where the line stands.
        fields: that may hold the entities; the first that is there does.
        report: told what was repaired in lists of spans; None: nothing is.
        end_inside: whether the ends in lists name the last character; None: as their names say.
        in_utf16: whether the offsets in lists count an emoji as two, as JavaScript does.

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
        spans = _from_surfaces(value, text, origin.within(name))
    elif isinstance(value, list):
        spans = read_span_list(value, text, origin.within(name), report, end_inside=end_inside, in_utf16=in_utf16)
    else:
        raise DataError(
            f"the field {name!r} is neither an object nor a list",
            'write {type: {surface: [[first, last]]}} or [{"start": ..., "end": ..., "type": ...}]',
            origin=origin,
            code="span-wrong",
        )
    return tuple(sorted(set(spans)))


def surfaces(entities: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, list[list[int]]]]:
    """Entities as bertcore writes them, in CLUENER's form."""
    label: dict[str, dict[str, list[list[int]]]] = {}
    for entity in entities:
        places = label.setdefault(entity["type"], {}).setdefault(entity["text"], [])
        places.append([entity["start"], entity["end"] - 1])
    return label


def _from_surfaces(label: Mapping[str, Any], text: str, origin: Origin) -> list[Span]:
    spans: list[Span] = []
    for kind, by_surface in label.items():
        if not isinstance(by_surface, dict) or not kind:
            raise DataError(
                "no object of surfaces",
                "write {surface: [[first, last]]} for each type",
                origin=origin.within(f".{kind}"),
                code="span-wrong",
            )
        for surface, places in by_surface.items():
            where = origin.within(f".{kind}.{surface}")
            if not isinstance(places, list) or not all(_is_pair(place) for place in places):
                raise DataError(
                    "no list of [first, last]",
                    "name the first and the last character, from 0",
                    origin=where,
                    code="span-wrong",
                )
            for first, last in places:
                spans.append(checked_span(Span(first, last + 1, kind), surface, text, where))
    return spans


def _is_pair(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(type(number) is int for number in value)
