"""Devices are chosen in one table; what is absent is refused in one line."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from bertcore_torch import devices
from bertcore_torch.backend import TorchBackend

from bertcore.contracts.bert_config import BertConfig
from bertcore.errors import DeviceError
from bertcore.heads import SequenceClassification

CONFIG = BertConfig(
    vocab_size=20,
    hidden_size=8,
    num_hidden_layers=1,
    num_attention_heads=2,
    intermediate_size=8,
    max_position_embeddings=8,
)


def pretend(monkeypatch: pytest.MonkeyPatch, kind: str, count: int) -> None:
    module = SimpleNamespace(is_available=lambda: count > 0, device_count=lambda: count)
    monkeypatch.setattr(torch, kind, module, raising=False)


def test_the_table_is_read_without_torch() -> None:
    code = (
        "import sys; from bertcore_torch import plugin; backend, = plugin.bertcore_register_backends();"
        "plugin.bertcore_register_implementations();"
        "print(list(backend.devices), 'torch' in sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "['cuda', 'npu', 'mps', 'cpu'] False"


def test_devices_of_a_machine_with_two_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, "cuda", 2)
    assert devices.available_devices() == ["cuda:0", "cuda:1", "cpu"]
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (9, 0), raising=False)
    assert devices.resolve_device("cuda", ("bf16", "fp32")) == torch.device("cuda:0")
    assert devices.resolve_device("cuda:1", ("fp16",)) == torch.device("cuda:1")
    with pytest.raises(DeviceError, match="cuda:2 is absent"):
        devices.resolve_device("cuda:2", ("fp32",))


def test_an_old_gpu_has_no_bf16(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, "cuda", 1)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (7, 0), raising=False)
    with pytest.raises(DeviceError, match="does not compute in bf16"):
        devices.resolve_device("cuda:0", ("bf16",))


def test_npu_is_there_when_torch_npu_is(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DeviceError, match="npu is absent"):
        devices.resolve_device("npu", ("fp32",))
    monkeypatch.setattr(devices, "find_spec", lambda name: object())
    monkeypatch.setitem(sys.modules, "torch_npu", SimpleNamespace(__version__="2.9"))
    pretend(monkeypatch, "npu", 1)
    assert devices.available_devices() == ["npu:0", "cpu"]


@pytest.mark.parametrize(
    ("device", "precision", "message"),
    [
        ("abacus", "fp32", "knows no device 'abacus'"),
        ("mps", "fp32", "the device mps is absent"),
        ("cpu", "fp16", "does not compute in fp16"),
    ],
)
def test_what_is_absent_is_refused_in_one_line(
    open_session: Callable[..., Any], device: str, precision: str, message: str
) -> None:
    with pytest.raises(DeviceError, match=message) as caught:
        open_session(CONFIG, SequenceClassification(("a", "b")), device=device, prediction_precision=precision)
    assert "\n" not in caught.value.cause
    assert caught.value.remedy


def test_a_missing_torch_is_named_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    assert TorchBackend().problem() is None
    monkeypatch.setattr(torch, "__version__", "2.5.1+cpu")
    assert TorchBackend().problem() == (
        "PyTorch 2.5.1+cpu is too old: bertcore needs 2.6",
        "pip install 'bertcore[torch]'",
    )
    monkeypatch.setitem(sys.modules, "torch", None)
    cause, remedy = TorchBackend().problem() or ("", "")
    assert "PyTorch cannot be imported" in cause
    assert remedy == "pip install 'bertcore[torch]'"
