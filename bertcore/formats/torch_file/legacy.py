"""The format before torch 1.6: a row of pickles, and the bytes of the storages behind them.

pickle 0x1950a86a20f9469cfc6c | pickle 1001 | pickle {byte order, sizes of C's types}
pickle of the object, its storages persistent ids
pickle [KEY, KEY, ...]
int64 COUNT, COUNT numbers of the first KEY | int64 COUNT, COUNT numbers of the second KEY | ...
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import IO, Any

from bertcore.formats.number_types import item_size
from bertcore.formats.torch_file.tensors import TorchReader, parse_storage
from bertcore.formats.weight_file import damaged

_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_LEGACY_PROTOCOL = 1001


class LegacyReader(TorchReader):
    """Reads the object's pickle twice, because what it is made of lies behind it."""

    contents: Mapping[str, memoryview] = {}  # not known before the storages were found

    def read(self) -> Any:
        """The object that was saved."""
        with open(self.path, "rb") as file:
            if self.read_object(file) != _LEGACY_MAGIC:
                raise damaged(self.path, "a pickle, but not one of torch.save")
            if self.read_object(file) != _LEGACY_PROTOCOL:
                raise damaged(self.path, "of an unknown version of torch.save")
            self.read_object(file)
            # How long a storage is, only the object tells, and where the list of keys begins, only its end. So a first
            # reading makes no tensors and learns the sizes; with these the storages are found; then the object is made.
            begin_of_object = file.tell()
            sizes = self.read_storage_sizes(file)
            keys = self.read_object(file)
            self.contents = self.find_storages(keys, sizes, file.tell())
            file.seek(begin_of_object)
            return self.read_object(file)

    def read_storage_sizes(self, file: IO[bytes]) -> dict[str, tuple[int, int]]:
        """Count of numbers and size of one of them, of each storage that the next pickle in `file` refers to."""
        sizes: dict[str, tuple[int, int]] = {}

        def note_size(identifier: Any) -> None:
            key, number_type, count = parse_storage(identifier)
            sizes[key] = (count, item_size(number_type))

        makers_of_nothing = {name: _nothing for name in self.functions if name.startswith("torch._")}
        self.read_object(file, {**self.functions, **makers_of_nothing}, note_size)
        return sizes

    def find_storages(self, keys: Any, sizes: Mapping[str, tuple[int, int]], begin: int) -> dict[str, memoryview]:
        """The content of each storage: they lie in the order of `keys`, each after its count of numbers (int64)."""
        if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys) or set(keys) != sizes.keys():
            raise damaged(self.path, "its list of storages is not the one that its tensors refer to")
        contents = {}
        for key in keys:
            count, size_of_number = sizes[key]
            data = self.content[begin + 8 : begin + 8 + count * size_of_number]
            if len(data) < count * size_of_number:
                raise damaged(self.path, f"truncated: storage {key} goes beyond the end of the file")
            if int.from_bytes(self.content[begin : begin + 8], "little") != count:
                raise damaged(self.path, f"storage {key} does not have the {count} numbers that its tensors refer to")
            contents[key] = data
            begin += 8 + len(data)
        return contents

    def storage_content(self, key: str) -> memoryview:
        """See :class:`TorchReader`."""
        if key not in self.contents:
            raise damaged(self.path, f"truncated or damaged: its tensors refer to storage {key}, which is not there")
        return self.contents[key]


def _nothing(*_arguments: Any) -> None:
    return None
