"""A model that stays open predicts as `bertcore.predict` does, and as transformers does with the same weights."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bertcore
from bertcore.errors import DataError, DeviceError, UsageError

torch = pytest.importorskip("torch")

TEXTS = ["The meal was wonderful.", "Never again.", 'He said "fine", and left.', "A, B and C", ""]
SENTENCES = [["John", "left", "Paris"], ["Mary", "unbelievably", "stayed"]]
CONTEXT = "Super Bowl 50 was played on February 7, 2016, at Levi's Stadium in Santa Clara, California."
QUESTIONS = ["Where was Super Bowl 50 played?", "When was it?"]

Run = Callable[..., Path]


@pytest.fixture(scope="module")
def run(tiny_en: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Trains a few steps on a file of the test's own; returns the run folder."""
    folder = tmp_path_factory.mktemp("runs")

    def train(task: str, name: str, content: str, **settings: Any) -> Path:
        output = folder / f"{task}-run"
        if not output.exists():
            (folder / name).write_text(content)
            options = {"train.max_steps": 3, "train.learning_rate": 1e-3, "data.max_length": 64}
            own = {key.replace("__", "."): value for key, value in settings.items()}
            data = {"train": folder / name, "dev": folder / name}
            bertcore.run(task=task, backend="torch", model=tiny_en, output=output, settings={**options, **own}, **data)
        return output

    return train


@pytest.fixture
def classifier(run: Run) -> Path:
    lines = [f"{'good' if index % 2 else 'bad'}\t{text}" for index, text in enumerate(TEXTS[:4])]
    return run("classification", "reviews.tsv", "\n".join(["label\ttext", *lines]) + "\n")


@pytest.fixture
def tagger(run: Run) -> Path:
    return run("ner", "words.bio", "John B-PER\nleft O\nParis B-LOC\n\nMary B-PER\nstayed O\n")


@pytest.fixture
def reader(run: Run) -> Path:
    answer = {"text": "Santa Clara", "answer_start": CONTEXT.index("Santa Clara")}
    questions = [{"id": str(index), "question": text, "answers": [answer]} for index, text in enumerate(QUESTIONS)]
    content = {"version": "1.1", "data": [{"title": "", "paragraphs": [{"context": CONTEXT, "qas": questions}]}]}
    return run("qa", "questions.json", json.dumps(content))


def transformers_model(kind: str, run_folder: Path) -> tuple[Any, Any]:
    transformers = pytest.importorskip("transformers")
    best = str(run_folder / "best")
    model = getattr(transformers, f"AutoModelFor{kind}").from_pretrained(best, dtype=torch.float32).eval()
    return transformers.AutoTokenizer.from_pretrained(best), model


def softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def test_a_classifier_that_is_open_gives_the_probabilities_of_transformers(classifier: Path) -> None:
    transformers = pytest.importorskip("transformers")
    classify = transformers.pipeline("text-classification", str(classifier / "best"), top_k=None)
    with bertcore.open(classifier) as model:
        for text in TEXTS:
            (prediction,) = model.predict(text)
            expected = {entry["label"]: entry["score"] for entry in classify(text)[0]}
            assert prediction["probabilities"] == pytest.approx(expected, abs=1e-5)
            assert prediction["prediction"] == max(expected, key=expected.__getitem__)


def test_a_tagger_that_is_open_gives_the_tags_of_transformers(tagger: Path) -> None:
    tokenizer, network = transformers_model("TokenClassification", tagger)
    with bertcore.open(tagger) as model:
        for words in SENTENCES:
            rows = tokenizer(words, is_split_into_words=True, return_tensors="pt")
            with torch.no_grad():
                logits = network(**rows).logits[0].numpy()
            first = [rows.word_ids().index(number) for number in range(len(words))]
            (prediction,) = model.predict([{"tokens": words}])
            assert prediction["tags"] == [network.config.id2label[int(logits[place].argmax())] for place in first]


def test_a_reader_that_is_open_gives_the_answer_of_transformers(reader: Path) -> None:
    tokenizer, network = transformers_model("QuestionAnswering", reader)
    with bertcore.open(reader) as model:
        for question in QUESTIONS:
            rows = tokenizer(question, CONTEXT, return_tensors="pt", return_offsets_mapping=True)
            offsets = rows.pop("offset_mapping")[0].tolist()
            with torch.no_grad():
                outputs = network(**rows)
            start, end = outputs.start_logits[0].numpy(), outputs.end_logits[0].numpy()
            inside = [place for place, of_text in enumerate(rows.sequence_ids()) if of_text == 1]
            spans = [(first, last) for first, last in product(inside, inside) if first <= last < first + 30]
            first, last = max(spans, key=lambda span: start[span[0]] + end[span[1]])
            (prediction,) = model.predict([{"question": question, "context": CONTEXT}])
            assert prediction["prediction"] == CONTEXT[offsets[first][0] : offsets[last][1]]


def inputs_of(kind: str) -> list[Any]:
    """All that may be predicted, in each form."""
    pandas = pytest.importorskip("pandas")
    return {
        "text": [TEXTS[0], TEXTS, [{"text": text, "id": text[:3]} for text in TEXTS], pandas.Series(TEXTS), []],
        "tokens": [SENTENCES[0][0], [" ".join(SENTENCES[0])], [{"tokens": words} for words in SENTENCES]],
        "question": [
            [(question, CONTEXT) for question in QUESTIONS],
            pandas.DataFrame({"question": QUESTIONS, "context": CONTEXT}),
            [{"question": QUESTIONS[0], "context": CONTEXT * 9}],
        ],
    }[kind]


@pytest.mark.parametrize(("task", "kind"), [("classifier", "text"), ("tagger", "tokens"), ("reader", "question")])
def test_what_an_open_model_predicts_is_what_predict_does(task: str, kind: str, request: pytest.FixtureRequest) -> None:
    folder = request.getfixturevalue(task)
    with bertcore.open(folder) as model:
        for inputs in inputs_of(kind):
            assert close(model.predict(inputs), bertcore.predict(folder, inputs))


def close(one: Any, other: Any) -> bool:
    """Whether both hold the same, numbers within 1e-6."""
    if isinstance(one, Mapping):
        return one.keys() == other.keys() and all(close(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(close, one, other))
    return one == (pytest.approx(other, abs=1e-6) if isinstance(other, float) else other)


def test_what_has_no_name_is_numbered_anew_in_each_call(classifier: Path) -> None:
    with bertcore.open(classifier) as model:
        for _ in range(2):
            assert [entry["id"] for entry in model.predict(["a", "b"])] == ["0", "1"]


def test_a_model_folder_is_opened_with_a_task(classifier: Path, tmp_path: Path) -> None:
    with bertcore.open(classifier / "best", task="classification", backend="torch") as model:
        assert close(model.predict(TEXTS), bertcore.predict(classifier, TEXTS))


def test_settings_and_precision_are_those_of_the_call(classifier: Path) -> None:
    long = "wonderful " * 40
    with bertcore.open(classifier, precision="bf16", device="cpu", settings={"data.max_length": 8}) as model:
        (prediction,) = model.predict(long)
    assert prediction["truncated"]
    (exact,) = bertcore.predict(classifier, long, settings={"data.max_length": 8})
    assert prediction["probabilities"] != exact["probabilities"]
    assert prediction["probabilities"] == pytest.approx(exact["probabilities"], abs=0.02)
    with pytest.raises(DeviceError, match="cuda:77"):
        bertcore.open(classifier, device="cuda:77")


def test_a_closed_model_says_so(classifier: Path) -> None:
    model = bertcore.open(classifier)
    assert model.predict("a") == bertcore.predict(classifier, "a")
    model.close()
    model.close()
    for use in (lambda: model.predict("a"), lambda: model.predict([]), model.__enter__):
        with pytest.raises(UsageError, match="is closed") as caught:
            use()
        assert caught.value.code == "model-closed"
        assert "bertcore.open" in caught.value.remedy


def test_a_model_is_closed_where_the_block_fails(classifier: Path) -> None:
    with pytest.raises(ZeroDivisionError), bertcore.open(classifier) as model:
        raise ZeroDivisionError
    with pytest.raises(UsageError, match="is closed"):
        model.predict("a")


@pytest.mark.parametrize(
    ("inputs", "kind", "words"),
    [
        ({"text": "a"}, UsageError, "one dictionary"),
        ([3], DataError, "inputs\\[0\\]"),
        ([("a", "b", "c")], UsageError, "3 texts"),
        (3, UsageError, "inputs is"),
        (b"a", UsageError, "inputs is"),
        (None, UsageError, "inputs is"),
    ],
)
def test_a_mistake_is_named_and_the_model_stays_open(classifier: Path, inputs: Any, kind: Any, words: str) -> None:
    with bertcore.open(classifier) as model:
        with pytest.raises(kind, match=words):
            model.predict(inputs)
        assert model.predict("a") == bertcore.predict(classifier, "a")


def test_several_threads_get_their_own_answers(classifier: Path) -> None:
    texts = [f"{text} {number}" for number in range(16) for text in TEXTS]
    barrier = threading.Barrier(4)
    with bertcore.open(classifier) as model:
        expected = {text: model.predict(text) for text in texts}

        def ask(part: int) -> bool:
            barrier.wait()
            return all(model.predict(text) == expected[text] for text in texts[part::4])

        with ThreadPoolExecutor(4) as threads:
            assert all(threads.map(ask, range(4)))
