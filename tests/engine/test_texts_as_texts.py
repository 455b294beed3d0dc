"""Names and texts from files are shown, and do nothing: not in a report, not on a terminal, not in a spreadsheet."""

from __future__ import annotations

import csv
import io
import json
import unicodedata
from pathlib import Path

import markdown as renderer
import numpy as np
import pytest

from bertcore.cli.output import say
from bertcore.contracts.class_score import ClassScore
from bertcore.contracts.evaluation import Confusion, Evaluation
from bertcore.contracts.events import Note, RunFinished, RunStarted
from bertcore.engine.prediction_input import Inputs
from bertcore.engine.prediction_output import PredictionFile
from bertcore.engine.report import Report
from bertcore.engine.report_text import markdown
from bertcore.errors import Origin
from bertcore.files.writing import json_text
from bertcore.trackers.console import ConsoleTracker

HOSTILE = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "[click](javascript:alert(1))",
    "![](http://example.org/pixel.png)",
    "**bold** `code` ~~gone~~ $x$ &lt;b&gt;",
    "a | b | c",
    "`` ` ``</code><b>",
    "clear\x1b[2J\x1b]0;title\x07 \x9b31m",
    "turned \u202etxt.exe",
)


def hides_or_steers(text: str) -> list[str]:
    return [one for one in text if unicodedata.category(one) in ("Cc", "Cf", "Cs", "Zl", "Zp") and one != "\n"]


def test_markdown_and_html_in_a_report() -> None:
    scores = {name: ClassScore(1, 2, 3) for name in HOSTILE}
    errors = [{"id": text, "label": text, "prediction": text, "probability": 0.5, "text": text} for text in HOSTILE]
    counts = np.ones((len(HOSTILE), len(HOSTILE)), dtype=np.int64)
    evaluation = Evaluation(
        {"accuracy": 0.5, HOSTILE[0]: 0.25},
        10,
        f"accuracy of {HOSTILE[6]}",
        per_class=scores,
        confusion=Confusion(HOSTILE, counts),
        errors=errors,
        notes=HOSTILE,
    )
    settings = {f"data.{number}": text for number, text in enumerate(HOSTILE)}
    report = Report(HOSTILE[2], HOSTILE[0], settings, evaluation, 3, 1.0, 2.0, [], settings, settings)
    text = markdown(report, has_curves=False)
    assert hides_or_steers(text) == []
    shown = renderer.markdown(text, extensions=["tables"])
    for tag in ("<script", "<img", "<a ", "<b>", "<strong>bold", "<del", "href="):
        assert tag not in shown
    for part in ("javascript:alert(1)", "&lt;script&gt;alert(1)", "&lt;img src=x", "turned \\u202etxt.exe"):
        assert part in shown


def test_control_characters_on_the_terminal_and_in_the_log(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    console = ConsoleTracker(RunStarted(tmp_path, {"task": HOSTILE[7]}, 0, 0, {}))
    for text in HOSTILE:
        console.on_event(Note(text))
    console.on_event(RunFinished("two\nlines\x1b[1m"))
    console.close()
    for text in HOSTILE:
        say(text)
        say(text, err=True)
    shown = capsys.readouterr()
    for text in (shown.out, shown.err, (tmp_path / "run.log").read_text(encoding="utf-8")):
        assert hides_or_steers(text) == []
        assert "clear\\x1b[2J\\x1b]0;title\\x07 \\x9b31m" in text
    assert "two\nlines\\x1b[1m" in shown.out


@pytest.mark.parametrize("text", [*HOSTILE, "a\u200bb", "half \ud800", "family \U0001f468\u200d\U0001f469"])
def test_json_for_programs_shows_no_control_character_and_has_the_same_value(text: str) -> None:
    shown = json_text({"text": text})
    assert set(hides_or_steers(shown)) <= {"\u200d"}  # which joins the parts of emoji, and letters of Persian
    assert json.loads(shown) == {"text": text}


FORMULAS = ("=1+1", '=HYPERLINK("http://example.org";"x")', "+cmd|' /C calc'!A0", "@SUM(1)", "-2+3", "＝1+1", " =1")
NO_FORMULAS = ("a=b", "-1.5", "+3", "-.5e-3", "1+1", "'quoted'", "")


@pytest.mark.parametrize("suffix", [".csv", ".tsv"])
def test_formulas_in_a_table_of_predictions(tmp_path: Path, suffix: str) -> None:
    texts = [*FORMULAS, *NO_FORMULAS]
    records = [({"=column": text, "note": "n"}, Origin("in.csv", line)) for line, text in enumerate(texts, 2)]
    predictions = [{"label": "=1", "prediction": "@x", "probabilities": {"@x": 0.5}} for _ in texts]
    PredictionFile(tmp_path / f"out{suffix}", force=False).write(predictions, Inputs.of(records), ["=column"])
    content = (tmp_path / f"out{suffix}").read_text(encoding="utf-8")
    header, *rows = csv.reader(io.StringIO(content), delimiter="," if suffix == ".csv" else "\t")
    assert header == ["'=column", "note", "prediction", "probability_@x"]
    assert [row[0] for row in rows] == [*(f"'{text}" for text in FORMULAS), *NO_FORMULAS]
    assert {tuple(row[1:]) for row in rows} == {("n", "'@x", "0.5")}
