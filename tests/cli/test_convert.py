"""`bertcore convert` as a user types it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from bertcore.weights.converters import mindformers
from bertcore.weights.converters.mindformers import MindFormersConverter
from bertcore.weights.converters.rules import RenameRule

Command = Callable[..., object]


def test_it_prints_every_key_a_summary_and_the_proof(bertcore_command: Command, tiny_en: Path, tmp_path: Path) -> None:
    found = bertcore_command("convert", tiny_en, tmp_path / "x.ckpt", "--to", "mindformers", "--verify")
    assert found.code == 0
    lines = found.out.splitlines()
    assert lines[0].split() == ["source", "canonical", "target", "action"]
    assert len(lines) == 1 + 42 + 2
    assert lines[-2].endswith("(mindformers): 42 read, 37 written, 5 skipped")
    assert lines[-1].startswith("verified on 4 rows of English and Chinese text, 88 tokens; largest differences: ")
    assert "hidden states 0.0e+00 (limit 7.7e-05)" in lines[-1]


def test_json_holds_the_proof(bertcore_command: Command, tiny_en: Path, tmp_path: Path) -> None:
    found = bertcore_command("convert", tiny_en, tmp_path / "x.pt", "--to", "bert4torch", "--verify", "--json")
    report = json.loads(found.out)
    assert report["to_name"] == "bert4torch"
    assert report["verification"]["differences"][0]["output"] == "hidden states"
    report = json.loads(bertcore_command("convert", tiny_en, tmp_path / "y.pt", "--json").out)
    assert report["verification"] is None


def test_a_failed_proof_is_one_line_of_cause_and_leaves_nothing(
    bertcore_command: Command, minilm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = (*mindformers.RULES, RenameRule("bert.dense.weight", "bert.pooler.dense.weight", transpose=True))
    monkeypatch.setattr(MindFormersConverter, "rules", wrong)
    found = bertcore_command("convert", minilm, tmp_path / "x.ckpt", "--to", "mindformers", "--verify")
    assert found.code == 5
    assert found.out == ""
    assert "verification failed: pooled output differ by" in found.err
    assert len(found.err.splitlines()) == 2
    assert list(tmp_path.iterdir()) == []


def test_a_checkpoint_of_tensorflow_by_its_prefix(bertcore_command: Command, shared: Path, tmp_path: Path) -> None:
    source = shared / "weights" / "tf1-bert-tiny-en"
    if not source.is_dir():
        pytest.skip("needs ../shared/weights/tf1-bert-tiny-en")
    found = bertcore_command("convert", source / "bert_model.ckpt", tmp_path / "folder", "--verify")
    assert found.code == 0
    assert "(tensorflow1) -> " in found.out
    assert sorted(file.name for file in (tmp_path / "folder").iterdir()) == [
        "config.json",
        "model.safetensors",
        "vocab.txt",
    ]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--to", "tensorflow1"], 2, "the layout tensorflow1 is read, not written"),
        (["--to", "bert4torc"], 2, "did you mean 'bert4torch'"),
        (["--to", "mindformers"], 8, "mindformers is written to .ckpt, .safetensors"),
        (["--to", "mindspore_ckpt"], 8, "mindspore_ckpt is written to .ckpt"),
        (["--from", "mindformers"], 5, "holds no BERT of mindformers"),
        (["--from", "bert4torch"], 5, "holds no encoder of bert4torch"),
        (["--from", "tensorflow1"], 5, "no TensorFlow checkpoint"),
    ],
)
def test_mistakes_are_a_line_of_cause_and_one_of_remedy(
    bertcore_command: Command, tiny_en: Path, tmp_path: Path, arguments: list[str], code: int, message: str
) -> None:
    shutil.copyfile(tiny_en / "model.safetensors", tmp_path / "model.safetensors")
    found = bertcore_command("convert", tmp_path / "model.safetensors", tmp_path / "x.pt", *arguments)
    assert found.code == code
    assert message in found.err
    assert len(found.err.splitlines()) == 2
    assert [file.name for file in tmp_path.iterdir()] == ["model.safetensors"]


def test_a_damaged_source_leaves_nothing(bertcore_command: Command, tiny_en: Path, tmp_path: Path) -> None:
    bertcore_command("convert", tiny_en, tmp_path / "x.ckpt", "--to", "mindformers")
    content = bytearray((tmp_path / "x.ckpt").read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / "x.ckpt").write_bytes(content)
    found = bertcore_command("convert", tmp_path / "x.ckpt", tmp_path / "x.pt", "--verify")
    assert found.code == 5
    assert "its checksum is wrong" in found.err
    assert [file.name for file in tmp_path.iterdir()] == ["x.ckpt"]


def test_names_that_are_too_long(bertcore_command: Command, tiny_en: Path, tmp_path: Path) -> None:
    name = "a" * 300
    for arguments, code in (((tiny_en, tmp_path / name), 8), ((tmp_path / name, tmp_path / "x.pt"), 5)):
        found = bertcore_command("convert", *arguments)
        assert found.code == code
        assert len(found.err.splitlines()) == 2
    found = bertcore_command("evaluate", tmp_path / name)
    assert found.code == 8
    assert found.err.splitlines()[0].endswith(f"{name}/config.toml: file name too long")
    assert list(tmp_path.iterdir()) == []


def test_a_family_that_is_guessed_is_said(bertcore_command: Command, tiny_en: Path, tmp_path: Path) -> None:
    """Names without a prefix and without a config.json tell no family."""
    from safetensors.numpy import load_file, save_file

    tensors = load_file(tiny_en / "model.safetensors")
    encoder = {name.removeprefix("bert."): tensor for name, tensor in tensors.items() if name.startswith("bert.")}
    save_file(encoder or tensors, tmp_path / "bare.safetensors")
    found = bertcore_command("convert", tmp_path / "bare.safetensors", tmp_path / "x.ckpt")
    assert "bare.safetensors: taken for a BERT, since there is no config.json" in found.out
    found = bertcore_command(
        "convert", tmp_path / "bare.safetensors", tmp_path / "y.ckpt", "--config", tiny_en / "config.json"
    )
    assert "taken for" not in found.out


def test_a_wrapped_model_and_a_trainers_folder_are_evaluated_as_the_model_itself(
    bertcore_command: Command, finished_run: Path, small_rte: Path, tmp_path: Path
) -> None:
    import torch
    from safetensors.torch import load_file

    folder = tmp_path / "output" / "checkpoint-4"
    shutil.copytree(finished_run / "best", folder, ignore=shutil.ignore_patterns("bertcore_manifest.json"))
    state = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    torch.save({f"module._orig_mod.{name}": tensor for name, tensor in state.items()}, folder / "pytorch_model.bin")
    arguments = ("--task", "rte", "--backend", "torch", "--data", small_rte)
    expected = bertcore_command("evaluate", finished_run / "best", *arguments)
    for given in (folder, folder.parent):
        found = bertcore_command("evaluate", given, *arguments)
        assert found.code == 0
        assert found.last_line == expected.last_line
        assert "the encoder's names begin with module._orig_mod.bert." in found.out + found.err
    assert "checkpoint-4 is taken" in found.out + found.err
