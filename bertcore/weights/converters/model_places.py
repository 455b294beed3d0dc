"""Where in a folder the weights are, and what a folder or file without weights is instead.

Trainers leave folders of their own kinds: transformers' Trainer one `checkpoint-N` for each save, DeepSpeed and FSDP
pieces of each process, peft an adapter alone. Each is named for what it is, with the command that makes weights of it.
"""

from __future__ import annotations

import json
import re
from contextlib import suppress
from pathlib import Path

from bertcore.errors import ModelError, Origin
from bertcore.formats.mistaken import DOWNLOAD_AGAIN, mistaken, partial_downloads

_CHECKPOINT = re.compile(r"checkpoint-(\d+)")
_WEIGHTS = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
)
_WEIGHT_SUFFIXES = (".safetensors", ".bin", ".pt", ".pth", ".ckpt")
_STATES = ("optimizer.pt", "optimizer.bin", "scheduler.pt", "scheduler.bin", "training_args.bin", "rng_state.pth")
"""What trainers leave beside the weights."""

_OTHER_FORMATS = (".onnx", ".msgpack", ".h5", ".gguf", ".ot", ".pdparams", ".mindir", ".om", ".tflite", ".pb", ".npz")


def trainer_checkpoints(folder: Path) -> list[Path]:
    """The folders `checkpoint-N` with weights that transformers' Trainer left in a folder, the oldest first."""
    with suppress(OSError):
        steps = {
            int(match[1]): entry
            for entry in folder.iterdir()
            if (match := _CHECKPOINT.fullmatch(entry.name)) and any((entry / name).is_file() for name in _WEIGHTS)
        }
        return [steps[step] for step in sorted(steps)]
    return []


def chosen_checkpoint(folder: Path) -> tuple[Path, tuple[str, ...]]:
    """The folder itself, or, with a note, the newest of its `checkpoint-N` where only these hold weights."""
    checkpoints = [] if any((folder / name).is_file() for name in _WEIGHTS) else trainer_checkpoints(folder)
    if not checkpoints:
        return folder, ()
    newest = checkpoints[-1]
    note = f"{folder} holds no weights but in {len(checkpoints)} checkpoints of a Trainer: {newest.name} is taken"
    best = _best_checkpoint(newest)
    if best is not None:
        note += f"; its trainer_state.json calls {best} the best"
    if len(checkpoints) > 1:
        note += f"; name another one by its folder, as {checkpoints[0]}"
    return newest, (note,)


def without_weights(path: Path) -> ModelError | None:
    """The error for a path that no converter recognizes, where it can be told what it is; else None."""
    return _file_error(path) if path.is_file() else _folder_error(path)


def _best_checkpoint(checkpoint: Path) -> str | None:
    """The name of the best checkpoint, as the Trainer noted it."""
    try:
        state = json.loads((checkpoint / "trainer_state.json").read_text(encoding="utf-8"))
        best = state.get("best_model_checkpoint")
    except (OSError, ValueError, AttributeError, RecursionError):
        return None
    name = re.split(r"[/\\]", best)[-1] if isinstance(best, str) else None
    return name if name and _CHECKPOINT.fullmatch(name) else None


def _file_error(path: Path) -> ModelError | None:
    known = mistaken(path)
    return (
        None
        if known is None
        else ModelError(f"this is {known.what}", known.remedy, origin=Origin(str(path)), code="not-weights")
    )


def _folder_error(folder: Path) -> ModelError | None:
    try:
        names = sorted(entry.name for entry in folder.iterdir())
    except OSError:
        return None
    if not names:
        return ModelError(
            "an empty folder", "copy the model's files into it", origin=Origin(str(folder)), code="weights-missing"
        )
    return (
        _hub_cache(folder, names)
        or _pieces_of_processes(folder, names)
        or _adapter(folder, names)
        or _partial(folder)
        or _state_of_accelerate(folder, names)
        or _other_name(folder, names)
        or _other_format(folder, names)
    )


def _hub_cache(folder: Path, names: list[str]) -> ModelError | None:
    if "snapshots" not in names or "blobs" not in names:
        return None
    snapshots = sorted((folder / "snapshots").iterdir(), key=lambda entry: entry.stat().st_mtime)
    which = snapshots[-1] if snapshots else "snapshots/COMMIT"
    return ModelError(
        "this is a folder of the hub's cache, not a model's",
        f"give the snapshot in it: {which}",
        origin=Origin(str(folder)),
        code="model-missing",
    )


def _pieces_of_processes(folder: Path, names: list[str]) -> ModelError | None:
    """What the processes of DeepSpeed, FSDP or torch.distributed saved, each its own part."""
    if "zero_to_fp32.py" in names or any(name.endswith("_model_states.pt") for name in names):
        root = folder if "zero_to_fp32.py" in names else folder.parent
        return ModelError(
            "this is a checkpoint of DeepSpeed: each process saved its own part of the weights",
            f"python {root}/zero_to_fp32.py {root} {root}/merged --safe_serialization, then give {root}/merged",
            origin=Origin(str(folder)),
            code="weights-distributed",
        )
    parts = next((name for name in names if name.startswith("pytorch_model_fsdp_") and (folder / name).is_dir()), None)
    if parts is not None:
        return ModelError(
            "this is a checkpoint of FSDP: each process saved its own part of the weights",
            f"accelerate merge-weights {folder / parts} {folder}/merged, then give {folder}/merged",
            origin=Origin(str(folder)),
            code="weights-distributed",
        )
    if any(name.endswith(".distcp") for name in names):
        return ModelError(
            "this is a distributed checkpoint of torch: each process saved its own part of the weights",
            f"python -m torch.distributed.checkpoint.format_utils dcp_to_torch {folder} pytorch_model.bin",
            origin=Origin(str(folder)),
            code="weights-distributed",
        )
    return None


def _state_of_accelerate(folder: Path, names: list[str]) -> ModelError | None:
    if not any(name.startswith("random_states_") for name in names) or not set(_WEIGHTS) & set(names):
        return None
    return ModelError(
        "this is a state of accelerate, with weights but without a config.json",
        "copy config.json and the tokenizer's files of the model that was trained into it",
        origin=Origin(str(folder)),
        code="model-config-missing",
    )


def _other_name(folder: Path, names: list[str]) -> ModelError | None:
    """Weights under a name that no folder of transformers has."""
    if set(_WEIGHTS) & set(names):
        return None
    files = [name for name in names if name.endswith(_WEIGHT_SUFFIXES) and name not in _STATES]
    if not files:
        return None
    found = ", ".join([*files[:3], *["..."] * (len(files) > 3)])
    return ModelError(
        f"it holds no {' or '.join(_WEIGHTS[::2])}, but {found}",
        f"give the file itself: {folder / files[0]}",
        origin=Origin(str(folder)),
        code="weights-missing",
    )


def _adapter(folder: Path, names: list[str]) -> ModelError | None:
    if "adapter_config.json" not in names:
        return None
    return ModelError(
        "this is an adapter of peft: what was learnt beside a model, without the model",
        "in Python: AutoPeftModel.from_pretrained(DIR).merge_and_unload().save_pretrained(OUT), then give OUT",
        origin=Origin(str(folder)),
        code="adapter-unmerged",
    )


def _partial(folder: Path) -> ModelError | None:
    partial = partial_downloads(folder)
    if not partial:
        return None
    return ModelError(
        f"{partial[0]} is the part of a download that is not complete",
        DOWNLOAD_AGAIN,
        origin=Origin(str(folder)),
        code="not-weights",
    )


def _other_format(folder: Path, names: list[str]) -> ModelError | None:
    for name in names:
        known = mistaken(folder / name) if name.endswith(_OTHER_FORMATS) else None
        if known is not None:
            return ModelError(
                f"it holds no weights that are read: {name} is {known.what}",
                known.remedy,
                origin=Origin(str(folder)),
                code="not-weights",
            )
    return None
