"""Event files for TensorBoard, written with the message classes of ``tensorboardX`` and without any framework.

Format: https://github.com/tensorflow/tensorboard/blob/master/tensorboard/compat/proto/event.proto, in TFRecord framing.
"""

from __future__ import annotations

import os
import struct
import time
from pathlib import Path
from typing import Any

from bertcore.contracts.events import Evaluated, Event, RunStarted, StepLogged, TrackerFactory
from bertcore.errors import UsageError


class TensorBoardTracker:
    """Writes scalars to ``tensorboard/`` in the run folder.

    The files are ``events.out.tfevents.TIME.bertcore.PROCESS``. The writers of tensorboardX put the name of the host
    there, which is nobody's business.
    """

    def __init__(self, run: RunStarted) -> None:
        try:
            from tensorboardX.proto import event_pb2
            from tensorboardX.record_writer import masked_crc32c
            from tensorboardX.summary import scalar
        except ImportError:
            raise UsageError(
                "the tracker tensorboard needs tensorboardX", "pip install tensorboardX", code="package-missing"
            ) from None
        self._event: Any = event_pb2.Event
        self._checksum: Any = masked_crc32c
        self._scalar: Any = scalar
        folder = run.folder / "tensorboard"
        goes_on = folder.is_dir() and any(folder.iterdir())
        folder.mkdir(exist_ok=True)
        self._file = open(_free_name(folder), "xb")  # noqa: SIM115 - closed in close
        self._write(file_version="brain.Event:2")
        if goes_on or run.resumed_from:
            # TensorBoard drops this step and all after it; the step of the checkpoint itself will not come again.
            start = event_pb2.SessionLog(status=event_pb2.SessionLog.START)
            self._write(session_log=start, step=run.resumed_from + 1)
        self._file.flush()

    def on_event(self, event: Event) -> None:
        """Writes logged steps and evaluations."""
        if isinstance(event, StepLogged):
            self._add("train/loss", event.loss, event.step)
            self._add("train/gradient_norm", event.gradient_norm, event.step)
            self._add("train/examples_per_second", event.examples_per_second, event.step)
            for name, rate in event.learning_rates.items():
                self._add(f"learning_rate/{name}", rate, event.step)
        elif isinstance(event, Evaluated):
            for name, value in event.metrics.items():
                self._add(f"{event.split}/{name}", value, event.step)
            for name, scores in event.per_class.items():
                self._add(f"{event.split} f1/{name}", scores["f1"], event.step)
        self._file.flush()

    def close(self) -> None:
        """Closes the event file."""
        self._file.close()

    def _add(self, name: str, value: float, step: int) -> None:
        self._write(summary=self._scalar(name, value), step=step)

    def _write(self, **content: Any) -> None:
        data = self._event(wall_time=time.time(), **content).SerializeToString()
        length = struct.pack("<Q", len(data))
        for part in (length, data):
            self._file.write(part + struct.pack("<I", self._checksum(part)))


def _free_name(folder: Path) -> Path:
    """A file that is not there yet; TensorBoard reads a folder's files in the order of their names."""
    seconds = int(time.time())
    while (file := folder / f"events.out.tfevents.{seconds}.bertcore.{os.getpid()}").exists():
        seconds += 1
    return file


FACTORY = TrackerFactory(
    "tensorboard", "event files for TensorBoard (needs tensorboardX)", TensorBoardTracker, default=False
)
