"""Which rank a process is, by the environments of those who start it."""

from __future__ import annotations

import pytest

from bertcore.contracts.ranks import ALONE
from bertcore.engine.ranks import DEFAULT_PORT, first_of_nodelist, interface_towards, this_rank
from bertcore.errors import UsageError

# As the launchers set them, shortened: https://docs.pytorch.org/docs/stable/elastic/run.html#environment-variables,
# https://www.mindspore.cn/tutorials/en/master/parallel/msrun_launcher.html, ompi_info, PMI's hydra, man srun.
TORCHRUN = {
    **{"RANK": "5", "WORLD_SIZE": "8", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "4"},
    **{"MASTER_ADDR": "10.0.0.1", "MASTER_PORT": "29400", "TORCHELASTIC_RUN_ID": "x"},
}
MSRUN = {
    **{"MS_ROLE": "MS_WORKER", "MS_WORKER_NUM": "4", "MS_NODE_ID": "2", "DEVICE_ID": "2"},
    **{"MS_SCHED_HOST": "127.0.0.1", "MS_SCHED_PORT": "8118"},
}
OPEN_MPI = {
    **{"OMPI_COMM_WORLD_SIZE": "2", "OMPI_COMM_WORLD_RANK": "1"},
    **{"OMPI_COMM_WORLD_LOCAL_RANK": "1", "OMPI_COMM_WORLD_LOCAL_SIZE": "2", "PMIX_NAMESPACE": "prterun-4711@1"},
}
MPICH = {"PMI_SIZE": "2", "PMI_RANK": "0", "MPI_LOCALRANKID": "0", "MPI_LOCALNRANKS": "2"}
SLURM_JOB = {"SLURM_JOB_ID": "17", "SLURM_NTASKS": "4"}
SRUN = {
    **SLURM_JOB,
    **{"SLURM_PROCID": "3", "SLURM_LOCALID": "1", "SLURM_STEP_ID": "0", "SLURM_STEP_NUM_TASKS": "4"},
    **{"SLURM_STEP_NODELIST": "node[03-04]", "SLURM_STEP_TASKS_PER_NODE": "2(x2)"},
}


@pytest.mark.parametrize(
    ("environment", "name", "place", "address"),
    [
        (TORCHRUN, "torchrun", (5, 8, 1, 4), "10.0.0.1"),
        (MSRUN, "msrun", (2, 4, 2, 4), "127.0.0.1"),
        (OPEN_MPI, "mpirun", (1, 2, 1, 2), "127.0.0.1"),
        (MPICH, "mpirun", (0, 2, 0, 2), "127.0.0.1"),
        (SRUN, "srun", (3, 4, 1, 2), "node03"),
    ],
)
def test_each_launcher_is_understood(
    environment: dict[str, str], name: str, place: tuple[int, ...], address: str
) -> None:
    ranks = this_rank(environment)
    assert (ranks.rank, ranks.size, ranks.local_rank, ranks.local_size) == place
    assert (ranks.started_by, ranks.address) == (name, address)


def test_two_jobs_of_one_machine_meet_at_different_ports() -> None:
    other = {**OPEN_MPI, "PMIX_NAMESPACE": "prterun-4712@1"}
    assert this_rank(OPEN_MPI).port != this_rank(other).port
    assert this_rank({**OPEN_MPI, "OMPI_COMM_WORLD_RANK": "0"}).port == this_rank(OPEN_MPI).port
    assert this_rank(MPICH).port == DEFAULT_PORT


def test_of_msrun_the_port_behind_its_scheduler_is_taken() -> None:
    assert this_rank(MSRUN).port == 8119


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
def test_a_process_of_its_own_is_alone(environment: dict[str, str]) -> None:
    assert this_rank(environment) == ALONE


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({**TORCHRUN, "RANK": "8"}, "RANK=8 is none of WORLD_SIZE=8"),
        ({**TORCHRUN, "RANK": "first"}, "RANK=first is no number"),
        ({**TORCHRUN, "MASTER_PORT": "70000"}, "MASTER_PORT=70000 is no port"),
        ({**OPEN_MPI, "OMPI_COMM_WORLD_LOCAL_SIZE": "1"}, "does not say where the first one runs"),
    ],
)
def test_what_a_launcher_says_in_part_is_refused_in_a_line(environment: dict[str, str], said: str) -> None:
    with pytest.raises(UsageError, match=said) as caught:
        this_rank(environment)
    assert caught.value.code == "processes-wrong"
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("text", "first"),
    [("node03", "node03"), ("node[03-07,9],other", "node03"), ("node[3,5]", "node3"), ("a,b", "a"), ("", "")],
)
def test_the_first_of_slurms_hosts(text: str, first: str) -> None:
    assert first_of_nodelist(text) == first


def test_the_interface_towards_this_machine_is_the_loopback() -> None:
    assert interface_towards("127.0.0.1") == "lo"
    assert interface_towards("no.such.host.invalid") == ""
