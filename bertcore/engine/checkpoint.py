"""Complete checkpoints: everything that a run needs to go on, on any backend, as arrays and JSON.

A checkpoint folder holds ``model/`` (a Hugging Face folder), ``optimizer.safetensors`` (``first_moment.NAME`` and
``second_moment.NAME``) and ``state.json``.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from bertcore.backend import OptimizerState
from bertcore.converters.formats.safetensors_file import read_safetensors, write_safetensors
from bertcore.errors import BertcoreError, ModelError
from bertcore.files import atomic_folder
from bertcore.parameters import Parameters

FORMAT = 1


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
    """

    step: int = 0
    updates: int = 0
    best_value: float | None = None
    best_step: int = 0
    worse_evaluations: int = 0
    pending_loss: float = 0.0
    pending_count: float = 0.0
    history: list[dict[str, Any]] = field(default_factory=list)


def save_checkpoint(
    folder: Path, optimizer: OptimizerState, progress: Progress, save_model: Callable[[Path], None]
) -> None:
    """Writes a checkpoint in place of an earlier one, whole or not at all.

    Args:
        folder: where it shall lie.
        optimizer: state of the session's optimizer.
        progress: where the run stands.
        save_model: writes the Hugging Face folder to a given path.

    Raises:
        OutputError: it could not be written; the earlier one is still there.
    """
    state = {
        "format": FORMAT,
        "progress": asdict(progress),
        "optimizer": {
            "updates": optimizer.updates,
            "loss_scale": optimizer.loss_scale,
            "good_steps": optimizer.good_steps,
        },
    }
    with atomic_folder(folder) as temporary:
        save_model(temporary / "model")
        moments = {f"first_moment.{name}": value for name, value in optimizer.first_moment.items()}
        moments |= {f"second_moment.{name}": value for name, value in optimizer.second_moment.items()}
        write_safetensors(temporary / "optimizer.safetensors", moments)
        (temporary / "state.json").write_text(json.dumps(state), encoding="utf-8")


def load_checkpoint(folder: Path) -> tuple[OptimizerState, Progress]:
    """Reads the state of a checkpoint; its parameters are those of the model in ``folder / "model"``.

    Raises:
        ModelError: it is missing or damaged.
    """
    if not (folder / "state.json").is_file():
        raise ModelError(f"{folder}: no checkpoint to go on from", "start the run anew with another --output")
    try:
        state = json.loads((folder / "state.json").read_text(encoding="utf-8"))
        if state["format"] != FORMAT:
            raise ModelError(f"{folder}: checkpoint of format {state['format']}", "use the release that wrote it")
        moments = read_safetensors(folder / "optimizer.safetensors")
        optimizer = OptimizerState(
            first_moment=_part(moments, "first_moment."),
            second_moment=_part(moments, "second_moment."),
            **state["optimizer"],
        )
        return optimizer, Progress(**state["progress"])
    except BertcoreError:
        raise
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{folder}: damaged checkpoint: {error}", "start the run anew with another --output") from None


def _part(tensors: dict[str, Any], prefix: str) -> Parameters:
    return {name.removeprefix(prefix): np.array(value) for name, value in tensors.items() if name.startswith(prefix)}
