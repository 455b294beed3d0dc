"""Commands that start one process for each device: bertcore would train the same run in each of them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from bertcore.errors import UsageError


@dataclass(frozen=True)
class _Launcher:
    """What a launcher leaves in the environment of the processes that it starts.

    Attributes:
        name: of the command.
        size: variable that says how many there are.
        mark: further variable that must be there, since others use the first one as well.
    """

    name: str
    size: str
    mark: str | None = None


_LAUNCHERS = (
    _Launcher("torchrun", "WORLD_SIZE", "RANK"),
    _Launcher("msrun", "MS_WORKER_NUM"),
    _Launcher("mpirun", "OMPI_COMM_WORLD_SIZE"),
    _Launcher("srun", "SLURM_STEP_NUM_TASKS", "SLURM_PROCID"),
    # MPICH, Intel MPI and srun with its PMI.
    _Launcher("mpirun", "PMI_SIZE"),
    # An interactive srun has one task of its own in an allocation of many, and so has the script of sbatch.
    _Launcher("srun", "SLURM_NTASKS", "SLURM_PROCID"),
)


def refuse_launchers(environment: Mapping[str, str] | None = None) -> None:
    """Refuses to train as one of several processes.

    Args:
        environment: by default that of this process.

    Raises:
        UsageError: a launcher started several.
    """
    variables = os.environ if environment is None else environment
    for launcher in _LAUNCHERS:
        if launcher.mark is not None and launcher.mark not in variables:
            continue
        if launcher.size == "SLURM_NTASKS" and _is_one_task_of_its_own(variables):
            continue
        size = variables.get(launcher.size, "")
        if size.isdecimal() and int(size) > 1:
            raise UsageError(
                f"started by {launcher.name} in {size} processes ({launcher.size}={size}): a run is trained by one "
                "process so far, and each of them would train it alone",
                f"start bertcore without {launcher.name}; if each process is a run of its own, with an --output of its "
                f"own, start it as: env -u {launcher.mark or launcher.size} bertcore run ...",
                code="processes-several",
            )


def _is_one_task_of_its_own(variables: Mapping[str, str]) -> bool:
    if variables.get("SLURM_STEP_NUM_TASKS") == "1":
        return True
    return variables.get("ENVIRONMENT") == "BATCH" and variables.get("SLURM_PROCID") == "0"
