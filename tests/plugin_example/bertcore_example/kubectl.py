"""A launcher of its own: pods of Kubernetes in the place of hosts that ssh reaches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from bertcore import Launcher


class KubectlLauncher(Launcher):
    """Starts a command in a pod, which the hostfile names; ``kubectl`` must know its cluster and namespace."""

    name: ClassVar[str] = "kubectl"
    description: ClassVar[str] = "kubectl exec, a pod a host"
    program: ClassVar[str] = "kubectl"

    def command(self, host: str, folder: str, words: Sequence[str]) -> list[str]:
        """Standard input is passed on with ``-i``."""
        return ["kubectl", "exec", "-i", host, "--", "env", f"--chdir={folder}", *words]


KUBECTL = KubectlLauncher()
