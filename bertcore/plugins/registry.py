"""What the plugins registered, looked up by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Generic, NoReturn, TypeVar, cast

from bertcore.contracts.backend import Backend
from bertcore.contracts.converter import WeightConverter
from bertcore.contracts.events import TrackerFactory
from bertcore.contracts.family import ModelFamily
from bertcore.contracts.head import Head
from bertcore.contracts.implementations import Description, Implementation, implementation_name
from bertcore.contracts.launcher import Launcher
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
    def launchers(self) -> Mapping[str, Entry[Launcher]]:
        """Launchers by name."""
        return self._gather("bertcore_register_launchers", Launcher, "launcher")

    @cached_property
    def record_formats(self) -> Mapping[str, Entry[RecordFormat]]:
        """Formats of record files by name."""
        return self._gather("bertcore_register_record_formats", RecordFormat, "record format")

    @cached_property
    def implementations(self) -> Mapping[str, Entry[Implementation]]:
        """Code of descriptions by ``KIND NAME on BACKEND``, as ``head regression on torch``."""
        return self._gather("bertcore_register_implementations", Implementation, "")

    @cached_property
    def heads(self) -> tuple[type[Head], ...]:
        """The classes of all heads that some backend computes, in the order of their names."""
        described = {entry.item.description for entry in self.implementations.values()}
        heads = (cast(type[Head], description) for description in described if description.kind == Head.kind)
        return tuple(sorted(heads, key=lambda head: (head.name, head.__module__, head.__qualname__)))

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

    def launcher(self, name: str) -> Launcher:
        """Returns a launcher; raises as :meth:`task` does."""
        return self._find(self.launchers, name, "launcher")

    def record_format(self, name: str) -> RecordFormat:
        """Returns a format of record files; raises as :meth:`task` does."""
        return self._find(self.record_formats, name, "record format")

    def code_of(self, backend: str, description: Description) -> Any:
        """Imports and returns the code with which a backend computes a head, an encoder or an objective.

        Raises:
            UsageError: no plugin brings any.
            PluginError: it cannot be imported.
        """
        entry = self.implementations.get(implementation_name(description, backend))
        if entry is None:
            self._raise_missing(description, backend)
        return entry.item.load()

    def objective(self, name: str, options: Mapping[str, Any], backend: str) -> Objective:
        """Builds the description of an objective that a backend can compute.

        Raises:
            UsageError: there is no such objective on this backend, or it does not take these options.
            PluginError: the plugin of this name is broken; shows its error in full.
        """
        objectives = {
            entry.item.description.name: Entry(entry.item.description, entry.record)
            for entry in self.implementations.values()
            if entry.item.backend == backend and entry.item.description.kind == Objective.kind
        }
        description = self._find(objectives, name, "objective", f" on {backend}")
        try:
            return cast(type[Objective], description)(**options)
        except (TypeError, ValueError) as error:
            raise UsageError(
                f"train.objective_options: {error}", f"see the options of the objective {name!r}", code="argument-wrong"
            ) from None

    def gather_all(self) -> None:
        """Asks every plugin for everything, so that each record says what it provides and whether it failed."""
        kinds = ("families", "backends", "tasks", "converters", "implementations", "trackers", "record_formats")
        for kind in (*kinds, "launchers"):
            getattr(self, kind)

    def _gather(self, hook: str, kind: type[Item], noun: str) -> dict[str, Entry[Item]]:
        found: dict[str, Entry[Item]] = {}
        for record, items in self.plugins.call(hook):
            for item in items:
                if not isinstance(item, kind):
                    record.fail("failed", TypeError(f"{hook} returned {item!r}, which is no {kind.__name__}"))
                    continue
                name = str(getattr(item, "name", ""))
                if name in found:
                    other = found[name].record
                    what = f"{noun} {name!r}".lstrip()
                    error = ValueError(f"{what} is registered by {other.name} ({other.distribution}) already")
                    record.fail("failed", error)
                    continue
                found[name] = Entry(item, record)
                record.provides.append(f"{noun} {name}".lstrip())
        return found

    def _find(self, found: Mapping[str, Entry[Item]], name: str, noun: str, where: str = "") -> Item:
        entry = found.get(name)
        if entry is None:
            self._raise_unknown(found, name, noun, where)
        return entry.item

    def _raise_unknown(self, found: Mapping[str, Entry[Any]], name: str, noun: str, where: str) -> NoReturn:
        for record in self.plugins.records:
            if record.name == name and record.status == "blocked":
                raise UsageError(
                    f"the {noun} {name!r} is switched off by -p no:{record.name}",
                    "leave that option out",
                    code="plugin-switched-off",
                )
            if record.name == name and record.status != "ok":
                raise PluginError(
                    f"the {noun} {name!r} is brought by the plugin {record.name} ({record.distribution}), which takes "
                    f"no part: {record.status}\n{record.details or record.error}",
                    f"repair or uninstall {record.distribution}",
                    code="plugin-broken",
                )
        known = sorted(found)
        nearest = nearest_name(name, known)
        remedy = f"did you mean {nearest!r}?" if nearest else f"installed: {', '.join(known) or 'none'}"
        raise UsageError(f"there is no {noun} {name!r}{where}", remedy + self._broken(), code="name-unknown")

    def _raise_missing(self, description: Description, backend: str) -> NoReturn:
        kind, name = description.kind, description.name
        code = (entry.item for entry in self.implementations.values())
        able = sorted(item.backend for item in code if (item.description.kind, item.description.name) == (kind, name))
        raise UsageError(
            f"the backend {backend} has no code for the {kind} {name!r}",
            (f"use --backend {' or '.join(able)}, or " if able else "")
            + f'let a plugin register Implementation({type(description).__name__}, "{backend}", "MODULE:CLASS") in '
            f"bertcore_register_implementations{self._broken()}",
            code="implementation-missing",
        )

    def _broken(self) -> str:
        broken = len(self.plugins.failures())
        return f"; {broken} broken plugin(s), see bertcore plugins" if broken else ""
