"""Entities as lists of spans, under the names that annotation tools and data sets give their parts.

``[{"start": 0, "end": 4, "type": "PER"}]`` (bertcore), ``[[0, 4, "PER"]]`` (doccano, spaCy), ``start_offset``,
``end_offset`` and ``label`` (doccano with relations), ``labels`` (Label Studio), ``label`` (prodigy), ``start_idx`` and
``end_idx`` (CBLUE, whose last character is inside).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bertcore.contracts.tagging import Span
from bertcore.errors import DataError, Origin

from bertcore_tasks.ner.invisible import bare
from bertcore_tasks.wording import counted

STARTS = ("start", "start_offset", "start_idx", "begin", "start_char")
ENDS = ("end", "end_offset", "end_idx", "end_char")
TYPES = ("type", "label", "labels", "entity_group", "entity_type", "tag")
SURFACES = ("text", "entity", "word", "mention", "surface")

FORM = 'write {"start": first character from 0, "end": the one behind the last, "type": "..."}'
_INSIDE = "end_idx"
"""The name of an end that is the last character itself."""


@dataclass
class SpanReport:
    """What reading lists of spans repaired or left out: how often, and where first."""

    trimmed: int = 0
    blank: int = 0
    recounted: int = 0
    first: Origin | None = None

    def notes(self, name: str) -> list[str]:
        """The report in words; ``name`` is that of the file."""
        told = (
            (self.trimmed, "with blanks at an end, which are not part of the entity: trimmed"),
            (self.blank, "of nothing but blanks left out"),
            (self.recounted, "whose offsets count an emoji as two characters, as JavaScript does: recounted"),
        )
        return [f"{name}: {counted(count, 'span')} {what} (first: {self.first})" for count, what in told if count]


def read_span_list(
    items: Sequence[Any],
    text: str,
    origin: Origin,
    report: SpanReport | None = None,
    *,
    end_inside: bool | None = None,
    in_utf16: bool = False,
) -> list[Span]:
    """Reads the spans of a text, in characters.

    Args:
        items: objects, or lists of start, end and type.
        text: that they must agree with.
        origin: where the list stands.
        report: told what was repaired; None: nothing is.
        end_inside: whether an end names the last character and not the one behind it; None: as its name says.
        in_utf16: whether offsets count an emoji as two, as JavaScript does; a surface that says otherwise wins.

    Raises:
        DataError: an item has another form, or its span leaves the text or has another surface.
    """
    spans: list[Span] = []
    for number, item in enumerate(items):
        where = origin.within(f"[{number}]")
        for start, end, kind, surface, inside in _parts(item, where):
            behind = end + (inside if end_inside is None else end_inside)
            span = _placed(Span(start, behind, kind), surface, text, in_utf16)
            if report is not None and not in_utf16 and (span.start, span.end) != (start, behind):
                report.recounted += 1
                report.first = report.first or where
            checked_span(span, surface, text, where)
            if report is not None:
                found = _trimmed(span, text, where, report)
                spans += [] if found is None else [found]
            else:
                spans.append(span)
    return spans


def checked_span(span: Span, surface: Any, text: str, origin: Origin) -> Span:
    """A span of characters that lies in its text and has the surface that is said.

    Raises:
        DataError: it does not.
    """
    if not 0 <= span.start < span.end:
        raise DataError(
            f"the span from {span.start} to {span.end} (exclusive) is empty or begins before the text",
            "count characters from 0",
            origin=origin,
            code="span-outside",
        )
    if span.end > len(text):
        raise DataError(
            f"the span from {span.start} to {span.end} (exclusive) leaves the text of {len(text)} characters",
            "count characters, not bytes or tokens",
            origin=origin,
            code="span-outside",
        )
    if surface is not None and text[span.start : span.end] != surface:
        remedy = "correct the offsets; they count characters, not bytes or tokens"
        if text[span.start : span.end + 1] == surface:
            remedy = "where an end names the last character itself: --set data.span_end=inside"
        problem = f"the text says {text[span.start : span.end]!r} there and not {surface!r}"
        raise DataError(problem, remedy, origin=origin, code="span-text-differs")
    return span


def _parts(item: Any, origin: Origin) -> Iterator[tuple[int, int, str, Any, bool]]:
    """Start, end, type and surface of each entity of an item, and whether its end lies inside."""
    if isinstance(item, list) and len(item) == 3:
        item = dict(zip(("start", "end", "type"), item, strict=True))
    if not isinstance(item, dict):
        raise DataError("no object, and no list of start, end and type", FORM, origin=origin, code="span-wrong")
    start, end, kind = (_name(item, names, origin) for names in (STARTS, ENDS, TYPES))
    first, last = _number(item[start]), _number(item[end])
    if first is None or last is None:
        raise DataError(f"{start} and {end} are no whole numbers", FORM, origin=origin, code="span-wrong")
    kinds = item[kind] if isinstance(item[kind], list) else [item[kind]]  # Label Studio lists several of one span
    if not kinds:
        raise DataError(f"the field {kind!r} names no type", FORM, origin=origin, code="span-wrong")
    surface = next((item[name] for name in SURFACES if name != kind and isinstance(item.get(name), str)), None)
    for one in kinds:
        if not isinstance(one, str) or not bare(one):
            problem = f"holds {one!r}, which is no text" if one not in ("", None) else "is no text"
            raise DataError(
                f"the field {kind!r} {problem}",
                "name each type; numbers have no names here",
                origin=origin,
                code="span-wrong",
            )
        yield first, last, bare(one), surface, end == _INSIDE


def _name(item: Mapping[str, Any], names: Sequence[str], origin: Origin) -> str:
    found = next((name for name in names if item.get(name) is not None), None)
    if found is None:
        raise DataError(f"the field {names[0]!r} is missing", FORM, origin=origin, code="span-wrong")
    return found


def _number(value: Any) -> int | None:
    """A whole number, also one that is written as text or with a decimal point."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except ValueError:
        return None
    return int(number) if number.is_integer() else None


def _placed(span: Span, surface: Any, text: str, in_utf16: bool) -> Span:
    """The span in characters, where its offsets may count those beyond the first 65536 as two."""
    if text.isascii() or span.start < 0 or not any(character > "\uffff" for character in text):
        return span
    units = text.encode("utf-16-le")
    start, end = (len(units[: 2 * place].decode("utf-16-le", "ignore")) for place in (span.start, span.end))
    counted = Span(start, end, span.type) if 2 * span.end <= len(units) else span
    first, second = (counted, span) if in_utf16 else (span, counted)
    if surface is None or _says(text, first, surface) or not _says(text, second, surface):
        return first
    return second


def _says(text: str, span: Span, surface: Any) -> bool:
    return span.end <= len(text) and text[span.start : span.end] == surface


def _trimmed(span: Span, text: str, origin: Origin, report: SpanReport) -> Span | None:
    surface = text[span.start : span.end]
    inner = surface.strip()
    if inner == surface:
        return span
    report.first = report.first or origin
    if not inner:
        report.blank += 1
        return None
    report.trimmed += 1
    start = span.start + len(surface) - len(surface.lstrip())
    return Span(start, start + len(inner), span.type)
