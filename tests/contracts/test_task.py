"""A task says the classes of its options once, as parameters of its base."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

import pytest
from pydantic import Field

from bertcore.config import DataConfig, HeadConfig
from bertcore.contracts.task import Task
from bertcore.errors import PluginError
from bertcore.heads import SequenceClassification
from bertcore.plugins.discovery import Plugins
from bertcore.plugins.hookspecs import hookimpl
from bertcore.plugins.registry import Registry


class TopicData(DataConfig):
    keywords: bool = Field(False, description="read the keywords")


class FineTopicData(TopicData):
    depth: int = Field(2, description="levels of topics")


class TopicHead(HeadConfig):
    smoothing: float = Field(0.0, description="of the labels")


OptionsT = TypeVar("OptionsT", bound=TopicData)
HeadOptionsT = TypeVar("HeadOptionsT", bound=HeadConfig)


class TopicTask(Task[OptionsT, SequenceClassification, TopicHead]): ...


class Plain(Task): ...


class OnlyData(Task[TopicData]): ...


class Fine(TopicTask[FineTopicData]): ...


class Finer(Fine): ...


class Swapped(Task[OptionsT, SequenceClassification, HeadOptionsT], Generic[HeadOptionsT, OptionsT]): ...


class Named(Swapped[TopicHead, FineTopicData]): ...


@pytest.mark.parametrize(
    ("task", "data", "head"),
    [
        (Plain, DataConfig, HeadConfig),
        (OnlyData, TopicData, HeadConfig),
        (TopicTask, TopicData, TopicHead),
        (Fine, FineTopicData, TopicHead),
        (Finer, FineTopicData, TopicHead),
        (Named, FineTopicData, TopicHead),
    ],
    ids=lambda kind: kind.__name__,
)
def test_options_follow_from_the_parameters_through_every_base(task: Any, data: Any, head: Any) -> None:
    assert (task.data_config, task.head_config) == (data, head)


def test_options_that_are_set_beside_the_parameters_are_refused() -> None:
    with pytest.raises(PluginError, match=r"Both sets data_config itself") as caught:
        type("Both", (Task,), {"data_config": TopicData})
    assert "class Both(Task[DATA_OPTIONS, HEAD, HEAD_OPTIONS])" in caught.value.remedy


def test_a_parameter_that_is_no_class_of_options_is_refused() -> None:
    with pytest.raises(PluginError, match="no class derived from DataConfig"):

        class Wrong(Task[TopicHead]):  # type: ignore[type-var]
            ...

    with pytest.raises(PluginError, match=r"'TopicData'.* no class derived from DataConfig"):

        class Quoted(Task["TopicData"]): ...


def test_a_plugin_with_such_a_task_fails_alone_and_says_why() -> None:
    class Broken:
        @hookimpl
        def bertcore_register_tasks(self) -> list[Task]:
            class Wrong(Task[TopicHead]):  # type: ignore[type-var]
                ...

            return [Wrong()]  # type: ignore[abstract]

    plugins = Plugins()
    plugins.register(Broken(), "topics")
    with pytest.raises(PluginError, match="no class derived from DataConfig"):
        Registry(plugins).task("topics")
