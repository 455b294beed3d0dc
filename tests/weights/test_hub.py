"""A model by its name, from a server on this machine that answers as the Hugging Face hub does."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

COMMIT = "5f1e0aa1cbd13b51de1a4b45d8dca3a7d3f6b1a2"

OPEN = """
import json, sys
from bertcore.errors import BertcoreError
from bertcore.weights.opening import open_model
from bertcore.plugins.registry import Registry
try:
    model = open_model(sys.argv[1], Registry(), revision=sys.argv[2] or None)
    print(json.dumps({"files": sorted(f.name for f in model.folder.iterdir()), "keys": len(model.weights.tensors),
                      "tokens": model.tokenizer().vocab_size}))
except BertcoreError as error:
    print(json.dumps({"error": type(error).__name__, "cause": error.cause, "remedy": error.remedy}))
"""


class Hub(ThreadingHTTPServer):
    """Serves the repositories ``models``: name to files."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.models: dict[str, dict[str, bytes]] = {}
        self.requests: list[str] = []
        self.gated: set[str] = set()
        self.cut: set[str] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Answer(BaseHTTPRequestHandler):
    """The few answers of huggingface.co that a download asks for."""

    server: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments: Any) -> None:
        pass

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        self.server.requests.append(f"{self.command} {self.path}")
        parts = [part for part in urlsplit(self.path).path.split("/") if part]
        api = parts[:2] == ["api", "models"]
        parts = parts[2:] if api else parts
        name, rest = "/".join(parts[:2]), parts[2:]
        if name not in self.server.models:
            return self.answer(404, b"Repository not found", {"X-Error-Code": "RepoNotFound"})
        if name in self.server.gated:
            return self.answer(401, b"Access is restricted", {"X-Error-Code": "GatedRepo"})
        if len(rest) > 1 and rest[1] not in ("main", COMMIT):
            return self.answer(404, b"Invalid rev id", {"X-Error-Code": "RevisionNotFound"})
        files = self.server.models[name]
        match rest:
            case [] | ["revision", _] if api:
                content: Any = {"id": name, "sha": COMMIT, "siblings": [{"rfilename": file} for file in files]}
            case ["tree", _] if api:
                content = [
                    {"type": "file", "path": file, "size": len(body), "oid": hashlib.sha1(body).hexdigest()}
                    for file, body in files.items()
                ]
            case ["resolve", _, file] if file in files:
                headers = {"ETag": f'"{hashlib.sha256(files[file]).hexdigest()}"', "X-Repo-Commit": COMMIT}
                return self.answer(200, files[file], headers, cut=file in self.server.cut)
            case _:
                return self.answer(404, b"Entry not found", {"X-Error-Code": "EntryNotFound"})
        return self.answer(200, json.dumps(content).encode(), {"Content-Type": "application/json"})

    def answer(self, status: int, body: bytes, headers: dict[str, str], cut: bool = False) -> None:
        self.send_response(status)
        for key, value in {"Content-Length": str(len(body)), "Accept-Ranges": "none", **headers}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body[: len(body) // 2] if cut else body)
        if cut:
            self.close_connection = True


@pytest.fixture
def hub() -> Iterator[Hub]:
    server = Hub()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def files(tiny_en: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in tiny_en.iterdir()}


def open_by_name(endpoint: str, cache: Path, name: str, revision: str = "", offline: bool = False) -> dict[str, Any]:
    """Opens a model in a process of its own, since the hub's settings are read once; returns what it printed."""
    environment = {key: value for key, value in os.environ.items() if not key.lower().endswith("_proxy")}
    environment |= {"HF_ENDPOINT": endpoint, "HF_HOME": str(cache), "HF_HUB_DOWNLOAD_TIMEOUT": "2"}
    environment.pop("HF_HUB_OFFLINE", None)
    if offline:
        environment["HF_HUB_OFFLINE"] = "1"
    done = subprocess.run(
        [sys.executable, "-c", OPEN, name, revision], env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_downloads_what_is_needed_and_opens_it_offline_afterwards(
    hub: Hub, files: dict[str, bytes], tmp_path: Path
) -> None:
    superfluous = {"pytorch_model.bin": b"not asked for", "README.md": b"nor this", "tf_model.h5": b"nor that"}
    hub.models["org/tiny"] = {**files, **superfluous}
    online = open_by_name(hub.url, tmp_path, "org/tiny")
    assert online == {"files": sorted(files), "keys": 42, "tokens": 30522}
    asked = len(hub.requests)
    assert open_by_name(hub.url, tmp_path, "org/tiny", offline=True) == online
    assert len(hub.requests) == asked


def test_takes_a_pickle_only_where_there_are_no_safetensors(
    hub: Hub, files: dict[str, bytes], tiny_en: Path, tmp_path: Path
) -> None:
    from bertcore.weights.converters.huggingface import HuggingFaceConverter

    converter = HuggingFaceConverter()
    converter.write(converter.read(tiny_en), tmp_path / "weights.bin")
    hub.models["org/old"] = {name: body for name, body in files.items() if name != "model.safetensors"}
    hub.models["org/old"]["pytorch_model.bin"] = (tmp_path / "weights.bin").read_bytes()
    online = open_by_name(hub.url, tmp_path / "cache", "org/old")
    assert "pytorch_model.bin" in online["files"]
    assert online["keys"] == 42
    assert open_by_name(hub.url, tmp_path / "cache", "org/old", offline=True) == online


def test_downloads_a_revision(hub: Hub, files: dict[str, bytes], tmp_path: Path) -> None:
    hub.models["org/tiny"] = files
    assert open_by_name(hub.url, tmp_path, "org/tiny", revision=COMMIT)["keys"] == 42
    error = open_by_name(hub.url, tmp_path, "org/tiny", revision="v9")
    assert error["error"] == "ModelError"
    assert error["cause"] == f"org/tiny: has no revision 'v9' on {hub.url}"


def test_a_name_that_the_hub_does_not_know(hub: Hub, tmp_path: Path) -> None:
    error = open_by_name(hub.url, tmp_path, "org/modle")
    assert error["cause"] == f"org/modle: no such folder here, and no such model on {hub.url}"
    assert error["remedy"].startswith("check the name")


def test_a_gated_model(hub: Hub, files: dict[str, bytes], tmp_path: Path) -> None:
    hub.models["org/gated"] = files
    hub.gated.add("org/gated")
    error = open_by_name(hub.url, tmp_path, "org/gated")
    assert error["cause"].endswith("only to those who accepted its terms")
    assert f"{hub.url}/org/gated" in error["remedy"]


def test_no_network(tmp_path: Path) -> None:
    error = open_by_name("http://127.0.0.1:9", tmp_path, "org/tiny")
    assert error["cause"] == "org/tiny: no such folder here, and http://127.0.0.1:9 cannot be reached"


def test_offline_and_not_in_the_cache(hub: Hub, files: dict[str, bytes], tmp_path: Path) -> None:
    hub.models["org/tiny"] = files
    error = open_by_name(hub.url, tmp_path, "org/tiny", offline=True)
    assert "HF_HUB_OFFLINE is set" in error["cause"]
    assert hub.requests == []


def test_an_interrupted_download_is_said_and_can_be_repeated(hub: Hub, files: dict[str, bytes], tmp_path: Path) -> None:
    hub.models["org/tiny"] = files
    hub.cut.add("model.safetensors")
    error = open_by_name(hub.url, tmp_path, "org/tiny")
    assert error["cause"].startswith(f"org/tiny: the download from {hub.url} was interrupted")
    assert "\n" not in error["cause"]
    assert "HF_HUB_OFFLINE is set" in open_by_name(hub.url, tmp_path, "org/tiny", offline=True)["cause"]
    hub.cut.clear()
    assert open_by_name(hub.url, tmp_path, "org/tiny")["keys"] == 42
