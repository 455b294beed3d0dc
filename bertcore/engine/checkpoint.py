"""Complete checkpoints: everything that a run needs to go on, on any backend, as arrays and JSON.

A checkpoint folder holds ``model/`` (a Hugging Face folder), of a run with LoRA ``adapter/`` beside the frozen weights,
``optimizer.safetensors`` (``first_moment.NAME``, ``second_moment.NAME``, and with ``train.ema`` ``average.NAME``),
``state.json``, and the manifest of all these. The last one is ``checkpoint/`` in the run folder; those before it, as
many as ``train.keep_checkpoints`` says, are ``checkpoint-STEP/``.

A new one is complete and on the disk before it gets its name, and the one that it follows has one at every moment: so
whenever a run is killed or the power is cut, :func:`newest_checkpoint` finds one::

    before           1. written    2. renamed       3. renamed           4. with keep_checkpoints = 2
                     hidden (50)   hidden (50)      checkpoint (50)      checkpoint (50)
    checkpoint (40)                checkpoint-40    checkpoint-40        checkpoint-40
    checkpoint-30                  checkpoint-30    checkpoint-30
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from bertcore.contracts.parameters import Parameters, ParameterSpec
from bertcore.contracts.training_step import OptimizerState
from bertcore.errors import BertcoreError, ModelError, Origin
from bertcore.files.manifest import verified_facts, write_manifest
from bertcore.files.writing import atomic_folder, remove
from bertcore.formats.safetensors_file import read_safetensors, write_safetensors

FORMAT = 1
NEWEST = "checkpoint"
MODEL, ADAPTER = "model", "adapter"
"""Folders in a checkpoint; the second one of a run that trains an adapter."""
_EARLIER = re.compile(rf"{NEWEST}-(\d+)")


@dataclass
class Progress:
    """Where a run stands.

    Attributes:
        step: optimizer steps done; it determines the data order and the dropout masks.
        updates: steps whose update was not skipped; it determines the learning rate.
        best_value: value of the task's metric at the best evaluation so far.
        best_step: step of that evaluation.
        worse_evaluations: evaluations since the best one.
        pending_loss: loss sum since the last log.
        pending_count: what that sum is divided by.
        history: everything logged so far, for the report.
        micro_batch: rows of a forward pass at most, where the device had no memory for more.
    """

    step: int = 0
    updates: int = 0
    best_value: float | None = None
    best_step: int = 0
    worse_evaluations: int = 0
    pending_loss: float = 0.0
    pending_count: float = 0.0
    history: list[dict[str, Any]] = field(default_factory=list)
    micro_batch: int | None = None


@dataclass(frozen=True)
class Checkpoint:
    """A complete checkpoint that was read.

    Attributes:
        folder: where it lies; its parameters are those of the model in ``model/``.
        optimizer: state of the optimizer.
        progress: where the run stood.
        damaged: later ones, which could not be used.
    """

    folder: Path
    optimizer: OptimizerState
    progress: Progress
    damaged: tuple[Path, ...] = ()


def save_checkpoint(
    run: Path,
    optimizer: OptimizerState,
    progress: Progress,
    save_model: Callable[[Path], None],
    *,
    keep: int = 1,
    damaged: Collection[Path] = (),
) -> Path:
    """Writes a checkpoint, whole or not at all, and removes those that are not kept any longer.

    Args:
        run: the run folder.
        optimizer: state of the session's optimizer.
        progress: where the run stands.
        save_model: writes ``model/``, and ``adapter/`` where there is one, into a given folder.
        keep: how many there may be, with the new one.
        damaged: those that are not worth keeping.

    Returns:
        Where it lies.

    Raises:
        OutputError: it could not be written; the earlier ones are still there.
    """
    folder = run / NEWEST
    state = {
        "format": FORMAT,
        "progress": asdict(progress),
        "optimizer": {
            "updates": optimizer.updates,
            "loss_scale": optimizer.loss_scale,
            "good_steps": optimizer.good_steps,
            "missed": dict(optimizer.missed),
        },
    }
    with atomic_folder(folder, keep_earlier=_name_to_keep(folder, damaged)) as temporary:
        save_model(temporary)
        # What was never trained has moments of zero, and need not fill the disk.
        arrays = {f"first_moment.{name}": value for name, value in optimizer.first_moment.items() if value.any()}
        arrays |= {f"second_moment.{name}": value for name, value in optimizer.second_moment.items() if value.any()}
        arrays |= {f"average.{name}": value for name, value in optimizer.averages.items()}
        write_safetensors(temporary / "optimizer.safetensors", arrays)
        (temporary / "state.json").write_text(json.dumps(state), encoding="utf-8")
        write_manifest(temporary, step=progress.step)
    remove_checkpoints(run, keep, [path for path in damaged if path != folder])
    return folder


def remove_checkpoints(run: Path, keep: int, damaged: Collection[Path] = ()) -> None:
    """Removes the checkpoints of a run folder that are damaged, and those beyond the newest `keep` others."""
    good = [path for path in kept_checkpoints(run) if path not in damaged]
    for path in kept_checkpoints(run):
        if path not in good[:keep]:
            remove(path)


def kept_checkpoints(run: Path) -> list[Path]:
    """The checkpoints of a run folder, the newest first."""
    earlier = [(int(match[1]), path) for path in run.glob(f"{NEWEST}-*") if (match := _EARLIER.fullmatch(path.name))]
    newest = [run / NEWEST] if (run / NEWEST).is_dir() else []
    return newest + [path for _, path in sorted(earlier, reverse=True)]


def newest_checkpoint(run: Path, note: Callable[[str], None] = lambda text: None) -> Checkpoint | None:
    """Reads the newest checkpoint that is not damaged.

    Args:
        run: the run folder.
        note: told which ones are damaged, where an earlier one is used.

    Returns:
        None where the run has not written any.

    Raises:
        ModelError: there are some, and all are damaged.
    """
    failures: dict[Path, ModelError] = {}
    for folder in kept_checkpoints(run):
        try:
            checkpoint = load_checkpoint(folder)
        except ModelError as error:
            failures[folder] = error
            continue
        for failure in failures.values():
            note(f"{failure.cause}: going on from the one before, {folder.name}, step {checkpoint.progress.step}")
        return Checkpoint(folder, checkpoint.optimizer, checkpoint.progress, tuple(failures))
    if failures:
        raise next(iter(failures.values()))
    return None


def load_checkpoint(folder: Path) -> Checkpoint:
    """Reads a checkpoint, and compares every file with its manifest.

    Raises:
        ModelError: something in it is missing or damaged.
    """
    verified_facts(folder)
    try:
        state = json.loads((folder / "state.json").read_text(encoding="utf-8"))
        if state["format"] != FORMAT:
            raise ModelError(
                f"checkpoint of format {state['format']}",
                "use the release that wrote it",
                origin=Origin(str(folder)),
                code="checkpoint-version",
            )
        arrays = read_safetensors(folder / "optimizer.safetensors")
        optimizer = OptimizerState(
            first_moment=_part(arrays, "first_moment."),
            second_moment=_part(arrays, "second_moment."),
            averages=_part(arrays, "average."),
            **state["optimizer"],
        )
        return Checkpoint(folder, optimizer, Progress(**state["progress"]))
    except BertcoreError:
        raise
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(
            f"damaged checkpoint: {error}",
            "start the run anew with another --output",
            origin=Origin(str(folder)),
            code="checkpoint-damaged",
        ) from None


def complete_state(state: OptimizerState, table: Mapping[str, ParameterSpec]) -> OptimizerState:
    """A state that was read, with the moments that are zero."""
    return replace(
        state, first_moment=_completed(state.first_moment, table), second_moment=_completed(state.second_moment, table)
    )


def _completed(moment: Parameters, table: Mapping[str, ParameterSpec]) -> Parameters:
    return {name: moment[name] if name in moment else np.zeros(spec.shape, np.float32) for name, spec in table.items()}


def _name_to_keep(folder: Path, damaged: Collection[Path]) -> Path | None:
    """The name that the newest checkpoint has once it is not that any more; None where it is not kept."""
    if folder in damaged:
        return None
    try:
        step = json.loads((folder / "state.json").read_text(encoding="utf-8"))["progress"]["step"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    kept = folder.with_name(f"{NEWEST}-{step:d}")
    remove(kept)  # of the same step: written by a run that went on from before it
    return kept


def _part(tensors: dict[str, Any], prefix: str) -> Parameters:
    return {name.removeprefix(prefix): np.array(value) for name, value in tensors.items() if name.startswith(prefix)}
