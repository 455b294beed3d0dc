"""What annotation tools export, against the entities that were put in: every form, what is chosen, what is left out."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bertcore.contracts.dataset import Dataset, LeftOut
from bertcore.contracts.tagging import Span
from bertcore.engine.preparation import reading_notes
from bertcore.errors import DataError, Origin
from bertcore.plugins.registry import Registry

TEXTS = ["Anna Stone lives in Paris.", "Nobody is here.", "小明在北京见了Bob。"]
ENTITIES = [
    [Span(0, 10, "PER"), Span(20, 25, "LOC")],
    [],
    [Span(0, 2, "PER"), Span(3, 5, "LOC"), Span(7, 10, "PER")],
]
Entities = list[list[Span]]


def opened(file: Path, **options: Any) -> Dataset:
    task = Registry().task("ner")
    return task.open(task.data_config(train=str(file), **options))


def read(file: Path, split: str = "train", **options: Any) -> tuple[list[str], Entities, list[str]]:
    """Texts, entities and notes of a file."""
    task = Registry().task("ner")
    dataset = task.open(task.data_config(**{split: str(file)}, **options))
    sentences: Any = dataset.split(split)
    return [s.text for s in sentences], [list(s.label or ()) for s in sentences], [*reading_notes(dataset, sentences)]


def lines(records: Any) -> str:
    return "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)


# The forms, each made of texts and entities


def doccano(texts: list[str], entities: Entities, name: str = "label") -> str:
    return lines(
        {"id": n, "text": text, name: [[s.start, s.end, s.type] for s in spans], "Comments": []}
        for n, (text, spans) in enumerate(zip(texts, entities, strict=True))
    )


def doccano_with_relations(texts: list[str], entities: Entities) -> str:
    return lines(
        {
            "id": n,
            "text": text,
            "entities": [
                {"id": i, "label": s.type, "start_offset": s.start, "end_offset": s.end} for i, s in enumerate(spans)
            ],
            "relations": [],
        }
        for n, (text, spans) in enumerate(zip(texts, entities, strict=True))
    )


def result(span: Span, text: str, control: str = "ner") -> dict[str, Any]:
    """What Label Studio writes for a marked span; its offsets are those of JavaScript."""

    def offset(place: int) -> int:
        return len(text[:place].encode("utf-16-le")) // 2

    value = {"start": offset(span.start), "end": offset(span.end), "text": text[span.start : span.end]}
    return {
        "id": "x",
        "from_name": control,
        "to_name": "text",
        "type": "labels",
        "value": {**value, "labels": [span.type]},
        "origin": "manual",
    }


def annotation(number: int, results: list[dict[str, Any]], updated: str = "2024-01-01T00:00:00Z", **more: Any) -> Any:
    return {"id": number, "completed_by": 1, "result": results, "created_at": updated, "updated_at": updated, **more}


def task(number: int, text: str, *annotations: Any, **more: Any) -> dict[str, Any]:
    return {"id": number, "data": {"text": text}, "annotations": list(annotations), "predictions": [], **more}


def label_studio(texts: list[str], entities: Entities) -> str:
    tasks = [
        task(n, text, annotation(n, [result(span, text) for span in spans]))
        for n, (text, spans) in enumerate(zip(texts, entities, strict=True))
    ]
    return json.dumps(tasks, ensure_ascii=False)


def minimal_records(texts: list[str], entities: Entities) -> list[dict[str, Any]]:
    """JSON-MIN; a text without entities has no field of the control."""
    records = []
    for n, (text, spans) in enumerate(zip(texts, entities, strict=True)):
        marked = {"label": [result(span, text)["value"] for span in spans]} if spans else {}
        about = {"annotator": 1, "annotation_id": n, "created_at": "2024", "updated_at": "2024", "lead_time": 1.5}
        records.append({"text": text, "id": n, **marked, **about})
    return records


def label_studio_table(texts: list[str], entities: Entities, separator: str = ",") -> str:
    records = minimal_records(texts, entities)
    stream = io.StringIO()
    names = sorted({key for record in records for key in record} | {"label"})
    writer = csv.DictWriter(stream, names, delimiter=separator, quoting=csv.QUOTE_NONNUMERIC)
    writer.writeheader()
    for record in records:
        if "label" in record:
            record["label"] = json.dumps(record["label"], ensure_ascii=False)
        writer.writerow(record)
    return stream.getvalue()


def prodigy(texts: list[str], entities: Entities) -> str:
    return lines(
        {
            "text": text,
            "_input_hash": n,
            "_task_hash": n,
            "tokens": [{"text": text, "start": 0, "end": len(text), "id": 0}],
            "spans": [{"start": s.start, "end": s.end, "token_start": 0, "label": s.type} for s in spans],
            "answer": "accept",
        }
        for n, (text, spans) in enumerate(zip(texts, entities, strict=True))
    )


def spacy_pairs(texts: list[str], entities: Entities) -> list[Any]:
    pairs = zip(texts, entities, strict=True)
    return [[text, {"entities": [[s.start, s.end, s.type] for s in spans]}] for text, spans in pairs]


def cblue(texts: list[str], entities: Entities) -> str:
    """CMeEE, whose ``end_idx`` is the last character."""
    return lines(
        {
            "text": text,
            "entities": [
                {"start_idx": s.start, "end_idx": s.end - 1, "type": s.type, "entity": text[s.start : s.end]}
                for s in spans
            ],
        }
        for text, spans in zip(texts, entities, strict=True)
    )


FORMS: dict[str, tuple[str, Any]] = {
    "doccano": ("a.jsonl", doccano),
    "doccano, labels": ("a.jsonl", lambda t, e: doccano(t, e, "labels")),
    "doccano, entities": ("a.jsonl", doccano_with_relations),
    "doccano called json": ("a.json", doccano),
    "Label Studio": ("a.json", label_studio),
    "Label Studio JSON-MIN": ("a.json", lambda t, e: json.dumps(minimal_records(t, e))),
    "Label Studio CSV": ("a.csv", label_studio_table),
    "Label Studio TSV": ("a.tsv", lambda t, e: label_studio_table(t, e, "\t")),
    "prodigy": ("a.jsonl", prodigy),
    "spaCy": ("a.json", lambda t, e: json.dumps(spacy_pairs(t, e))),
    "the web page for spaCy": (
        "a.json",
        lambda t, e: json.dumps({"classes": ["PER"], "annotations": [*spacy_pairs(t, e), None]}),
    ),
    "spaCy's spans in lines": ("a.jsonl", lambda t, e: doccano(t, e, "entities")),
    "CBLUE": ("a.json", cblue),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_export_gives_the_entities_that_were_marked(tmp_path: Path, form: str) -> None:
    name, write = FORMS[form]
    (tmp_path / name).write_text(write(TEXTS, ENTITIES), encoding="utf-8", newline="")
    texts, entities, notes = read(tmp_path / name)
    assert (texts, entities, notes) == (TEXTS, ENTITIES, [])


ALPHABET = "ab 北😀é\u3000-"


@st.composite
def marked_texts(draw: st.DrawFn) -> tuple[list[str], Entities]:
    """Texts with at least one entity, of which none begins or ends with a blank."""
    texts, entities = [], []
    for _ in range(draw(st.integers(1, 3))):
        text = "x" + draw(st.text(ALPHABET, max_size=12))
        places = draw(st.lists(st.tuples(st.integers(0, 12), st.integers(1, 5), st.sampled_from("AB")), max_size=3))
        spans = {Span(start, start + length, kind) for start, length, kind in places if start + length <= len(text)}
        spans = {s for s in spans if text[s.start : s.end] == text[s.start : s.end].strip()}
        texts.append(text)
        entities.append(sorted(spans))
    texts.append("end")
    entities.append([Span(0, 3, "A")])
    return texts, entities


@pytest.mark.parametrize("form", FORMS)
@given(marked=marked_texts())
@settings(deadline=None, max_examples=12)
def test_any_text_and_entities_come_back(
    tmp_path_factory: pytest.TempPathFactory, form: str, marked: tuple[list[str], Entities]
) -> None:
    """Overlapping entities, emoji (which Label Studio counts twice) and wide blanks among them."""
    name, write = FORMS[form]
    file = tmp_path_factory.mktemp("any") / name
    file.write_text(write(*marked), encoding="utf-8", newline="")
    texts, entities, _ = read(file)
    assert (texts, entities) == marked


# Several annotators, cancelled annotations, predictions


def test_of_several_annotations_the_truth_or_the_latest_is_read(tmp_path: Path) -> None:
    text = TEXTS[0]
    person, place = (result(span, text) for span in ENTITIES[0])
    early, late = "2024-01-01T10:00:00Z", "2024-01-02T09:00:00Z"
    tasks = [
        task(1, text, annotation(1, [person, place], late), annotation(2, [person], early)),
        task(2, text, annotation(3, [place], early), annotation(4, [person], late, was_cancelled=True)),
        task(3, text, annotation(5, [place], early, ground_truth=True), annotation(6, [person], late)),
        task(4, text, annotation(7, [person], early), annotation(8, [person], late)),
        task(5, text, annotation(9, [person], late, was_cancelled=True)),
        task(6, text, predictions=[{"result": [place], "score": 0.9}]),
        task(7, text, annotation(10, [person, {"type": "relation", "from_id": "x", "to_id": "x"}])),
        task(8, text, annotation(11, [{"from_name": "mood", "type": "choices", "value": {"choices": ["glad"]}}])),
    ]
    file = tmp_path / "tasks.json"
    file.write_text(json.dumps(tasks), encoding="utf-8")
    _, entities, notes = read(file)
    per, loc = ENTITIES[0]
    assert entities == [[per, loc], [loc], [loc], [per], [per], []]
    assert notes == [
        "tasks.json: 3 texts with several annotations, 2 of them with different ones: read is the ground truth, else "
        "the latest (first: task 1)",
        "tasks.json: 2 texts without an annotation left out (first: task 5)",
        "tasks.json: 2 cancelled annotations not read",
        "tasks.json: predictions of a model in 1 text are no labels and not read",
        "tasks.json: 1 relation not read",
        "tasks.json: 1 result of other kinds not read",
    ]
    texts, _, notes = read(file, "test")
    assert len(texts) == 8, "a file to predict is read whole"
    assert "tasks.json: 2 texts without an annotation unlabeled (first: task 5)" in notes


def test_old_exports_of_label_studio_have_other_names(tmp_path: Path) -> None:
    text = TEXTS[0]
    completions = [{"id": 1, "result": [result(ENTITIES[0][0], text)], "created_at": 1600000000, "skipped": False}]
    file = tmp_path / "tasks.json"
    file.write_text(json.dumps([{"id": 1, "data": {"text": text}, "completions": completions}]))
    assert read(file)[1] == [[ENTITIES[0][0]]]


def test_a_control_of_label_studio_can_be_chosen(tmp_path: Path) -> None:
    text = TEXTS[0]
    per, loc = ENTITIES[0]
    both = annotation(1, [result(per, text, "people"), result(loc, text, "places")])
    file = tmp_path / "tasks.json"
    file.write_text(json.dumps([task(1, text, both), task(2, text, annotation(2, [result(loc, text, "places")]))]))
    assert read(file)[1] == [[per, loc], [loc]]
    assert read(file, label="people")[1] == [[per], []]
    assert read(file, label="places")[1] == [[loc], [loc]]


def test_annotators_of_a_table_of_label_studio_are_chosen_among_as_well(tmp_path: Path) -> None:
    first, second = minimal_records([TEXTS[0]], [ENTITIES[0]]) + minimal_records([TEXTS[0]], [ENTITIES[0][:1]])
    second |= {"annotation_id": 9, "updated_at": "2025"}
    file = tmp_path / "a.json"
    file.write_text(json.dumps([second, first]))
    _, entities, notes = read(file)
    assert entities == [ENTITIES[0][:1]]
    assert len(notes) == 1
    assert notes[0].startswith("a.json: 1 text with several annotations, 1 of them with different ones")


def test_conll_of_label_studio_is_a_file_of_columns(tmp_path: Path) -> None:
    """Its tokenizer parts words and signs, and its lines are ``token -X- _ tag``."""
    tokens = [("Anna", "B-PER"), ("Stone", "I-PER"), ("lives", "O"), ("in", "O"), ("Paris", "B-Big City"), (".", "O")]
    content = "-DOCSTART- -X- O\n" + "".join(f"{token} -X- _ {tag}\n" for token, tag in tokens) + "\n"
    file = tmp_path / "result.conll"
    file.write_text(content)
    texts, entities, notes = read(file)
    assert texts == ["Anna Stone lives in Paris ."]
    assert entities == [[ENTITIES[0][0], Span(20, 25, "Big City")]]
    assert notes == []


@pytest.mark.parametrize(
    "content",
    [
        label_studio(TEXTS, ENTITIES),
        json.dumps([{"id": n, "sentence": text} for n, text in enumerate(TEXTS)]),
        lines([{"id": n, "text": text, "label": "whatever"} for n, text in enumerate(TEXTS)]),
    ],
    ids=["Label Studio", "another field", "labels are of no account"],
)
def test_texts_of_an_export_are_read_for_predicting(tmp_path: Path, content: str) -> None:
    from bertcore.engine.prediction_input import read_input

    file = tmp_path / "input.json"
    file.write_text(content, encoding="utf-8")
    found = Registry().task("ner")
    options = found.data_config()
    examples = found.parse_input(read_input(file, found, options).records, options)
    assert [(example.identifier, example.texts["text"]) for example in examples] == [*zip("012", TEXTS, strict=True)]


def test_what_prodigys_annotator_rejected_is_left_out(tmp_path: Path) -> None:
    first, *others = prodigy(TEXTS, ENTITIES).splitlines()
    file = tmp_path / "a.jsonl"
    file.write_text("\n".join([first.replace("accept", "reject"), *others]) + "\n", encoding="utf-8")
    texts, _, notes = read(file)
    assert texts == TEXTS[1:]
    assert notes == ["a.jsonl: 1 example that prodigy's annotator rejected or ignored left out"]
    (left_out,) = opened(file).split("train").left_out
    assert left_out == LeftOut("0", Origin(str(file), 1), "the annotator's answer is 'reject'")


# What is repaired, and what is refused


def test_relations_and_blanks_are_counted(tmp_path: Path) -> None:
    text = " Anna  met Bob "
    record = {
        "text": text,
        "entities": [
            {"label": "PER", "start_offset": 0, "end_offset": 6},
            {"label": " PER ", "start_offset": 11, "end_offset": 14},
            {"label": "GAP", "start_offset": 5, "end_offset": 7},
        ],
        "relations": [{"from_id": 1, "to_id": 2, "type": "met"}] * 2,
    }
    file = tmp_path / "a.jsonl"
    file.write_text(lines([record]))
    _, entities, notes = read(file)
    assert [text[span.start : span.end] for span in entities[0]] == ["Anna", "Bob"]
    assert {span.type for span in entities[0]} == {"PER"}
    place = f"{file}:1: entities"
    assert notes == [
        f"a.jsonl: 1 span with blanks at an end, which are not part of the entity: trimmed (first: {place}[0])",
        f"a.jsonl: 1 span of nothing but blanks left out (first: {place}[0])",
        "a.jsonl: 2 relations not read",
    ]


@pytest.mark.parametrize(
    ("record", "cause", "remedy"),
    [
        ({"text": "Anna", "label": [[0, 9, "PER"]]}, ":2: label[0]: the span from 0 to 9 (exclusive) leaves", "count"),
        (
            {"text": "Anna", "label": [[3, 3, "PER"]]},
            ":2: label[0]: the span from 3 to 3 (exclusive) is empty",
            "count",
        ),
        ({"text": "Anna", "label": [["PER", 0, 4]]}, ":2: label[0]: start and end are no whole numbers", "write"),
        (
            {"text": "Anna", "label": [[0, 4, 3]]},
            ":2: label[0]: the field 'type' holds 3, which is no text",
            "name each",
        ),
        ({"text": "Anna", "label": "PER"}, ":2: the field 'label' is neither an object nor a list", "write"),
        (
            {"text": "Anna", "entities": [{"start": 0, "end": 3, "label": "PER", "text": "Anna"}]},
            ":2: entities[0]: the text says 'Ann' there and not 'Anna'",
            "--set data.span_end=inside",
        ),
        ({"title": "Anna", "label": []}, ":2: the field 'text' is missing; there is 'title'", "--set data.text=title"),
        ({"content": "Anna", "result_list": [], "prompt": "人名"}, ":2: the field 'label' is missing", "name the"),
    ],
)
def test_what_cannot_be_read_is_named_with_its_line(
    tmp_path: Path, record: dict[str, Any], cause: str, remedy: str
) -> None:
    file = tmp_path / "a.jsonl"
    file.write_text(lines([{"text": "Bob", "label": [[0, 3, "PER"]]}, record]), encoding="utf-8")
    with pytest.raises(DataError) as caught:
        opened(file)
    assert f"a.jsonl{cause}" in caught.value.cause
    assert remedy in caught.value.remedy


def test_ends_that_name_the_last_character_are_read_on_request(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    file.write_text(lines([{"text": "Anna left", "entities": [{"start": 0, "end": 3, "type": "PER", "text": "Anna"}]}]))
    assert read(file, span_end="inside")[1] == [[Span(0, 4, "PER")]]


@pytest.mark.parametrize(
    ("name", "content", "cause", "remedy"),
    [
        ("a.jsonl", '{"content": "a", "result_list": [], "prompt": "人名"}\n', "a question of UIE", "doccano"),
        ("a.ann", "T1\tPER 0 4\tAnna\n", "brat's standoff annotations", "anntoconll"),
        ("a.spacy", "x", "spaCy's binary documents", "JSON lines"),
        ("a.tsv", "#FORMAT=WebAnno TSV 3.3\n\n#Text=Anna\n1-1\t0-4\tAnna\tPER\n", "TSV of WebAnno", "CoNLL"),
        ("a.json", json.dumps([task(1, "Anna")]), "no text has an annotation", "--test"),
    ],
)
def test_other_forms_are_named(tmp_path: Path, name: str, content: str, cause: str, remedy: str) -> None:
    file = tmp_path / name
    file.write_text(content, encoding="utf-8")
    with pytest.raises(DataError) as caught:
        opened(file)
    assert name in caught.value.cause
    assert cause in caught.value.cause
    assert remedy in caught.value.remedy
    assert "\n" not in caught.value.cause + caught.value.remedy


def test_a_text_of_a_file_on_one_line_is_named_by_its_task(tmp_path: Path) -> None:
    good, bad = result(ENTITIES[0][0], TEXTS[0]), result(ENTITIES[0][0], TEXTS[0])
    bad["value"] |= {"end": 99}
    file = tmp_path / "tasks.json"
    file.write_text(json.dumps([task(n, TEXTS[0], annotation(n, [one])) for n, one in ((7, good), (8, bad))]))
    with pytest.raises(DataError, match=r"tasks\.json:1: text 8: label\[0\]: the span from 0 to 99"):
        opened(file)


def test_offsets_that_count_as_javascript_are_told_where_the_surface_says_so(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    file.write_text(lines([{"text": "😀 Anna", "entities": [{"start": 3, "end": 7, "label": "PER", "text": "Anna"}]}]))
    _, entities, notes = read(file)
    assert entities == [[Span(2, 6, "PER")]]
    assert len(notes) == 1
    assert "1 span whose offsets count an emoji as two characters" in notes[0]


def test_predictions_in_iob1_are_scored_in_iob1(tmp_path: Path) -> None:
    data, predictions = tmp_path / "dev.txt", tmp_path / "predicted.txt"
    data.write_text("Bob I-PER\nAnna B-PER\nleft O\n")
    predictions.write_text("Bob I-PER\nAnna B-PER\nleft I-PER\n")
    found = Registry().task("ner")
    options = found.data_config(path=str(data), scheme="IOB1")
    dataset = found.open(options)
    result = found.score(dataset.split("dev"), dataset.labels, predictions, options)
    # Predicted are Bob and "Anna left"; Bob is right: precision 1/2, recall 1/2.
    assert result.metrics["f1"] == 0.5


JUNK = [None, True, -1, 2.5, "", " ", "x", [], {}, [[]], [{}], ["a"], [1], 10**30, [None], "\u200b"]


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path to every part of a JSON value."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(found for key, part in inner for found in places(part, (*path, key)))]


@given(st.sampled_from([name for name, (file, _) in FORMS.items() if file.startswith("a.json")]), st.data())
@settings(deadline=None, max_examples=80)
def test_a_damaged_export_is_read_or_named(
    tmp_path_factory: pytest.TempPathFactory, form: str, data: st.DataObject
) -> None:
    """Any part of a file may hold anything: the reader gives texts, or an error of one line that names the file."""
    name, write = FORMS[form]
    content = write(TEXTS, ENTITIES)
    by_lines = not form.startswith(("Label Studio", "spaCy", "the web")) or "lines" in form
    values = [json.loads(line) for line in content.splitlines()] if by_lines else json.loads(content)
    *path, key = data.draw(st.sampled_from(places(values)[1:]))
    part = values
    for step in path:
        part = part[step]
    part[key] = data.draw(st.sampled_from(JUNK))
    file = tmp_path_factory.mktemp("damaged") / name
    file.write_text(lines(values) if by_lines else json.dumps(values), encoding="utf-8")
    error = None
    try:
        read(file)
    except DataError as caught:
        error = caught
    assert error is None or (file.name in error.cause and "\n" not in error.cause + error.remedy)
