"""Discovery of plugins: entry points of the group ``bertcore``, loaded one by one, each failure kept to itself.

pluggy's own ``load_setuptools_entrypoints`` stops at the first entry point that cannot be imported and silently skips
a second plugin of the same name; here every entry point gets a record.
"""

from __future__ import annotations

import textwrap
import traceback
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from typing import Any, Literal

import pluggy

from bertcore.plugins import hookspecs

GROUP = "bertcore"

Status = Literal["ok", "blocked", "duplicate", "import error", "invalid hook", "failed"]


@dataclass
class PluginRecord:
    """What became of one entry point.

    Attributes:
        name: of the entry point.
        distribution: that brings it, with its version.
        target: what the entry point names.
        status: ok, or why it takes no part.
        error: one line of cause where the status is not ok.
        details: the traceback, where there is one.
        provides: what it registered, as ``task rte``; filled by the registry.
    """

    name: str
    distribution: str
    target: str
    status: Status = "ok"
    error: str = ""
    details: str = ""
    provides: list[str] = field(default_factory=list)

    def fail(self, status: Status, error: BaseException) -> None:
        """Records why the plugin takes no part any more."""
        self.status = status
        # pluggy says what is wrong with a hook over several lines.
        self.error = textwrap.shorten(f"{type(error).__name__}: {error}", 300)
        self.details = "".join(traceback.format_exception(error)).rstrip()


class Plugins:
    """All plugins of this environment, in the order in which they were loaded."""

    def __init__(self) -> None:
        self.records: list[PluginRecord] = []
        self._manager = pluggy.PluginManager(hookspecs.PROJECT)
        self._manager.add_hookspecs(hookspecs)

    def load(self, entry_points: Iterable[metadata.EntryPoint], blocked: Sequence[str] = ()) -> None:
        """Loads entry points one by one; nothing that goes wrong in one is raised."""
        for name in blocked:
            self._manager.set_blocked(name)
        seen: dict[str, PluginRecord] = {}
        for entry_point in entry_points:
            distribution = entry_point.dist
            label = f"{distribution.name} {distribution.version}" if distribution else "unknown distribution"
            record = PluginRecord(entry_point.name, label, entry_point.value)
            self.records.append(record)
            if entry_point.name in blocked:
                record.status, record.error = "blocked", "switched off by -p no:" + entry_point.name
            elif entry_point.name in seen:
                first = seen[entry_point.name]
                record.status = "duplicate"
                record.error = f"the name {record.name!r} is taken by {first.distribution}"
            else:
                seen[entry_point.name] = record
                self._load_one(entry_point, record)

    def register(self, plugin: object, name: str) -> None:
        """Registers an object that is no entry point, as tests and notebooks do."""
        record = PluginRecord(name, "registered by hand", repr(plugin))
        self.records.append(record)
        self._register(plugin, record)

    def call(self, hook: str) -> Iterable[tuple[PluginRecord, list[Any]]]:
        """Calls one hook on one plugin after the other, and yields what each returned.

        A plugin that raises, or returns no list, is recorded as failed and left out.
        """
        for record in self.records:
            if record.status != "ok":
                continue
            # Not through pluggy's own call of the hook, which one plugin that raises would end for all.
            plugin = self._manager.get_plugin(record.name)
            implementation = getattr(plugin, hook, None)
            if implementation is None or not hasattr(implementation, f"{hookspecs.PROJECT}_impl"):
                continue
            try:
                result = implementation()
                if not isinstance(result, list):
                    raise TypeError(f"{hook} returned {type(result).__name__} instead of a list")
            except (Exception, SystemExit) as error:
                record.fail("failed", error)
                continue
            yield record, result

    def failures(self) -> list[PluginRecord]:
        """Records of the plugins that take no part although nobody switched them off."""
        return [record for record in self.records if record.status not in ("ok", "blocked")]

    def _load_one(self, entry_point: metadata.EntryPoint, record: PluginRecord) -> None:
        try:
            plugin = entry_point.load()
        except (Exception, SystemExit) as error:  # a module that is a script ends by sys.exit when it is imported
            record.fail("import error", error)
            return
        self._register(plugin, record)

    def _register(self, plugin: object, record: PluginRecord) -> None:
        try:
            self._manager.register(plugin, name=record.name)
            self._manager.check_pending()
        except Exception as error:
            record.fail("invalid hook", error)
            if self._manager.has_plugin(record.name):
                self._manager.unregister(name=record.name)


def installed_plugins(blocked: Sequence[str] = ()) -> Plugins:
    """Loads the plugins of this environment, bertcore's own first, the rest by distribution and name."""
    plugins = Plugins()
    entry_points = sorted(
        metadata.entry_points(group=GROUP),
        key=lambda point: (
            not (point.dist and point.dist.name == "bertcore"),
            point.dist.name if point.dist else "",
            point.name,
        ),
    )
    plugins.load(entry_points, blocked)
    return plugins
