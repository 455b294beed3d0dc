"""What both formats share: the pickle of the saved object, and tensors as windows on storages."""

from __future__ import annotations

import os
import reprlib
from collections.abc import Callable, Mapping
from typing import IO, Any, Literal

import numpy as np
from numpy.lib.stride_tricks import as_strided

from bertcore.errors import ModelError, Origin
from bertcore.files.bounds import MOST_DIMENSIONS, MOST_REPEATED, MOST_VIEWS, shape_problem
from bertcore.formats.number_types import Array, array_from_content, item_size
from bertcore.formats.restricted_pickle import DamagedPickleError, Global, RefusedPickleError, check_key, read_pickle
from bertcore.formats.torch_file.storage_types import STORAGE_TYPES
from bertcore.formats.weight_file import damaged

_NUMBER_TYPES = frozenset(f"torch.{name}" for name in [*STORAGE_TYPES.values(), "uint16", "uint32", "uint64"])
_TENSOR_CLASSES = frozenset({"torch.Tensor", "torch.nn.parameter.Parameter"})
_MOST_ARGUMENTS = 16
_OTHER_GLOBALS = STORAGE_TYPES.keys() | _NUMBER_TYPES | _TENSOR_CLASSES


class Storage:
    """The bytes behind one or more tensors."""

    def __init__(self, content: memoryview, number_type: str, byte_order: Literal["<", ">"]) -> None:
        self.content = content
        self.number_type = number_type
        self.byte_order = byte_order
        self.arrays: dict[str, Array] = {}

    def array(self, number_type: str) -> Array:
        """All numbers in one row; the same array each time, so that tied weights stay tied."""
        if number_type not in self.arrays:
            count = len(self.content) // item_size(number_type)
            content = self.content[: count * item_size(number_type)]
            self.arrays[number_type] = array_from_content(content, number_type, [count], self.byte_order)
        return self.arrays[number_type]


class TorchReader:
    """What both formats share: the pickle of the saved object, in which storages are persistent ids."""

    def __init__(self, path: str | os.PathLike[str], content: memoryview, inert: bool = False) -> None:
        self.path = path
        self.content = content
        self.inert = inert
        self.storages: dict[str, Storage] = {}
        self.shown = 0
        # All that a pickle may call, by the name that it uses; none of them is torch's own.
        self.functions: dict[str, Callable[..., Any]] = {
            "collections.OrderedDict": _ordered_dict,
            "torch.Size": _size,
            "torch.device": _device_name,
            "torch._utils._rebuild_tensor": self.rebuild_tensor,
            "torch._utils._rebuild_tensor_v2": self.rebuild_tensor,
            "torch._utils._rebuild_tensor_v3": self.rebuild_tensor_of_type,
            "torch._utils._rebuild_parameter": lambda tensor, *requires_grad_and_hooks: tensor,
            "torch._utils._rebuild_parameter_with_state": lambda tensor, *requires_grad_hooks_and_state: tensor,
            "torch._tensor._rebuild_from_type_v2": self.rebuild_from_type,
        }

    def storage_content(self, key: str) -> memoryview:
        """The bytes of a storage, where the format keeps them."""
        raise NotImplementedError

    byte_order: Literal["<", ">"] = "<"

    def read_object(
        self,
        file: IO[bytes],
        functions: Mapping[str, Callable[..., Any]] | None = None,
        load_persistent: Callable[[Any], Any] | None = None,
    ) -> Any:
        """Read one pickle, by other functions than this reader's if they are given."""
        try:
            return read_pickle(
                file,
                functions or self.functions,
                _OTHER_GLOBALS,
                load_persistent or self.load_persistent,
                self.inert,
            )
        except RefusedPickleError as error:
            raise refused(self.path, str(error)) from error
        except DamagedPickleError as error:
            raise damaged(self.path, f"its pickle is truncated or damaged: {error}") from error

    def load_persistent(self, identifier: Any) -> Storage:
        """The storage that a persistent id stands for; one object for each key, so that tied weights stay tied."""
        key, number_type, count = parse_storage(identifier)
        if key not in self.storages:
            self.storages[key] = Storage(self.storage_content(key), number_type, self.byte_order)
        storage = self.storages[key]
        if (storage.number_type, len(storage.content)) != (number_type, count * item_size(number_type)):
            raise damaged(
                self.path, f"storage {key} has {len(storage.content)} bytes, not {count} numbers of type {number_type}"
            )
        return storage

    def rebuild_tensor(
        self,
        storage: Any,
        offset: Any,
        shape: Any,
        strides: Any,
        _requires_grad: Any = False,
        _hooks: Any = None,
        metadata: Any = None,
    ) -> Array:
        """torch._utils._rebuild_tensor_v2: a tensor is a window on its storage."""
        if not isinstance(storage, Storage):
            raise ValueError("a tensor has no storage")
        return self.counted(_window(storage.array(storage.number_type), offset, shape, strides, metadata))

    def rebuild_tensor_of_type(
        self,
        storage: Any,
        offset: Any,
        shape: Any,
        strides: Any,
        _requires_grad: Any,
        _hooks: Any,
        number_type: Any,
        metadata: Any = None,
    ) -> Array:
        """torch._utils._rebuild_tensor_v3: the same on a storage of bytes, whose number type comes with the tensor."""
        if not isinstance(storage, Storage) or not isinstance(number_type, Global):
            raise ValueError("a tensor has no storage or no number type")
        if number_type not in _NUMBER_TYPES:
            raise RefusedPickleError(f"it holds a tensor of type {number_type}")
        numbers = storage.array(number_type.removeprefix("torch."))
        return self.counted(_window(numbers, offset, shape, strides, metadata))

    def rebuild_from_type(self, function: Any, tensor_class: Any, arguments: Any, _state: Any) -> Any:
        """torch._tensor._rebuild_from_type_v2: a tensor to which someone had given attributes."""
        if not isinstance(function, Global) or not isinstance(tensor_class, Global):
            raise ValueError("a tensor has no class, or no function that makes it")
        if tensor_class not in _TENSOR_CLASSES or not function.startswith("torch._utils._rebuild_"):
            raise RefusedPickleError(f"it makes an object of {tensor_class} by {function}")
        if not isinstance(arguments, tuple) or len(arguments) > _MOST_ARGUMENTS:
            raise ValueError("a tensor is made of no tuple of a few arguments")
        return self.functions[function](*arguments)

    def counted(self, tensor: Array) -> Array:
        """The tensor, unless all together show far more numbers than the file has: whoever uses them, copies them."""
        self.shown += tensor.size
        if self.shown > MOST_VIEWS * len(self.content) + MOST_REPEATED:
            raise ValueError(f"its tensors show {self.shown} numbers, and the file has {len(self.content)} bytes")
        return tensor


def refused(path: str | os.PathLike[str], what: str) -> ModelError:
    """The error for a file in whose pickle something would have to run."""
    return ModelError(
        f"refused, because it holds more than tensors: {what}",
        "Nothing of it was run. Where you trust it: torch.save(torch.load(FILE, weights_only=False).state_dict(), OUT)",
        origin=Origin(str(path)),
        code="weights-refused",
    )


def parse_storage(identifier: Any) -> tuple[str, str, int]:
    """Key, number type and count of numbers of the storage that a persistent id stands for."""
    match identifier:
        case ("storage", Global() as storage_type, str(key), _, int(count), *view) if count >= 0:
            if view not in ([], [None]):
                raise RefusedPickleError("it holds a view of a storage, as torch before 0.4 saved it")
            if storage_type in STORAGE_TYPES:
                return key, STORAGE_TYPES[storage_type], count
    raise ValueError(f"a storage is described by {reprlib.repr(identifier)}")


def _window(numbers: Array, offset: Any, shape: Any, strides: Any, metadata: Any) -> Array:
    """A view of a storage, given as torch does: offset and strides count numbers, not bytes.

    storage   0 1 2 3 4 5 6 7 8 9          offset 2, shape (2, 3), strides (4, 1):
                  a b c   d e f            [[a b c], [d e f]]
    """
    if metadata:
        raise RefusedPickleError(f"it holds a tensor marked {reprlib.repr(metadata)}")
    if not isinstance(shape, tuple | list) or not isinstance(strides, tuple | list):
        raise ValueError("a tensor has no shape or no strides")
    if len(shape) <= MOST_DIMENSIONS and (
        len(shape) != len(strides)
        or any(type(number) is not int or number < 0 for number in (*shape, *strides, offset))
    ):
        raise ValueError(f"a tensor has the shape, strides and offset {reprlib.repr((shape, strides, offset))}")
    problem = shape_problem(shape)
    if problem is not None:
        raise ValueError(f"a tensor has {problem}")
    if 0 in shape:
        return np.empty(shape, numbers.dtype)
    # as_strided checks nothing: a last number beyond the storage would be read from other memory.
    last = offset + sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True))
    if last >= len(numbers):
        raise ValueError(f"a tensor needs number {last} of a storage of {len(numbers)}")
    return as_strided(numbers[offset:], shape, [stride * numbers.itemsize for stride in strides])


def _device_name(kind: Any, index: Any = None) -> str:
    if not isinstance(kind, str) or not isinstance(index, int | None):
        raise ValueError("a device has no name")
    return kind if index is None else f"{kind}:{index}"


def _size(sizes: Any = ()) -> tuple[Any, ...]:
    if not isinstance(sizes, list | tuple):
        raise ValueError("a size is made of no list")
    return tuple(sizes)


def _ordered_dict(pairs: Any = ()) -> dict[Any, Any]:
    if not isinstance(pairs, list | tuple):
        raise ValueError("a dict is made of no list of pairs")
    return {check_key(key): value for key, value in pairs}
