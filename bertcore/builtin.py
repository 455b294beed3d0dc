"""What bertcore itself brings: each thing a plugin of its own, which ``pyproject.toml`` names as an entry point."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from bertcore.plugins.hookspecs import hookimpl


class _Builtin:
    """A plugin that implements one hook: what the targets name is imported and made when the hook is called.

    Args:
        hook: name of the hook.
        targets: what to bring, each as ``module:attribute``; a class is called without arguments.
    """

    def __init__(self, hook: str, *targets: str) -> None:
        def bring() -> list[Any]:
            return [made() if isinstance(made, type) else made for made in map(_found, targets)]

        setattr(self, hook, hookimpl(bring))


def _found(target: str) -> Any:
    module, _, attribute = target.partition(":")
    return getattr(import_module(module), attribute)


def _converter(target: str) -> _Builtin:
    return _Builtin("bertcore_register_converters", f"bertcore.weights.converters.{target}")


def _tracker(target: str) -> _Builtin:
    return _Builtin("bertcore_register_trackers", f"bertcore.trackers.{target}")


bert = _Builtin("bertcore_register_families", "bertcore.families.bert:BertFamily")
roberta = _Builtin(
    "bertcore_register_families",
    "bertcore.families.roberta:RobertaFamily",
    "bertcore.families.roberta:XLMRobertaFamily",
    "bertcore.families.roberta:CamembertFamily",
)
electra = _Builtin("bertcore_register_families", "bertcore.families.electra:ElectraFamily")

huggingface = _converter("huggingface:HuggingFaceConverter")
mindspore_ckpt = _converter("mindspore_ckpt:MindSporeCheckpointConverter")
mindspore_zoo = _converter("mindspore_zoo:MindSporeZooConverter")
mindformers = _converter("mindformers:MindFormersConverter")
mindformers_0_1 = _converter("mindformers:MindFormers01Converter")
bert4torch = _converter("bert4torch:Bert4TorchConverter")
bert4torch_0_3 = _converter("bert4torch:OldBert4TorchConverter")
tensorflow1 = _converter("tensorflow1:TensorFlow1Converter")

tfrecord = _Builtin("bertcore_register_record_formats", "bertcore.data.records.tfrecord:TFRecordFormat")
jsonl = _Builtin("bertcore_register_record_formats", "bertcore.data.records.json_lines:JsonLinesFormat")

console = _tracker("console:FACTORY")
metrics_jsonl = _tracker("metrics:FACTORY")
tensorboard = _tracker("tensorboard:FACTORY")
