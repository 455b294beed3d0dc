"""Sending events to trackers: one that raises is reported once and muted for the rest of the run."""

from __future__ import annotations

import errno
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

from bertcore.config import Setting
from bertcore.contracts.events import Event, Note, RunFailed, RunStarted, Tracker
from bertcore.engine.interrupt import Interrupted
from bertcore.errors import BertcoreError, OutputError
from bertcore.plugins.registry import Registry
from bertcore.progress import listening

_DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def with_trackers(settings: Sequence[Setting], names: Sequence[str], registry: Registry) -> list[Setting]:
    """Adds trackers to those that the settings name, or to those on by default.

    Raises:
        UsageError: there is no tracker of a name.
    """
    if not names:
        return list(settings)
    for name in names:
        registry.tracker(name)
    chosen = next((setting.value for setting in reversed(settings) if setting.key == "run.trackers"), None)
    if chosen is None:
        chosen = [name for name, entry in registry.trackers.items() if entry.item.default]
    elif not isinstance(chosen, list | tuple):
        return list(settings)  # the check of the configuration says what is wrong with it
    return [*settings, Setting("run.trackers", list(dict.fromkeys([*chosen, *names])), "command line")]


class Trackers:
    """The open trackers of one run."""

    def __init__(self, names: Sequence[str] | None, registry: Registry, run: RunStarted) -> None:
        chosen = list(registry.trackers) if names is None else list(names)
        factories = [registry.tracker(name) for name in chosen]
        self._open: dict[str, Tracker] = {}
        complaints: list[Note] = []
        for factory in factories:
            if names is None and not factory.default:
                continue
            try:
                self._open[factory.name] = factory.open(run)
            except BertcoreError:
                raise
            except Exception as error:
                complaints.append(_complaint(factory.name, error))
        for event in (run, *complaints):
            self.send(event)

    def send(self, event: Event) -> None:
        """Hands an event to every tracker that still listens.

        Raises:
            OutputError: the disk is full; a run whose log cannot be written must not go on unnoticed.
            BrokenPipeError: whoever read the output is gone.
        """
        failed: list[Note] = []
        for name, tracker in list(self._open.items()):
            try:
                tracker.on_event(event)
            except BrokenPipeError:
                raise
            except Exception as error:
                if isinstance(error, OSError) and error.errno in _DISK_FULL:
                    raise OutputError(
                        f"the tracker {name} cannot write: {error.strerror}", "free some space", code="disk-full"
                    ) from None
                del self._open[name]
                with suppress(Exception):
                    tracker.close()
                failed.append(_complaint(name, error))
        for note in failed:
            self.send(note)

    def close(self) -> None:
        """Closes all trackers."""
        for tracker in self._open.values():
            with suppress(Exception):
                tracker.close()
        self._open.clear()


@contextmanager
def open_trackers(
    names: Sequence[str] | None, registry: Registry, run: RunStarted
) -> Iterator[Callable[[Event], None]]:
    """Opens the trackers of a run, yields what hands them an event, and tells them where the run fails.

    They hear of long work inside the block, too.

    Args:
        names: of the trackers; None for those on by default.
        registry: the plugins.
        run: what begins.
    """
    trackers = Trackers(names, registry, run)
    try:
        with listening(trackers.send):
            yield trackers.send
    except (BertcoreError, Interrupted) as error:
        trackers.send(RunFailed(error.cause, error.remedy, code=error.code))
        raise
    except BaseException as error:
        trackers.send(RunFailed(f"{type(error).__name__}: {error}", "", traceback.format_exc()))
        raise
    finally:
        trackers.close()


def _complaint(name: str, error: Exception) -> Note:
    return Note(f"the tracker {name} failed and is muted: {type(error).__name__}: {error}")
