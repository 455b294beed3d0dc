"""A tracker that writes the loss curve as a CSV file."""

from __future__ import annotations

from bertcore import Event, RunStarted, StepLogged


class LossCsvTracker:
    """Writes ``loss.csv`` into the run folder, one line for each logged step.

    See :class:`bertcore.contracts.events.Tracker`.
    """

    def __init__(self, run: RunStarted) -> None:
        # Line buffered, so that the file can be read while the run goes on; a resumed run adds to it.
        self._file = (run.folder / "loss.csv").open("a", buffering=1, encoding="utf-8")
        if self._file.tell() == 0:
            self._file.write("step,loss\n")

    def on_event(self, event: Event) -> None:
        """Takes every event and keeps to the one that it knows."""
        if isinstance(event, StepLogged):
            self._file.write(f"{event.step},{event.loss:.6f}\n")

    def close(self) -> None:
        """The run is over."""
        self._file.close()
