"""Event files for TensorBoard, written by ``tensorboardX`` without any framework."""

from __future__ import annotations

from bertcore.errors import UsageError
from bertcore.events import Evaluated, Event, RunStarted, StepLogged


class TensorBoardTracker:
    """Writes scalars to ``tensorboard/`` in the run folder."""

    def __init__(self, run: RunStarted) -> None:
        try:
            from tensorboardX import SummaryWriter
        except ImportError:
            raise UsageError("the tracker tensorboard needs tensorboardX", "pip install tensorboardX") from None
        # TensorBoard drops this step and all after it; the step of the checkpoint itself will not come again.
        purge_step = run.resumed_from + 1 if run.resumed_from else None
        self._writer = SummaryWriter(str(run.folder / "tensorboard"), purge_step=purge_step)

    def on_event(self, event: Event) -> None:
        """Writes logged steps and evaluations."""
        if isinstance(event, StepLogged):
            self._writer.add_scalar("train/loss", event.loss, event.step)
            self._writer.add_scalar("train/gradient_norm", event.gradient_norm, event.step)
            self._writer.add_scalar("train/examples_per_second", event.examples_per_second, event.step)
            for name, rate in event.learning_rates.items():
                self._writer.add_scalar(f"learning_rate/{name}", rate, event.step)
        elif isinstance(event, Evaluated):
            for name, value in event.metrics.items():
                self._writer.add_scalar(f"{event.split}/{name}", value, event.step)
            for name, scores in event.per_class.items():
                self._writer.add_scalar(f"{event.split} f1/{name}", scores["f1"], event.step)

    def close(self) -> None:
        """Closes the event file."""
        self._writer.close()
