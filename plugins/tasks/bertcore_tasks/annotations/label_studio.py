"""Label Studio's exports: JSON (tasks with all their annotations), JSON-MIN, CSV and TSV (a record an annotation).

Of several annotations of a text, the one marked as ground truth is read, else the one that was changed last. Cancelled
annotations, predictions of models and drafts are none.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from bertcore.contracts.dataset import LeftOut
from bertcore.data.tables import Record
from bertcore.errors import DataError, Origin

from bertcore_tasks.annotations.plain_records import PlainRecords
from bertcore_tasks.fields import identifier_of
from bertcore_tasks.wording import counted

Kind = Literal["spans", "labels"]

LABEL = "label"
ANNOTATIONS = ("annotations", "completions")
"""Where a task holds its annotations; the second name is that of the first versions."""

_OF_KIND = {"spans": ("labels", "hypertextlabels"), "labels": ("choices", "rating", "number", "taxonomy")}
_MINIMAL = frozenset({"annotation_id", "annotator", "lead_time"})
_ABOUT = _MINIMAL | {"created_at", "updated_at", "agreement", "was_cancelled"}
_KNOWN = _ABOUT | {"id", "text", "sentence", "text_pair"}
_AGAIN = "export the project from Label Studio again"


def is_tasks(fields: Mapping[str, Any]) -> bool:
    """Whether a record is a task of the JSON export."""
    return isinstance(fields.get("data"), dict) and any(
        isinstance(fields.get(name), list) for name in (*ANNOTATIONS, "predictions")
    )


def is_minimal(fields: Iterable[str]) -> bool:
    """Whether the names of fields are those of the JSON-MIN, CSV and TSV exports."""
    return set(fields) >= _MINIMAL


def of_tasks(
    records: Sequence[Record], name: str, kind: Kind, label: str | None, *, keep_unlabeled: bool
) -> PlainRecords:
    """Reads the tasks of the JSON export; arguments as :func:`bertcore_tasks.annotations.export.plain_records`."""
    report = _Report()
    found: list[tuple[dict[str, Any], Origin, dict[str, Any] | None]] = []
    controls: dict[str, None] = {}
    for task, origin in records:
        data = text_of_task(task, origin)
        values = _values_of_task(task, origin, kind, report)
        controls.update(dict.fromkeys(values or ()))
        if values is not None or keep_unlabeled:
            found.append((data, origin, values))
    control = _control([*controls], name, kind, label)
    plain_records: list[Record] = []
    for plain, origin, values in found:
        plain |= values or {}
        # A text in which nothing was marked has no entity; one of which nothing was chosen has no label.
        if kind == "labels":
            plain |= dict.fromkeys([LABEL, *([] if control is None else [control])], (values or {}).get(control or ""))
        elif values is not None:
            plain[LABEL] = _merged(values, control)
        plain_records.append((plain, origin))
    left_out = () if keep_unlabeled else tuple(report.without)
    return PlainRecords(
        plain_records, tuple(report.notes(name, "unlabeled" if keep_unlabeled else "left out")), left_out
    )


def text_of_task(task: Mapping[str, Any], origin: Origin) -> dict[str, Any]:
    """What is annotated in a task, with the task's ``id``.

    Raises:
        DataError: the task holds none.
    """
    data = task.get("data")
    if not isinstance(data, dict):
        raise DataError("no object 'data' with the text", _AGAIN, origin=origin, code="export-unusable")
    return {**data, "id": task.get("id", data.get("id"))}


def of_minimal(records: Sequence[Record], name: str, kind: Kind, label: str | None) -> PlainRecords:
    """Reads the records of JSON-MIN, CSV or TSV; arguments as for :func:`of_tasks`."""
    report = _Report()
    by_task: dict[str, list[Record]] = {}
    for number, (fields, origin) in enumerate(records):
        if str(fields.get("was_cancelled", "")).lower() in ("true", "1"):
            report.cancelled += 1
        else:
            name_of_task = identifier_of(fields, "id", number)
            by_task.setdefault(name_of_task, []).append((fields, origin))
    chosen = []
    for task, several in by_task.items():
        fields, origin = max(several, key=lambda record: _when(record[0]))
        if len(several) > 1:
            report.several.append(task)
            report.differing += any(_answers(one) != _answers(fields) for one, _ in several)
        chosen.append(({key: _parsed(value) for key, value in fields.items()}, origin))
    controls = dict.fromkeys(key for fields, _ in chosen for key, value in fields.items() if _is_of_kind(value, kind))
    if kind == "labels" and not controls and label is None:  # a single choice of each text is a plain text itself
        others = dict.fromkeys(key for fields, _ in chosen for key in fields if key not in _KNOWN)
        controls = others if len(others) == 1 else controls
    control = label if kind == "labels" and label is not None else _control([*controls], name, kind, label)
    plain_records: list[Record] = []
    for fields, origin in chosen:
        plain = dict(fields)
        if kind == "spans":
            plain[LABEL] = _merged({key: _list_of_spans(fields.get(key), key, origin) for key in controls}, control)
        elif control is not None:
            value = fields.get(control)
            plain[control] = value["choices"] if isinstance(value, dict) and "choices" in value else value
            plain[LABEL] = plain[control]
        plain_records.append((plain, origin))
    return PlainRecords(plain_records, tuple(report.notes(name, "left out")))


def _values_of_task(task: Mapping[str, Any], origin: Origin, kind: Kind, report: _Report) -> dict[str, Any] | None:
    """What the chosen annotation of a task says, by control; None where there is no annotation."""
    given: list[Any] = next((task[name] for name in ANNOTATIONS if isinstance(task.get(name), list)), [])
    annotations = [one for one in given if isinstance(one, dict)]
    valid = [one for one in annotations if not (one.get("was_cancelled") or one.get("skipped"))]
    report.cancelled += len(annotations) - len(valid)
    report.predicted += bool(task.get("predictions"))
    if not valid:
        report.without.append(LeftOut(str(task.get("id", origin)), origin, "no annotation"))
        return None
    truth = [one for one in valid if one.get("ground_truth")] or valid
    chosen = max(truth, key=_when)
    if len(valid) > 1:
        report.several.append(str(task.get("id", origin)))
        answers = [_comparable(one, kind) for one in valid]
        report.differing += any(answer != answers[0] for answer in answers)
    values: dict[str, Any] = {}
    results = chosen.get("result") or []
    if not isinstance(results, list) or not all(isinstance(result, dict) for result in results):
        raise DataError("'result' is no list of objects", _AGAIN, origin=origin, code="export-unusable")
    for result in results:
        _add_result(values, result, origin, kind, report)
    return values


def _add_result(values: dict[str, Any], result: Mapping[str, Any], origin: Origin, kind: Kind, report: _Report) -> None:
    of_type, value, control = result.get("type"), result.get("value"), str(result.get("from_name"))
    if of_type == "relation":
        report.relations += 1
    elif of_type not in _OF_KIND[kind] or not isinstance(value, dict) or (kind == "labels" and "start" in value):
        report.others += 1
    elif kind == "spans":
        values.setdefault(control, []).append(_span(value, of_type, origin))
    else:
        given = value.get(of_type)
        if of_type == "taxonomy" and isinstance(given, list):
            given = ["/".join(map(str, path)) if isinstance(path, list) else path for path in given]
        values[control] = given[0] if isinstance(given, list) and len(given) == 1 else given


def _span(value: Mapping[str, Any], of_type: str, origin: Origin) -> dict[str, Any]:
    place = value.get("globalOffsets", value)
    if not isinstance(place, dict) or not all(isinstance(place.get(end), int) for end in ("start", "end")):
        raise DataError(
            "a span whose start and end are no characters of a text, but places in HTML",
            "export with global offsets (granularity of the interface), or annotate texts and not HTML",
            origin=origin,
            code="export-unusable",
        )
    span = {"start": place["start"], "end": place["end"], "labels": value.get(of_type) or value.get("labels") or []}
    return {**span, "text": value["text"]} if "text" in value and place is value else span


def _list_of_spans(value: Any, name: str, origin: Origin) -> list[Any]:
    if value not in (None, "") and not isinstance(value, list):
        problem = f"the field {name!r} is no list of spans"
        raise DataError(problem, "export the project again", origin=origin, code="export-unusable")
    return value or []


def _merged(values: Mapping[str, Any], control: str | None) -> list[Any]:
    """The spans of one control, or of all."""
    return [*values.get(control, [])] if control is not None else [span for spans in values.values() for span in spans]


def _control(controls: Sequence[str], name: str, kind: Kind, label: str | None) -> str | None:
    """The control that is read; None where spans of all of them are."""
    if label in controls or kind == "spans":
        return label if label in controls else None
    if len(controls) > 1:
        raise DataError(
            f"the annotators chose by several controls, {', '.join(map(repr, controls))}",
            f"name the one that is the label: --set data.label={controls[0]}",
            origin=Origin(name),
            code="labels-ambiguous",
        )
    return controls[0] if controls else None


def _is_of_kind(value: Any, kind: Kind) -> bool:
    """Whether a field of JSON-MIN or CSV holds what was annotated; a plain text may be anything."""
    if kind == "labels":
        return isinstance(value, dict) and "choices" in value
    return isinstance(value, list) and bool(value) and all(isinstance(one, dict) and "start" in one for one in value)


def _parsed(value: Any) -> Any:
    """The field of a table as JSON-MIN has it: lists and objects stand there as JSON."""
    if isinstance(value, str) and value[:2] in ("[{", "[]", '{"'):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value


def _when(annotation: Mapping[str, Any]) -> tuple[str, str]:
    return str(annotation.get("updated_at") or annotation.get("created_at") or ""), str(
        annotation.get("id", annotation.get("annotation_id", ""))
    ).zfill(12)


def _comparable(annotation: Mapping[str, Any], kind: Kind) -> list[str]:
    results = [
        one for one in annotation.get("result") or [] if isinstance(one, dict) and one.get("type") in _OF_KIND[kind]
    ]
    return sorted(json.dumps([one.get("from_name"), one.get("value")], sort_keys=True) for one in results)


def _answers(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in fields.items() if key not in _ABOUT}


@dataclass
class _Report:
    """What was chosen or left out, by kind."""

    several: list[str] = field(default_factory=list)
    differing: int = 0
    without: list[LeftOut] = field(default_factory=list)
    cancelled: int = 0
    predicted: int = 0
    relations: int = 0
    others: int = 0

    def notes(self, name: str, fate: str) -> list[str]:
        """The report in words; ``fate`` is what became of texts without an annotation."""
        notes = []
        if self.several:
            notes.append(
                f"{counted(len(self.several), 'text')} with several annotations, {self.differing} of them with "
                f"different ones: read is the ground truth, else the latest (first: task {self.several[0]})"
            )
        if self.without:
            notes.append(
                f"{counted(len(self.without), 'text')} without an annotation {fate} (first: task "
                f"{self.without[0].identifier})"
            )
        if self.cancelled:
            notes.append(f"{counted(self.cancelled, 'cancelled annotation')} not read")
        if self.predicted and self.without:
            notes.append(f"predictions of a model in {counted(self.predicted, 'text')} are no labels and not read")
        if self.relations:
            notes.append(f"{counted(self.relations, 'relation')} not read")
        if self.others:
            notes.append(f"{counted(self.others, 'result')} of other kinds not read")
        return [f"{name}: {note}" for note in notes]
