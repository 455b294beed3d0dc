"""The table of devices, with a stand-in for MindSpore on machines that this one is not."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from bertcore_mindspore import devices

from bertcore.errors import DeviceError


class Machine:
    """What ``devices`` uses of MindSpore, on a machine with the given number of devices."""

    __version__ = "2.10.0"

    def __init__(self, **counts: int) -> None:
        counts = {"CPU": 1, **counts}
        self.hal = SimpleNamespace(
            is_available=lambda target: counts.get(target, 0) > 0, device_count=lambda target: counts[target]
        )
        self.calls: list[tuple[Any, ...]] = []
        self.set_device = lambda *arguments: self.calls.append(("device", *arguments))
        self.runtime = SimpleNamespace(dispatch_threads_num=lambda count: self.calls.append(("dispatch", count)))
        tuning = SimpleNamespace(threads_num=lambda count: self.calls.append(("threads", count)))
        self.device_context = SimpleNamespace(cpu=SimpleNamespace(op_tuning=tuning))


@pytest.fixture(autouse=True)
def _new_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "_configured", None)


def test_devices_are_listed_best_first() -> None:
    assert devices.available_devices(Machine(Ascend=2)) == ["ascend:0", "ascend:1", "cpu"]
    assert devices.available_devices(Machine(GPU=1)) == ["gpu:0", "cpu"]
    assert devices.available_devices(Machine()) == ["cpu"]


@pytest.mark.parametrize("device", ["ascend", "ascend:0", "gpu:1"])
def test_an_absent_device_is_refused_with_what_there_is(device: str) -> None:
    with pytest.raises(DeviceError, match="cpu") as caught:
        devices.check_device(Machine(), device)
    assert device in caught.value.cause


@pytest.mark.parametrize("device", ["cuda", "cpu:x", ""])
def test_an_unknown_name_is_refused(device: str) -> None:
    with pytest.raises(DeviceError):
        devices.split_device(device)


def test_an_index_beyond_the_last_device_is_refused() -> None:
    machine = Machine(Ascend=2)
    assert devices.check_device(machine, "ascend:1", "bf16").target == "Ascend"
    with pytest.raises(DeviceError):
        devices.check_device(machine, "ascend:2")


def test_precisions_are_those_of_the_device() -> None:
    machine = Machine(Ascend=1, GPU=1)
    precisions_of = {"cpu": ("fp32", "bf16"), "gpu:0": ("fp32", "fp16"), "ascend:0": ("fp32", "bf16", "fp16")}
    for device, precisions in precisions_of.items():
        for precision in ("fp32", "bf16", "fp16"):
            if precision in precisions:
                devices.check_device(machine, device, precision)
            else:
                with pytest.raises(DeviceError, match=precision):
                    devices.check_device(machine, device, precision)


def test_an_accelerator_computes_with_fused_blocks_and_a_cpu_with_composed_ones() -> None:
    ascend, cpu = devices.DEVICES["ascend"], devices.DEVICES["cpu"]
    assert (ascend.attention, ascend.layer_norm, ascend.gelu) == ("FlashAttention", "FusedLayerNorm", "FusedGelu")
    assert (cpu.attention, cpu.layer_norm, cpu.gelu) == ("ComposedAttention", "ComposedLayerNorm", "ComposedGelu")
    assert (ascend.jit_level, cpu.jit_level) == ("O1", "O0")


def test_threads_are_set_once_and_only_on_a_cpu() -> None:
    machine = Machine()
    devices.configure(machine, "cpu")
    devices.configure(machine, "cpu")
    assert [call[0] for call in machine.calls] == ["device", "dispatch", "threads"]
    assert machine.calls[0] == ("device", "CPU")


@pytest.mark.parametrize(("asked", "threads"), [("3", 3), ("0", 2), ("4,2", 2), (None, 2)])
def test_operators_take_the_threads_asked_for_or_all_usable_cores(
    monkeypatch: pytest.MonkeyPatch, asked: str | None, threads: int
) -> None:
    monkeypatch.setattr(devices.os, "sched_getaffinity", lambda process: {0, 5}, raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", asked or "")
    machine = Machine()
    devices.configure(machine, "cpu")
    assert ("threads", threads) in machine.calls


def test_an_accelerator_is_selected_by_its_index_and_kept() -> None:
    machine = Machine(Ascend=2)
    devices.configure(machine, "ascend:1")
    assert machine.calls == [("device", "Ascend", 1)]
    with pytest.raises(DeviceError, match="ascend:1"):
        devices.configure(machine, "cpu")


@pytest.mark.parametrize("device", ["cpu", "ascend:0"])
@pytest.mark.parametrize("given", [None, "0"])
def test_a_cpu_runs_graphs_in_the_calling_thread_unless_the_user_wants_it_otherwise(
    monkeypatch: pytest.MonkeyPatch, device: str, given: str | None
) -> None:
    monkeypatch.setenv("MS_DEV_HOST_BLOCKING_RUN", given or "")
    if given is None:
        monkeypatch.delenv("MS_DEV_HOST_BLOCKING_RUN")
    devices.configure(Machine(Ascend=1), device)
    expected = given or ("1" if device == "cpu" else None)
    assert devices.os.environ.get("MS_DEV_HOST_BLOCKING_RUN") == expected


def test_the_environment_is_quiet_unless_the_user_wants_it_loud(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GLOG_v", "1")
    monkeypatch.setenv("MS_COMPILER_CACHE_ENABLE", "1")
    devices.quiet_framework()
    assert devices.os.environ["GLOG_v"] == "1"
    assert devices.os.environ["MS_COMPILER_CACHE_ENABLE"] == "0", "the cache may return another graph's result"
    monkeypatch.delenv("GLOG_v")
    devices.quiet_framework()
    assert devices.os.environ["GLOG_v"] == "3"
