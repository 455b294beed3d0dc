"""The encodings of text files: told by a byte-order mark, named by the user, or guessed for the remedy of an error.

What is no UTF-8 is never read by a guess: a wrong one gives texts that look right in part.
"""

from __future__ import annotations

import codecs
import re
from functools import lru_cache

from bertcore.errors import DataError, Origin

_MARKS = (  # UTF-32's little-endian mark begins as UTF-16's does
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_CHUNK = 1 << 20
_GUESSED = 1 << 18  # bytes that tell an encoding
_HIGH_RUN = re.compile(rb"[\x80-\xff]+")
_NUL_RATIO = 0.2
_SURE_LONG, _SURE = 2, 5  # characters of UTF-8 of three bytes and more, and of two and more


def utf8_content(content: bytes, name: str, encoding: str | None = None) -> bytes:
    """Returns the content of a text file in UTF-8, without a byte-order mark.

    Args:
        content: the bytes of the file.
        name: of the file, for errors.
        encoding: of a file that is neither UTF-8 nor has a byte-order mark, as Python names it. The bytes of a file
            that is taken for UTF-8 are returned as they are, valid or not.

    Raises:
        DataError: the file is not in this encoding (with the line), there is no such encoding, or the content is
            UTF-16 without a mark.
    """
    codec = _codec(encoding) if encoding is not None else "utf-8"
    for mark, by_mark in _MARKS:
        if content.startswith(mark):
            return _decoded(content[len(mark) :], name, by_mark)
    if content.startswith(codecs.BOM_UTF8):
        return content.removeprefix(codecs.BOM_UTF8)
    if codec in ("utf-8", "utf-8-sig"):
        _refuse_unmarked_utf16(content, name)
        return content
    return content if _is_surely_utf8(content, codec) else _decoded(content, name, codec)


def _is_surely_utf8(content: bytes, codec: str) -> bool:
    """Whether content that is said to be in another encoding is UTF-8, of which that would make other characters.

    A file of UTF-8 may stand beside one of another encoding. UTF-16 never lacks a zero byte: its line ends have one.
    In an encoding of single bytes no word looks like UTF-8. In GBK one in six characters looks like a UTF-8 character
    of two bytes, but hardly two ever like those of three, which UTF-8 needs for Chinese.
    """
    if codec.startswith(("utf-16", "utf-32")):
        return b"\0" not in content and is_utf8(content)
    if content.isascii() or not is_utf8(content):
        return False
    is_single = len(b"\xc3\xa9".decode(codec, errors="replace")) > 1
    long, every = (len(content.translate(None, bytes(range(lead)))) for lead in (0xE0, 0xC0))
    return is_single or long >= _SURE_LONG or every >= _SURE


def _codec(encoding: str) -> str:
    try:
        found = codecs.lookup(encoding)
    except LookupError:
        raise DataError(
            f"there is no encoding {encoding!r}",
            "name one of Python's: --set data.encoding=gb18030, cp1252, utf-16, big5, shift_jis, ...",
            code="encoding-unknown",
        ) from None
    if not found._is_text_encoding:
        raise DataError(
            f"{encoding!r} is no encoding of text", "name one, as --set data.encoding=gb18030", code="encoding-unknown"
        )
    return found.name


def _decoded(content: bytes, name: str, codec: str) -> bytes:
    try:
        return content.decode(codec).removeprefix("\ufeff").encode()
    except UnicodeDecodeError as error:
        line = content[: error.start].decode(codec, errors="replace").count("\n") + 1
        likely = likely_encoding(content)
        remedy = f"its encoding is likely {likely}: --set data.encoding={likely}" if likely else "name its encoding"
        problem = f"byte {error.start} of the file is not {codec}"
        raise DataError(problem, remedy, origin=Origin(name, line), code="encoding-wrong") from None
    except UnicodeError as error:  # half a surrogate pair
        remedy = "name its encoding: --set data.encoding=NAME"
        raise DataError(f"not {codec}: {error}", remedy, origin=Origin(name), code="encoding-wrong") from None


def _refuse_unmarked_utf16(content: bytes, name: str) -> None:
    head = content[:4096]
    zeros = head.count(0)
    if len(head) < 4 or zeros < _NUL_RATIO * len(head):
        return
    odd = head[1::2].count(0)
    if max(odd, zeros - odd) > 0.9 * zeros:  # the one half of each pair
        codec = "utf-16-le" if odd > zeros - odd else "utf-16-be"
        raise DataError(
            f"every second byte is NUL: likely {codec} without a byte-order mark",
            f"--set data.encoding={codec}, or save the file as UTF-8",
            origin=Origin(name),
            code="not-utf8",
        )


def is_utf8(content: bytes) -> bool:
    """Whether bytes are UTF-8; holds no decoded copy of them."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for start in range(0, len(content), _CHUNK):
            decoder.decode(content[start : start + _CHUNK])
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def not_utf8(origin: Origin, byte: int, content: bytes) -> DataError:
    """The error about a line that is not UTF-8; its remedy names the encoding that is likely.

    Args:
        origin: where the line stands.
        byte: number of the first such byte in the line, from 0.
        content: of the whole file.
    """
    hint, remedy = _hint(content)
    return DataError(f"byte {byte} is not UTF-8{hint}", remedy, origin=origin, code="not-utf8")


@lru_cache(maxsize=1)
def _hint(content: bytes) -> tuple[str, str]:
    """What the bytes likely are, and the remedy; asked once for each file, however many of its lines are wrong."""
    if _is_damaged_utf8(content):
        return "", "other characters of the file are UTF-8: it was damaged, or put together of two; correct the line"
    likely = likely_encoding(content)
    if likely is None:
        return "", "convert the file to UTF-8, with iconv for example, or for your own files --set data.encoding=NAME"
    return (
        f"; likely {_WORDS[likely]}",
        f"for your own files --set data.encoding={likely}, else convert it: iconv -f {likely} -t utf-8 FILE > NEW",
    )


def _is_damaged_utf8(content: bytes) -> bool:
    """Whether most characters beyond ASCII are UTF-8; in another encoding hardly any is by chance."""
    text = content[:_GUESSED].decode(errors="replace")
    wrong = text.count("\ufffd")
    return sum(not character.isascii() for character in text) > 2 * wrong > 0


_WORDS = {
    "gb18030": "Chinese in GBK or GB18030",
    "big5": "Chinese in Big5",
    "euc_kr": "Korean in EUC-KR",
    "cp1252": "a Western language in Windows-1252 or Latin-1",
}


def likely_encoding(content: bytes) -> str | None:
    """Guesses the encoding of bytes that are not UTF-8: ``gb18030``, ``big5``, ``euc_kr``, ``cp1252``, or None.

    Chinese comes in runs of bytes above 127, and most of them are common characters: the first level of GB 2312, or
    of Big5. The syllables of EUC-KR are in the first half of that level, and fill it. In Western languages such a byte
    mostly stands alone among ASCII letters.
    """
    start = next((run.start() for run in _HIGH_RUN.finditer(content)), 0)
    begin = content.rfind(b"\n", 0, start) + 1
    part = content[begin : begin + _GUESSED]
    runs = [run.group() for run in _HIGH_RUN.finditer(part)]
    high = sum(map(len, runs))
    if not high:
        return None
    if sum(len(run) for run in runs if len(run) == 1) > high / 2:
        return "cp1252"
    if high > _MANY and _decodes(part, "euc_kr") and sum(2 * len(_HANGUL.findall(run)) for run in runs) > 0.9 * high:
        return "euc_kr"
    for codec, common in (("gb18030", _COMMON_GB), ("big5", _COMMON_BIG5)):
        if _decodes(part, codec) and sum(2 * len(common.findall(run)) for run in runs) > 0.6 * high:
            return codec
    return None


_HANGUL = re.compile(rb"[\xb0-\xc8][\xa1-\xfe]")
_MANY = 80

_COMMON_GB = re.compile(rb"[\xb0-\xd7\xa1\xa3][\xa1-\xfe]")
"""Level 1 of GB 2312 (the 3755 most used characters), its punctuation and its full-width letters."""

_COMMON_BIG5 = re.compile(rb"[\xa4-\xc6\xa1][\x80-\xfe]")
"""Level 1 of Big5 as far as both bytes are above 127, and its punctuation."""


def _decodes(part: bytes, codec: str) -> bool:
    decoder = codecs.getincrementaldecoder(codec)()  # the part may end inside a character
    try:
        decoder.decode(part)
    except UnicodeDecodeError:
        return False
    return True
