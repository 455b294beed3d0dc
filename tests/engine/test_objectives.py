"""What a run minimizes: passes that settings ask for, what does not fit, and runs that are trained so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bertcore
from bertcore.config import (
    ADVERSARIES_OF_OPTION,
    AdversarialOptions,
    Setting,
    config_toml,
    gather_settings,
    resolve_config,
)
from bertcore.contracts.objective import HeadLoss, Pass
from bertcore.engine.objectives import choose_objective
from bertcore.errors import ConfigError, UsageError
from bertcore.formats.safetensors_file import read_safetensors
from bertcore.plugins.registry import Registry

FGM = Pass(1, perturbed=1.0)
R_DROP = (Pass(0), Pass(1))


def config(*assignments: str) -> Any:
    return resolve_config(gather_settings(None, {}, [f"train.{assignment}" for assignment in assignments])).config


@pytest.mark.parametrize(
    ("assignments", "expected"),
    [
        ((), HeadLoss()),
        (("adversarial=fgm",), HeadLoss((Pass(), FGM))),
        (("adversarial=fgm", "adversarial_options.epsilon=0.5"), HeadLoss((Pass(), Pass(1, 0.5)))),
        (
            ("adversarial=pgd",),  # bert4torch's epsilon 1, alpha 0.3 and K 3
            HeadLoss((Pass(), Pass(1, 0.3, 0.0, 1.0), Pass(2, 0.3, 0.0, 1.0), Pass(3, 0.3, 1.0, 1.0))),
        ),
        (
            (
                "adversarial=pgd",
                "adversarial_options.steps=1",
                "adversarial_options.alpha=0.2",
                "adversarial_options.epsilon=0.7",
            ),
            HeadLoss((Pass(), Pass(1, 0.2, 1.0, 0.7))),
        ),
        (("r_drop=4.0",), HeadLoss(R_DROP, agreement=4.0)),
        (("r_drop=2", "adversarial=fgm"), HeadLoss((*R_DROP, Pass(2, 1.0)), agreement=2.0)),
    ],
)
def test_settings_ask_for_passes(assignments: tuple[str, ...], expected: HeadLoss) -> None:
    assert choose_objective(config(*assignments).train, Registry(), "torch") == expected


@pytest.mark.parametrize(
    ("passes", "agreement"),
    [
        ((), 0.0),
        ((FGM,), 0.0),
        ((Pass(), FGM, Pass(2)), 0.0),
        ((Pass(),), 4.0),
        ((Pass(), FGM), 4.0),
    ],
)
def test_passes_in_no_order_are_refused(passes: tuple[Pass, ...], agreement: float) -> None:
    with pytest.raises(ValueError, match="clean pass"):
        HeadLoss(passes, agreement)


def test_every_option_says_to_which_it_belongs() -> None:
    fields = AdversarialOptions.model_fields
    assert set(ADVERSARIES_OF_OPTION) == set(fields)
    for name, owners in ADVERSARIES_OF_OPTION.items():
        assert all(f"{owner}: " in (fields[name].description or "") for owner in owners)


@pytest.mark.parametrize(
    ("assignments", "words"),
    [
        (["adversarial=fgsm"], "train.adversarial = 'fgsm'"),
        (["adversarial_options.epsilon=0.5"], "epsilon needs train.adversarial=fgm or pgd, and it is none"),
        (["adversarial=fgm", "adversarial_options.steps=2"], "steps needs train.adversarial=pgd, and it is fgm"),
        (["adversarial=fgm", "adversarial_options.alpha=0.1"], "alpha needs train.adversarial=pgd, and it is fgm"),
        (["adversarial=pgd", "adversarial_options.epsilon=0"], "train.adversarial_options.epsilon = 0"),
        (["adversarial=pgd", "adversarial_options.step=2"], "did you mean 'train.adversarial_options.steps'"),
        (["r_drop=0"], "train.r_drop = 0"),
        (["r_drop=4", "dropout=false"], "two passes without dropout are the same one"),
    ],
)
def test_what_does_not_fit_is_refused(assignments: list[str], words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        config(*assignments)
    assert words in f"{caught.value.cause} {caught.value.remedy}"


def test_options_of_the_heads_loss_are_no_options_of_an_objective() -> None:
    for name, value, words in (("agreement", 0.0, "no options to be set"), ("agreement", 2.0, "none to agree with")):
        options = resolve_config([Setting(f"train.objective_options.{name}", value, "here")]).config.train
        with pytest.raises(UsageError, match=words):
            choose_objective(options, Registry(), "torch")


@pytest.mark.parametrize("besides", [{"train.freeze": "embeddings"}, {"train.unfreeze_epochs": 0.3}], ids=str)
def test_a_run_of_several_passes_resumes_to_the_bit(
    tiny_en: Path, small_rte: Path, tmp_path: Path, besides: dict[str, Any]
) -> None:
    """With accumulation and averages beside R-Drop and PGD, and parts that are frozen for ever or at first."""
    pytest.importorskip("bertcore_torch")
    options = {
        "train.r_drop": 4.0,
        "train.adversarial": "pgd",
        "train.adversarial_options.steps": 2,
        "train.ema": 0.9,
        "train.max_steps": 4,
        "train.batch_size": 4,
        "train.accumulation": 2,
        "train.log_steps": 1,
        "data.max_length": 32,
        **besides,
    }

    def run(name: str, **more: Any) -> Path:
        settings = {**options, **more}
        places = {"model": tiny_en, "data": small_rte, "output": tmp_path / name}
        bertcore.run(task="rte", backend="torch", settings=settings, **places)
        return tmp_path / name

    whole, stopped = run("whole"), run("stopped", **{"train.stop_after": 2})
    with pytest.raises(ConfigError, match=r"train\.r_drop was 4.0 and cannot become 1.0"):
        bertcore.resume(stopped, settings={"train.r_drop": 1.0})
    bertcore.resume(stopped, settings={"train.stop_after": None})
    plain = run("plain", **{"train.adversarial": None, "train.adversarial_options.steps": 3, "train.r_drop": None})
    weights = [dict(read_safetensors(folder / "best" / "model.safetensors")) for folder in (whole, stopped, plain)]
    for name, value in weights[0].items():
        np.testing.assert_array_equal(value, weights[1][name], err_msg=name)
    assert any(not np.array_equal(value, weights[2][name]) for name, value in weights[0].items())


def test_the_settings_of_a_run_read_back_the_same(tmp_path: Any) -> None:
    chosen = config("adversarial=pgd", "adversarial_options.steps=2", "r_drop=1.5")
    (tmp_path / "config.toml").write_text(config_toml(chosen), encoding="utf-8")
    assert resolve_config(gather_settings(tmp_path / "config.toml", {})).config == chosen
