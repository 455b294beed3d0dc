from __future__ import annotations

import collections
import io
import json
import os
import pickle
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hypothesis.extra.numpy as numpy_strategies
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bertcore.errors import ModelError, OutputError
from bertcore.formats.torch_file import read_torch_file, write_torch_file

BASE = torch.arange(24.0).reshape(2, 3, 4)
TENSORS = {
    "contiguous": BASE,
    "transposed": BASE.permute(2, 0, 1),
    "every_second": BASE[:, :, ::2],
    "with_offset": BASE[1, 1:],
    "expanded": torch.ones(1, 3).expand(5, 3),
    "scalar": torch.tensor(3.5),
    "empty": torch.zeros(0, 3),
    "float64": torch.randn(3, dtype=torch.float64),
    "float16": torch.randn(3).half(),
    "bfloat16": torch.randn(4, 5).bfloat16(),
    "bfloat16_transposed": torch.randn(4, 5).bfloat16().T,
    "int64": torch.tensor([1 << 62, -1]),
    "int32": torch.tensor([1, -1], dtype=torch.int32),
    "int16": torch.tensor([1, -1], dtype=torch.int16),
    "int8": torch.tensor([1, -1], dtype=torch.int8),
    "uint8": torch.tensor([1, 255], dtype=torch.uint8),
    "uint16": torch.tensor([1, 65535], dtype=torch.uint16),
    "bool": torch.tensor([[True, False]]),
    "parameter": torch.nn.Parameter(torch.randn(3)),
}
BOTH_FORMATS = pytest.mark.parametrize("zip_format", [True, False], ids=["zip", "legacy"])


def as_numpy(tensor: torch.Tensor) -> np.ndarray[Any, Any]:
    tensor = tensor.detach()
    return (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()


def save(saved: Any, path: Path, zip_format: bool = True) -> Path:
    torch.save(saved, path, _use_new_zipfile_serialization=zip_format)
    return path


@BOTH_FORMATS
def test_tensors_are_those_that_torch_saved(tmp_path: Path, zip_format: bool) -> None:
    read = read_torch_file(save(TENSORS, tmp_path / "model.pt", zip_format))
    assert list(read) == list(TENSORS)
    for name, tensor in TENSORS.items():
        expected = as_numpy(tensor)
        assert read[name].dtype == expected.dtype
        np.testing.assert_array_equal(read[name], expected, err_msg=name, strict=True)


@BOTH_FORMATS
def test_nested_objects_come_back_as_they_were(tmp_path: Path, zip_format: bool) -> None:
    saved = {
        "model": torch.nn.Linear(2, 2).state_dict(),  # an OrderedDict with attributes
        "list": [1, -2, 1 << 70, 2.5, None, True, "é", (1, 2, 3, 4), (), []],
        "size": torch.Size([1, 2]),
        "type": torch.float16,
        "device": torch.device("cpu"),
        7: {"deep": [{"deeper": torch.ones(2)}]},
    }
    read = read_torch_file(save(saved, tmp_path / "model.pt", zip_format))
    assert list(read) == list(saved)
    assert read["model"].keys() == {"weight", "bias"}
    assert read["list"] == saved["list"]
    assert read["size"] == (1, 2)
    assert (read["type"], read["device"]) == ("torch.float16", "cpu")
    np.testing.assert_array_equal(read[7]["deep"][0]["deeper"], np.ones(2))


def test_a_tensor_with_attributes_is_read(tmp_path: Path) -> None:
    tensor, parameter = torch.ones(2), torch.nn.Parameter(torch.zeros(2))
    tensor.note, parameter.note = "mine", "mine"
    read = read_torch_file(save([tensor, parameter], tmp_path / "model.pt"))
    np.testing.assert_array_equal(read, [[1, 1], [0, 0]])


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@BOTH_FORMATS
def test_every_pickle_protocol_of_torch_is_read(tmp_path: Path, protocol: int, zip_format: bool) -> None:
    path = tmp_path / "model.pt"
    saved = {"a": torch.arange(3), "b": ["text", 1.5, b"bytes"]}
    torch.save(saved, path, pickle_protocol=protocol, _use_new_zipfile_serialization=zip_format)
    if protocol == 2:  # where bytes are made by a call
        with pytest.raises(ModelError, match=r"it refers to _codecs.encode"):
            read_torch_file(path)
    else:
        assert read_torch_file(path)["b"] == saved["b"]


@BOTH_FORMATS
def test_tied_weights_share_their_memory(tmp_path: Path, zip_format: bool) -> None:
    weight = torch.randn(4, 3)
    half = weight.bfloat16()
    saved = {"a": weight, "b": weight, "first_row": weight[0], "half": half, "half_too": half}
    read = read_torch_file(save(saved, tmp_path / "model.pt", zip_format))
    read["a"][0, 0] = 42
    read["half"][0, 0] = 43
    assert read["b"][0, 0] == read["first_row"][0] == 42
    assert read["half_too"][0, 0] == 43


def test_big_endian_files_are_read(tmp_path: Path) -> None:
    little = tmp_path / "little.pt"
    saved = {"a": torch.arange(3.0), "b": torch.tensor([1, 2]), "c": torch.tensor([1.5, -2.0]).bfloat16()}
    save(saved, little)
    big = tmp_path / "big.pt"
    item_sizes = {"data/0": 4, "data/1": 8, "data/2": 2}
    with zipfile.ZipFile(little) as source, zipfile.ZipFile(big, "w") as destination:
        for name in source.namelist():
            content = source.read(name)
            short_name = name.split("/", 1)[1]
            if short_name in item_sizes:
                content = np.frombuffer(content, f"u{item_sizes[short_name]}").byteswap().tobytes()
            destination.writestr(name, b"big" if short_name == "byteorder" else content)
    expected = torch.load(big, weights_only=True)
    read = read_torch_file(big)
    for name, tensor in saved.items():
        assert torch.equal(expected[name], tensor)
        np.testing.assert_array_equal(read[name], as_numpy(tensor))
        assert read[name].dtype.isnative


def test_a_file_without_checksums_is_read(tmp_path: Path) -> None:
    before = torch.serialization.get_crc32_options()
    torch.serialization.set_crc32_options(False)
    try:
        path = save({"a": torch.arange(3)}, tmp_path / "model.pt")
    finally:
        torch.serialization.set_crc32_options(before)
    np.testing.assert_array_equal(read_torch_file(path)["a"], [0, 1, 2])


def test_changing_an_array_does_not_change_the_file(tmp_path: Path) -> None:
    path = save({"a": torch.ones(3)}, tmp_path / "model.pt")
    read_torch_file(path)["a"][:] = 7
    np.testing.assert_array_equal(read_torch_file(path)["a"], np.ones(3))


@BOTH_FORMATS
def test_a_real_model_is_that_of_torch(tmp_path: Path, tiny_en: Path, zip_format: bool) -> None:
    transformers = pytest.importorskip("transformers")
    expected = transformers.BertForMaskedLM.from_pretrained(tiny_en).state_dict()
    read = read_torch_file(save(expected, tmp_path / "pytorch_model.bin", zip_format))
    assert read.keys() == expected.keys()
    for name, tensor in expected.items():
        np.testing.assert_array_equal(read[name], tensor.numpy(), err_msg=name, strict=True)
    word_embeddings = "bert.embeddings.word_embeddings.weight"
    assert np.shares_memory(read[word_embeddings], read["cls.predictions.decoder.weight"])


def test_shards_are_read(tmp_path: Path) -> None:
    save({"a": torch.ones(2)}, tmp_path / "pytorch_model-1.bin")
    save({"b": torch.zeros(2)}, tmp_path / "pytorch_model-2.bin")
    index = tmp_path / "pytorch_model.bin.index.json"
    index.write_text(json.dumps({"weight_map": {"a": "pytorch_model-1.bin", "b": "pytorch_model-2.bin"}}))
    read = read_torch_file(index)
    np.testing.assert_array_equal(read["a"], np.ones(2))
    np.testing.assert_array_equal(read["b"], np.zeros(2))
    save(torch.zeros(2), tmp_path / "pytorch_model-2.bin")
    with pytest.raises(ModelError, match=r"pytorch_model-2.bin: holds no tensors by name"):
        read_torch_file(index)


class Calls:
    """An object whose pickle calls a function with the given arguments when it is loaded."""

    def __init__(self, function: Callable[..., Any], *arguments: Any, state: Any = None) -> None:
        self.reduced = (function, arguments) if state is None else (function, arguments, state)

    def __reduce__(self) -> Any:
        return self.reduced


class TestRefused:
    """Files that run code when Python unpickles them: refused by the name of what they call, and nothing runs."""

    @pytest.fixture
    def victim(self, tmp_path: Path) -> Path:
        return tmp_path / "victim"

    def write(self, data_pkl: bytes, path: Path) -> Path:
        """A file of torch's zip format with this pickle in it."""
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("archive/data.pkl", data_pkl)
            archive.writestr("archive/version", "3\n")
        return path

    def check(self, path: Path, victim: Path, cause: str) -> None:
        with pytest.raises(ModelError, match=re.escape(str(path)) + ".*" + re.escape(cause)) as caught:
            read_torch_file(path)
        assert "Nothing of it was run" in caught.value.remedy
        assert not victim.exists()

    @BOTH_FORMATS
    @pytest.mark.parametrize("protocol", [2, 4])
    @pytest.mark.parametrize("nested", [lambda call: call, lambda call: {"a": torch.ones(1), "b": [(1, {"c": call})]}])
    def test_a_call(self, tmp_path: Path, victim: Path, zip_format: bool, protocol: int, nested: Any) -> None:
        path = tmp_path / "model.pt"
        call = Calls(os.system, f"touch {victim}")
        torch.save(nested(call), path, pickle_protocol=protocol, _use_new_zipfile_serialization=zip_format)
        self.check(path, victim, "it refers to posix.system")
        torch.load(path, weights_only=False)
        assert victim.exists()  # the file is dangerous indeed

    def test_a_call_in_every_place_of_a_legacy_file(self, tmp_path: Path, victim: Path) -> None:
        path = tmp_path / "model.pt"
        parts = [0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}, {}, []]
        for index in range(len(parts)):
            changed: list[Any] = list(parts)
            changed[index] = Calls(os.system, f"touch {victim}")
            # The first pickle must still look like one of torch.save, whose protocol is 2.
            path.write_bytes(b"".join(pickle.dumps(part, protocol=2) for part in changed))
            self.check(path, victim, "it refers to posix.system")

    def test_a_call_hidden_in_the_arguments_of_an_allowed_function(self, tmp_path: Path, victim: Path) -> None:
        hidden = collections.OrderedDict([("a", Calls(os.system, f"touch {victim}"))])
        self.check(self.write(pickle.dumps(hidden, protocol=4), tmp_path / "m.pt"), victim, "posix.system")
        state = Calls(collections.OrderedDict, state={"_metadata": Calls(os.system, f"touch {victim}")})
        self.check(self.write(pickle.dumps(state, protocol=4), tmp_path / "m.pt"), victim, "posix.system")
        for function in (torch._utils._rebuild_parameter, torch.Size):
            call = Calls(function, Calls(os.system, f"touch {victim}"))
            self.check(self.write(pickle.dumps(call, protocol=4), tmp_path / "m.pt"), victim, "posix.system")

    @pytest.mark.parametrize(
        ("instructions", "cause"),
        [
            (b"cos\nsystem\n(S'touch VICTIM'\ntR.", "it refers to os.system"),
            (b"(S'touch VICTIM'\nios\nsystem\n.", "it calls os.system"),
            (b"(cos\nsystem\nS'touch VICTIM'\no.", "it refers to os.system"),
            (b"\x8c\x02os\x8c\x06system\x93(S'touch VICTIM'\ntR.", "it refers to os.system"),
            # The name is hidden in the memo, and the stack is shuffled.
            (b"\x8c\x06system\x940\x8c\x02osh\x00\x93(S'touch VICTIM'\ntR.", "it refers to os.system"),
            (b"cbuiltins\neval\n(S'1'\ntR.", "it refers to builtins.eval"),
            (b"cbuiltins\ngetattr\n.", "it refers to builtins.getattr"),
            (b"ctorch\nload\n.", "it refers to torch.load"),
            (b"ctorch._utils\nos.system\n.", "it refers to torch._utils.os.system"),
            (b"\x8c\x0ctorch._utils\x8c\x09os.system\x93.", "it refers to torch._utils.os.system"),
            (b"ccollections\nOrderedDict\n)\x81.", "NEWOBJ"),
            (b"ctorch\nSize\n}S'__code__'\nI1\nsb.", "it sets attributes of torch.Size"),
            (b"ctorch\nfloat32\n)R.", "it calls torch.float32"),
            (b"S'os.system'\n(S'touch VICTIM'\ntR.", "it calls an object of type str"),
            (b"\x82\x01.", "EXT1"),
            (b"]Pmine\n.", "PERSID"),
        ],
    )
    def test_handmade_instructions(self, tmp_path: Path, victim: Path, instructions: bytes, cause: str) -> None:
        data_pkl = b"\x80\x04" + instructions.replace(b"VICTIM", str(victim).encode())
        self.check(self.write(data_pkl, tmp_path / "model.pt"), victim, cause)

    def test_a_function_that_makes_another_object_from_a_tensor(self, tmp_path: Path, victim: Path) -> None:
        call = Calls(torch._tensor._rebuild_from_type_v2, os.system, torch.Tensor, (f"touch {victim}",), {})
        self.check(save(call, tmp_path / "model.pt"), victim, "it refers to posix.system")

    @pytest.mark.parametrize(
        ("saved", "cause"),
        [
            (torch.ones(2).to_sparse(), "torch._utils._rebuild_sparse_tensor"),
            (torch.ones(2, dtype=torch.complex64), "torch.ComplexFloatStorage"),
            (np.float64(1.5), "numpy"),
            (torch.nn.Linear(1, 1), "torch.nn.modules.linear.Linear"),
        ],
    )
    def test_what_is_no_plain_tensor(self, tmp_path: Path, victim: Path, saved: Any, cause: str) -> None:
        self.check(save(saved, tmp_path / "model.pt"), victim, f"it refers to {cause}")


class TestDamaged:
    def check(self, path: Path, cause: str = "") -> None:
        with pytest.raises(ModelError, match=re.escape(str(path)) + ".*" + re.escape(cause)):
            read_torch_file(path)

    @BOTH_FORMATS
    def test_every_truncation_is_noticed(self, tmp_path: Path, zip_format: bool) -> None:
        content = save({"a": torch.ones(5), "b": torch.zeros(2)}, tmp_path / "whole.pt", zip_format).read_bytes()
        path = tmp_path / "model.pt"
        for length in range(0, len(content), 3):
            path.write_bytes(content[:length])
            self.check(path)

    def test_a_flipped_bit_of_a_weight_is_noticed(self, tmp_path: Path) -> None:
        path = save({"a": torch.full((50,), 1.5)}, tmp_path / "model.pt")
        content = bytearray(path.read_bytes())
        content[content.index(np.full(50, 1.5, np.float32).tobytes()) + 9] ^= 1
        path.write_bytes(content)
        self.check(path, "the checksum of data/0 is wrong")

    def test_random_damage_is_either_noticed_or_harmless(self, tmp_path: Path) -> None:
        """No other exception than a ModelError leaves the reader, whatever the bytes."""
        random = np.random.default_rng(0)
        path = tmp_path / "model.pt"
        for zip_format in (True, False):
            content = save({"a": torch.ones(5), "b": [torch.zeros(2, 3).T]}, path, zip_format).read_bytes()
            for _ in range(1000):
                changed = bytearray(content)
                for position in random.integers(0, len(content), size=3):
                    changed[position] = random.integers(256)
                path.write_bytes(changed)
                try:
                    read_torch_file(path)
                except ModelError as error:
                    assert str(path) in error.cause  # noqa: PT017

    @pytest.mark.parametrize(
        ("tensor", "cause"),
        [
            ((10, 0, (2, 3), (3, 1)), "storage 0 has 24 bytes, not 10 numbers of type float32"),
            ((6, 1, (2, 3), (3, 1)), "a tensor needs number 6 of a storage of 6"),
            ((6, 0, (2, 3), (4, 1)), "a tensor needs number 6 of a storage of 6"),
            ((6, -1, (2, 3), (3, 1)), "shape, strides and offset ((2, 3), (3, 1), -1)"),
            ((6, 5, (2, 3), (-3, 1)), "shape, strides and offset ((2, 3), (-3, 1), 5)"),
            ((6, 0, (-2, 3), (3, 1)), "shape, strides and offset ((-2, 3), (3, 1), 0)"),
            ((6, 0, (2, 3), (3,)), "shape, strides and offset ((2, 3), (3,), 0)"),
            ((6, 0, (2.0, 3), (3, 1)), "shape, strides and offset ((2.0, 3), (3, 1), 0)"),
            ((6, 0, (1 << 62, 1 << 62), (0, 0)), ""),
        ],
    )
    def test_a_tensor_beyond_its_storage(self, tmp_path: Path, tensor: tuple[Any, ...], cause: str) -> None:
        count, offset, shape, strides = tensor

        class Pickler(pickle.Pickler):
            def persistent_id(self, value: Any) -> Any:
                return ("storage", torch.FloatStorage, "0", "cpu", count) if value == "the storage" else None

        buffer = io.BytesIO()
        Pickler(buffer, protocol=2).dump(
            Calls(torch._utils._rebuild_tensor_v2, "the storage", offset, shape, strides, False, None)
        )
        path = tmp_path / "model.pt"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("archive/data.pkl", buffer.getvalue())
            archive.writestr("archive/data/0", bytes(24))
        self.check(path, cause)

    @pytest.mark.parametrize(
        "instructions",
        [b"", b".", b"t.", b"e.", b"s.", b"u.", b"R.", b"b.", b"Q.", b"h\x05.", b"0.", b"(.", b"\x93.", b"\x8c\xffa.",
         b"]]s.", b"}(K\x01u.", b"}]K\x01s.", b"I1\nI2\na.", b"\x94.", b"\xff.", b"\x86.", b"}" + b"(" * 9 + b"."],
    )  # fmt: skip
    def test_a_senseless_pickle(self, tmp_path: Path, instructions: bytes) -> None:
        path = tmp_path / "model.pt"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("archive/data.pkl", b"\x80\x04" + instructions)
        self.check(path)

    @pytest.mark.parametrize(
        ("before", "after", "cause"),
        [
            (b"}", b"K\x01s.", "the key of a dict is an object of type tuple"),
            (b"", b"Q.", "a storage is described by"),
            (b"", b"\x8c\x01a\x93.", "a name is no text"),
            (b"ctorch\ndevice\n", b"R.", "a device has no name"),
            (b"ctorch._tensor\n_rebuild_from_type_v2\n(ctorch._utils\n_rebuild_tensor_v2\n", b"NNtR.", "no class"),
            (b"ctorch._utils\n_rebuild_tensor_v3\n(NK\x01NNNN", b"tR.", "no storage or no number type"),
        ],
    )
    def test_an_object_nested_too_deeply_to_hash_or_print(
        self, tmp_path: Path, before: bytes, after: bytes, cause: str
    ) -> None:
        path = tmp_path / "model.pt"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("archive/data.pkl", b"\x80\x04" + before + b")" + b"\x85" * 200_000 + after)
        self.check(path, cause)

    @pytest.mark.parametrize("pickles", ["01233", "31234", "03234", "01334"])
    def test_a_legacy_file_with_a_tensor_before_its_storages_are_known(self, tmp_path: Path, pickles: str) -> None:
        """Such as one that lost a part in the middle: each digit is one of the five pickles, 3 the saved object."""
        content = save({"a": torch.ones(3)}, tmp_path / "whole.pt", zip_format=False).read_bytes()
        starts = [index for index in range(len(content)) if content.startswith(b"\x80\x02", index)]
        parts = [content[begin:end] for begin, end in zip(starts, [*starts[1:], len(content)], strict=True)]
        assert len(parts) == 5
        (tmp_path / "model.pt").write_bytes(b"".join(parts[int(digit)] for digit in pickles))
        self.check(tmp_path / "model.pt")

    def test_other_files_are_told_apart(self, tmp_path: Path) -> None:
        path = tmp_path / "model.pt"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("readme.txt", "hello")
        self.check(path, "a zip archive of readme.txt")
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("archive/data.pkl", pickle.dumps({}))
        self.check(path, "compressed or encrypted")
        for content, cause in [
            (b"", "empty, of 0 bytes"),
            (b"<!DOCTYPE html>", "a web page"),
            (b"no weights", "not a file of torch.save"),
            (pickle.dumps([1, 2]), "a pickle, but not one of torch.save"),
            (bytes(257) + b"ustar", "a tar file of torch before 0.1.10"),
        ]:
            path.write_bytes(content)
            self.check(path, cause)
        self.check(tmp_path / "missing.pt", "no such weight file")


class TestWriting:
    number_types = st.sampled_from(
        ["float64", "float32", "float16", "int64", "int32", "int16", "int8", "uint8", "bool"]
    )  # fmt: skip
    arrays = number_types.flatmap(
        lambda number_type: numpy_strategies.arrays(
            number_type, numpy_strategies.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5)
        )
    )

    @settings(deadline=None)  # a slow disk is no failure
    @given(tensors=st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), arrays, max_size=5))
    def test_torch_loads_what_is_written_and_so_do_we(
        self, tmp_path_factory: pytest.TempPathFactory, tensors: dict[str, Any]
    ) -> None:
        path = tmp_path_factory.mktemp("random") / "model.pt"
        write_torch_file(path, tensors)
        loaded = torch.load(path, weights_only=True)
        read = read_torch_file(path)
        assert list(loaded) == list(read) == list(tensors)
        for name, array in tensors.items():
            np.testing.assert_array_equal(loaded[name].numpy(), array, strict=True)
            np.testing.assert_array_equal(read[name], array, strict=True)

    @pytest.mark.parametrize("mmap", [False, True])
    def test_a_real_model_is_equal_in_torch(self, tmp_path: Path, tiny_en: Path, mmap: bool) -> None:
        from bertcore.formats.safetensors_file import read_safetensors

        tensors = read_safetensors(tiny_en / "model.safetensors")
        path = tmp_path / "best_model.pt"
        write_torch_file(path, tensors)
        loaded = torch.load(path, weights_only=True, mmap=mmap)
        assert loaded.keys() == tensors.keys()
        for name, array in tensors.items():
            np.testing.assert_array_equal(loaded[name].numpy(), array, strict=True)
            assert loaded[name].is_contiguous()
            assert loaded[name].data_ptr() % 64 == 0

    def test_arrays_that_are_not_contiguous_or_not_little_endian(self, tmp_path: Path) -> None:
        tensors = {"transposed": np.arange(6.0).reshape(2, 3).T, "big_endian": np.arange(6, dtype=">f4")}
        write_torch_file(tmp_path / "model.pt", tensors)
        loaded = torch.load(tmp_path / "model.pt", weights_only=True)
        for name, array in tensors.items():
            np.testing.assert_array_equal(loaded[name].numpy(), array)

    def test_the_same_tensors_give_the_same_bytes(self, tmp_path: Path) -> None:
        for name in ("a.pt", "b.pt"):
            write_torch_file(tmp_path / name, {"weight": np.ones(3)})
        assert (tmp_path / "a.pt").read_bytes() == (tmp_path / "b.pt").read_bytes()

    def test_a_failed_writing_leaves_nothing(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_bytes(b"")
        with pytest.raises(OutputError):
            write_torch_file(tmp_path / "file" / "model.pt", {"a": np.ones(2)})
        with pytest.raises(ValueError, match="torch cannot hold a tensor 'text'"):
            write_torch_file(tmp_path / "model.pt", {"text": np.array("x")})
        assert [path.name for path in tmp_path.iterdir()] == ["file"]
