"""A run with ``train.lora``: step by step beside peft, merged for transformers, written for peft, read from it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bertcore
from bertcore.api import resume
from bertcore.errors import BertcoreError
from bertcore.formats.safetensors_file import read_safetensors, write_safetensors

torch = pytest.importorskip("torch")
peft = pytest.importorskip("peft")

A_LAYER = "bert.encoder.layer.1.attention.self.query"
KEY = f"base_model.model.{A_LAYER}.lora_A.weight"
LORA: dict[str, Any] = {
    "train.lora.rank": 4,
    "train.lora.alpha": 6,
    "train.lora.targets": "query,value,intermediate.dense",
    "train.max_steps": 4,
    "train.batch_size": 8,
    "train.learning_rate": 1e-2,
    "train.head_learning_rate": 1e-3,
    "train.dropout": False,
    "train.log_steps": 1,
}
Start = Callable[..., Path]
Logits = Callable[[Path, Path], Any]


@pytest.fixture
def start(tiny_with_head: Path, small_rte: Path, tmp_path: Path) -> Start:
    def run(name: str, **changes: Any) -> Path:
        model = changes.pop("model", tiny_with_head)
        settings = {**LORA, **{key.replace("__", "."): value for key, value in changes.items()}}
        common = {"task": "rte", "backend": "torch", "model": model, "data": small_rte, "seed": 7}
        return bertcore.run(**common, output=tmp_path / name, settings=settings).folder

    return run


def base_of(folder: Path) -> Any:
    import transformers

    return transformers.AutoModelForSequenceClassification.from_pretrained(folder, num_labels=2).eval()


def probabilities_of(
    folder: Path, file: Path, labels: tuple[str, str] = ("entailment", "not_entailment"), **settings: Any
) -> Any:
    """By bertcore, of every row of a file of RTE."""
    rows = [line.split("\t") for line in file.read_text(encoding="utf-8").split("\n")[1:] if line]
    found = bertcore.predict(folder, [(row[1], row[2]) for row in rows], task="rte", backend="torch", settings=settings)
    return [[row["probabilities"][label] for label in labels] for row in found]


def test_best_is_merged_and_adapter_is_opened_by_peft(
    start: Start,
    tiny_with_head: Path,
    small_rte: Path,
    transformers_logits: Logits,
    tmp_path: Path,
) -> None:
    folder = start("run")
    expected = transformers_logits(folder / "best", small_rte / "dev.tsv")
    opened = peft.PeftModel.from_pretrained(base_of(tiny_with_head), folder / "adapter")
    layer = opened.base_model.model.get_submodule(A_LAYER)
    assert layer.scaling["default"] == 1.5
    assert layer.lora_B["default"].weight.abs().max() > 1e-3
    opened.merge_and_unload().save_pretrained(tmp_path / "merged")
    for file in ("vocab.txt", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"):
        if (folder / "best" / file).is_file():
            shutil.copy(folder / "best" / file, tmp_path / "merged")
    by_peft = transformers_logits(tmp_path / "merged", small_rte / "dev.tsv")
    np.testing.assert_allclose(by_peft, expected, rtol=0, atol=1e-5)
    config = json.loads((folder / "adapter" / "adapter_config.json").read_text())
    assert len(config["target_modules"]) == 6, "in full, for dense alone would mean others, too"
    assert config["modules_to_save"] == ["classifier"]
    assert config["base_model_name_or_path"] == str(tiny_with_head)
    assert config["task_type"] == "SEQ_CLS"
    base = {name: value.numpy() for name, value in base_of(tiny_with_head).state_dict().items()}
    best = read_safetensors(folder / "best" / "model.safetensors")
    changed = {name for name in best if not np.array_equal(best[name], base[name])}
    ends = ("query.weight", "value.weight", "intermediate.dense.weight")
    assert changed == {name for name in base if name.endswith(ends) or name.startswith("classifier")}


def test_every_step_is_that_of_peft(
    loop_settings: dict[str, Any], losses_of: Callable[[Path], list[float]], oracle_of_adapted: Any, start: Start
) -> None:
    """Twenty steps of accumulation, warm-up, decay and clipping; order of the rows and first values are ours."""
    targets = {"train.lora.rank": 4, "train.lora.alpha": 6, "train.lora.targets": "query,value,intermediate.dense"}
    folder = start("run", **loop_settings, **targets)
    still = {
        "train.learning_rate": 0.0,
        "train.head_learning_rate": 0.0,
        "train.max_steps": 1,
        "train.stop_after": None,
    }
    begun = start("begun", **{**loop_settings, **targets, **still})
    first = {
        name: torch.tensor(np.array(value))
        for name, value in read_safetensors(begun / "checkpoint" / "adapter" / "adapter_model.safetensors").items()
    }
    assert all(bool(value.any()) == ("lora_A" in name) for name, value in first.items() if "lora_" in name)

    def adapted(model: Any) -> Any:
        config = peft.LoraConfig(
            task_type="SEQ_CLS", r=4, lora_alpha=6, target_modules=["query", "value", "intermediate.dense"]
        )
        model = peft.get_peft_model(model, config)
        peft.set_peft_model_state_dict(model, first)
        return model

    def rate_of(name: str) -> float:
        return 3e-4 if "lora_" in name else 1e-3 if "modules_to_save" in name else 0.0

    expected = oracle_of_adapted(adapted, rate_of)
    np.testing.assert_allclose(losses_of(folder), expected.losses, rtol=0, atol=2e-6)
    found = read_safetensors(folder / "checkpoint" / "adapter" / "adapter_model.safetensors")
    by_peft = peft.get_peft_model_state_dict(expected.model)
    assert set(found) == set(by_peft)
    for name, value in by_peft.items():
        np.testing.assert_allclose(found[name], value.detach().numpy(), rtol=0, atol=5e-6, err_msg=name)
        assert np.abs(np.array(found[name]) - first[name].numpy()).max() > 1e-4, name


def test_an_adapter_of_peft_is_merged_at_opening(
    tiny_with_head: Path, small_rte: Path, transformers_logits: Logits, tmp_path: Path
) -> None:
    adapted = adapter_of_peft(tiny_with_head, tmp_path / "adapter")
    adapted.merge_and_unload().save_pretrained(tmp_path / "merged")
    for file in tiny_with_head.iterdir():
        if "token" in file.name or file.name == "vocab.txt":
            shutil.copy(file, tmp_path / "merged")
    expected = transformers_logits(tmp_path / "merged", small_rte / "dev.tsv")
    found = probabilities_of(tiny_with_head, small_rte / "dev.tsv", **{"model.adapter": str(tmp_path / "adapter")})
    np.testing.assert_allclose(found, torch.softmax(torch.tensor(expected), 1), rtol=0, atol=2e-6)


def test_the_head_of_an_adapter_of_peft_is_enough(
    tiny_with_head: Path, small_rte: Path, transformers_logits: Logits, tmp_path: Path
) -> None:
    """The base model that peft's users name has none of its own."""
    adapted = adapter_of_peft(tiny_with_head, tmp_path / "adapter")
    adapted.merge_and_unload().save_pretrained(tmp_path / "merged")
    base_of(tiny_with_head).bert.save_pretrained(tmp_path / "base")
    for file in tiny_with_head.iterdir():
        if "token" in file.name or file.name == "vocab.txt":
            shutil.copy(file, tmp_path / "merged")
            shutil.copy(file, tmp_path / "base")
    expected = transformers_logits(tmp_path / "merged", small_rte / "dev.tsv")
    settings = {"model.adapter": str(tmp_path / "adapter")}
    found = probabilities_of(tmp_path / "base", small_rte / "dev.tsv", ("LABEL_0", "LABEL_1"), **settings)
    np.testing.assert_allclose(found, torch.softmax(torch.tensor(expected), 1), rtol=0, atol=2e-6)


def adapter_of_peft(base: Path, folder: Path, **options: Any) -> Any:
    """Of random values, written to a folder."""
    torch.manual_seed(3)
    given = {"r": 2, "lora_alpha": 4, "target_modules": ["query", "output.dense"], **options}
    model = peft.get_peft_model(base_of(base), peft.LoraConfig(task_type="SEQ_CLS", init_lora_weights=False, **given))
    with torch.no_grad():
        model.base_model.model.classifier.modules_to_save["default"].weight.normal_()
    model.save_pretrained(folder)
    return model.eval()


def test_foreign_encoders_have_adapters_too(tiny_with_head: Path, small_rte: Path, tmp_path: Path) -> None:
    """DistilBERT: what its layers give beside their branches is what the merged ones give."""
    import transformers

    base = tmp_path / "base"
    torch.manual_seed(5)
    config = transformers.DistilBertConfig(vocab_size=30522, dim=32, n_layers=2, n_heads=2, hidden_dim=64)
    transformers.DistilBertModel(config).save_pretrained(base)
    for file in tiny_with_head.iterdir():
        if "token" in file.name or file.name == "vocab.txt":
            shutil.copy(file, base)
    changes = {"train.lora.targets": "q_lin,ffn.lin2", "train.lora.dropout": 0.3, "train.learning_rate": 0.1}
    folder = bertcore.run(
        **{"task": "rte", "backend": "torch", "model": base, "data": small_rte, "output": tmp_path / "run"},
        settings={**LORA, **changes, "train.dropout": True},
    ).folder
    before = read_safetensors(base / "model.safetensors")
    adapter = read_safetensors(folder / "adapter" / "adapter_model.safetensors")
    for name, value in read_safetensors(folder / "best" / "model.safetensors").items():
        stem = name.removesuffix(".weight")
        a, b = (adapter.get(f"base_model.model.{stem}.lora_{letter}.weight") for letter in "AB")
        own = name.removeprefix("distilbert.")
        assert (a is not None) == name.endswith(("q_lin.weight", "lin2.weight"))
        if own in before:
            expected = before[own] if a is None or b is None else before[own] + 1.5 * np.array(b) @ np.array(a)
            np.testing.assert_allclose(value, expected, rtol=0, atol=1e-6, err_msg=name)
            assert a is None or np.abs(value - before[own]).max() > 1e-2
    merged = bertcore.evaluate(folder, data=small_rte)
    rows = [json.loads(line) for line in (folder / "predictions.jsonl").read_text().splitlines()]
    again = [json.loads(line) for line in (Path(str(merged.folder)) / "predictions.jsonl").read_text().splitlines()]
    for one, other in zip(rows, again, strict=True):
        assert one["probabilities"] == pytest.approx(other["probabilities"], abs=1e-5)


def test_training_goes_on_from_an_adapter(start: Start, tiny_with_head: Path, tmp_path: Path) -> None:
    """With its settings it begins with its values, beside the weights of the base; with others it is refused."""
    adapter_of_peft(tiny_with_head, tmp_path / "adapter")
    own = {"train__lora__rank": 2, "train__lora__alpha": 4, "train__lora__targets": "query,output.dense"}
    folder = start("on", model__adapter=str(tmp_path / "adapter"), train__learning_rate=1e-9, **own)
    before = read_safetensors(tmp_path / "adapter" / "adapter_model.safetensors")
    after = read_safetensors(folder / "adapter" / "adapter_model.safetensors")
    assert set(after) == set(before)
    for name, value in before.items():
        np.testing.assert_allclose(after[name], value, atol=1e-2 if "classifier" in name else 1e-6)
    with pytest.raises(BertcoreError) as caught:
        start("other", model__adapter=str(tmp_path / "adapter"))
    assert caught.value.code == "adapter-mismatch"


def test_a_resumed_run_goes_on_to_the_bit(start: Start) -> None:
    changes = {"train__dropout": True, "train__lora__dropout": 0.2}
    whole, part = start("whole", **changes), start("part", train__stop_after=2, **changes)
    resume(part, settings={"train.stop_after": None})
    for file in (
        *("best/model.safetensors", "checkpoint/optimizer.safetensors", "predictions.jsonl"),
        *("adapter/adapter_model.safetensors", "checkpoint/adapter/adapter_model.safetensors"),
    ):
        assert (whole / file).read_bytes() == (part / file).read_bytes(), file
    moments = read_safetensors(whole / "checkpoint" / "optimizer.safetensors")
    assert all(".lora_" in name or ".classifier." in name for name in moments), "of what is trained alone"
    with pytest.raises(BertcoreError) as caught:
        resume(part, settings={"train.lora.alpha": 3.0})
    assert caught.value.code == "setting-fixed"


def test_all_methods_at_once_resume_to_the_bit(start: Start) -> None:
    changes = {
        **{"train__dropout": True, "train__lora__dropout": 0.2, "train__ema": 0.8, "train__accumulation": 2},
        **{"train__adversarial": "fgm", "train__r_drop": 2.0, "run__precision": "bf16", "train__layer_decay": 0.8},
    }
    whole, part = start("whole", **changes), start("part", train__stop_after=3, **changes)
    resume(part, settings={"train.stop_after": None})
    for file in ("best/model.safetensors", "adapter/adapter_model.safetensors", "checkpoint/optimizer.safetensors"):
        assert (whole / file).read_bytes() == (part / file).read_bytes(), file


def test_a_pooler_that_the_base_lacks_is_trained_and_kept_with_the_adapter(
    start: Start, tiny_en: Path, small_rte: Path, transformers_logits: Logits, tmp_path: Path
) -> None:
    """As it was drawn it would be of no use, and nobody could draw it again."""
    folder, part = start("run", model=tiny_en), start("part", model=tiny_en, train__stop_after=2)
    resume(part, settings={"train.stop_after": None})
    for file in ("best/model.safetensors", "adapter/adapter_model.safetensors", "checkpoint/optimizer.safetensors"):
        assert (folder / file).read_bytes() == (part / file).read_bytes(), file
    config = json.loads((folder / "adapter" / "adapter_config.json").read_text())
    assert config["modules_to_save"] == ["pooler.dense", "classifier"]
    merged = probabilities_of(tiny_en, small_rte / "dev.tsv", **{"model.adapter": str(folder / "adapter")})
    np.testing.assert_allclose(merged, probabilities_of(folder, small_rte / "dev.tsv"), rtol=0, atol=1e-6)
    opened = peft.PeftModel.from_pretrained(base_of(tiny_en), folder / "adapter").merge_and_unload()
    expected = read_safetensors(folder / "best" / "model.safetensors")
    for name, value in opened.state_dict().items():
        np.testing.assert_allclose(value.numpy(), expected[name], rtol=0, atol=1e-6, err_msg=name)


def test_biases_are_trained_where_a_rule_says_so(start: Start, tiny_with_head: Path) -> None:
    """What an adapter's folder has no place for is in best/ alone."""
    folder = start("run", train__parameters=[{"pattern": r"layer\.1\..*\.bias$", "learning_rate": 1e-2}])
    assert not (folder / "adapter").exists()
    base, best = (read_safetensors(one / "model.safetensors") for one in (tiny_with_head, folder / "best"))
    biases = [name for name in base if name.startswith("bert.encoder") and name.endswith(".bias")]
    for name in biases:
        assert np.array_equal(base[name], best[name]) != ("layer.1." in name), name


def test_the_header_says_what_is_trained(start: Start, tiny_with_head: Path) -> None:
    folder = start("run", train__lora__targets="layers.1", train__lora__dropout=0.1)
    header = json.loads((folder / "report.json").read_text())["header"]
    names = "query, key, value, dense"
    assert header["adapter"] == f"LoRA of rank 4, alpha 6, dropout 0.1, beside 6 layers: {names}"
    model = peft.get_peft_model(
        base_of(tiny_with_head),
        peft.LoraConfig(task_type="SEQ_CLS", r=4, target_modules="all-linear", layers_to_transform=None),
    )
    count = sum(
        value.numel()
        for name, value in model.named_parameters()
        if value.requires_grad and ("layer.1." in name or "classifier" in name)
    )
    assert header["trained"].startswith(f"{count:,} of ")
    assert "adapter: 12 tensors" in header["groups"]


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (lambda folder: (folder / "adapter_config.json").unlink(), "adapter-missing"),
        (lambda folder: (folder / "adapter_config.json").write_text("{"), "adapter-damaged"),
        (lambda folder: changed_config(folder, r="two"), "adapter-damaged"),
        (lambda folder: changed_config(folder, r=3), "adapter-mismatch"),
        (lambda folder: changed_config(folder, use_dora=True), "adapter-unsupported"),
        (lambda folder: changed_config(folder, peft_type="IA3"), "adapter-unsupported"),
        (lambda folder: changed_config(folder, init_lora_weights="pissa_niter_4"), "adapter-unsupported"),
        (lambda folder: changed_config(folder, bias="lora_only"), "adapter-unsupported"),
        (lambda folder: changed_tensors(folder, f"{KEY}_of_a_newer_kind", None), "adapter-unsupported"),
        (lambda folder: changed_tensors(folder, KEY, lambda value: value[:, :-1]), "adapter-mismatch"),
        (lambda folder: changed_tensors(folder, KEY.replace("layer.1", "layer.7"), None), "adapter-mismatch"),
    ],
)
def test_an_adapter_that_does_not_fit_is_refused(
    spoil: Callable[[Path], Any], code: str, tiny_with_head: Path, small_rte: Path, tmp_path: Path
) -> None:
    adapter_of_peft(tiny_with_head, tmp_path / "adapter")
    spoil(tmp_path / "adapter")
    with pytest.raises(BertcoreError) as caught:
        bertcore.evaluate(
            tiny_with_head,
            task="rte",
            backend="torch",
            data=small_rte,
            settings={"model.adapter": str(tmp_path / "adapter")},
        )
    assert caught.value.code == code


def changed_config(folder: Path, **changes: Any) -> None:
    file = folder / "adapter_config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


def changed_tensors(folder: Path, name: str, change: Callable[[Any], Any] | None) -> None:
    file = folder / "adapter_model.safetensors"
    tensors = {key: np.array(value) for key, value in read_safetensors(file).items()}
    tensors[name] = np.ones((2, 3), np.float32) if change is None else np.ascontiguousarray(change(tensors[name]))
    write_safetensors(file, tensors)


@pytest.mark.parametrize(
    ("targets", "remedy"), [("qurey", "query"), ("embeddings", "query"), ("head", "query"), ("layers.0-9", "dense")]
)
def test_targets_that_are_no_linear_layers_are_refused(start: Start, targets: str, remedy: str) -> None:
    with pytest.raises(BertcoreError) as caught:
        start("run", train__lora__targets=targets)
    assert caught.value.code == "adapter-target"
    assert remedy in str(caught.value.remedy)
