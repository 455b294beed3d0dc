"""The Hugging Face layout, on real models, with torch, transformers and safetensors as oracles."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bertcore.contracts.converter import WeightSet
from bertcore.errors import ModelError
from bertcore.weights.converters.huggingface import HuggingFaceConverter

CONVERTER = HuggingFaceConverter()


@pytest.fixture(params=["minilm", "tiny_en", "chinese_l12"])
def folder(request: pytest.FixtureRequest) -> Path:
    path: Path = request.getfixturevalue(request.param)
    return path


def stock_tensors(folder: Path) -> dict[str, np.ndarray]:
    from safetensors.numpy import load_file

    return load_file(folder / "model.safetensors")


def assert_equal(found: WeightSet, expected: dict[str, Any]) -> None:
    assert set(found.tensors) == set(expected)
    for name, array in expected.items():
        np.testing.assert_array_equal(found.tensors[name], np.asarray(array), err_msg=name)


def test_every_key_of_a_real_model_is_read_and_reported(folder: Path) -> None:
    expected = stock_tensors(folder)
    found = CONVERTER.read(folder)
    new_names = {"gamma": "weight", "beta": "bias"}
    target = {}
    for name in expected:
        stem, _, last = name.rpartition(".")
        target[name] = f"{stem}.{new_names.get(last, last)}"
    assert {entry.source: entry.target for entry in found.report} == target
    assert_equal(found, {target[name]: array for name, array in expected.items()})
    assert all(found.tensors[target[name]].dtype == expected[name].dtype for name in expected)
    assert found.config is not None
    assert found.config["model_type"] == "bert"
    assert found.folder == folder


@pytest.mark.parametrize("legacy", [False, True])
def test_a_bin_that_torch_wrote_equals_the_safetensors(folder: Path, tmp_path: Path, legacy: bool) -> None:
    import torch
    from safetensors.torch import load_file

    torch.save(
        load_file(folder / "model.safetensors"),
        tmp_path / "pytorch_model.bin",
        _use_new_zipfile_serialization=not legacy,
    )
    assert_equal(CONVERTER.read(tmp_path), dict(CONVERTER.read(folder).tensors))


def test_shards_that_transformers_wrote(minilm: Path, tmp_path: Path) -> None:
    from transformers import AutoModel

    model = AutoModel.from_pretrained(minilm)
    model.save_pretrained(tmp_path, max_shard_size="20MB")
    assert (tmp_path / "model.safetensors.index.json").is_file()
    assert_equal(CONVERTER.read(tmp_path), model.state_dict())


def test_shards_of_pickles(tiny_en: Path, tmp_path: Path) -> None:
    import json

    import torch
    from safetensors.torch import load_file

    tensors = load_file(tiny_en / "model.safetensors")
    names = list(tensors)
    files = {name: f"pytorch_model-{index % 2}.bin" for index, name in enumerate(names)}
    for file in set(files.values()):
        torch.save({name: tensors[name] for name in names if files[name] == file}, tmp_path / file)
    (tmp_path / "pytorch_model.bin.index.json").write_text(json.dumps({"weight_map": files}))
    assert_equal(CONVERTER.read(tmp_path), dict(CONVERTER.read(tiny_en).tensors))


@pytest.mark.parametrize("wrapper", ["model", "state_dict", "model_state_dict", "module"])
def test_the_wrapping_of_a_training_script_is_taken_off(tiny_en: Path, tmp_path: Path, wrapper: str) -> None:
    import torch
    from safetensors.torch import load_file

    tensors = load_file(tiny_en / "model.safetensors")
    torch.save({wrapper: tensors, "epoch": 3, "optimizer": {"lr": 0.1}}, tmp_path / "checkpoint.pt")
    found = CONVERTER.read(tmp_path / "checkpoint.pt")
    assert_equal(found, dict(CONVERTER.read(tiny_en).tensors))
    assert {entry.source for entry in found.report if entry.target is None} == {"epoch", "optimizer"}


def test_bfloat16_and_float64(tmp_path: Path) -> None:
    import torch

    halves = {
        "classifier.weight": torch.randn(2, 3, dtype=torch.bfloat16),
        "crf.transitions": torch.randn(2, 2).double(),
    }
    torch.save(halves, tmp_path / "x.bin")
    assert_equal(CONVERTER.read(tmp_path / "x.bin"), {name: tensor.double() for name, tensor in halves.items()})


def test_both_spellings_of_one_tensor_are_both_named(tmp_path: Path) -> None:
    one = np.ones(4, np.float32)
    names = ("bert.embeddings.LayerNorm.gamma", "bert.embeddings.LayerNorm.weight")
    CONVERTER.write(WeightSet(dict.fromkeys(names, one)), tmp_path / "x.safetensors")
    with pytest.raises(ModelError) as error:
        CONVERTER.read(tmp_path / "x.safetensors")
    assert f"{names[0]} and {names[1]} are both" in error.value.cause


def test_a_pickle_with_code_is_refused_and_nothing_runs(tmp_path: Path) -> None:
    import torch

    trace = tmp_path / "was here"

    class Malicious:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (trace,))

    torch.save({"weight": Malicious()}, tmp_path / "zip.bin")
    (tmp_path / "plain.bin").write_bytes(pickle.dumps({"weight": Malicious()}))
    for name in ("zip.bin", "plain.bin"):
        with pytest.raises(ModelError):
            CONVERTER.read(tmp_path / name)
    assert not trace.exists()


@pytest.mark.parametrize("content", [[1, 2], {"epoch": 3}, {}, {1: 2}, {"config": "text"}])
def test_a_file_without_tensors_by_name_is_refused(tmp_path: Path, content: Any) -> None:
    import torch

    torch.save(content, tmp_path / "x.pt")
    with pytest.raises(ModelError, match="no tensor"):
        CONVERTER.read(tmp_path / "x.pt")


def test_truncated_safetensors_are_said_to_be(tiny_en: Path, tmp_path: Path) -> None:
    content = (tiny_en / "model.safetensors").read_bytes()
    (tmp_path / "model.safetensors").write_bytes(content[: len(content) // 2])
    with pytest.raises(ModelError, match="truncated"):
        CONVERTER.read(tmp_path)


def test_a_folder_without_weights(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    assert not CONVERTER.recognizes(tmp_path)
    with pytest.raises(ModelError, match="no weights"):
        CONVERTER.read(tmp_path)


@pytest.mark.parametrize("suffix", [".pt", ".bin", ".pth"])
def test_torch_opens_what_is_written(tiny_en: Path, tmp_path: Path, suffix: str) -> None:
    import torch

    weights = CONVERTER.read(tiny_en)
    report = CONVERTER.write(weights, tmp_path / f"x{suffix}")
    loaded = torch.load(tmp_path / f"x{suffix}", weights_only=True)
    assert_equal(weights, {name: tensor.numpy() for name, tensor in loaded.items()})
    assert [entry.source for entry in report] == list(weights.tensors)


def test_transformers_opens_the_folder_that_is_written(folder: Path, tmp_path: Path) -> None:
    from transformers import AutoModel, AutoTokenizer

    CONVERTER.write(CONVERTER.read(folder), tmp_path / "copy")
    expected = AutoModel.from_pretrained(folder).state_dict()
    found = AutoModel.from_pretrained(tmp_path / "copy").state_dict()
    stored = {name.removeprefix("bert.") for name in CONVERTER.read(folder).tensors}
    assert set(found) == set(expected)
    for name in stored & set(expected):  # a pooler that is not stored is drawn anew each time
        assert found[name].equal(expected[name]), name
    text = "Is it Thursday? 今天是星期四。"
    ids = [AutoTokenizer.from_pretrained(path)(text)["input_ids"] for path in (folder, tmp_path / "copy")]
    assert ids[0] == ids[1]


def test_a_folder_needs_a_config(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"needs a config\.json"):
        CONVERTER.write(WeightSet({"x": np.zeros(1, np.float32)}), tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


def test_no_framework_is_imported(tiny_en: Path, tmp_path: Path) -> None:
    script = """
import sys
from pathlib import Path
from bertcore import convert
from bertcore.weights.opening import open_model
from bertcore.plugins.registry import Registry
source, work = Path(sys.argv[1]), Path(sys.argv[2])
registry = Registry()
convert(source, work / "x.bin", registry=registry)
convert(work / "x.bin", work / "x.ckpt", registry=registry)
convert(work / "x.ckpt", work / "folder", registry=registry, config=source / "config.json")
open_model(str(work / "folder"), registry).tokenizer()
print(*sorted({"torch", "mindspore", "transformers", "tensorflow", "huggingface_hub"} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", script, tiny_en, tmp_path], capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stderr
