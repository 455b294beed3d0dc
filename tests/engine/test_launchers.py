"""Under a launcher of many processes each would train the same run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bertcore.engine.launchers import refuse_launchers
from bertcore.errors import UsageError

# As the launchers set them, shortened: https://docs.pytorch.org/docs/stable/elastic/run.html#environment-variables,
# https://www.mindspore.cn/tutorials/en/master/parallel/msrun_launcher.html, ompi_info, PMI's hydra, man srun.
TORCHRUN = {"RANK": "1", "LOCAL_RANK": "1", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "TORCHELASTIC_RUN_ID": "x"}
MSRUN = {"MS_ROLE": "MS_WORKER", "MS_WORKER_NUM": "4", "MS_NODE_ID": "0", "MS_SCHED_HOST": "127.0.0.1"}
OPEN_MPI = {"OMPI_COMM_WORLD_SIZE": "8", "OMPI_COMM_WORLD_RANK": "0"}
MPICH = {"PMI_SIZE": "2", "PMI_RANK": "0"}
SLURM_JOB = {"SLURM_JOB_ID": "17", "SLURM_NTASKS": "4"}
SRUN = {**SLURM_JOB, "SLURM_PROCID": "0", "SLURM_STEP_ID": "0", "SLURM_STEP_NUM_TASKS": "4"}


@pytest.mark.parametrize(
    ("environment", "name", "size"),
    [
        (TORCHRUN, "torchrun", 2),
        (MSRUN, "msrun", 4),
        (OPEN_MPI, "mpirun", 8),
        (MPICH, "mpirun", 2),
        (SRUN, "srun", 4),
        ({**SLURM_JOB, "SLURM_PROCID": "3"}, "srun", 4),
    ],
)
def test_one_of_many_processes_is_refused_in_one_line(environment: dict[str, str], name: str, size: int) -> None:
    with pytest.raises(UsageError) as caught:
        refuse_launchers(environment)
    assert caught.value.cause.startswith(f"started by {name} in {size} processes")
    assert "\n" not in caught.value.cause + caught.value.remedy
    # The way on for those who mean it: without the variable that the remedy names.
    variable = caught.value.remedy.split("env -u ")[1].split()[0]
    refuse_launchers({key: value for key, value in environment.items() if key != variable})


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {**TORCHRUN, "WORLD_SIZE": "1"},
        {"WORLD_SIZE": "2"},  # somebody's own variable
        {**MSRUN, "MS_WORKER_NUM": "1"},
        {**OPEN_MPI, "OMPI_COMM_WORLD_SIZE": "1"},
        {**MPICH, "PMI_SIZE": "1"},
        {**MPICH, "PMI_SIZE": "many"},
        {**SRUN, "SLURM_STEP_NUM_TASKS": "1"},  # srun --pty bash, or srun -n 1, in an allocation of four tasks
        SLURM_JOB,  # a shell of salloc
        {**SLURM_JOB, "SLURM_PROCID": "0", "ENVIRONMENT": "BATCH"},  # a script of sbatch
    ],
)
def test_a_process_of_its_own_is_not_refused(environment: dict[str, str]) -> None:
    refuse_launchers(environment)


@pytest.mark.parametrize("arguments", [["--seed", "3"], ["--seeds", "1,2"]])
def test_nothing_is_read_or_written_under_a_launcher(
    tmp_path: Path, bertcore_command: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    for key, value in TORCHRUN.items():
        monkeypatch.setenv(key, value)
    place = ["--task", "rte", "--backend", "torch", "--model", tmp_path / "none", "--data", tmp_path / "none"]
    outcome = bertcore_command("run", *place, "--output", tmp_path / "run", *arguments)
    assert outcome.code == UsageError.exit_code
    assert outcome.err.startswith("error: started by torchrun in 2 processes (WORLD_SIZE=2)")
    assert not (tmp_path / "run").exists()
