"""The task and the head of ``tests/plugin_example``, registered by hand, and a small model for them."""

from __future__ import annotations

import json
import sys
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

from bertcore.contracts.parameters import initial_value
from bertcore.families.bert import BertFamily
from bertcore.families.roberta import RobertaFamily
from bertcore.formats.safetensors_file import write_safetensors
from bertcore.heads import Regression
from bertcore.plugins.discovery import GROUP, installed_plugins
from bertcore.plugins.registry import Registry

EXAMPLE = Path(__file__).resolve().parents[1] / "plugin_example"
SAMPLE = EXAMPLE / "bertcore_example" / "stars_sample"
FAMILIES = {"bert": BertFamily(), "roberta": RobertaFamily()}

SETTINGS: dict[str, Any] = {
    "train.max_steps": 12,
    "train.batch_size": 8,
    "train.learning_rate": 3e-3,
    "train.evaluate_steps": 4,
    "train.save_steps": 4,
    "train.log_steps": 1,
    "run.trackers": ["metrics_jsonl"],
}
"""Three evaluations; with dropout."""


def example_registry() -> Registry:
    """All plugins of this environment, and of the example the task ``stars`` with its head."""
    if str(EXAMPLE) not in sys.path:
        sys.path.append(str(EXAMPLE))
    plugins = installed_plugins()
    names = {"stars": "stars", "ordinal_regression": "Ordinal"}
    plugins.load([EntryPoint(name, f"bertcore_example.plugins:{value}", GROUP) for name, value in names.items()])
    return Registry(plugins)


def small_model(folder: Path, model_type: str = "bert") -> Path:
    """A model of random weights that knows the words of the sample."""
    folder.mkdir(parents=True)
    words = sorted({word for file in SAMPLE.iterdir() for word in file.read_text(encoding="utf-8").split()})
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words]
    (folder / "vocab.txt").write_text("\n".join(vocabulary) + "\n", encoding="utf-8")
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "BertTokenizer"}', encoding="utf-8")
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    config = {"model_type": model_type, "vocab_size": len(vocabulary), "max_position_embeddings": 66, **sizes}
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    family = FAMILIES[model_type]
    table = family.parameter_table(family.parse_config(config), Regression())
    tensors = {name: initial_value(name, spec, 0.1, seed=1) for name, spec in table.items() if spec.optional is None}
    write_safetensors(folder / "model.safetensors", tensors)
    return folder
