"""The files that GLUE's leaderboard takes, and scoring them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from bertcore.config import DataConfig
from bertcore.contracts.dataset import Example, Split
from bertcore.contracts.evaluation import Evaluation
from bertcore.errors import DataError, Origin
from bertcore.plugins.registry import Registry

sklearn = pytest.importorskip("sklearn.metrics")
stats = pytest.importorskip("scipy.stats")


# The names and labels of the FAQ and of the sample submission on gluebenchmark.com.
@pytest.mark.parametrize(
    ("name", "files"),
    [
        ("cola", {"test": "CoLA.tsv"}),
        ("sst2", {"test": "SST-2.tsv"}),
        ("mrpc", {"test": "MRPC.tsv"}),
        ("stsb", {"test": "STS-B.tsv"}),
        ("qqp", {"test": "QQP.tsv"}),
        ("mnli", {"test_matched": "MNLI-m.tsv", "test_mismatched": "MNLI-mm.tsv", "ax": "AX.tsv"}),
        ("qnli", {"test": "QNLI.tsv"}),
        ("rte", {"test": "RTE.tsv"}),
        ("wnli", {"test": "WNLI.tsv"}),
        ("ax", {"test": "AX.tsv"}),
    ],
)
def test_names_of_files(registry: Registry, name: str, files: dict[str, str]) -> None:
    assert registry.task(name).leaderboard == files


def test_a_file_has_a_header_and_the_order_of_the_test_file(registry: Registry) -> None:
    predictions = [{"id": "9796", "prediction": "neutral"}, {"id": "9797", "prediction": "contradiction"}]
    expected = "index\tprediction\n9796\tneutral\n9797\tcontradiction\n"
    assert registry.task("mnli").submission("test_mismatched", predictions) == expected


def test_scores_of_sts_b_are_cut_to_their_range(registry: Registry) -> None:
    predictions = [{"id": str(number), "prediction": value} for number, value in enumerate([5.31, -0.2, 3.25781])]
    assert registry.task("stsb").submission("test", predictions) == "index\tprediction\n0\t5.000\n1\t0.000\n2\t3.258\n"


def gold(registry: Registry, name: str, folder: Path) -> Split:
    task = registry.task(name)
    return task.open(DataConfig(path=str(folder))).split(task.evaluation_split)


def score(registry: Registry, name: str, examples: Split, file: Path) -> Evaluation:
    task = registry.task(name)
    return task.score(examples, task.labels, file, DataConfig(path="."))  # type: ignore[attr-defined]


@pytest.mark.parametrize(("name", "folder"), [("cola", "CoLA"), ("mrpc", "MRPC"), ("rte", "RTE")])
def test_scores_of_real_splits_equal_those_of_scikit_learn(
    registry: Registry, shared: Path, tmp_path: Path, name: str, folder: str
) -> None:
    examples = gold(registry, name, shared / "data" / "glue" / folder)
    generator = np.random.default_rng(0)
    labels = sorted({example.label for example in examples})
    predicted = [example.label if generator.random() < 0.7 else str(generator.choice(labels)) for example in examples]
    file = tmp_path / "predictions.tsv"
    lines = [f"{example.identifier}\t{label}\n" for example, label in zip(examples, predicted, strict=True)]
    file.write_text("index\tprediction\n" + "".join(lines))
    result = score(registry, name, examples, file)
    truth = [example.label for example in examples]
    expected = {"accuracy": sklearn.accuracy_score(truth, predicted)}
    if name == "cola":
        expected["matthews"] = sklearn.matthews_corrcoef(truth, predicted)
    if name == "mrpc":
        expected["f1"] = sklearn.f1_score(truth, predicted, pos_label="1")
    assert result.metrics == pytest.approx(expected)
    correct = sklearn.accuracy_score(truth, predicted, normalize=False)
    start = f"acc_num {correct:.0f}, total_num {len(examples)}, accuracy {expected['accuracy']:.6f}"
    further = [f", {key} {value:.6f}" for key, value in expected.items() if key != "accuracy"]
    assert result.summary == start + "".join(further)
    majority = ["1" if name != "rte" else "entailment"] * len(truth)
    assert result.baseline["accuracy"] == pytest.approx(sklearn.accuracy_score(truth, majority))
    if name == "mrpc":
        assert result.baseline["f1"] == pytest.approx(sklearn.f1_score(truth, majority, pos_label="1"))
    if name == "cola":
        assert result.baseline["matthews"] == 0.0
    # The same predictions as a run of bertcore leaves them give the same scores.
    own = tmp_path / "predictions.jsonl"
    rows = [
        {"id": example.identifier, "prediction": label, "label": "x"}
        for example, label in zip(examples, predicted, strict=True)
    ]
    own.write_text("".join(json.dumps(row) + "\n" for row in reversed(rows)))
    assert score(registry, name, examples, own).metrics == result.metrics


def test_correlations_of_the_real_sts_b_equal_those_of_scipy(registry: Registry, shared: Path, tmp_path: Path) -> None:
    examples = gold(registry, "stsb", shared / "data" / "glue" / "STS-B")
    truth = np.array([example.label for example in examples])
    predicted = np.round(truth + np.random.default_rng(0).normal(0, 1, len(truth)), 1)  # with ties
    file = tmp_path / "STS-B.tsv"
    lines = [f"{example.identifier}\t{value}\n" for example, value in zip(examples, predicted, strict=True)]
    file.write_text("index\tprediction\n" + "".join(lines))
    result = score(registry, "stsb", examples, file)
    pearson, spearman = stats.pearsonr(truth, predicted).statistic, stats.spearmanr(truth, predicted).statistic
    assert result.metrics == {"pearson": pytest.approx(pearson), "spearman": pytest.approx(spearman)}
    assert result.baseline == {"pearson": 0.0, "spearman": 0.0}
    assert result.total == 1500
    assert result.summary == f"total_num 1500, pearson {pearson:.6f}, spearman {spearman:.6f}"
    worst = int(np.abs(truth - predicted).argmax())
    assert abs(result.errors[0]["label"] - result.errors[0]["prediction"]) == pytest.approx(
        abs(truth[worst] - predicted[worst])
    )


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("index\tprediction\n0\tneutral\n0\tneutral\n", "file.tsv:3: a second prediction for '0', as at "),
        ("index\tprediction\n0\tneutral\n17\tneutral\n", "file.tsv:3: a prediction for '17', which is no example"),
        ("index\tprediction\n0\tneutral\n", "no prediction for 5 of 6 examples, the first is '1' ("),
        ("".join(f"{n}\tneutral\n" for n in range(6)), "file.tsv:1: no column 'prediction' among '0', 'neutral'"),
        ("n\tprediction\n0\tneutral\n", "file.tsv:1: no column 'index'"),
        ("index\tprediction\n0\n", "file.tsv:2: 1 field instead of 2"),
        ('{"id": 0, "label": "neutral"}\n{"id": 1}\n', "file.tsv:2: the field 'label' is missing"),
        ('{"label": "neutral"}\n', "file.tsv:1: the field 'id' is missing"),
        # The label of bertcore's own predictions, or of the data, is no prediction.
        (
            '{"id": 0, "prediction": ""}\n{"id": 1, "label": "neutral"}\n',
            "file.tsv:2: the field 'prediction' is missing",
        ),
        ('{"id": 0, "sentence1": "a", "label": "neutral"}\n', "file.tsv:1: the field 'prediction' is missing"),
        (
            "index\tprediction\n" + "".join(f"{n}\t{'maybe' if n == 3 else 'neutral'}\n" for n in range(6)),
            "file.tsv:5: unknown label 'maybe'",
        ),
    ],
)
def test_predictions_that_do_not_fit_are_named(
    registry: Registry, official: Callable[[str], Path], tmp_path: Path, content: str, words: str
) -> None:
    file = tmp_path / "file.tsv"
    file.write_text(content)
    with pytest.raises(DataError) as caught:
        score(registry, "mnli", gold(registry, "mnli", official("mnli")), file)
    assert words in caught.value.cause
    assert caught.value.remedy


def test_a_prediction_of_a_number_must_be_one(registry: Registry, tmp_path: Path) -> None:
    examples = Split([Example("0", {"sentence1": "a", "sentence2": "b"}, 2.5, Origin("dev.tsv", 2))])
    for value in ("", "nan", "high", "1e999"):
        (tmp_path / "file.tsv").write_text(f"index\tprediction\n0\t{value}\n")
        with pytest.raises(DataError, match=r"file\.tsv:2: .* in the field 'prediction' is no finite number"):
            score(registry, "stsb", examples, tmp_path / "file.tsv")
