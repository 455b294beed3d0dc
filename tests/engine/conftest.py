"""A model with a head that transformers made, and a plain training loop with transformers as the oracle of ours."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_run import write_tiny_task

from bertcore.config import TrainConfig
from bertcore.data.plans import plan_training

LABELS = ("entailment", "not_entailment")
LOSS_TOLERANCE = 1e-4


@pytest.fixture(scope="session")
def tiny_with_head(tiny_en: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny English model with a pooler and a head of two labels, as transformers makes and stores them."""
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    torch.manual_seed(11)
    model = transformers.AutoModelForSequenceClassification.from_pretrained(
        tiny_en,
        num_labels=2,
        id2label=dict(enumerate(LABELS)),
        label2id={label: index for index, label in enumerate(LABELS)},
        dtype=torch.float32,
    )
    folder = tmp_path_factory.mktemp("tiny-with-head")
    model.save_pretrained(folder)
    for name in ("vocab.txt", "tokenizer_config.json"):
        if (tiny_en / name).is_file():
            shutil.copy(tiny_en / name, folder / name)
    return folder


# Everything that the loop may get wrong takes part: a last step with fewer micro-batches and a smaller one among
# them, warm-up, decay, a rate of its own for the head, and a norm that clips most steps.
LOOP = {
    "train.max_steps": 20,
    "train.batch_size": 5,
    "train.accumulation": 2,
    "train.learning_rate": 3e-4,
    "train.head_learning_rate": 1e-3,
    "train.warmup_ratio": 0.2,
    "train.weight_decay": 0.1,
    "train.clip_norm": 0.5,
    "train.dropout": False,
    "train.log_steps": 1,
    "train.evaluate_steps": 20,
    "train.save_steps": 20,
}


@pytest.fixture(scope="session")
def loop_settings() -> dict[str, Any]:
    """Settings of a run of 20 steps without dropout, for comparison with :func:`oracle`."""
    return dict(LOOP)


class Oracle:
    """Losses and final parameters of the same 20 steps by transformers and torch alone; only the order is ours."""

    def __init__(
        self,
        model_folder: Path,
        data: Path,
        rate_of: Callable[[str], float],
        first_step_of: Callable[[str], int] = lambda name: 0,
        adapted: Callable[[Any], Any] = lambda model: model,
        weights: tuple[float, float] = (1.0, 1.0),
        smoothing: float = 0.0,
    ) -> None:
        import torch
        import transformers

        options = TrainConfig(**{key.removeprefix("train."): value for key, value in LOOP.items()})
        texts, labels = read_pairs(data / "train.tsv")
        tokenizer = transformers.AutoTokenizer.from_pretrained(model_folder)
        model = transformers.AutoModelForSequenceClassification.from_pretrained(
            model_folder, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0, attn_implementation="eager"
        )
        model = adapted(model).train()
        groups: dict[tuple[float, float], list[Any]] = {}
        for name, parameter in model.named_parameters():
            rate = rate_of(name)
            parameter.requires_grad_(rate > 0)
            decay = 0.0 if name.endswith("bias") or "LayerNorm" in name else options.weight_decay
            groups.setdefault((rate, decay), []).append(parameter)
        optimizer = torch.optim.AdamW(
            [{"params": members, "lr": rate, "weight_decay": decay} for (rate, decay), members in groups.items()]
        )
        scheduler = transformers.get_linear_schedule_with_warmup(optimizer, 4, 20)
        lengths = [len(tokenizer(*pair)["input_ids"]) for pair in texts]
        self.losses: list[float] = []
        self.norms: list[float] = []
        epoch = 0
        while len(self.losses) < 20:
            plan = plan_training(pytest.importorskip("numpy").array(lengths), 5, seed=7, epoch=epoch)
            epoch += 1
            for first in range(0, len(plan), 2):
                rows = plan[first : first + 2]
                total = sum(weights[labels[row]] for micro_batch in rows for row in micro_batch)
                loss_of_step = 0.0
                for name, parameter in model.named_parameters():
                    parameter.requires_grad_(rate_of(name) > 0 and len(self.losses) >= first_step_of(name))
                for micro_batch in rows:
                    inputs = tokenizer([texts[row] for row in micro_batch], padding=True, return_tensors="pt")
                    logits = model(**inputs).logits
                    target = torch.tensor([labels[row] for row in micro_batch])
                    loss = torch.nn.functional.cross_entropy(
                        logits, target, torch.tensor(weights), reduction="sum", label_smoothing=smoothing
                    )
                    loss = loss / total
                    loss.backward()
                    loss_of_step += loss.item()
                norm = torch.nn.utils.clip_grad_norm_((p for p in model.parameters() if p.requires_grad), 0.5)
                self.norms.append(float(norm))
                optimizer.step()
                scheduler.step()
                optimizer.zero_grad()
                self.losses.append(loss_of_step)
                if len(self.losses) == 20:
                    break
        self.model = model
        self.parameters = {name: value.detach().numpy() for name, value in model.named_parameters()}


@pytest.fixture(scope="session")
def oracle(tiny_with_head: Path, small_rte: Path) -> Oracle:
    return Oracle(tiny_with_head, small_rte, lambda name: 1e-3 if name.startswith("classifier.") else 3e-4)


@pytest.fixture(scope="session")
def oracle_of_adapted(tiny_with_head: Path, small_rte: Path) -> Callable[..., Oracle]:
    """The loop with a model that another library has adapted, given what adapts it and the rate of each parameter."""
    return lambda adapted, rate_of: Oracle(tiny_with_head, small_rte, rate_of, adapted=adapted)


RULES = {
    "train.layer_decay": 0.5,
    "train.freeze": "embeddings",
    "train.parameters": [
        {"pattern": r"attention\.self\.query", "factor": 0.25},
        {"pattern": "word_embeddings", "learning_rate": 2e-4},
    ],
}


@pytest.fixture(scope="session")
def rule_settings() -> dict[str, Any]:
    """Those of :func:`loop_settings` with rules that cut across each other, for :func:`oracle_of_rules`."""
    return {**LOOP, **RULES}


@pytest.fixture(scope="session")
def oracle_of_rules(tiny_with_head: Path, small_rte: Path) -> Oracle:
    """The loop with the rate of each parameter written by hand: the model has two layers and a pooler."""
    from_above = {"classifier.": 1e-3, "bert.pooler.": 3e-4 * 0.5, "layer.1.": 3e-4 * 0.5**2, "layer.0.": 3e-4 * 0.5**3}

    def rate_of(name: str) -> float:
        if name == "bert.embeddings.word_embeddings.weight":
            return 2e-4
        rate = next((rate for part, rate in from_above.items() if part in name), 0.0)
        return rate * 0.25 if ".query." in name else rate

    return Oracle(tiny_with_head, small_rte, rate_of)


UNFREEZING = {"train.unfreeze_epochs": 0.5, "train.layer_decay": 0.5, "train.freeze": "bert.embeddings.LayerNorm"}


@pytest.fixture(scope="session")
def unfreezing_settings() -> dict[str, Any]:
    """Those of :func:`loop_settings` with another part each 4 steps, for :func:`oracle_of_unfreezing`."""
    return {**LOOP, **UNFREEZING}


@pytest.fixture(scope="session")
def oracle_of_unfreezing(tiny_with_head: Path, small_rte: Path) -> Oracle:
    """The loop with ``requires_grad`` set from above to below; AdamW leaves alone what has no gradient."""
    rates = {"classifier.": 1e-3, "bert.pooler.": 3e-4 * 0.5, "layer.1.": 3e-4 * 0.5**2, "layer.0.": 3e-4 * 0.5**3}
    first_steps = {"classifier.": 0, "bert.pooler.": 0, "layer.1.": 4, "layer.0.": 8}

    def rate_of(name: str) -> float:
        if "embeddings.LayerNorm" in name:
            return 0.0
        return next((rate for part, rate in rates.items() if part in name), 3e-4 * 0.5**4)

    def first_step_of(name: str) -> int:
        return next((step for part, step in first_steps.items() if part in name), 12)

    return Oracle(tiny_with_head, small_rte, rate_of, first_step_of)


@pytest.fixture(scope="session")
def loss_settings() -> dict[str, Any]:
    """Those of :func:`loop_settings` with a shaped loss, for :func:`oracle_of_losses`."""
    return {**LOOP, "head.class_weights": "balanced", "head.label_smoothing": 0.15}


@pytest.fixture(scope="session")
def oracle_of_losses(tiny_with_head: Path, small_rte: Path) -> Oracle:
    """The loop with torch's own smoothing and weights, these from scikit-learn."""
    from sklearn.utils.class_weight import compute_class_weight

    weights = compute_class_weight("balanced", classes=np.arange(2), y=read_pairs(small_rte / "train.tsv")[1])

    def rate_of(name: str) -> float:
        return 1e-3 if name.startswith("classifier.") else 3e-4

    return Oracle(tiny_with_head, small_rte, rate_of, weights=(float(weights[0]), float(weights[1])), smoothing=0.15)


def read_pairs(file: Path) -> tuple[list[tuple[str, str]], list[int]]:
    """Texts and label ids of a file of RTE, read without bertcore."""
    rows = [line.split("\t") for line in file.read_text(encoding="utf-8").split("\n")[1:] if line]
    return [(row[1], row[2]) for row in rows], [LABELS.index(row[3]) for row in rows]


@pytest.fixture(scope="session")
def transformers_logits() -> Callable[[Path, Path], Any]:
    """Logits of a model folder for a file of RTE by transformers, padded, float32 ``[rows, labels]``."""

    def compute(folder: Path, file: Path) -> Any:
        import torch
        import transformers

        tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
        model = transformers.AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32).eval()
        texts, _ = read_pairs(file)
        parts = []
        with torch.no_grad():
            for first in range(0, len(texts), 32):
                inputs = tokenizer(
                    [text for text, _ in texts[first : first + 32]],
                    [pair for _, pair in texts[first : first + 32]],
                    padding=True,
                    truncation=True,
                    max_length=512,
                    return_tensors="pt",
                )
                parts.append(model(**inputs).logits)
        return torch.cat(parts).numpy()

    return compute


@pytest.fixture(scope="session")
def read_metrics() -> Callable[[Path], list[dict[str, Any]]]:
    """Content of ``metrics.jsonl`` without what a clock says."""

    def read(folder: Path) -> list[dict[str, Any]]:
        lines = (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
        return [without_clock(json.loads(line)) for line in lines]

    return read


def without_clock(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in entry.items() if name not in ("examples_per_second", "compile_seconds")}


@pytest.fixture(scope="session")
def losses_of(read_metrics: Callable[[Path], list[dict[str, Any]]]) -> Callable[[Path], list[float]]:
    """The losses in ``metrics.jsonl``, whose steps must be numbered from 1 without a gap."""

    def read(folder: Path) -> list[float]:
        steps = [entry for entry in read_metrics(folder) if entry["kind"] == "train"]
        assert [entry["step"] for entry in steps] == list(range(1, len(steps) + 1))
        return [entry["loss"] for entry in steps]

    return read


@pytest.fixture(scope="session")
def rte_with_full_dev(small_rte: Path, rte_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A few training pairs, and RTE's own dev split of 277."""
    folder = tmp_path_factory.mktemp("rte-full-dev")
    shutil.copy(small_rte / "train.tsv", folder)
    shutil.copy(rte_dir / "dev.tsv", folder)
    return folder


@pytest.fixture(scope="session")
def compare_predictions() -> Callable[[list[dict[str, Any]], Any], None]:
    """Compares predictions with the logits of another implementation, label for label and probability for probability.

    Labels may differ only where the two best logits lie within 1e-4; those are counted and printed.
    """

    def compare(predictions: list[dict[str, Any]], logits: Any) -> None:
        import numpy as np

        logits = np.asarray(logits, dtype=np.float64)
        expected = np.exp(logits - logits.max(axis=1, keepdims=True))
        expected /= expected.sum(axis=1, keepdims=True)
        probabilities = np.array([list(entry["probabilities"].values()) for entry in predictions])
        np.testing.assert_allclose(probabilities, expected, atol=1e-5)
        best = np.sort(logits, axis=1)
        close = best[:, -1] - best[:, -2] < 1e-4
        names = list(predictions[0]["probabilities"])
        differing = np.array([names.index(entry["prediction"]) for entry in predictions]) != logits.argmax(axis=1)
        print(f"{close.sum()} of {len(close)} with the two best logits within 1e-4, {differing.sum()} labels differ")
        assert not (differing & ~close).any()

    return compare


@pytest.fixture(scope="session")
def tiny_task(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Arguments of a run of four steps of a model with one layer of eight, which takes a fraction of a second."""
    return write_tiny_task(tmp_path_factory.mktemp("tiny"))
