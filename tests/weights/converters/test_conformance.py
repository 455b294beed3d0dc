"""The shipped converters against the conformance suite that every converter passes."""

from __future__ import annotations

from bertcore.testing import ConverterConformance


class TestHuggingFaceFolder(ConverterConformance):
    plugin = "bertcore.builtin:huggingface"
    file_name = "model"


class TestSafetensors(ConverterConformance):
    plugin = "bertcore.builtin:huggingface"
    file_name = "weights.safetensors"


class TestTorchFile(ConverterConformance):
    plugin = "bertcore.builtin:huggingface"
    file_name = "pytorch_model.bin"


class TestMindSporeCheckpoint(ConverterConformance):
    plugin = "bertcore.builtin:mindspore_ckpt"
    file_name = "weights.ckpt"


class TestBert4Torch(ConverterConformance):
    plugin = "bertcore.builtin:bert4torch"
    file_name = "best_model.pt"


class TestOldBert4Torch(ConverterConformance):
    plugin = "bertcore.builtin:bert4torch_0_3"
    file_name = "pytorch_model.bin"


class TestMindFormers(ConverterConformance):
    plugin = "bertcore.builtin:mindformers"
    file_name = "weights.ckpt"


class TestMindFormers01(ConverterConformance):
    plugin = "bertcore.builtin:mindformers_0_1"
    file_name = "weights.safetensors"


class TestMindSporeZoo(ConverterConformance):
    plugin = "bertcore.builtin:mindspore_zoo"
    file_name = "weights.ckpt"


class TestMindSporeZooAsSafetensors(ConverterConformance):
    plugin = "bertcore.builtin:mindspore_zoo"
    file_name = "weights.safetensors"
