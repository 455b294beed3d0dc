"""``bertcore completion``, and what the shell is offered as names and keys.

click asks for completions in a process of their own, one for each press of the tab key: nothing here imports a
framework.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import BashComplete, CompletionItem, FishComplete, ShellComplete, ZshComplete

if TYPE_CHECKING:
    from bertcore.plugins.registry import Registry

Completions = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]

_SCRIPTS: Mapping[str, type[ShellComplete]] = {"bash": BashComplete, "zsh": ZshComplete, "fish": FishComplete}


@click.command(
    epilog="""\b
Put into ~/.bashrc:    eval "$(bertcore completion bash)"
Put into ~/.zshrc:     eval "$(bertcore completion zsh)"
Once, for fish:        bertcore completion fish > ~/.config/fish/completions/bertcore.fish"""
)
@click.argument("shell", type=click.Choice(list(_SCRIPTS)))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print what lets a shell complete commands, options, names and keys."""
    script = _SCRIPTS[shell](context.find_root().command, {}, "bertcore", "_BERTCORE_COMPLETE").source()
    if shell == "bash":  # behind a key stands its value, and no space
        plain = "COMPREPLY+=($value)"
        script = script.replace(plain, f"{plain}; [[ $value == *= ]] && compopt -o nospace")
    click.echo(script)


def registered(kind: str) -> Completions:
    """Offers the names of what is registered, as ``tasks``."""

    def complete(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
        entries = getattr(_registry(), kind)
        return _offered(((name, getattr(entry.item, "description", "")) for name, entry in entries.items()), incomplete)

    return complete


def devices(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Offers the kinds of devices of the backend that is named, or of all."""
    chosen = context.params.get("backend")
    backends = {name: entry.item for name, entry in _registry().backends.items() if chosen in (None, name)}
    kinds = {kind: f"of {name}" for name, backend in backends.items() for kind in backend.devices}
    return _offered(kinds.items(), incomplete)


def setting_keys(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Offers the keys of the configuration, with those of the task that is named."""
    from bertcore.config import RunConfig, config_model, key_descriptions

    tasks = _registry().tasks
    entry = tasks.get(context.params.get("task") or "")
    model = RunConfig if entry is None else config_model(entry.item.data_config, entry.item.head_config)
    return _offered(((f"{key}=", words) for key, words in key_descriptions(model).items()), incomplete)


def paths(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Leaves files and folders to the shell."""
    return [CompletionItem(incomplete, type="file")]


def blockable(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Offers the plugins for ``-p no:NAME``."""
    from importlib import metadata

    from bertcore.plugins.discovery import GROUP

    names = sorted(metadata.entry_points(group=GROUP).names)
    return _offered(((f"no:{name}", "") for name in names), incomplete)


def _registry() -> Registry:
    from bertcore.plugins.registry import Registry

    return Registry()


def _offered(candidates: Iterable[tuple[str, Any]], typed: str) -> list[CompletionItem]:
    """Those that begin with what was typed, each with what it is."""
    return [CompletionItem(name, help=words or None) for name, words in candidates if name.startswith(typed)]
