"""``bertcore doctor``."""

from __future__ import annotations

import json
import platform
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bertcore import __version__
from bertcore.cli.completion import registered
from bertcore.cli.options import json_option
from bertcore.cli.output import say

if TYPE_CHECKING:
    from bertcore.contracts.backend import Backend

CORE_PACKAGES = ("numpy", "tokenizers", "safetensors", "huggingface_hub", "pydantic", "pluggy", "click")


@click.command()
@click.option(
    "--hostfile", type=click.Path(path_type=Path), help="Check the hosts of a job instead, and the net between them."
)
@click.option("--launcher", metavar="NAME", shell_complete=registered("launchers"), help="As in bertcore run.")
@json_option
@click.pass_obj
def doctor(blocked: tuple[str, ...], hostfile: Path | None, launcher: str | None, as_json: bool) -> int:
    """Check this machine: versions, plugins, devices, and one tested operation per backend.

    Exits with 1 where something needs repair.
    """
    from bertcore.plugins.registry import Registry

    registry = Registry(blocked=blocked)
    if hostfile is not None:
        from bertcore.launch.examination import examine_hosts
        from bertcore.launch.job import LaunchOptions

        options = LaunchOptions(hostfile=hostfile, launcher=None if launcher is None else registry.launcher(launcher))
        healthy = examine_hosts(options, say)
        click.echo("everything works" if healthy else "something needs repair, see above")
        return 0 if healthy else 1
    registry.gather_all()
    report: dict[str, Any] = {
        "bertcore": __version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "packages": {name: _version(name) for name in CORE_PACKAGES},
        "backends": {name: _examine(entry.item) for name, entry in sorted(registry.backends.items())},
        "plugins": [
            {"name": record.name, "distribution": record.distribution, "status": record.status, "error": record.error}
            for record in registry.plugins.failures()
        ],
    }
    healthy = all(entry["problem"] is None for entry in report["backends"].values()) and not report["plugins"]
    if as_json:
        click.echo(json.dumps({**report, "healthy": healthy}, indent=2))
    else:
        _print(report)
        say("everything works" if healthy else "something needs repair, see above")
    return 0 if healthy else 1


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _examine(backend: Backend) -> dict[str, Any]:
    result: dict[str, Any] = {"problem": None, "remedy": None, "versions": {}, "devices": [], "checks": []}
    try:
        problem = backend.problem()
        if problem is not None:
            result["problem"], result["remedy"] = problem
            return result
        result["versions"] = backend.versions()
        result["devices"] = backend.available_devices()
        for device in result["devices"]:
            check = backend.check(device)
            result["checks"].append(
                {"device": device, "operation": check.operation, "passed": check.passed, "detail": check.detail}
            )
            if not check.passed:
                result["problem"] = f"{check.operation} on {device}: {check.detail}"
                result["remedy"] = f"reinstall {', '.join(backend.packages)}"
    except Exception as error:  # whatever a framework raises here is what the doctor is asked for
        result["problem"] = f"{type(error).__name__}: {error}".splitlines()[0]
        result["remedy"] = f"reinstall {', '.join(backend.packages)}"
    return result


def _print(report: dict[str, Any]) -> None:
    say(f"bertcore {report['bertcore']}, Python {report['python']}, {report['system']}")
    say(", ".join(f"{name} {version or 'missing'}" for name, version in report["packages"].items()))
    if not report["backends"]:
        say("no backend installed: pip install bertcore-torch or bertcore-mindspore")
    for name, entry in report["backends"].items():
        versions = ", ".join(f"{package} {version}" for package, version in entry["versions"].items())
        say(f"backend {name}: {versions}" if versions else f"backend {name}")
        if entry["devices"]:
            say(f"  devices: {', '.join(entry['devices'])}")
        for check in entry["checks"]:
            outcome = "ok" if check["passed"] else "wrong"
            say(f"  {check['operation']} on {check['device']}: {outcome}, {check['detail']}")
        if entry["problem"]:
            say(f"  problem: {entry['problem']}")
            say(f"  remedy: {entry['remedy']}")
    for plugin in report["plugins"]:
        say(f"plugin {plugin['name']} ({plugin['distribution']}): {plugin['status']}: {plugin['error']}")
        say(f"  remedy: repair or uninstall {plugin['distribution']}, or switch it off by -p no:{plugin['name']}")
