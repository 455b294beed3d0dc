"""What the plugins registered, looked up by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Generic, NoReturn, TypeVar

from bertcore.contracts.backend import Backend
from bertcore.contracts.converter import WeightConverter
from bertcore.contracts.events import TrackerFactory
from bertcore.contracts.family import ModelFamily
from bertcore.contracts.head import Head
from bertcore.contracts.implementations import HeadImplementation, ObjectiveImplementation
from bertcore.contracts.objective import Objective
from bertcore.contracts.record_format import RecordFormat
from bertcore.contracts.task import Task
from bertcore.errors import PluginError, UsageError
from bertcore.near_misses import nearest_name
from bertcore.plugins.discovery import PluginRecord, Plugins, installed_plugins

Item = TypeVar("Item")


@dataclass(frozen=True)
class Entry(Generic[Item]):
    """Something registered, and by whom."""

    item: Item
    record: PluginRecord


class Registry:
    """Everything that is registered; each kind is gathered when it is first asked for.

    Args:
        plugins: the plugins to ask; by default those of this environment.
        blocked: names of plugins to switch off.
    """

    def __init__(self, plugins: Plugins | None = None, blocked: Sequence[str] = ()) -> None:
        self.plugins = installed_plugins(blocked) if plugins is None else plugins

    @cached_property
    def tasks(self) -> Mapping[str, Entry[Task]]:
        """Tasks by name."""
        return self._gather("bertcore_register_tasks", Task, "task")

    @cached_property
    def backends(self) -> Mapping[str, Entry[Backend]]:
        """Backends by name."""
        return self._gather("bertcore_register_backends", Backend, "backend")

    @cached_property
    def converters(self) -> Mapping[str, Entry[WeightConverter]]:
        """Weight converters by name."""
        return self._gather("bertcore_register_converters", WeightConverter, "converter")

    @cached_property
    def families(self) -> Mapping[str, Entry[ModelFamily]]:
        """Model families by ``model_type``."""
        return self._gather("bertcore_register_families", ModelFamily, "family")

    @cached_property
    def trackers(self) -> Mapping[str, Entry[TrackerFactory]]:
        """Trackers by name."""
        return self._gather("bertcore_register_trackers", TrackerFactory, "tracker")

    @cached_property
    def record_formats(self) -> Mapping[str, Entry[RecordFormat]]:
        """Formats of record files by name."""
        return self._gather("bertcore_register_record_formats", RecordFormat, "record format")

    @cached_property
    def heads(self) -> Mapping[str, Entry[HeadImplementation]]:
        """Implementations of heads by ``HEAD on BACKEND``."""
        return self._gather("bertcore_register_heads", HeadImplementation, "head", _head_key)

    @cached_property
    def objectives(self) -> Mapping[str, Entry[ObjectiveImplementation]]:
        """Implementations of objectives by ``OBJECTIVE on BACKEND``."""
        return self._gather("bertcore_register_objectives", ObjectiveImplementation, "objective", _objective_key)

    def task(self, name: str) -> Task:
        """Returns a task.

        Raises:
            UsageError: there is none of this name.
            PluginError: the plugin of this name is broken; shows its error in full.
        """
        return self._find(self.tasks, name, "task")

    def backend(self, name: str) -> Backend:
        """Returns a backend; raises as :meth:`task` does."""
        return self._find(self.backends, name, "backend")

    def converter(self, name: str) -> WeightConverter:
        """Returns a converter; raises as :meth:`task` does."""
        return self._find(self.converters, name, "converter")

    def family(self, name: str) -> ModelFamily:
        """Returns a model family; raises as :meth:`task` does."""
        return self._find(self.families, name, "family")

    def tracker(self, name: str) -> TrackerFactory:
        """Returns a tracker; raises as :meth:`task` does."""
        return self._find(self.trackers, name, "tracker")

    def record_format(self, name: str) -> RecordFormat:
        """Returns a format of record files; raises as :meth:`task` does."""
        return self._find(self.record_formats, name, "record format")

    def head_implementation(self, head: Head, backend: str) -> str:
        """Returns the target of the code that computes a head on a backend; raises as :meth:`task` does."""
        return self._find(self.heads, f"{head.name} on {backend}", "head").target

    def objective(self, name: str, options: Mapping[str, Any], backend: str) -> Objective:
        """Builds the description of an objective that a backend can compute.

        Raises:
            UsageError: there is no such objective on this backend, or it has no such option.
        """
        implementation = self._find(self.objectives, f"{name} on {backend}", "objective")
        try:
            return implementation.objective(**options)
        except TypeError as error:
            raise UsageError(
                f"train.objective_options: {error}", f"see the options of the objective {name!r}", code="argument-wrong"
            ) from None

    def objective_implementation(self, objective: Objective, backend: str) -> str:
        """Returns the target of the code that computes an objective on a backend; raises as :meth:`task` does."""
        return self._find(self.objectives, f"{objective.name} on {backend}", "objective").target

    def gather_all(self) -> None:
        """Asks every plugin for everything, so that each record says what it provides and whether it failed."""
        kinds = ("families", "backends", "tasks", "converters", "heads", "objectives", "trackers", "record_formats")
        for kind in kinds:
            getattr(self, kind)

    def _gather(self, hook: str, kind: type[Item], noun: str, key: Any = None) -> dict[str, Entry[Item]]:
        found: dict[str, Entry[Item]] = {}
        for record, items in self.plugins.call(hook):
            for item in items:
                if not isinstance(item, kind):
                    record.fail("failed", TypeError(f"{hook} returned {item!r}, which is no {kind.__name__}"))
                    continue
                name = str(key(item) if key else getattr(item, "name", ""))
                if name in found:
                    other = found[name].record
                    error = ValueError(f"{noun} {name!r} is registered by {other.name} ({other.distribution}) already")
                    record.fail("failed", error)
                    continue
                found[name] = Entry(item, record)
                record.provides.append(f"{noun} {name}")
        return found

    def _find(self, found: Mapping[str, Entry[Item]], name: str, noun: str) -> Item:
        entry = found.get(name)
        if entry is None:
            self._raise_unknown(found, name, noun)
        return entry.item

    def _raise_unknown(self, found: Mapping[str, Entry[Any]], name: str, noun: str) -> NoReturn:
        plugin_name = name.partition(" on ")[0]
        for record in self.plugins.records:
            if record.name == plugin_name and record.status == "blocked":
                raise UsageError(
                    f"the {noun} {name!r} is switched off by -p no:{record.name}",
                    "leave that option out",
                    code="plugin-switched-off",
                )
            if record.name == plugin_name and record.status != "ok":
                raise PluginError(
                    f"the {noun} {name!r} is brought by the plugin {record.name} ({record.distribution}), which takes "
                    f"no part: {record.status}\n{record.details or record.error}",
                    f"repair or uninstall {record.distribution}",
                    code="plugin-broken",
                )
        known = sorted(found)
        nearest = nearest_name(name, known)
        broken = self.plugins.failures()
        remedy = f"did you mean {nearest!r}?" if nearest else f"installed: {', '.join(known) or 'none'}"
        if broken:
            remedy += f"; {len(broken)} broken plugin(s), see bertcore plugins"
        raise UsageError(f"there is no {noun} {name!r}", remedy, code="name-unknown")


def _head_key(item: HeadImplementation) -> str:
    return f"{item.head.name} on {item.backend}"


def _objective_key(item: ObjectiveImplementation) -> str:
    return f"{item.objective.name} on {item.backend}"
