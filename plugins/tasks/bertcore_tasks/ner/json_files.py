"""Named entities in JSON: texts with spans, or tokens with tags, as people and their tools write them.

One object a line, or one list of objects: bertcore's and CLUENER's forms, doccano's, Label Studio's and prodigy's
exports, spaCy's training data, and what transformers' ``run_ner.py`` takes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bertcore.data.bad_examples import one_example
from bertcore.data.json_lists import json_records
from bertcore.data.table_files import TableForm, read_table
from bertcore.data.tables import Record, read_content
from bertcore.errors import DataError, Origin

from bertcore_tasks.annotations.export import plain_records
from bertcore_tasks.annotations.label_studio import is_minimal, is_tasks, text_of_task
from bertcore_tasks.annotations.spacy import is_documents, sentences_of_documents, spacy_records
from bertcore_tasks.fields import identifier_of
from bertcore_tasks.ner.span_files import no_texts, read_entities
from bertcore_tasks.ner.span_lists import SpanReport
from bertcore_tasks.ner.tagged_file import TaggedFile
from bertcore_tasks.ner.token_records import read_token_records, token_field
from bertcore_tasks.ner.units import Sentence, UnitKind, split_units
from bertcore_tasks.wording import counted

SUFFIXES = (".jsonl", ".json", ".ndjson")
TEXTS = ("text", "sentence", "content", "data")
SPANS = ("label", "labels", "entities", "spans")
"""Where texts and their spans are looked for, in this order: bertcore's own predictions have gold as ``label``."""


@dataclass(frozen=True)
class JsonForm:
    """How a file is read, as far as its content does not say.

    Attributes:
        text: the field of the text, or of the tokens.
        label: the field of the spans or tags, or the control of Label Studio.
        tag_names: of tags that are numbers; see :func:`bertcore_tasks.ner.token_records.tag_names`.
        end_inside: whether the end of a span names its last character; None: as its name says.
        encoding: of the file.
        in_utf16: whether offsets count an emoji as two, as Label Studio's do.
    """

    text: str | None = None
    label: str | None = None
    tag_names: str | None = None
    end_inside: bool | None = None
    encoding: str | None = None
    in_utf16: bool = False


def is_annotated_table(file: Path, encoding: str | None) -> bool:
    """Whether a CSV or TSV file is an export of Label Studio: whether its header is."""
    if file.suffix.lower() not in (".csv", ".tsv"):
        return False
    header = read_content(file, encoding).partition(b"\n")[0].decode("utf-8", "replace").strip()
    separator = "\t" if "\t" in header else ","
    return is_minimal(field.strip().strip('"') for field in header.split(separator))


def read_annotated(file: Path, form: JsonForm, *, labeled: bool) -> TaggedFile:
    """Reads a file.

    Args:
        file: of JSON, or a table of Label Studio.
        form: how it is read.
        labeled: whether each text must have its entities.

    Raises:
        DataError: the file holds nothing, or a record is wrong (file, line and field).
    """
    records: Sequence[Record] = _records(file, form.encoding)
    if not records:
        raise no_texts(file)
    if "result_list" in records[0][0] and "prompt" in records[0][0]:
        raise DataError(
            "a question of UIE (content, prompt, result_list), and no text with all its entities",
            "give the export of doccano or Label Studio that it was made of",
            origin=records[0][1],
            code="export-unusable",
        )
    is_export = is_tasks(records[0][0]) or is_minimal(records[0][0])
    plain = plain_records(records, file.name, "spans", form.label, keep_unlabeled=not labeled)
    records = plain.records
    if is_export:  # what its control marked is the field "label" now
        form = replace(form, label=None, in_utf16=True)
    if not records:
        raise DataError(
            "no text has an annotation",
            "annotate some, or give the file as --test",
            origin=Origin(str(file)),
            code="labels-missing",
        )
    if is_documents(records[0][0]):
        records = sentences_of_documents(records)
    fields = records[0][0]
    tokens = token_field(fields, form.text)
    if tokens is not None and not _has_text_and_spans(fields, form):
        read = read_token_records(records, file, tokens, form.label, form.tag_names, tagged=labeled)
    else:
        read = _texts(records, file, form, labeled)
    return replace(read, notes=(*plain.notes, *read.notes), left_out=(*plain.left_out, *read.left_out))


def read_unlabeled(file: Path, form: JsonForm) -> list[Record] | None:
    """Reads what ``bertcore predict`` does not by itself: Label Studio's tasks, and fields of other names.

    Returns:
        ``{"text": ...}`` or ``{"tokens": [...]}`` of each record; None where the file has these fields already.

    Raises:
        DataError: the file is no JSON, or a record has neither.
    """
    records = _records(file, form.encoding)
    first = records[0][0] if records else {}
    if is_tasks(first):
        records = [(text_of_task(fields, origin), origin) for fields, origin in records]
    elif not records or "text" in first or "tokens" in first:
        return None
    return [_input(fields, origin, form) for fields, origin in records]


def _input(fields: Mapping[str, Any], origin: Origin, form: JsonForm) -> Record:
    tokens = token_field(fields, form.text)
    name = next((name for name in (form.text, *TEXTS) if name and isinstance(fields.get(name), str)), None)
    if tokens is None and name is None:
        raise _no_text(fields, form.text or TEXTS[0], origin)
    value = {"text": fields[name]} if name is not None else {"tokens": fields[tokens or ""]}
    return {"id": fields.get("id"), **value}, origin


def split_texts(sentences: Sequence[Sentence], unit: UnitKind) -> list[Sentence]:
    """Texts in characters, split into the units that carry tags."""
    return [
        Sentence(one.identifier, one.texts, one.label, one.origin, split_units(one.text, unit)) for one in sentences
    ]


def _records(file: Path, encoding: str | None) -> list[Record]:
    if file.suffix.lower() not in SUFFIXES:
        return list(read_table(file, TableForm(encoding=encoding)).records)
    content = read_content(file, encoding)
    found = spacy_records(content, str(file))
    return found if found is not None else json_records(content, str(file), certain=True) or []


def _texts(records: Sequence[Record], file: Path, form: JsonForm, labeled: bool) -> TaggedFile:
    report, relations = SpanReport(), 0
    on_one_line = len(records) > 1 and records[0][1] == records[-1][1]  # where the line does not tell the record
    sentences: list[Sentence] = []
    for number, (fields, origin) in enumerate(records):
        with one_example:
            identifier = identifier_of(fields, "id", number)
            place = origin.within(f"text {identifier}") if on_one_line else origin
            name = form.text or next((name for name in TEXTS if isinstance(fields.get(name), str)), TEXTS[0])
            text = fields.get(name)
            if not isinstance(text, str):
                raise _no_text(fields, name, place)
            names = SPANS if form.label is None else (form.label,)
            entities = read_entities(
                fields, text, place, names, report, end_inside=form.end_inside, in_utf16=form.in_utf16
            )
            if entities is None and labeled:
                raise DataError(
                    f"the field {names[0]!r} is missing",
                    "name the entities of each text, {} for none",
                    origin=place,
                    code="labels-missing",
                )
            relations += len(fields["relations"]) if isinstance(fields.get("relations"), list) else 0
            sentences.append(Sentence(identifier, {"text": text}, entities, origin, split_units(text, "character")))
    if not sentences:
        raise no_texts(file)
    notes = report.notes(file.name)
    notes += [f"{file.name}: {counted(relations, 'relation')} not read"] if relations else []
    return TaggedFile(texts=sentences, notes=tuple(notes))


def _no_text(fields: Mapping[str, Any], name: str, origin: Origin) -> DataError:
    form = 'write {"text": "...", "label": {...}}'
    if name in fields:
        return DataError(f"the field {name!r} is no text", form, origin=origin, code="field-wrong")
    problem = f"the field {name!r} is missing"
    others = [key for key, value in fields.items() if isinstance(value, str)]
    if others:
        problem += f"; there {'is' if len(others) == 1 else 'are'} {', '.join(map(repr, others[:5]))}"
        form = f"name the field of the text: --set data.text={others[0]}"
    return DataError(problem, form, origin=origin, code="field-missing")


def _has_text_and_spans(fields: Mapping[str, Any], form: JsonForm) -> bool:
    if form.text is not None:
        return isinstance(fields.get(form.text), str)
    if not any(isinstance(fields.get(name), str) for name in TEXTS):
        return False
    names = SPANS if form.label is None else (form.label,)
    spans = next((fields[name] for name in names if fields.get(name)), None)
    if spans is None:  # no entity in the first text; tags would be there
        return not any(isinstance(fields.get(name), list) and fields[name] for name in ("ner_tags", "ner", "tags"))
    return isinstance(spans, dict) or (isinstance(spans, list) and isinstance(spans[0], dict | list))
