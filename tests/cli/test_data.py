"""``bertcore data check`` and ``bertcore data convert``: real data, every mistake, and what a picture shows."""

from __future__ import annotations

import json
import shutil
import struct
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Command = Callable[..., Any]


def rows_of(file: Path) -> list[list[str]]:
    """The lines of a TSV file without its header, read without bertcore."""
    return [line.split("\t") for line in file.read_text(encoding="utf-8").split("\n")[1:] if line]


def checked(command: Command, *arguments: object, code: int = 0) -> dict[str, Any]:
    outcome = command("data", "check", *arguments, "--json")
    assert outcome.code == code, outcome.err
    found = json.loads(outcome.out)
    assert isinstance(found, dict)
    return found


# data check


@pytest.fixture(scope="module")
def rte_report(rte_dir: Path, tiny_en: Path) -> dict[str, Any]:
    """What is found in the whole of RTE, with the tokens of a model."""
    from bertcore.commands.check_data.check import check_data
    from bertcore.commands.check_data.presentation import report_json
    from bertcore.config import gather_settings
    from bertcore.engine.settings import resolve_run
    from bertcore.plugins.registry import Registry

    registry = Registry()
    options = {"task": "rte", "data.path": str(rte_dir), "model.path": str(tiny_en), "data.max_length": 128}
    return report_json(
        check_data(resolve_run(gather_settings(environment={}, options=options), registry).config, registry)
    )


def test_sizes_and_labels_of_rte(rte_report: dict[str, Any], rte_dir: Path) -> None:
    splits = rte_report["splits"]
    assert {name: split["examples"] for name, split in splits.items()} == {"train": 2490, "dev": 277, "test": 3000}
    for name in ("train", "dev"):
        assert splits[name]["labels"] == Counter(row[3] for row in rows_of(rte_dir / f"{name}.tsv"))
        assert splits[name]["unlabeled"] == 0
    assert (splits["test"]["labels"], splits["test"]["unlabeled"]) == ({}, 3000)
    assert rte_report["errors"] == {}
    assert rte_report["label_differences"] == {}


def test_lengths_of_rte_are_those_of_transformers(rte_report: dict[str, Any], rte_dir: Path, tiny_en: Path) -> None:
    transformers = pytest.importorskip("transformers")
    tokenizer = transformers.AutoTokenizer.from_pretrained(tiny_en)
    rows = rows_of(rte_dir / "dev.tsv")
    encoded = tokenizer([row[1] for row in rows], [row[2] for row in rows])["input_ids"]
    tokens = sorted(map(len, encoded))
    characters = sorted(len(row[1]) + len(row[2]) for row in rows)
    dev = rte_report["splits"]["dev"]
    for values, found in ((tokens, dev["tokens"]), (characters, dev["characters"])):
        assert found["longest"] == values[-1]
        assert found["mean"] == pytest.approx(sum(values) / len(values))
        for percent in (50, 90, 95, 99):
            least = next(value for value in values if sum(v <= value for v in values) >= percent / 100 * len(values))
            assert found[f"percentile_{percent}"] == least
    assert dev["truncated"] == sum(length > 128 for length in tokens)
    assert (dev["rows"], dev["windowed"]) == (277, 0)


def test_duplicates_of_rte_are_those_that_a_dictionary_finds(rte_report: dict[str, Any], rte_dir: Path) -> None:
    texts = {
        split: [tuple(row[1:3]) for row in rows_of(rte_dir / f"{split}.tsv")] for split in ("train", "dev", "test")
    }
    for split, pairs in texts.items():
        repeated = rte_report["splits"][split]["repeated"]
        assert repeated["count"] == len(pairs) - len(set(pairs))
        for place in repeated["first"]:
            first, second = (pairs[int(place[key].partition(":")[2]) - 2] for key in ("example", "repeats"))
            assert first == second
    assert rte_report["splits"]["train"]["repeated"]["count"] > 0


@pytest.fixture
def odd_rte(tmp_path: Path) -> Path:
    """A few pairs: some twice, in two splits, with two labels, empty, and a label that is missing in one split."""
    folder = tmp_path / "odd"
    folder.mkdir()
    header = "index\tsentence1\tsentence2\tlabel"
    train = [
        "0\ta\tb\tentailment",
        "1\tc\td\tentailment",
        "2\ta\tb\tnot_entailment",
        "3\ta\tb\tentailment",
        "4\t \t\tentailment",
    ]
    dev = ["0\tx\ty\tentailment", "1\tc\td\tentailment"]
    for name, lines in (("train", train), ("dev", dev)):
        (folder / f"{name}.tsv").write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    return folder


def test_every_example_that_reading_left_out_is_named_for_programs(bertcore_command: Command, odd_rte: Path) -> None:
    file = odd_rte / "dev.tsv"
    file.write_text(file.read_text(encoding="utf-8") + "2\tp\tq\t-\n", encoding="utf-8")
    found = checked(bertcore_command, "--task", "rte", "--data", odd_rte)
    reason = "'-': the annotators did not agree"
    assert found["splits"]["dev"]["left_out"] == [{"id": "2", "place": f"{file}:4", "reason": reason}]
    assert found["splits"]["train"]["left_out"] == []


def test_duplicates_conflicts_and_empty_texts(bertcore_command: Command, odd_rte: Path) -> None:
    found = checked(bertcore_command, "--task", "rte", "--data", odd_rte)
    train = found["splits"]["train"]
    train_file, dev_file = odd_rte / "train.tsv", odd_rte / "dev.tsv"
    assert (train["repeated"]["count"], train["repeated"]["conflicting"]) == (2, 1)
    assert train["repeated"]["first"][0] == {"example": f"{train_file}:4", "repeats": f"{train_file}:2"}
    assert train["empty"] == {"count": 1, "first": [f"{train_file}:6"]}
    assert train["tokens"] is None
    assert found["across"] == [
        {
            "splits": ["train", "dev"],
            "count": 1,
            "conflicting": 0,
            "first": [{"example": f"{dev_file}:3", "repeats": f"{train_file}:3"}],
        }
    ]
    assert found["label_differences"] == {"dev": {"not_in_train": [], "only_in_train": ["not_entailment"]}}
    assert found["splits"]["dev"]["labels"] == {"entailment": 2, "not_entailment": 0}
    text = bertcore_command("data", "check", "--task", "rte", "--data", odd_rte).out
    assert (
        f"duplicates  2 examples, 1 with another label: {train_file}:4 repeats {train_file}:2, {train_file}:5" in text
    )
    assert f"in train and dev: 1 example: {dev_file}:3 repeats {train_file}:3" in text
    assert "labels of train that dev has not: not_entailment" in text
    assert f"empty       1 (20.0 %): {train_file}:6" in text
    assert text.splitlines()[-1] == "2 of 2 splits can be used, 7 examples"


def test_every_split_that_cannot_be_read_is_named(bertcore_command: Command, copied_rte: Path) -> None:
    """With its first bad lines; the others, and its other lines, are looked at all the same."""
    shutil.copy(copied_rte / "dev.tsv", copied_rte / "test.tsv")
    ragged, unknown = "1\tx\ty\tz\ttoo many", "1\tx\ty\tperhaps"
    for split, changes in (
        ("train", {5: unknown, 7: unknown}),
        ("dev", {2: unknown, **dict.fromkeys(range(9, 15), ragged)}),
    ):
        lines = (copied_rte / f"{split}.tsv").read_text(encoding="utf-8").split("\n")
        for line, change in changes.items():
            lines[line - 1] = change
        (copied_rte / f"{split}.tsv").write_text("\n".join(lines), encoding="utf-8")
    found = checked(bertcore_command, "--task", "rte", "--data", copied_rte, code=4)
    assert set(found["errors"]) == {"train", "dev"}
    train, dev = found["errors"]["train"], found["errors"]["dev"]
    assert (train["count"], dev["count"], len(dev["first"])) == (2, 7, 5)
    for error, line in zip(train["first"], (5, 7), strict=True):
        assert f"train.tsv:{line}: unknown label 'perhaps'" in error["cause"]
    for error, line in zip(dev["first"], (2, 9, 10, 11, 12), strict=True):
        assert f"dev.tsv:{line}: {'unknown label' if line == 2 else '5 fields instead of 4'}" in error["cause"]
    assert all(error["remedy"] for error in (*train["first"], *dev["first"]))
    assert [found["splits"][split]["examples"] for split in ("train", "dev", "test")] == [
        len((copied_rte / "train.tsv").read_text(encoding="utf-8").strip().split("\n")) - 1 - 2,
        30 - 7,
        30,
    ]
    outcome = bertcore_command("data", "check", "--task", "rte", "--data", copied_rte)
    assert outcome.code == 4
    assert outcome.out.count("error in train: ") == 2
    assert outcome.out.count("error in dev: ") == 5
    assert "2 more errors in dev" in outcome.out
    assert outcome.last_line == "1 of 3 splits can be used, 30 examples"


def test_windows_entities_and_notes(bertcore_command: Command, shared: Path, chinese_l12: Path, tmp_path: Path) -> None:
    """People's Daily: entities by type, and sentences in several windows."""
    for name in ("example.train", "example.dev"):
        sentences = (shared / "data" / "people_daily_ner" / name).read_text(encoding="utf-8").split("\n\n")
        (tmp_path / name).write_text("\n\n".join(sentences[:60]) + "\n\n", encoding="utf-8")
    arguments = ("--task", "people_daily", "--data", tmp_path, "--model", chinese_l12, "--set", "data.max_length=32")
    found = checked(bertcore_command, *arguments)
    for split in ("train", "dev"):
        blocks = (tmp_path / f"example.{split}").read_text(encoding="utf-8").strip().split("\n\n")
        sentences = [[line.split() for line in block.splitlines()] for block in blocks]
        begins = Counter(tag[2:] for sentence in sentences for _, tag in sentence if tag.startswith("B-"))
        report = found["splits"][split]
        assert report["labels"] == begins
        assert report["tokens"]["longest"] == max(map(len, sentences)) + 2
        assert report["windowed"] == sum(len(sentence) > 30 for sentence in sentences)
        assert report["rows"] > 60
        assert report["truncated"] == 0
        assert any("overlapping windows" in note for note in report["notes"])


def test_a_regression(bertcore_command: Command, shared: Path, tmp_path: Path) -> None:
    folder = shared / "data" / "glue" / "STS-B"
    found = checked(bertcore_command, "--task", "stsb", "--data", folder)
    scores = [float(row[-1]) for row in rows_of(folder / "dev.tsv")]
    numbers = found["splits"]["dev"]["numbers"]
    assert (numbers["smallest"], numbers["largest"]) == (min(scores), max(scores))
    assert numbers["mean"] == pytest.approx(sum(scores) / len(scores))
    assert found["splits"]["dev"]["labels"] == {}
    texts = {split: [tuple(row[7:9]) for row in rows_of(folder / f"{split}.tsv")] for split in ("train", "dev", "test")}
    assert {tuple(entry["splits"]): entry["count"] for entry in found["across"]} == {
        (first, second): sum(pair in set(texts[first]) for pair in texts[second])
        for first, second in (("train", "dev"), ("train", "test"), ("dev", "test"))
    }


def test_own_files(bertcore_command: Command, tmp_path: Path) -> None:
    """Labels that are discovered, in files that are named one by one."""
    train, dev = tmp_path / "a.csv", tmp_path / "b.csv"
    train.write_text("text,label\none,red\ntwo,blue\nthree,red\n", encoding="utf-8")
    dev.write_text("text,label\nfour,blue\none,blue\n", encoding="utf-8")
    found = checked(bertcore_command, "--task", "classification", "--train", train, "--dev", dev)
    assert sorted(found["labels"]) == ["blue", "red"]
    assert found["splits"]["train"]["labels"] == {"blue": 1, "red": 2}
    (across,) = found["across"]
    assert (across["count"], across["conflicting"]) == (1, 1)


@pytest.mark.parametrize("in_folder", [False, True])
@pytest.mark.parametrize("task", ["classification", "ner", "qa"])
def test_the_first_bad_line_of_each_own_file(
    bertcore_command: Command, tiny_en: Path, tmp_path: Path, task: str, in_folder: bool
) -> None:
    """Also of the training file, from which labels are discovered; the others are looked at all the same."""
    suffix, good, bad, place = {
        "classification": ("csv", "text,label\none,red\ntwo,blue\n", "text,label\none,red\ntwo,\n", "3: the field"),
        "ner": ("bio", "Ann B-PER\nsleeps O\n", "Ann B-PER\nsleeps X-PER\n", "2: "),
        "qa": ("jsonl", QUESTION, QUESTION + '{"question": "Who?"}\n', "2: "),
    }[task]
    files = {split: tmp_path / f"{split}.{suffix}" for split in ("train", "dev", "test")}
    for split, content in (("train", bad), ("dev", bad), ("test", good)):
        files[split].write_text(content, encoding="utf-8")
    options = [part for split, file in files.items() for part in (f"--{split}", file)]
    source = ("--task", task, "--model", tiny_en, *(["--data", tmp_path] if in_folder else options))
    found = checked(bertcore_command, *source, code=4)
    assert list(found["errors"]) == ["train", "dev"]
    for split, errors in found["errors"].items():
        (error,) = errors["first"]
        assert f"{split}.{suffix}:{place}" in error["cause"]
        assert error["remedy"]
    assert found["splits"]["test"]["examples"] == found["splits"]["test"]["rows"] == good.count("\n") // len(files) + 1
    files["dev"].write_text(good, encoding="utf-8")
    found = checked(bertcore_command, *source, code=4)
    assert list(found["errors"]) == ["train"]
    assert found["splits"]["dev"]["examples"] == found["splits"]["test"]["examples"]
    outcome = bertcore_command("data", "check", *source)
    assert (outcome.code, outcome.err) == (4, "")
    assert f"error in train: {found['errors']['train']['first'][0]['cause']}" in outcome.out
    assert outcome.last_line.startswith("2 of 3 splits can be used, ")


QUESTION = '{"question": "Who sleeps?", "context": "Ann sleeps.", "answers": [{"text": "Ann", "answer_start": 0}]}\n'


def test_files_that_are_wrong_together_are_refused(bertcore_command: Command, tmp_path: Path) -> None:
    """Where each by itself can be read, the cause is said as a run says it."""
    for suffix in ("csv", "jsonl"):
        (tmp_path / f"train.{suffix}").write_text("text,label\none,red\ntwo,blue\n", encoding="utf-8")
    outcome = bertcore_command("data", "check", "--task", "classification", "--data", tmp_path)
    assert outcome.code == 4
    assert "both train.csv and train.jsonl" in outcome.err


def test_several_labels_are_checked_and_converted(bertcore_command: Command, tiny_en: Path, tmp_path: Path) -> None:
    """With the head that a run chooses for them."""
    for split in ("train", "dev"):
        lines = [{"text": "one", "label": ["red", "blue"]}, {"text": "two", "label": []}]
        content = "".join(f"{json.dumps(line)}\n" for line in lines)
        (tmp_path / f"{split}.jsonl").write_text(content, encoding="utf-8")
    source = ("--task", "classification", "--data", tmp_path, "--model", tiny_en, "--set", "data.multi_label=true")
    found = checked(bertcore_command, *source)
    assert found["splits"]["train"]["rows"] == 2
    output = tmp_path / "records"
    outcome = bertcore_command("data", "convert", *source, "--to", "jsonl", "--output", output)
    assert outcome.code == 0, outcome.err
    rows = [json.loads(line) for line in (output / "train.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [row["label_ids"] for row in rows] == [[1, 1], [0, 0]]


def test_records_are_checked_with_their_checksums(
    bertcore_command: Command, small_rte: Path, tiny_en: Path, tmp_path: Path
) -> None:
    records = tmp_path / "records"
    source = ("--task", "rte", "--data", small_rte, "--model", tiny_en)
    assert bertcore_command("data", "convert", *source, "--to", "tfrecord", "--output", records).code == 0
    found, expected = (
        checked(bertcore_command, "--task", "rte", "--data", data, "--model", tiny_en) for data in (records, small_rte)
    )
    for split in ("train", "dev"):
        for key in ("examples", "labels", "characters", "tokens", "rows", "truncated"):
            assert found["splits"][split][key] == expected["splits"][split][key], key
    content = bytearray((records / "dev.tf_record").read_bytes())
    content[len(content) // 2] ^= 1
    (records / "dev.tf_record").write_bytes(content)
    found = checked(bertcore_command, "--task", "rte", "--data", records, code=4)
    assert set(found["errors"]) == {"dev"}
    assert "is damaged (wrong checksum)" in found["errors"]["dev"]["first"][0]["cause"]


def test_a_picture(bertcore_command: Command, odd_rte: Path, tiny_en: Path, tmp_path: Path) -> None:
    file = tmp_path / "pictures" / "rte.png"
    arguments = ("--task", "rte", "--data", odd_rte, "--model", tiny_en, "--picture", file)
    assert bertcore_command("data", "check", *arguments).code == 0
    content = file.read_bytes()
    assert content.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", content[16:24])
    assert width > height > 200


def test_a_picture_shows_lengths_and_shares(odd_rte: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The bars are the shares of the labels, the steps those of the lengths, the dotted line the limit."""
    from matplotlib.figure import Figure

    from bertcore.commands.check_data.check import check_data
    from bertcore.commands.check_data.picture import draw_report
    from bertcore.config import gather_settings
    from bertcore.engine.settings import resolve_run
    from bertcore.plugins.registry import Registry

    drawn: list[Figure] = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, *_, **__: drawn.append(figure))
    registry = Registry()
    settings = gather_settings(environment={}, options={"task": "rte", "data.path": str(odd_rte)})
    draw_report(check_data(resolve_run(settings, registry).config, registry), tmp_path / "x.png")
    lengths, labels = drawn[0].axes
    assert lengths.get_xlabel() == "characters of an example"
    assert [bar.get_height() for bar in labels.patches] == pytest.approx([80, 20, 100, 0])
    assert [tick.get_text() for tick in labels.get_xticklabels()] == ["entailment", "not_entailment"]


def font_with(characters: str, name: str, file: Path) -> Path:
    """A font that has these characters, each as a filled square."""
    builder = pytest.importorskip("fontTools.fontBuilder").FontBuilder(1000, isTTF=True)
    pen = pytest.importorskip("fontTools.pens.ttGlyphPen").TTGlyphPen(None)
    pen.moveTo((0, 0))
    for corner in ((0, 800), (800, 800), (800, 0)):
        pen.lineTo(corner)
    pen.closePath()
    square = pen.glyph()
    names = {ord(character): f"u{ord(character):04X}" for character in characters}
    builder.setupGlyphOrder([".notdef", *names.values()])
    builder.setupCharacterMap(names)
    builder.setupGlyf(dict.fromkeys([".notdef", *names.values()], square))
    builder.setupHorizontalMetrics(dict.fromkeys([".notdef", *names.values()], (1000, 0)))
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupNameTable({"familyName": name, "styleName": "Regular"})
    builder.setupOS2(sTypoAscender=800, usWinAscent=800, usWinDescent=200)
    builder.setupPost()
    builder.save(file)
    return file


@pytest.mark.parametrize("has_font", [True, False])
def test_a_picture_of_labels_in_any_script(
    bertcore_command: Command,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    recwarn: pytest.WarningsRecorder,
    has_font: bool,
) -> None:
    """By a font that has their characters; else one note, and no warning of matplotlib. A label is no formula."""
    from matplotlib import font_manager
    from matplotlib.figure import Figure

    drawn: list[Figure] = []
    save = Figure.savefig
    monkeypatch.setattr(
        Figure, "savefig", lambda figure, *args, **kw: (drawn.append(figure), save(figure, *args, **kw))
    )
    own = [font for font in font_manager.fontManager.ttflist if "mpl-data" in font.fname]
    monkeypatch.setattr(font_manager.fontManager, "ttflist", own)
    if has_font:
        font_manager.fontManager.addfont(font_with("财经娱乐", "Squares", tmp_path / "squares.ttf"))
    file = tmp_path / "own.csv"
    file.write_text("text,label\none,财经\ntwo,娱乐\nthree,$x^$\n", encoding="utf-8")
    source = ("--task", "classification", "--train", file, "--picture", tmp_path / "x.png")
    notes = checked(bertcore_command, *source)["notes"]
    assert not recwarn.list
    assert bertcore_command("data", "check", *source).err == ""
    (label, *_) = drawn[0].axes[1].get_xticklabels()
    assert ("Squares" in label.get_fontfamily()) == has_font
    assert not has_font or not notes
    assert has_font or len(notes) == 1
    for character in "" if has_font else "财经娱乐":
        assert character in notes[0]


@pytest.mark.parametrize(
    ("arguments", "code", "cause"),
    [
        (["--data", "x"], 2, "no task"),
        (["--task", "rte"], 2, "no data"),
        (["--task", "rte", "--data", "nowhere"], 4, "nowhere: no such folder"),
        (["--task", "rte", "--data", "sample", "--train", "x"], 2, "takes a folder"),
        (["--task", "rte", "--data", "sample", "--model", "nowhere"], 5, "nowhere"),
        (["--task", "rte", "--data", "sample", "--set", "data.colour=1"], 3, "unknown key 'data.colour'"),
    ],
)
@pytest.mark.parametrize("command", ["check", "convert"])
def test_mistakes_of_the_call(
    bertcore_command: Command, tmp_path: Path, command: str, arguments: list[str], code: int, cause: str
) -> None:
    more = ["--to", "jsonl", "--output", tmp_path / "out"] if command == "convert" else []
    outcome = bertcore_command("data", command, *arguments, *more)
    assert outcome.code == code
    assert cause in outcome.err
    assert outcome.err.splitlines()[-1].startswith("remedy: ")
    assert not (tmp_path / "out").exists()


# data convert


def test_converted_data_is_described(bertcore_command: Command, small_rte: Path, tiny_en: Path, tmp_path: Path) -> None:
    source = ("--task", "rte", "--data", small_rte, "--model", tiny_en, "--set", "data.max_length=40")
    outcome = bertcore_command("data", "convert", *source, "--to", "tfrecord", "--output", tmp_path / "out")
    assert outcome.code == 0
    assert outcome.last_line == f"tfrecord, rows of at most 40 tokens: {tmp_path / 'out'}"
    assert {file.name for file in (tmp_path / "out").iterdir()} == {
        "records.json",
        *(f"{split}.{kind}" for split in ("train", "dev") for kind in ("tf_record", "examples.jsonl")),
    }
    description = json.loads((tmp_path / "out" / "records.json").read_text(encoding="utf-8"))
    assert description["labels"] == ["entailment", "not_entailment"]
    assert description["max_length"] == 40
    assert description["splits"]["dev"]["record_count"] == 30
    again = bertcore_command("data", "convert", *source, "--to", "jsonl", "--output", tmp_path / "out")
    assert (again.code, "holds something already" in again.err) == (8, True)
    assert "--resume" not in again.err
    outcome = bertcore_command("data", "convert", *source, "--to", "jsonl", "--output", tmp_path / "lines", "--json")
    result = json.loads(outcome.out)
    truncated = sum(
        json.loads(line).get("truncated", False)
        for line in (tmp_path / "lines" / "train.examples.jsonl").read_text(encoding="utf-8").splitlines()
    )
    assert result["splits"]["train"]["truncated"] == truncated > 0
    assert result["format"] == "jsonl"


def test_mindrecord_without_its_plugin(
    bertcore_command: Command, small_rte: Path, tiny_en: Path, tmp_path: Path
) -> None:
    source = ("--task", "rte", "--data", small_rte, "--model", tiny_en)
    outcome = bertcore_command(
        "-p", "no:mindspore", "data", "convert", *source, "--to", "mindrecord", "--output", tmp_path / "out"
    )
    assert outcome.code == 2
    assert "there is no record format 'mindrecord'" in outcome.err
    assert "pip install bertcore-mindspore" in outcome.err
    (tmp_path / "records").mkdir()
    (tmp_path / "records" / "records.json").write_text(
        json.dumps({"format": "mindrecord", "task": "rte", "encoding_version": 1, "splits": {"dev": SPLIT}})
    )
    outcome = bertcore_command("-p", "no:mindspore", "data", "check", "--task", "rte", "--data", tmp_path / "records")
    assert outcome.code == 4
    assert "no plugin reads records of the format 'mindrecord'" in outcome.err
    assert "pip install bertcore-mindspore" in outcome.err


SPLIT = {
    "file": "dev.mindrecord",
    "examples": "dev.examples.jsonl",
    "example_count": 0,
    "record_count": 0,
    "columns": [],
    "label_positions": False,
    "example_index": False,
}


def test_no_framework_is_imported(small_rte: Path, tiny_en: Path, tmp_path: Path) -> None:
    program = """
import sys
from bertcore.cli import main
try:
    main(sys.argv[1:])
except SystemExit as error:
    assert not error.code, error.code
print(*{"torch", "mindspore", "transformers", "tensorflow", "google.protobuf"} & set(sys.modules))
"""
    source = ["--task", "rte", "--data", str(small_rte), "--model", str(tiny_en)]
    for command in (["check", *source], ["convert", *source, "--to", "tfrecord", "--output", str(tmp_path / "out")]):
        done = subprocess.run(
            [sys.executable, "-c", program, "data", *command], capture_output=True, text=True, check=True
        )
        assert done.stdout.splitlines()[-1] == ""
