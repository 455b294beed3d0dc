"""What a user may do wrong: a line of cause, a line of remedy, an exit code of its own, and nothing half-written."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bertcore.formats.safetensors_file import read_safetensors, write_safetensors

pytest.importorskip("torch")

USAGE, CONFIG, DATA, MODEL, DEVICE, PLUGIN, OUTPUT, TRAINING = 2, 3, 4, 5, 6, 7, 8, 9


class Attempt:
    """A run that is given something wrong."""

    def __init__(self, call: Callable[..., Any], tmp_path: Path, model: Path, data: Path) -> None:
        self._call = call
        self.output = tmp_path / "parent" / "run"
        self.model = model
        self.data = data

    def fails(self, code: int, *arguments: object, words: tuple[str, ...], **replaced: object) -> str:
        """Runs, and looks at all that every failure has in common; returns what was said."""
        place = {
            "task": "rte",
            "backend": "torch",
            "model": self.model,
            "data": self.data,
            "output": self.output,
            "set": "train.max_steps=1",
            **replaced,
        }
        options = [part for name, value in place.items() if value is not None for part in (f"--{name}", value)]
        outcome = self._call("run", *options, *arguments)
        assert outcome.code == code, outcome.out + outcome.err
        said = outcome.err
        cause, remedy = said.splitlines()
        assert cause.startswith("error: ")
        assert remedy.startswith("remedy: ")
        for word in words:
            assert word in said, said
        assert not self.output.exists()
        return str(said)


@pytest.fixture
def attempt(bertcore_command: Callable[..., Any], tmp_path: Path, tiny_en: Path, copied_rte: Path) -> Iterator[Attempt]:
    attempt = Attempt(bertcore_command, tmp_path, tiny_en, copied_rte)
    before = {path for path in tmp_path.rglob("*") if attempt.output.parent not in path.parents}
    yield attempt
    strays = {path for path in tmp_path.rglob("*") if path.name.startswith(".") or path.name.endswith(".tmp")}
    assert strays <= before


# Data


def change(file: Path, number: int, change_line: Callable[[bytes], bytes]) -> None:
    lines = file.read_bytes().split(b"\n")
    lines[number - 1] = change_line(lines[number - 1])
    file.write_bytes(b"\n".join(lines))


def test_missing_data_folder(attempt: Attempt, tmp_path: Path) -> None:
    attempt.fails(DATA, data=tmp_path / "nowhere", words=(f"{tmp_path / 'nowhere'}: no such folder", "--data"))


def test_missing_dev_split(attempt: Attempt) -> None:
    (attempt.data / "dev.tsv").unlink()
    attempt.fails(DATA, words=("no split dev, only train",))


def test_folder_of_something_else(attempt: Attempt) -> None:
    attempt.fails(DATA, data=attempt.model, words=("no train.tsv, dev.tsv or test.tsv",))


def test_wrong_column_count(attempt: Attempt) -> None:
    change(attempt.data / "train.tsv", 5, lambda line: line.replace(b"\t", b" ", 1))
    attempt.fails(DATA, words=(f"{attempt.data / 'train.tsv'}:5: 3 fields instead of 4", "one tab between two fields"))


def test_missing_column(attempt: Attempt) -> None:
    change(attempt.data / "dev.tsv", 1, lambda line: line.replace(b"sentence2", b"hypothesis"))
    attempt.fails(DATA, words=("dev.tsv:1: no column 'sentence2' among", "'hypothesis'"))


def test_unknown_label(attempt: Attempt) -> None:
    change(attempt.data / "train.tsv", 9, lambda line: line.rpartition(b"\t")[0] + b"\tneutral")
    attempt.fails(DATA, words=("train.tsv:9: unknown label 'neutral'", "'entailment', 'not_entailment'"))


def test_not_utf8(attempt: Attempt) -> None:
    change(attempt.data / "dev.tsv", 7, lambda line: line.replace(b"\t", "\tcafé ".encode("latin-1"), 1))
    attempt.fails(DATA, words=("dev.tsv:7: byte ", "is not UTF-8", "iconv"))


def test_no_data_and_no_model_and_no_task(attempt: Attempt) -> None:
    attempt.fails(USAGE, data=None, words=("no data", "--data"))
    attempt.fails(USAGE, model=None, words=("no model", "--model"))
    attempt.fails(USAGE, task=None, words=("no task", "--task", "rte"))
    attempt.fails(USAGE, backend=None, words=("no backend", "--backend", "torch"))


# Models


def rewrite_weights(folder: Path, change_tensors: Callable[[dict[str, Any]], None]) -> None:
    tensors = {name: np.array(value) for name, value in read_safetensors(folder / "model.safetensors").items()}
    change_tensors(tensors)
    write_safetensors(folder / "model.safetensors", tensors)


def test_missing_model(attempt: Attempt, tmp_path: Path) -> None:
    attempt.fails(MODEL, model=tmp_path / "none", words=(f"{tmp_path / 'none'}: no such folder or file",))


def test_weights_that_lack_and_exceed_the_config(attempt: Attempt, copied_model: Path) -> None:
    query = "bert.encoder.layer.1.attention.self.query"

    def damage(tensors: dict[str, Any]) -> None:
        del tensors[f"{query}.bias"]
        tensors[f"{query}.weight"] = tensors[f"{query}.weight"][:100]
        tensors["bert.encoder.layer.2.output.dense.bias"] = np.zeros(128, np.float32)

    rewrite_weights(copied_model, damage)
    said = attempt.fails(MODEL, model=copied_model, words=("check that config.json and the weights belong together",))
    assert f"{query}.bias: missing" in said
    assert f"{query}.weight: shape [100, 128] instead of [128, 128]" in said
    assert "bert.encoder.layer.2.output.dense.bias: unexpected" in said


def test_config_of_another_size(attempt: Attempt, copied_model: Path) -> None:
    config = json.loads((copied_model / "config.json").read_text())
    (copied_model / "config.json").write_text(json.dumps({**config, "intermediate_size": 256}))
    said = attempt.fails(MODEL, model=copied_model, words=("intermediate.dense.weight",))
    assert "shape [512, 128] instead of [256, 128]" in said


def test_config_that_is_no_json(attempt: Attempt, copied_model: Path) -> None:
    (copied_model / "config.json").write_text('{"hidden_size": ')
    attempt.fails(MODEL, model=copied_model, words=(f"{copied_model / 'config.json'}: not valid JSON",))


def test_checkpoint_with_other_labels(attempt: Attempt, copied_model: Path) -> None:
    config = json.loads((copied_model / "config.json").read_text())
    labels = {"0": "contradiction", "1": "entailment", "2": "neutral"}
    config |= {"architectures": ["BertForSequenceClassification"], "id2label": labels}
    (copied_model / "config.json").write_text(json.dumps(config))

    def add_head(tensors: dict[str, Any]) -> None:
        tensors["classifier.weight"] = np.zeros((3, 128), np.float32)
        tensors["classifier.bias"] = np.zeros(3, np.float32)

    rewrite_weights(copied_model, add_head)
    attempt.fails(
        MODEL,
        model=copied_model,
        words=("its head has 3 labels, the task has 2", "remedy: to start a new head: --set model.new_head=true"),
    )


@pytest.mark.parametrize("kept", [4, 500, 10_000_000])
def test_truncated_weights(attempt: Attempt, copied_model: Path, kept: int) -> None:
    file = copied_model / "model.safetensors"
    os.truncate(file, kept)
    attempt.fails(MODEL, model=copied_model, words=(str(file),))


class Malware:
    """What runs code when it is unpickled."""

    def __init__(self, touched: Path) -> None:
        self.touched = touched

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.touched}",)


@pytest.mark.parametrize("zipped", [True, False])
def test_pickle_with_code_in_it(attempt: Attempt, copied_model: Path, tmp_path: Path, zipped: bool) -> None:
    touched = tmp_path / "touched"
    content = pickle.dumps({"bert.embeddings.word_embeddings.weight": Malware(touched)}, protocol=2)
    (copied_model / "model.safetensors").unlink()
    file = copied_model / "pytorch_model.bin"
    if zipped:
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("archive/data.pkl", content)
            archive.writestr("archive/version", "3\n")
    else:
        file.write_bytes(content)
    attempt.fails(MODEL, model=copied_model, words=(str(file),))
    assert not touched.exists()


def test_tokenizer_that_does_not_belong_to_the_model(attempt: Attempt, copied_model: Path) -> None:
    with open(copied_model / "vocab.txt", "a", encoding="utf-8") as file:
        file.write("one-more-token\n")
    (copied_model / "tokenizer.json").unlink(missing_ok=True)
    attempt.fails(MODEL, model=copied_model, words=("30523", "30522"))


# Names and values


@pytest.mark.parametrize(
    ("replaced", "code", "words"),
    [
        ({"task": "rtee"}, USAGE, ("there is no task 'rtee'", "did you mean 'rte'?")),
        ({"backend": "torhc"}, USAGE, ("there is no backend 'torhc'", "did you mean 'torch'?")),
        ({"device": "tpu"}, DEVICE, ("torch has no device 'tpu' here", "available: ", "--device")),
        ({"device": "cuda:77"}, DEVICE, ("torch has no device 'cuda:77' here",)),
        ({"set": "train.epoch=2"}, CONFIG, ("--set: unknown key 'train.epoch'", "did you mean 'train.epochs'?")),
        ({"set": "train.epochs=many"}, CONFIG, ("--set: train.epochs = 'many'", "bertcore config schema")),
        ({"set": "train.epochs"}, CONFIG, ("'train.epochs' is no assignment",)),
        ({"set": "data.max_length=1000"}, USAGE, ("data.max_length is 1000", "512")),
        ({"train": "mine.csv"}, USAGE, ("rte takes a folder, no single file for the split train", "classification")),
        ({"seed": "-1"}, CONFIG, ("run.seed = -1",)),
        ({"config": "missing.toml"}, CONFIG, ("missing.toml: No such file",)),
        ({"set": 'run.trackers=["consol"]'}, USAGE, ("there is no tracker 'consol'", "did you mean 'console'?")),
    ],
)
def test_names_and_values(attempt: Attempt, replaced: dict[str, object], code: int, words: tuple[str, ...]) -> None:
    attempt.fails(code, words=words, **replaced)


def test_precision_that_the_device_lacks(attempt: Attempt) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("a GPU has every precision")
    attempt.fails(DEVICE, precision="fp16", words=("torch on cpu has no precision fp16", "fp32"))


def test_options_of_click_end_with_its_code(bertcore_command: Callable[..., Any]) -> None:
    for arguments, cause, remedy in (
        (["run", "--precision", "fp64"], "'--precision': 'fp64' is not one of 'fp32', 'bf16', 'fp16'", "bertcore run"),
        (["nonsense"], "bertcore has no command 'nonsense'", "bertcore"),
        (["run", "--nothing"], "bertcore run has no option --nothing", "bertcore run"),
        (["data", "convert"], "missing option '--to'", "bertcore data convert"),
        (["convert", "a"], "missing argument 'DESTINATION'", "bertcore convert"),
        (["tasks", "extra"], "unexpected extra argument", "bertcore tasks"),
        (["-p", "torch", "run"], "'torch' is not no:NAME", "bertcore"),
        (["run", "--task"], "option '--task' requires an argument", "bertcore"),
    ):
        outcome = bertcore_command(*arguments)
        assert outcome.code == USAGE
        said, advice = outcome.err.splitlines()
        assert said.startswith("error: ")
        assert cause in said
        assert advice == f"remedy: see {remedy} --help"


def test_a_command_without_arguments_shows_its_help(bertcore_command: Callable[..., Any]) -> None:
    outcome = bertcore_command("data")
    assert "Usage: bertcore data" in outcome.out + outcome.err
    assert "remedy" not in outcome.err


def test_a_plugin_that_is_not_there_is_said_to_be(bertcore_command: Callable[..., Any]) -> None:
    """And nothing is refused: what was to be switched off is off."""
    outcome = bertcore_command("tasks", "-p", "no:rte", "-p", "no:mindspor", "--json")
    assert outcome.code == 0
    assert outcome.err == "note: there is no plugin 'mindspor' to switch off, see bertcore plugins\n"
    assert "rte" not in {task["name"] for task in json.loads(outcome.out)}


# Plugins and frameworks


def test_a_task_or_backend_that_is_switched_off(attempt: Attempt) -> None:
    attempt.fails(USAGE, "-p", "no:torch", words=("'torch' is switched off by -p no:torch", "leave that option out"))
    attempt.fails(USAGE, "-p", "no:rte", words=("'rte' is switched off by -p no:rte",))


def run_with(code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """The command line in a process in which ``code`` ran before."""
    program = f"import sys\n{code}\nfrom bertcore.cli import main\nmain(sys.argv[1:])"
    return subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)], capture_output=True, text=True, timeout=120, check=False
    )


@pytest.mark.parametrize("framework", ["torch", "mindspore"])
def test_a_framework_that_is_not_installed(framework: str, tiny_en: Path, small_rte: Path, tmp_path: Path) -> None:
    hide = f"""
import importlib.abc, importlib.metadata
class Hidden(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name.partition(".")[0] == {framework!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Hidden())
version = importlib.metadata.version
def hidden_version(name):
    if name == {framework!r}:
        raise importlib.metadata.PackageNotFoundError(name)
    return version(name)
importlib.metadata.version = hidden_version
"""
    place = ["--model", tiny_en, "--data", small_rte, "--output", tmp_path / "run"]
    run = run_with(hide, "run", "--task", "rte", "--backend", framework, *place)
    assert run.returncode == DEVICE, run.stderr
    cause, remedy = run.stderr.splitlines()
    assert framework in cause.lower().replace("pytorch", "torch")
    assert "pip install" in remedy
    assert not (tmp_path / "run").exists()


def test_numpy_2_beside_mindspore(tiny_en: Path, small_rte: Path, tmp_path: Path) -> None:
    pretend = """
import importlib.metadata
version = importlib.metadata.version
importlib.metadata.version = lambda name: "2.3.1" if name == "numpy" else version(name)
"""
    place = ["--model", tiny_en, "--data", small_rte, "--output", tmp_path / "run"]
    run = run_with(pretend, "run", "--task", "rte", "--backend", "mindspore", *place)
    assert run.returncode == DEVICE, run.stderr
    assert "numpy 2.3.1" in run.stderr
    assert "pip install 'numpy<2'" in run.stderr
    assert not (tmp_path / "run").exists()
    doctor = run_with(pretend, "-p", "no:torch", "doctor")
    assert doctor.returncode == 1
    assert "remedy: pip install 'numpy<2'" in doctor.stdout


# Where the output goes


def test_output_that_holds_something(attempt: Attempt, tmp_path: Path, bertcore_command: Callable[..., Any]) -> None:
    full = tmp_path / "full"
    full.mkdir()
    (full / "thesis.txt").write_text("years of work")
    said = attempt.fails(OUTPUT, output=full, words=(f"{full}: it holds something already", "--output"))
    assert "--resume" not in said
    assert "Traceback" not in said
    assert (full / "thesis.txt").read_text() == "years of work"
    assert os.listdir(full) == ["thesis.txt"]


def test_output_of_an_unfinished_run(attempt: Attempt, finished_run: Path) -> None:
    attempt.output, output = finished_run / "none", finished_run
    words = (f"{output}: it holds something already", "--output", "go on with an unfinished run by --resume")
    attempt.fails(OUTPUT, output=output, words=words)


def test_output_below_a_file(attempt: Attempt, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    attempt.fails(OUTPUT, output=tmp_path / "file" / "run", words=(str(tmp_path / "file" / "run"), "--output"))


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """Mounts a file system of its own, which takes root and a kernel that lets it."""
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("mounting takes root")
    mounted: list[Path] = []

    def call(options: str) -> Path:
        folder = tmp_path / "mounted"
        folder.mkdir()
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], capture_output=True, text=True, check=False
        )
        if done.returncode:
            pytest.skip(f"mounting is not permitted: {done.stderr.strip()}")
        mounted.append(folder)
        return folder

    yield call
    for folder in mounted:
        subprocess.run(["umount", "-l", folder], check=True)


@pytest.mark.parametrize("size", ["16k", "2m", "30m", "60m"])
def test_a_full_disk(attempt: Attempt, mount: Callable[[str], Path], size: str) -> None:
    # Full when the configuration is written, the best model, its copy (neither is then kept), and the first checkpoint.
    disk = mount(f"size={size}")
    attempt.output = disk / "run"
    place = {"task": "rte", "backend": "torch", "model": attempt.model, "data": attempt.data, "output": attempt.output}
    options = [part for name, value in place.items() for part in (f"--{name}", value)]
    fill = ["--set", "train.max_steps=3", "--set", "train.evaluate_steps=1"]
    outcome = attempt._call("run", *options, *fill)
    assert outcome.code == OUTPUT, outcome.out + outcome.err
    cause, remedy = outcome.err.splitlines()
    assert "no space left on device" in cause.lower()
    assert "space" in remedy.lower()
    # What is there is complete: each model folder opens, and no temporary file lies about.
    for folder in [
        path for path in (attempt.output / "best", attempt.output / "checkpoint" / "model") if path.exists()
    ]:
        assert len(read_safetensors(folder / "model.safetensors")) > 30
        json.loads((folder / "config.json").read_text())
    assert not [path for path in disk.rglob("*") if path.name.startswith(".") or path.name.endswith(".tmp")]
    # The folder stays where there is something to use, and then it can be used.
    assert attempt.output.exists() == (attempt.output / "best").exists() == (size == "60m")
    if attempt.output.exists():
        subprocess.run(["mount", "-o", "remount,size=90m", disk], check=True)
        assert attempt._call("evaluate", attempt.output).code == 0


def test_a_read_only_place(attempt: Attempt, mount: Callable[[str], Path]) -> None:
    disk = mount("size=1m,ro")
    attempt.fails(OUTPUT, output=disk / "run", words=("Read-only file system", "--output"))


def test_standard_output_on_a_full_disk() -> None:
    """/dev/full refuses every byte, as a full disk does."""
    with open("/dev/full", "w") as full:
        command = [Path(sys.executable).with_name("bertcore"), "tasks"]
        process = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert process.returncode == OUTPUT
    assert process.stderr == (
        "error: cannot write the output: No space left on device\nremedy: free some space, or write elsewhere\n"
    )


def test_a_cache_that_cannot_be_written_stops_nothing(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    tiny_en: Path,
    small_rte: Path,
    bertcore_command: Callable[..., Any],
) -> None:
    (tmp_path / "file").write_text("x")
    monkeypatch.setenv("BERTCORE_CACHE", str(tmp_path / "file" / "cache"))
    place = ["--task", "rte", "--backend", "torch", "--model", tiny_en, "--data", small_rte]
    outcome = bertcore_command("run", *place, "--output", tmp_path / "run", "--set", "train.max_steps=1")
    assert outcome.code == 0
    assert "the encoded data is not cached: " in outcome.out
    assert "total_num 30" in outcome.last_line


# Training that cannot go on


@pytest.mark.parametrize("evaluated", [False, True])
def test_a_loss_that_is_not_finite(
    tmp_path: Path, tiny_en: Path, small_rte: Path, bertcore_command: Callable[..., Any], evaluated: bool
) -> None:
    place = ["--task", "rte", "--backend", "torch", "--model", tiny_en, "--data", small_rte]
    options = ["--set", "train.learning_rate=1e30", "--set", "train.warmup_ratio=0", "--set", "train.log_steps=1"]
    options += ["--set", "train.evaluate_steps=1"] if evaluated else []
    outcome = bertcore_command("run", *place, "--output", tmp_path / "run", *options)
    assert outcome.code == TRAINING, outcome.out + outcome.err
    cause, remedy = outcome.err.splitlines()
    assert "is not finite" in cause
    assert "train.learning_rate" in remedy
    # Where not one evaluation was reached, nothing is worth keeping.
    assert ("best/ holds the best so far" in remedy) == evaluated
    assert (tmp_path / "run").exists() == evaluated


# Going on with what is no run


def test_resume_of_what_is_no_run(tmp_path: Path, copied_run: Path, bertcore_command: Callable[..., Any]) -> None:
    outcome = bertcore_command("run", "--resume", tmp_path)
    assert outcome.code == USAGE
    assert ": no run folder, it" in outcome.err

    shutil.rmtree(copied_run / "checkpoint")
    outcome = bertcore_command("run", "--resume", copied_run)
    assert outcome.code == MODEL
    assert "no checkpoint to go on from" in outcome.err


def test_resume_of_a_damaged_checkpoint(copied_run: Path, bertcore_command: Callable[..., Any]) -> None:
    os.truncate(copied_run / "checkpoint" / "optimizer.safetensors", 1000)
    before = sorted(path for path in copied_run.rglob("*"))
    outcome = bertcore_command("run", "--resume", copied_run, "--set", "train.max_steps=6")
    assert outcome.code == MODEL
    assert "optimizer.safetensors" in outcome.err
    assert sorted(path for path in copied_run.rglob("*")) == before
