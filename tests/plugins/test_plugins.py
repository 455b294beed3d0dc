"""Plugins as a user meets them: real distributions, good and broken, in an environment of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from bertcore import hookimpl
from bertcore.contracts.family import ModelFamily
from bertcore.contracts.parameters import initial_value
from bertcore.formats.safetensors_file import read_safetensors, write_safetensors
from bertcore.heads import SequenceClassification
from bertcore.plugins.discovery import Plugins, installed_plugins

TESTS = Path(__file__).parents[1]
EXAMPLE = TESTS / "plugin_example"
BROKEN = {
    "import_error": ("broken-import", "import error", "No module named 'a_module_that_nobody_has'"),
    "exits": ("broken-exit", "import error", "no license found"),
    "unknown_hook": ("broken-hook", "invalid hook", "unknown hook 'bertcore_register_taskz'"),
    "wrong_argument": ("broken-argument", "invalid hook", "config"),
    "raises": ("broken-call", "failed", "the moon is in the wrong phase"),
    "wrong_type": ("broken-type", "failed", "'broken-type', which is no Task"),
    "no_list": ("broken-list", "failed", "NoneType instead of a list"),
    "same_plugin_name": ("colour", "duplicate", "bertcore-example 0.1.0"),
    "same_task_name": ("another-colour", "failed", "task 'colour' is registered by colour (bertcore-example 0.1.0)"),
}
"""Folder to the name of its plugin, the status that it gets, and what its line of cause says."""


# ---------------------------------------------------------------------------------------------------------------------
# Loading, with entry points made up for the occasion
# ---------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Plugins]:
    """Writes modules and loads each as an entry point of its own name."""
    monkeypatch.syspath_prepend(tmp_path)

    def load(blocked: tuple[str, ...] = (), **modules: str) -> Plugins:
        for name, code in modules.items():
            (tmp_path / f"{tmp_path.name}_{name}.py").write_text(code, encoding="utf-8")
        plugins = Plugins()
        points = [metadata.EntryPoint(name, f"{tmp_path.name}_{name}", "bertcore") for name in modules]
        plugins.load(points, blocked)
        return plugins

    return load


GOOD = """
from bertcore import hookimpl

@hookimpl
def bertcore_register_tasks():
    return [__name__]
"""


def called(plugins: Plugins, hook: str = "bertcore_register_tasks") -> dict[str, int]:
    return {record.name: len(items) for record, items in plugins.call(hook)}


@pytest.mark.parametrize("position", [0, 1, 2])
@pytest.mark.parametrize(
    "code",
    [
        "import a_module_that_nobody_has",
        "raise SystemExit(3)",
        "a syntax error",
        "from bertcore import hookimpl\n@hookimpl\ndef bertcore_register_taskz(): return []",
        "from bertcore import hookimpl\n@hookimpl\ndef bertcore_register_tasks(config): return []",
        "from bertcore import hookimpl\n@hookimpl\ndef bertcore_register_tasks(): raise KeyError('x')",
        "from bertcore import hookimpl\n@hookimpl\ndef bertcore_register_tasks(): raise SystemExit(3)",
        "from bertcore import hookimpl\n@hookimpl\ndef bertcore_register_tasks(): return None",
        "from bertcore import hookimpl\n@hookimpl\ndef bertcore_register_tasks(): yield 1",
    ],
)
def test_a_broken_plugin_breaks_itself_alone(loaded: Callable[..., Plugins], code: str, position: int) -> None:
    modules = {"first": GOOD, "second": GOOD}
    names = list(modules)
    names.insert(position, "broken")
    plugins = loaded(**{name: modules.get(name, code) for name in names})
    assert called(plugins) == {"first": 1, "second": 1}
    (failure,) = plugins.failures()
    assert failure.name == "broken"
    assert failure.error
    assert "\n" not in failure.error
    assert "Traceback" in failure.details or "Error" in failure.details


def test_ctrl_c_while_loading_is_no_failure_of_the_plugin(loaded: Callable[..., Plugins]) -> None:
    with pytest.raises(KeyboardInterrupt):
        loaded(slow="raise KeyboardInterrupt")


def test_a_blocked_plugin_is_not_even_imported(loaded: Callable[..., Plugins]) -> None:
    plugins = loaded(("first",), first="raise AssertionError", second=GOOD)
    assert called(plugins) == {"second": 1}
    assert plugins.records[0].status == "blocked"
    assert "-p no:first" in plugins.records[0].error
    assert plugins.failures() == []


def test_a_plugin_may_implement_hooks_in_a_class_and_leave_others_out(loaded: Callable[..., Plugins]) -> None:
    code = GOOD + "\ndef bertcore_register_backends(): raise AssertionError('this one is not marked')\n"
    plugins = loaded(first=code)
    assert called(plugins) == {"first": 1}
    assert called(plugins, "bertcore_register_backends") == {}
    assert plugins.failures() == []


def test_an_object_may_be_registered_by_hand() -> None:
    plugins = Plugins()
    plugins.register(SimpleNamespace(bertcore_register_tasks=hookimpl(lambda: ["a", "b"])), "mine")
    assert called(plugins) == {"mine": 2}
    assert plugins.records[0].distribution == "registered by hand"


def test_plugins_of_bertcore_itself_come_first() -> None:
    distributions = [record.distribution.partition(" ")[0] for record in installed_plugins().records]
    own = distributions.count("bertcore")
    assert own
    assert distributions[:own] == ["bertcore"] * own
    assert distributions[own:] == sorted(distributions[own:])


# ---------------------------------------------------------------------------------------------------------------------
# Real distributions in a fresh environment
# ---------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Environment:
    """A virtual environment on top of the running one."""

    python: Path

    def run(self, *arguments: str, environment: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        """Runs the command line."""
        code = "from bertcore.cli import main; main()"
        variables = {"PATH": "", "HOME": str(self.python.parents[1]), "OMP_NUM_THREADS": "1", **(environment or {})}
        return subprocess.run(
            [str(self.python), "-c", code, *arguments], capture_output=True, text=True, env=variables, timeout=300
        )

    def json(self, *arguments: str) -> Any:
        """Runs a command that prints JSON, whatever its exit code."""
        process = self.run(*arguments, "--json")
        try:
            return json.loads(process.stdout)
        except ValueError:
            raise AssertionError(process.stdout + process.stderr) from None


def make_environment(folder: Path, projects: list[Path]) -> Environment:
    """Makes an environment that sees the packages of the running one, and installs projects into it, offline."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    python = folder / "bin" / "python"
    query = "import sysconfig; print(sysconfig.get_path('purelib'))"
    packages = Path(subprocess.check_output([python, "-c", query], text=True).strip())
    outer = sysconfig.get_path("purelib")
    # Not as a plain path: editable installations are .pth files, too, which only addsitedir reads.
    (packages / "outer.pth").write_text(f"import site; site.addsitedir({outer!r})\n", encoding="utf-8")
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check"]
    command = [str(python), "-m", "pip", "install", *options, *map(str, projects)]
    process = subprocess.run(command, capture_output=True, text=True)
    assert process.returncode == 0, process.stdout + process.stderr
    return Environment(python)


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """With the example plugin."""
    return make_environment(tmp_path_factory.mktemp("environment") / "example", [EXAMPLE])


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """With the example plugin and all that are broken."""
    projects = [EXAMPLE, *(TESTS / "plugins" / "broken_plugins" / name for name in BROKEN)]
    return make_environment(tmp_path_factory.mktemp("environment") / "broken", projects)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small model of the example's own family, with random weights and a vocabulary of letters."""
    folder = tmp_path_factory.mktemp("model") / "example-bert"
    folder.mkdir()
    letters = "abcdefghijklmnopqrstuvwxyz"
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters, *(f"##{letter}" for letter in letters)]
    (folder / "vocab.txt").write_text("\n".join(vocabulary) + "\n", encoding="utf-8")
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    config = {"model_type": "example_bert", "vocab_size": len(vocabulary), "max_position_embeddings": 64, **sizes}
    config["initializer_range"] = 0.5
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")

    family = ModelFamily("example_bert", "example_bert.", "ExampleBert")
    table = family.parameter_table(family.parse_config(config), SequenceClassification(("cold", "warm")))
    tensors = {name: initial_value(name, spec, 0.5, seed=1) for name, spec in table.items() if spec.optional is None}
    write_safetensors(folder / "model.safetensors", tensors)
    return folder


def run_colour(environment: Environment, model: Path, output: Path, *arguments: str) -> str:
    """Fine-tunes on the sample of the task ``colour``; returns what the terminal showed."""
    process = environment.run(
        *("run", "--task", "colour", "--model", str(model), "--data", "sample", "--output", str(output)), *arguments
    )
    assert process.returncode == 0, process.stdout + process.stderr
    return process.stdout


def settings(**values: Any) -> list[str]:
    return [part for key, value in values.items() for part in ("--set", f"{key.replace('__', '.')}={value}")]


def losses(run: Path) -> list[float]:
    """What the example's tracker wrote."""
    header, *lines = (run / "loss.csv").read_text(encoding="utf-8").splitlines()
    assert header == "step,loss"
    return [float(line.split(",")[1]) for line in lines]


def test_a_third_partys_plugin_is_listed_like_any_other(example: Environment) -> None:
    records = {record["name"]: record for record in example.json("plugins")}
    provided = {
        "colour": ["task colour"],
        "confidence_penalty": ["objective confidence_penalty on torch"],
        "example_bert": ["family example_bert"],
        "loss_csv": ["tracker loss_csv"],
        "npy": ["record format npy"],
        "npz": ["converter npz"],
        "ordinal_regression": [
            "head ordinal_regression on torch",
            "head ordinal_regression on mindspore",
        ],
        "stars": ["task stars"],
    }
    for name, provides in provided.items():
        assert records[name]["status"] == "ok"
        assert records[name]["distribution"] == "bertcore-example 0.1.0"
        assert records[name]["provides"] == provides
    assert "backend reference-numpy" in records["reference-numpy"]["provides"]
    assert {task["name"]: task["plugin"] for task in example.json("tasks")}["colour"] == "bertcore-example 0.1.0"
    assert "reference-numpy" in {backend["name"] for backend in example.json("backends")}


def test_a_third_partys_task_backend_family_and_tracker_make_a_run(
    example: Environment, model: Path, tmp_path: Path
) -> None:
    chosen = settings(
        train__epochs=8,
        train__batch_size=6,
        train__learning_rate=0.01,
        train__dropout="false",
        train__log_steps=1,
        run__trackers='["console", "loss_csv"]',
    )
    output = run_colour(example, model, tmp_path / "run", "--backend", "reference-numpy", *chosen)
    last = output.strip().splitlines()[-1]
    assert last.startswith("acc_num ")
    assert "total_num 7," in last
    curve = losses(tmp_path / "run")
    assert len(curve) == 8 * 3  # 17 examples in batches of 6
    assert np.mean(curve[-3:]) < np.mean(curve[:3]) - 0.1, "nothing was learnt"
    best = tmp_path / "run" / "best"
    assert json.loads((best / "config.json").read_text(encoding="utf-8"))["model_type"] == "example_bert"
    names = set(read_safetensors(best / "model.safetensors"))
    assert "example_bert.embeddings.word_embeddings.weight" in names
    assert "classifier.weight" in names


def test_a_third_partys_objective_trains_on_torch(example: Environment, model: Path, tmp_path: Path) -> None:
    pytest.importorskip("bertcore_torch")
    chosen = {"train__objective": "confidence_penalty", "train__objective_options__beta": 0.5}
    options = settings(**chosen, train__max_steps=2)
    run_colour(example, model, tmp_path / "run", "--backend", "torch", *options)
    assert 'objective = "confidence_penalty"' in (tmp_path / "run" / "config.toml").read_text(encoding="utf-8")


def test_a_third_partys_plugins_compute_what_they_should(example: Environment, model: Path, tmp_path: Path) -> None:
    pytest.importorskip("bertcore_torch")
    common = {"train.max_steps": 4, "train.log_steps": 1, "run.trackers": ["loss_csv"]}
    no_dropout, penalty = {"train.dropout": False}, {"train.objective": "confidence_penalty"}
    runs = {
        "numpy": {"backend": "reference-numpy", "settings": no_dropout},
        "torch": {"backend": "torch", "settings": no_dropout},
        **{
            f"beta {beta}": {
                "backend": "torch",
                "settings": {**no_dropout, **penalty, "train.objective_options": {"beta": beta}},
            }
            for beta in (0.0, 0.01, 1.0)
        },
    }
    for name, run in runs.items():
        run["settings"] = {**common, **run["settings"]}  # type: ignore[dict-item]
        run.update(task="colour", model=str(model), data="sample", output=str(tmp_path / name))
    code = "import bertcore, json, sys\nfor run in json.load(sys.stdin): bertcore.run(**run)"
    process = subprocess.run(
        [str(example.python), "-c", code],
        input=json.dumps(list(runs.values())),
        capture_output=True,
        text=True,
        env=os.environ,
    )
    assert process.returncode == 0, process.stdout + process.stderr
    curves = {name: losses(tmp_path / name) for name in runs}
    assert len(curves["torch"]) == 4
    np.testing.assert_allclose(curves["torch"], curves["numpy"], rtol=1e-4)
    np.testing.assert_allclose(curves["beta 0.0"], curves["torch"], rtol=1e-5)
    # The first loss is that of the same weights, less the entropy.
    nothing, little, much = (curves[f"beta {beta}"][0] for beta in (0.0, 0.01, 1.0))
    assert nothing > little > much
    assert nothing - much == pytest.approx(100 * (nothing - little), rel=0.01)


def test_a_third_partys_converter_is_chosen_by_suffix(example: Environment, model: Path, tmp_path: Path) -> None:
    for source, destination in [(model, tmp_path / "out.npz"), (tmp_path / "out.npz", tmp_path / "back.safetensors")]:
        process = example.run("convert", str(source), str(destination))
        assert process.returncode == 0, process.stdout + process.stderr
    expected = read_safetensors(model / "model.safetensors")
    with np.load(tmp_path / "out.npz") as file:
        assert set(file.files) == set(expected)
    found = read_safetensors(tmp_path / "back.safetensors")
    assert set(found) == set(expected)
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value, err_msg=name)


def test_an_option_that_an_objective_does_not_have_is_refused(
    example: Environment, model: Path, tmp_path: Path
) -> None:
    pytest.importorskip("bertcore_torch")
    chosen = settings(train__objective="confidence_penalty", train__objective_options__alpha=1)
    process = example.run(
        *("run", "--task", "colour", "--backend", "torch", "--model", str(model), "--data", "sample"),
        *("--output", str(tmp_path / "run"), *chosen),
    )
    assert process.returncode == 2, process.stderr
    assert "alpha" in process.stderr
    assert not (tmp_path / "run").exists()


def test_a_third_partys_plugins_pass_the_conformance_suites(example: Environment) -> None:
    command = [str(example.python), "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "not mindspore", str(EXAMPLE)]
    process = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert process.returncode == 0, process.stdout
    assert " passed" in process.stdout


def test_a_plugin_is_switched_off_by_name(example: Environment, tmp_path: Path) -> None:
    assert "colour" not in {task["name"] for task in example.json("-p", "no:colour", "tasks")}
    assert "reference-numpy" in {backend["name"] for backend in example.json("backends", "-p", "no:colour")}
    process = example.run("run", "--task", "colour", "--backend", "reference-numpy", "-p", "no:colour")
    assert process.returncode == 2
    assert "switched off by -p no:colour" in process.stderr


@pytest.mark.parametrize("folder", BROKEN)
def test_every_broken_plugin_gets_its_record(broken: Environment, folder: str, records: list[dict[str, Any]]) -> None:
    name, status, cause = BROKEN[folder]
    distribution = f"bertcore-x-{folder.replace('_', '-')} 0.1.0"
    (record,) = [record for record in records if record["distribution"] == distribution]
    assert (record["name"], record["status"]) == (name, status)
    assert cause in record["error"]
    assert record["provides"] == []


@pytest.fixture(scope="module")
def records(broken: Environment) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = broken.json("plugins")
    return listed


def test_all_other_plugins_are_as_well_as_before(
    example: Environment, broken: Environment, records: list[dict[str, Any]]
) -> None:
    healthy = [record for record in records if record["status"] == "ok"]
    assert healthy == example.json("plugins")
    assert broken.json("tasks") == example.json("tasks")
    assert broken.json("backends") == example.json("backends")


def test_commands_work_whatever_is_broken(broken: Environment) -> None:
    for command in (["--help"], ["tasks"], ["backends"], ["plugins"], ["config", "schema"]):
        process = broken.run(*command)
        assert process.returncode == 0, process.stdout + process.stderr
        assert "Traceback" not in process.stdout + process.stderr
    listing = broken.run("plugins").stdout
    for name, status, _ in BROKEN.values():
        assert any(line.startswith(name) and status in line for line in listing.splitlines()), name


def test_the_doctor_names_every_broken_plugin(broken: Environment) -> None:
    process = broken.run("doctor", "-p", "no:torch", "-p", "no:mindspore")
    assert process.returncode == 1
    for folder, (name, status, _) in BROKEN.items():
        assert f"plugin {name} (bertcore-x-{folder.replace('_', '-')} 0.1.0): {status}" in process.stdout


def test_asking_for_what_a_broken_plugin_provides_shows_its_error_in_full(broken: Environment) -> None:
    for folder, kind, words in [
        ("import_error", "--task", ("Traceback", "bertcore_x_import_error", "import a_module_that_nobody_has")),
        ("raises", "--task", ("Traceback", "in bertcore_register_tasks", "the moon is in the wrong phase")),
        ("no_list", "--backend", ("NoneType instead of a list",)),
        ("wrong_argument", "--task", ("hookimpl definition: bertcore_register_tasks(config)",)),
    ]:
        given = {"--task": "colour", "--backend": "reference-numpy", kind: BROKEN[folder][0]}
        process = broken.run("run", *(part for item in given.items() for part in item))
        assert process.returncode == 7, process.stderr
        assert f"bertcore-x-{folder.replace('_', '-')} 0.1.0" in process.stderr
        for word in words:
            assert word in process.stderr, word


def test_a_run_among_broken_plugins(broken: Environment, model: Path, tmp_path: Path) -> None:
    chosen = settings(train__max_steps=1, train__dropout="false")
    output = run_colour(broken, model, tmp_path / "run", "--backend", "reference-numpy", *chosen)
    assert "total_num 7," in output.strip().splitlines()[-1]


def test_a_name_taken_by_another_distribution_is_free_once_that_one_is_switched_off(broken: Environment) -> None:
    tasks = {task["name"]: task["plugin"] for task in broken.json("tasks", "-p", "no:colour")}
    assert tasks["colour"] == "bertcore-x-same-task-name 0.1.0"
