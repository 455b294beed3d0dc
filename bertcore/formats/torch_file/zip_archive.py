"""The format since torch 1.6: a zip archive.

Python's zipfile would copy each member. Its directory, at the end of the archive, is read with it; the members are then
found in the mapped file, so that a tensor is a view of it:

    header_offset          +26              +30
    | PK\x03\x04 ......... | u16 u16 (n, m) | name, n bytes | extra, m bytes | the content, file_size bytes |
"""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from typing import Any

from bertcore.formats.torch_file.tensors import TorchReader
from bertcore.formats.weight_file import damaged


class ZipReader(TorchReader):
    """Finds the members of an archive, and compares each with its checksum when it is asked for."""

    def read(self) -> Any:
        """The object that was saved."""
        try:
            with zipfile.ZipFile(self.path) as archive:
                self.records = {record.filename: record for record in archive.infolist()}
        except (zipfile.BadZipFile, NotImplementedError, ValueError, struct.error, OSError) as error:
            raise damaged(self.path, f"truncated or damaged: not a whole zip archive ({error})") from error
        self.bytes_read = 0
        pickles = [name for name in self.records if name.count("/") == 1 and name.endswith("/data.pkl")]
        if len(pickles) != 1:
            raise damaged(self.path, "a zip archive, but not one of torch.save: it has no data.pkl")
        self.folder = pickles[0].removesuffix("data.pkl")
        order = bytes(self.record("byteorder")) if f"{self.folder}byteorder" in self.records else b"little"
        if order not in (b"little", b"big"):
            raise damaged(self.path, f"its byte order is {order[:20]!r}, neither little nor big")
        self.byte_order = "<" if order == b"little" else ">"
        return self.read_object(io.BytesIO(self.record("data.pkl")))

    def storage_content(self, key: str) -> memoryview:
        """See :class:`TorchReader`."""
        return self.record(f"data/{key}")

    def record(self, name: str) -> memoryview:
        """The bytes of one member of the archive, which torch never compresses."""
        if f"{self.folder}{name}" not in self.records:
            raise damaged(self.path, f"lacks {name}")
        record = self.records[f"{self.folder}{name}"]
        if record.compress_type != zipfile.ZIP_STORED or record.flag_bits & 0x1:
            raise damaged(self.path, f"{name} is compressed or encrypted, which torch.save does not do")
        # Members that lie on each other would be read, and compared with their checksums, again and again.
        self.bytes_read += record.file_size
        if self.bytes_read > len(self.content):
            raise damaged(self.path, "its members are longer together than the file")
        header = self.content[record.header_offset : record.header_offset + 30]
        if len(header) < 30 or header[:4].tobytes() != b"PK\x03\x04":
            raise damaged(self.path, f"{name} has no header where the archive's directory says")
        name_length, extra_length = struct.unpack("<HH", header[26:30])
        # Only this header says how long the extra field before the content is; torch fills it up so that the content
        # begins at a multiple of 64 bytes. The directory has an extra field of its own.
        begin = record.header_offset + 30 + name_length + extra_length
        content = self.content[begin : begin + record.file_size]
        if len(content) < record.file_size:
            raise damaged(self.path, f"{name} goes beyond the end of the file")
        # torch.serialization.set_crc32_options(False) writes a zero instead of a checksum.
        if record.CRC != 0 and zlib.crc32(content) != record.CRC:
            raise damaged(self.path, f"the checksum of {name} is wrong")
        return content
