"""Every head goes into a model folder and comes out of it, whatever file it was converted to on the way."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from stars import small_model

import bertcore
from bertcore.contracts.head import Head
from bertcore.errors import ModelError
from bertcore.formats.safetensors_file import read_safetensors
from bertcore.plugins.registry import Registry
from bertcore.testing.heads import descriptions
from bertcore.weights.opening import open_model, save_model
from bertcore.weights.stored_head import head_from_config, without_head

HEADS = {name: head for name, head in descriptions().items() if type(head).__module__.startswith("bertcore.")}


@pytest.fixture(scope="module")
def registry() -> Registry:
    return Registry()


@pytest.fixture(scope="module", params=["bert", "roberta"])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_model(tmp_path_factory.mktemp("models") / request.param, request.param)


@pytest.mark.parametrize("head", HEADS.values(), ids=HEADS)
def test_a_head_comes_back_through_weight_files(model: Path, head: Head, registry: Registry, tmp_path: Path) -> None:
    source = open_model(str(model), registry)
    parameters, _ = source.fit(head, seed=3)
    folder = tmp_path / "saved"
    save_model(
        folder,
        family=source.family,
        config=source.config,
        head=head,
        parameters=parameters,
        tokenizer=source.tokenizer(),
    )
    for name in ("bert4torch.pt", "mindspore.ckpt"):
        bertcore.convert(folder, tmp_path / name, registry=registry)
        back = tmp_path / name.partition(".")[0]
        bertcore.convert(tmp_path / name, back, config=folder / "config.json", registry=registry)
        found = read_safetensors(back / "model.safetensors")
        assert set(found) == set(parameters)
        for key, value in parameters.items():
            np.testing.assert_array_equal(found[key], value, err_msg=key)
        stored = open_model(str(back), registry).head()
        assert stored.predicts_as(head)
        assert stored.config_entries() == head.config_entries()


@pytest.mark.parametrize("head", HEADS.values(), ids=HEADS)
def test_another_head_leaves_nothing_of_it_in_the_config(head: Head, registry: Registry) -> None:
    config = {"model_type": "bert", "architectures": [f"Bert{head.architecture}"]}
    assert without_head({**config, **head.config_entries()}, registry.heads) == config


def test_problem_type_tells_heads_of_one_architecture_apart(registry: Registry) -> None:
    def found(**entries: object) -> str:
        config = {"architectures": ["BertForSequenceClassification"], "id2label": {"0": "a", "1": "b"}, **entries}
        return head_from_config(config, registry.heads).name

    assert found() == found(problem_type=None) == "sequence_classification"
    assert found(problem_type="multi_label_classification") == "sequence_classification"
    assert found(problem_type="regression") == "regression"
    with pytest.raises(ModelError, match="names no fine-tuned head"):
        found(problem_type="prophecy")  # which transformers refuses as well
