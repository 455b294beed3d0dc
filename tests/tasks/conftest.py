"""Real models that are small enough for the tests of tasks."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
from safetensors.numpy import load_file, save_file


@pytest.fixture(scope="session")
def chinese_l2(chinese_l12: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The embeddings and the first two layers of the Chinese BERT, as a model folder of its own."""
    folder = tmp_path_factory.mktemp("models") / "bert-zh-L2-H384"
    folder.mkdir()
    for name in ("vocab.txt", "tokenizer_config.json"):
        shutil.copyfile(chinese_l12 / name, folder / name)
    config = json.loads((chinese_l12 / "config.json").read_text(encoding="utf-8"))
    (folder / "config.json").write_text(json.dumps({**config, "num_hidden_layers": 2}), encoding="utf-8")
    tensors = load_file(chinese_l12 / "model.safetensors")
    later = re.compile(r"encoder\.layer\.(?!0\.|1\.)")
    save_file(
        {name: values for name, values in tensors.items() if not later.search(name)}, folder / "model.safetensors"
    )
    return folder
