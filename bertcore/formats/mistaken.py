"""What a file is that was taken for weights: a pointer, a web page, an archive, the half of a download, another format.

Only the first bytes are looked at, and what lies beside the file. The remedy is the command that helps.
"""

from __future__ import annotations

import os
import re
import zipfile
from dataclasses import dataclass
from pathlib import Path

DOWNLOAD_AGAIN = "download it again to its end: hf download and wget -c go on where they stopped"

_HEAD = 4096
_PARTIAL = (".aria2", ".incomplete", ".part", ".crdownload", ".!qB", ".download")
"""What download programs put behind the name of a file, or of a neighbour, until it is complete."""

_LFS = re.compile(rb"version https://git-lfs\.github\.com/spec/.*?\n(?:.*\n)*?size (\d+)", re.S)
_PAGE = re.compile(rb"\s*(?:<!doctype html|<html|<head|<\?xml)", re.I)
_OTHERS: tuple[tuple[bytes, str, str], ...] = (
    (
        b"\x89HDF\r\n\x1a\n",
        "an HDF5 file, of Keras or of TensorFlow",
        "take the model's PyTorch weights instead, or {tf}",
    ),
    (b"GGUF", "a GGUF file, of llama.cpp", "take the model's own weights, model.safetensors: a GGUF has other layouts"),
    (b"\x93NUMPY", "a single array of numpy", "save all tensors by name, with safetensors.numpy.save_file"),
    (b"\x1f\x8b", "a gzip archive", "unpack it (tar xzf FILE) and give the folder"),
    (b"BZh", "a bzip2 archive", "unpack it (tar xjf FILE) and give the folder"),
    (b"\xfd7zXZ\x00", "an xz archive", "unpack it (tar xJf FILE) and give the folder"),
    (b"\x28\xb5\x2f\xfd", "a zstandard archive", "unpack it (tar --zstd -xf FILE) and give the folder"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", "unpack it (7z x FILE) and give the folder"),
    (b"Rar!\x1a\x07", "a RAR archive", "unpack it (unrar x FILE) and give the folder"),
    (b"%PDF", "a PDF file", "give the weights"),
)
_TENSORFLOW = "with transformers 4 and TensorFlow: BertModel.from_pretrained(DIR, from_tf=True).save_pretrained(OUT)"
_FLAX = "with transformers 4 and Flax: BertModel.from_pretrained(DIR, from_flax=True).save_pretrained(OUT)"
_SUFFIXES = {
    ".onnx": (
        "an ONNX model",
        "take the weights that it was exported from: a graph does not tell its parameters' names",
    ),
    ".msgpack": ("weights of Flax", f"take the model's PyTorch weights instead, or {_FLAX}"),
    ".h5": ("weights of Keras or TensorFlow", f"take the model's PyTorch weights instead, or {_TENSORFLOW}"),
    ".gguf": ("a GGUF file, of llama.cpp", "take the model's own weights, model.safetensors"),
    ".ot": ("weights of rust-bert", "take the model's PyTorch weights instead"),
    ".pdparams": ("weights of Paddle", "take the model's PyTorch weights instead"),
    ".mindir": ("a compiled graph of MindSpore", "take the .ckpt that it was exported from"),
    ".om": ("a compiled graph for Ascend", "take the .ckpt that it was exported from"),
    ".tflite": ("a model of TensorFlow Lite", "take the weights that it was made of"),
    ".pb": ("a graph of TensorFlow", "take the checkpoint that it was exported from"),
    ".npz": ("arrays of numpy", "save them with safetensors.numpy.save_file under the names of transformers"),
}


@dataclass(frozen=True)
class Mistaken:
    """What a file is instead.

    Attributes:
        what: as it follows "is".
        remedy: what helps.
    """

    what: str
    remedy: str


def mistaken(path: str | os.PathLike[str]) -> Mistaken | None:
    """Tells what a file is that holds no weights, or None where nothing is known of it; never raises."""
    file = Path(path)
    try:
        size = file.stat().st_size
        with open(file, "rb") as opened:
            head = opened.read(_HEAD)
        found = _half(file, head) or _by_content(head, size) or _by_suffix(file, head)
    except Exception:  # a damaged archive raises many kinds; then nothing is known
        return None
    return None if found is None else Mistaken(found.what, found.remedy.replace("FILE", file.name))


def partial_downloads(folder: Path) -> list[str]:
    """Names in a folder of files that a download program has not finished."""
    try:
        return sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(_PARTIAL))
    except OSError:
        return []


def _half(file: Path, head: bytes) -> Mistaken | None:
    """Whether a download stopped on its way."""
    if file.name.endswith(_PARTIAL):
        return Mistaken("the part of a download that is not complete", DOWNLOAD_AGAIN)
    beside = next((suffix for suffix in _PARTIAL if os.path.exists(f"{file}{suffix}")), None)
    if beside is not None:
        return Mistaken(f"a download that is not complete, as {file.name}{beside} beside it says", DOWNLOAD_AGAIN)
    if head[:4] == b"PK\x03\x04" and not zipfile.is_zipfile(file):
        return Mistaken("cut short: a zip archive without its directory, which stands at the end", DOWNLOAD_AGAIN)
    return None


def _by_content(head: bytes, size: int) -> Mistaken | None:
    if not size:
        return Mistaken("empty, of 0 bytes", "download, copy or save it again, and check the free space of the disk")
    if not any(head):
        return Mistaken("nothing but zeros, as a download leaves them that has reserved its space", DOWNLOAD_AGAIN)
    pointer = _LFS.match(head)
    if pointer:
        pointed = int(pointer[1])
        amount = f"{pointed / 1e6:.0f} MB" if pointed >= 1e6 else f"{pointed} bytes"
        return Mistaken(
            f"a pointer of git-lfs to {amount} of weights, not the weights",
            "git lfs install && git lfs pull in the cloned folder",
        )
    if _PAGE.match(head):
        return Mistaken(
            "a web page, not the weights",
            "download what its download link points to (.../resolve/main/..., not /blob/)",
        )
    if head.lstrip()[:1] == b"{" and re.search(rb'"(error|message|detail)"\s*:', head):
        return Mistaken(
            f"the answer of a server, not the weights: {head[:80].decode(errors='replace')}", DOWNLOAD_AGAIN
        )
    for magic, what, remedy in _OTHERS:
        if head.startswith(magic):
            return Mistaken(what, remedy.format(tf=_TENSORFLOW))
    if head[257:262] == b"ustar":
        return Mistaken("a tar archive", "unpack it (tar xf FILE) and give the folder")
    return None


def _by_suffix(file: Path, head: bytes) -> Mistaken | None:
    if file.suffix.lower() in _SUFFIXES:
        return Mistaken(*_SUFFIXES[file.suffix.lower()])
    # The first fields of an ONNX model: the version of its format, and who made it.
    if re.match(rb"\x08[\x01-\x20]\x12[\x01-\x40][\x20-\x7e]+", head):
        return Mistaken(*_SUFFIXES[".onnx"])
    if head[:2] == b"PK" and zipfile.is_zipfile(file):
        with zipfile.ZipFile(file) as archive:
            names = archive.namelist()
        if not any(name.endswith("/data.pkl") for name in names):
            return Mistaken(
                f"a zip archive of {', '.join(names[:3])}{', ...' if len(names) > 3 else ''}",
                "unpack it (unzip FILE) and give the folder",
            )
    return None
