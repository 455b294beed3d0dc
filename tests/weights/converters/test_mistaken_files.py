"""What people give in the place of weights is named for what it is, with the command that helps.

The files are made by the programs that make them where these are installed: git-lfs's pointer by its specification,
archives by Python's standard library, half downloads by cutting what safetensors and torch wrote.
"""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import shutil
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from bertcore import convert
from bertcore.errors import ModelError
from bertcore.plugins.registry import Registry
from bertcore.weights.opening import open_model

POINTER = b"""version https://git-lfs.github.com/spec/v1
oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393
size 411577189
"""
NAMES = ("model.safetensors", "pytorch_model.bin", "bert.ckpt", "model.pt")


@pytest.fixture(scope="module")
def registry() -> Registry:
    return Registry()


@pytest.fixture
def folder(tiny_en: Path, tmp_path: Path) -> Path:
    """A model folder without weights."""
    result = tmp_path / "model"
    result.mkdir()
    shutil.copy(tiny_en / "config.json", result)
    return result


def refusal(use: Callable[[], Any]) -> ModelError:
    with pytest.raises(ModelError) as caught:
        use()
    assert "\n" not in caught.value.cause + caught.value.remedy
    assert caught.value.remedy
    return caught.value


def both_refusals(path: Path, registry: Registry) -> ModelError:
    """What convert says; --model must say the same."""
    error = refusal(lambda: convert(path, path.parent / "out.pt", registry=registry))
    assert refusal(lambda: open_model(str(path), registry)).cause == error.cause
    return error


def tar(mode: str) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode=mode) as archive:  # type: ignore[call-overload]
        member = tarfile.TarInfo("bert/config.json")
        member.size = 2
        archive.addfile(member, io.BytesIO(b"{}"))
    return file.getvalue()


def zipped() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("bert/config.json", "{}")
        archive.writestr("bert/vocab.txt", "[PAD]")
    return file.getvalue()


CONTENTS = {
    "git-lfs": (POINTER, "a pointer of git-lfs to 412 MB of weights", "git lfs pull"),
    "page": (b"\n<!DOCTYPE html>\n<html lang='en'><title>Sign in</title></html>", "a web page", "/resolve/main/"),
    "answer": (b'{"error":"Repository not found"}', "the answer of a server", "download it again"),
    "empty": (b"", "empty, of 0 bytes", "download, copy or save it again"),
    "reserved": (bytes(9000), "nothing but zeros", "download it again"),
    "zip": (zipped(), "a zip archive of bert/config.json, bert/vocab.txt", "unzip NAME"),
    "tar": (tar("w"), "a tar ", "NAME"),
    "tar.gz": (tar("w:gz"), "a gzip archive", "tar xzf NAME"),
    "gzip": (gzip.compress(b"x"), "a gzip archive", "tar xzf NAME"),
    "bzip2": (bz2.compress(b"x"), "a bzip2 archive", "tar xjf NAME"),
    "xz": (lzma.compress(b"x"), "an xz archive", "tar xJf NAME"),
    "hdf5": (b"\x89HDF\r\n\x1a\n" + bytes(100), "an HDF5 file", "from_tf=True"),
    "gguf": (b"GGUF\x03\x00\x00\x00" + bytes(100), "a GGUF file", "model.safetensors"),
    "onnx": (b"\x08\x07\x12\x07pytorch\x1a\x032.4" + bytes(100), "an ONNX model", "exported from"),
}


@pytest.mark.parametrize("kind", [kind for kind in CONTENTS if kind != "tar"])
@pytest.mark.parametrize("name", NAMES)
def test_what_is_no_weight_file_is_named(folder: Path, registry: Registry, name: str, kind: str) -> None:
    content, cause, remedy = CONTENTS[kind]
    (folder / name).write_bytes(content)
    error = both_refusals(folder / name, registry)
    assert error.cause.startswith(f"{folder / name}: this is {cause}")
    assert remedy.replace("NAME", name) in error.remedy


def test_a_tar_archive_is_named(folder: Path, registry: Registry) -> None:
    (folder / "model.safetensors").write_bytes(tar("w"))
    assert "tar xf model.safetensors" in both_refusals(folder / "model.safetensors", registry).remedy


@pytest.mark.parametrize(
    ("name", "cause"),
    [
        ("model.onnx", "an ONNX model"),
        ("flax_model.msgpack", "weights of Flax"),
        ("tf_model.h5", "weights of Keras"),
        ("model_state.pdparams", "weights of Paddle"),
        ("bert.mindir", "a compiled graph of MindSpore"),
        ("rust_model.ot", "weights of rust-bert"),
    ],
)
def test_other_programs_files_are_named_alone_and_in_a_folder(
    folder: Path, registry: Registry, name: str, cause: str
) -> None:
    (folder / name).write_bytes(b"\x82\xa4bert\xc0 and so on")
    assert f"{name}: this is {cause}" in both_refusals(folder / name, registry).cause
    assert f"{folder}: it holds no weights that are read: {name} is {cause}" in both_refusals(folder, registry).cause


# Half downloads.


def test_a_safetensors_file_that_is_cut_tells_how_much_is_there(
    folder: Path, tiny_en: Path, registry: Registry
) -> None:
    whole = (tiny_en / "model.safetensors").read_bytes()
    for length in (len(whole) - 1, len(whole) // 2, 100):
        (folder / "model.safetensors").write_bytes(whole[:length])
        error = both_refusals(folder / "model.safetensors", registry)
        needed = len(whole) if length > 5000 else 8 + int.from_bytes(whole[:8], "little")
        assert f"truncated: it has {length} bytes of {needed}" in error.cause
        assert "wget -c" in error.remedy


@pytest.mark.parametrize("name", ["pytorch_model.bin", "lightning.ckpt"])
def test_a_torch_file_that_is_cut(folder: Path, registry: Registry, name: str) -> None:
    import torch

    file = io.BytesIO()
    torch.save({"bert.pooler.dense.weight": torch.randn(200, 200)}, file)
    (folder / name).write_bytes(file.getvalue()[:100_000])
    error = both_refusals(folder / name, registry)
    assert f"{folder / name}: this is cut short: a zip archive without its directory" in error.cause


@pytest.mark.parametrize(
    "beside", ["model.safetensors.aria2", "model.safetensors.incomplete", "model.safetensors.part"]
)
def test_a_download_that_its_program_calls_incomplete(
    folder: Path, tiny_en: Path, registry: Registry, beside: str
) -> None:
    whole = (tiny_en / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(whole[: len(whole) // 2])
    (folder / beside).write_bytes(b"progress")
    assert f"as {beside} beside it says" in both_refusals(folder / "model.safetensors", registry).cause
    (folder / "model.safetensors").unlink()
    assert f"{beside} is the part of a download" in both_refusals(folder, registry).cause
    assert "is the part of a download" in both_refusals(folder / beside, registry).cause


def test_missing_shards_are_named(folder: Path, minilm: Path, registry: Registry) -> None:
    from transformers import AutoModel

    AutoModel.from_pretrained(minilm).save_pretrained(folder, max_shard_size="30MB")
    shards = sorted(file.name for file in folder.glob("*-of-*.safetensors"))
    assert len(shards) >= 3
    for shard in shards[1:]:
        (folder / shard).unlink()
    error = both_refusals(folder, registry)
    assert f"names {len(shards)} files, of which {len(shards) - 1} are missing: {shards[1]}" in error.cause


# Folders of trainers.


def test_a_trainers_folder_opens_with_its_newest_checkpoint_and_a_note(
    tiny_en: Path, registry: Registry, tmp_path: Path
) -> None:
    output = tmp_path / "output"
    for step in (50, 1000, 500):
        folder = output / f"checkpoint-{step}"
        shutil.copytree(tiny_en, folder)
        tensors = load_file(folder / "model.safetensors")
        tensors["bert.embeddings.LayerNorm.gamma"] += step
        save_file(tensors, folder / "model.safetensors")
        state = {"best_model_checkpoint": f"/home/anna/output/checkpoint-{500}", "global_step": step}
        (folder / "trainer_state.json").write_text(json.dumps(state))
        for name in ("optimizer.pt", "scheduler.pt", "rng_state.pth", "training_args.bin"):
            (folder / name).write_bytes(b"not for bertcore")
    (output / "checkpoint-2000").mkdir()  # the Trainer was killed before it wrote anything
    (output / "runs").mkdir()

    note = (
        f"{output} holds no weights but in 3 checkpoints of a Trainer: checkpoint-1000 is taken; its "
        f"trainer_state.json calls checkpoint-500 the best; name another one by its folder, as {output}/checkpoint-50"
    )
    opened = open_model(str(output), registry)
    assert opened.weights.notes == (note,)
    assert opened.folder == output / "checkpoint-1000"
    named = open_model(str(output / "checkpoint-500"), registry)
    assert named.weights.notes == ()
    for source, step in ((opened, 1000), (named, 500)):
        expected = load_file(output / f"checkpoint-{step}" / "model.safetensors")["bert.embeddings.LayerNorm.gamma"]
        np.testing.assert_array_equal(source.weights.tensors["bert.embeddings.LayerNorm.weight"], expected)
    report = convert(output, tmp_path / "out", registry=registry)
    assert report.notes[0] == note
    assert "vocab.txt" in report.files

    shutil.copy(tiny_en / "model.safetensors", output)
    shutil.copy(tiny_en / "config.json", output)
    assert open_model(str(output), registry).folder == output


def test_a_folder_that_transformers_trainer_wrote_is_read(tmp_path: Path, registry: Registry) -> None:
    """Its own files beside the weights, pickles among them, do not matter."""
    import torch
    from transformers import BertConfig, BertForSequenceClassification, Trainer, TrainingArguments

    network = BertForSequenceClassification(
        BertConfig(vocab_size=30, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8)
    )
    rows = [{"input_ids": torch.tensor([1, 2, 3]), "labels": torch.tensor(index % 2)} for index in range(4)]
    arguments = TrainingArguments(
        str(tmp_path / "output"), max_steps=2, save_steps=1, report_to="none", use_cpu=True, disable_tqdm=True
    )
    Trainer(network, arguments, train_dataset=rows).train()
    assert {"optimizer.pt", "scheduler.pt", "training_args.bin"} <= {
        file.name for file in (tmp_path / "output" / "checkpoint-2").iterdir()
    }
    opened = open_model(str(tmp_path / "output"), registry)
    assert "checkpoint-2 is taken" in opened.weights.notes[0]
    expected = BertForSequenceClassification.from_pretrained(tmp_path / "output" / "checkpoint-2").state_dict()
    parameters, fit = opened.fit(opened.head(), seed=0)
    assert not fit.initialized
    for name, array in parameters.items():
        np.testing.assert_array_equal(array, expected[name].numpy(), err_msg=name)


PARTS = {
    "DeepSpeed": ({"latest": b"global_step5", "zero_to_fp32.py": b""}, "zero_to_fp32.py {folder} {folder}/merged"),
    "FSDP": (
        {"pytorch_model_fsdp_0/.metadata": b"", "optimizer_0/.metadata": b""},
        "accelerate merge-weights {folder}",
    ),
    "a distributed checkpoint of torch": ({"__0_0.distcp": b"", ".metadata": b""}, "dcp_to_torch {folder}"),
    "an adapter of peft": ({"adapter_config.json": b"{}", "adapter_model.bin": b""}, "merge_and_unload"),
    "a folder of the hub's cache": ({"blobs/x": b"", "refs/main": b"", "snapshots/abc/x": b""}, "snapshots/abc"),
}


@pytest.mark.parametrize("kind", list(PARTS))
@pytest.mark.parametrize("with_config", [False, True])
def test_folders_of_other_programs_are_named_with_the_command(
    tmp_path: Path, registry: Registry, tiny_en: Path, kind: str, with_config: bool
) -> None:
    files, remedy = PARTS[kind]
    folder = tmp_path / "folder"
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    if with_config:
        shutil.copy(tiny_en / "config.json", folder)
    error = both_refusals(folder, registry)
    assert kind in error.cause
    assert remedy.format(folder=folder) in error.remedy


def test_a_state_of_accelerate_asks_for_the_config(tmp_path: Path, registry: Registry, tiny_en: Path) -> None:
    for name in ("model.safetensors", "optimizer.bin", "random_states_0.pkl", "scheduler.bin"):
        shutil.copy(tiny_en / "model.safetensors", tmp_path / name)
    error = refusal(lambda: open_model(str(tmp_path), registry))
    assert f"{tmp_path}: this is a state of accelerate" in error.cause
    assert "copy config.json" in error.remedy


def test_weights_of_another_name_in_a_folder_are_named(folder: Path, registry: Registry, tiny_en: Path) -> None:
    shutil.copy(tiny_en / "model.safetensors", folder / "best.safetensors")
    (folder / "optimizer.pt").write_bytes(b"of no interest")
    error = both_refusals(folder, registry)
    assert "holds no model.safetensors or pytorch_model.bin, but best.safetensors" in error.cause
    assert error.remedy == f"give the file itself: {folder / 'best.safetensors'}"
    assert open_model(str(folder / "best.safetensors"), registry).weights.tensors


def test_a_download_of_aria2_is_refused_though_its_size_is_whole(
    folder: Path, tiny_en: Path, registry: Registry
) -> None:
    """aria2 reserves the space: what has not come yet reads as zeros, and would be taken for weights."""
    content = bytearray((tiny_en / "model.safetensors").read_bytes())
    content[len(content) // 2 :] = bytes(len(content) - len(content) // 2)
    (folder / "model.safetensors").write_bytes(content)
    (folder / "model.safetensors.aria2").write_bytes(b"\x00\x01")
    assert "model.safetensors.aria2 beside it says" in both_refusals(folder, registry).cause


@pytest.mark.parametrize("content", [b"<!DOCTYPE html><html>Sign in</html>", POINTER, b""])
def test_a_config_that_is_something_else_is_named(
    folder: Path, tiny_en: Path, registry: Registry, content: bytes
) -> None:
    shutil.copy(tiny_en / "model.safetensors", folder)
    (folder / "config.json").write_bytes(content)
    assert both_refusals(folder, registry).cause.startswith(f"{folder / 'config.json'}: this is ")


def test_an_adapter_that_is_not_merged_is_named(folder: Path, tiny_en: Path, registry: Registry) -> None:
    """As peft wraps each layer: the names are those of PeftModel.state_dict()."""
    tensors = load_file(tiny_en / "model.safetensors")
    query = "bert.encoder.layer.0.attention.self.query"
    wrapped = {f"base_model.model.{name}": tensor for name, tensor in tensors.items()}
    wrapped[f"base_model.model.{query}.base_layer.weight"] = wrapped.pop(f"base_model.model.{query}.weight")
    for part, shape in (("lora_A", (4, 128)), ("lora_B", (128, 4))):
        wrapped[f"base_model.model.{query}.{part}.default.weight"] = np.ones(shape, "f4")
    save_file(wrapped, folder / "model.safetensors")
    error = both_refusals(folder, registry)
    assert "holds an adapter that is not merged into its weights" in error.cause
    assert "merge_and_unload" in error.remedy
