"""Which backend computes where none is named: the only one that is installed."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import metadata

from bertcore.config import Setting
from bertcore.errors import UsageError
from bertcore.plugins.registry import Registry


def with_only_backend(settings: Sequence[Setting], registry: Registry) -> Sequence[Setting]:
    """Adds the backend that is installed, where the settings name none and there is no other."""
    if any(setting.key == "backend" and setting.value is not None for setting in settings):
        return settings
    installed = _installed_backends(registry)
    return [*settings, Setting("backend", installed[0], "the only one installed")] if len(installed) == 1 else settings


def _installed_backends(registry: Registry) -> list[str]:
    """Backends whose packages are installed; nothing is imported to find out."""
    known = sorted(registry.backends.items())
    return [name for name, entry in known if all(map(_is_installed, entry.item.packages))]


def no_backend(registry: Registry) -> UsageError:
    """The error about a backend that is not named and cannot be guessed."""
    installed = _installed_backends(registry)
    if installed:
        names = ", ".join(installed)
        return UsageError(
            f"no backend is named, and {names} are installed",
            f"give --backend with one of {names}",
            code="argument-missing",
        )
    needs = [f"{name} needs {', '.join(entry.item.packages)}" for name, entry in sorted(registry.backends.items())]
    return UsageError(
        "; ".join(["no backend is installed", *needs]), "pip install 'bertcore[torch]'", code="backend-missing"
    )


def _is_installed(package: str) -> bool:
    try:
        metadata.version(package)
    except metadata.PackageNotFoundError:
        return False
    return True
