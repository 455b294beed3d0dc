"""What bertcore itself brings: each thing a plugin of its own, which ``pyproject.toml`` names as an entry point."""

from __future__ import annotations

from bertcore.plugins.lazy import LazyPlugin


def _converter(target: str) -> LazyPlugin:
    return LazyPlugin("bertcore_register_converters", f"bertcore.weights.converters.{target}")


def _tracker(target: str) -> LazyPlugin:
    return LazyPlugin("bertcore_register_trackers", f"bertcore.trackers.{target}")


bert = LazyPlugin("bertcore_register_families", "bertcore.families.bert:BertFamily")
roberta = LazyPlugin(
    "bertcore_register_families",
    "bertcore.families.roberta:RobertaFamily",
    "bertcore.families.roberta:XLMRobertaFamily",
    "bertcore.families.roberta:CamembertFamily",
)
electra = LazyPlugin("bertcore_register_families", "bertcore.families.electra:ElectraFamily")

huggingface = _converter("huggingface:HuggingFaceConverter")
mindspore_ckpt = _converter("mindspore_ckpt:MindSporeCheckpointConverter")
mindspore_zoo = _converter("mindspore_zoo:MindSporeZooConverter")
mindformers = _converter("mindformers:MindFormersConverter")
mindformers_0_1 = _converter("mindformers:MindFormers01Converter")
bert4torch = _converter("bert4torch:Bert4TorchConverter")
bert4torch_0_3 = _converter("bert4torch:OldBert4TorchConverter")
tensorflow1 = _converter("tensorflow1:TensorFlow1Converter")

tfrecord = LazyPlugin("bertcore_register_record_formats", "bertcore.data.records.tfrecord:TFRecordFormat")
jsonl = LazyPlugin("bertcore_register_record_formats", "bertcore.data.records.json_lines:JsonLinesFormat")

console = _tracker("console:FACTORY")
metrics_jsonl = _tracker("metrics:FACTORY")
tensorboard = _tracker("tensorboard:FACTORY")

launchers = LazyPlugin(
    "bertcore_register_launchers",
    *(f"bertcore.launch.launchers:{name}" for name in ("LOCAL", "SSH", "OPEN_MPI", "SLURM")),
)
