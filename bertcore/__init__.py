"""bertcore: fine-tune BERT with one task definition, one training loop and one checkpoint on every backend.

Public names, for programs and for authors of plugins, are imported from here: ``from bertcore import Task``. Each is
loaded when it is first used, so that importing bertcore costs nothing. Names that are not listed here may move.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

from bertcore.version import __version__ as __version__

if TYPE_CHECKING:  # the same names as in the table below; a test compares them
    from bertcore.api import ConversionReport as ConversionReport
    from bertcore.api import DataConversion as DataConversion
    from bertcore.api import DataReport as DataReport
    from bertcore.api import EvaluationResult as EvaluationResult
    from bertcore.api import FoldsResult as FoldsResult
    from bertcore.api import OpenModel as OpenModel
    from bertcore.api import RunResult as RunResult
    from bertcore.api import ScoreResult as ScoreResult
    from bertcore.api import SeedsResult as SeedsResult
    from bertcore.api import SubmissionArchive as SubmissionArchive
    from bertcore.api import SubmissionFile as SubmissionFile
    from bertcore.api import SubmissionResult as SubmissionResult
    from bertcore.api import check_data as check_data
    from bertcore.api import convert as convert
    from bertcore.api import convert_data as convert_data
    from bertcore.api import evaluate as evaluate
    from bertcore.api import open as open
    from bertcore.api import predict as predict
    from bertcore.api import resume as resume
    from bertcore.api import run as run
    from bertcore.api import run_folds as run_folds
    from bertcore.api import run_seeds as run_seeds
    from bertcore.api import score as score
    from bertcore.api import submit as submit
    from bertcore.config import DataConfig as DataConfig
    from bertcore.config import HeadConfig as HeadConfig
    from bertcore.contracts.adapter import Adapter as Adapter
    from bertcore.contracts.backend import Backend as Backend
    from bertcore.contracts.backend import CheckResult as CheckResult
    from bertcore.contracts.backend import Outputs as Outputs
    from bertcore.contracts.backend import ParameterGroup as ParameterGroup
    from bertcore.contracts.backend import Precision as Precision
    from bertcore.contracts.backend import Session as Session
    from bertcore.contracts.backend import SessionSpecification as SessionSpecification
    from bertcore.contracts.backend import TrainingSpecification as TrainingSpecification
    from bertcore.contracts.batch import Batch as Batch
    from bertcore.contracts.batch import Column as Column
    from bertcore.contracts.batch import Per as Per
    from bertcore.contracts.batch import from_rows as from_rows
    from bertcore.contracts.benchmark import Benchmark as Benchmark
    from bertcore.contracts.bert_config import BertConfig as BertConfig
    from bertcore.contracts.class_score import ClassScore as ClassScore
    from bertcore.contracts.converter import KeyReport as KeyReport
    from bertcore.contracts.converter import WeightConverter as WeightConverter
    from bertcore.contracts.converter import WeightSet as WeightSet
    from bertcore.contracts.dataset import Dataset as Dataset
    from bertcore.contracts.dataset import Example as Example
    from bertcore.contracts.dataset import LeftOut as LeftOut
    from bertcore.contracts.dataset import Split as Split
    from bertcore.contracts.evaluation import Accumulator as Accumulator
    from bertcore.contracts.evaluation import Confusion as Confusion
    from bertcore.contracts.evaluation import Evaluation as Evaluation
    from bertcore.contracts.evaluation import Metric as Metric
    from bertcore.contracts.events import CheckpointSaved as CheckpointSaved
    from bertcore.contracts.events import Described as Described
    from bertcore.contracts.events import Evaluated as Evaluated
    from bertcore.contracts.events import Event as Event
    from bertcore.contracts.events import Note as Note
    from bertcore.contracts.events import RunFailed as RunFailed
    from bertcore.contracts.events import RunFinished as RunFinished
    from bertcore.contracts.events import RunStarted as RunStarted
    from bertcore.contracts.events import StepDone as StepDone
    from bertcore.contracts.events import StepLogged as StepLogged
    from bertcore.contracts.events import Tracker as Tracker
    from bertcore.contracts.events import TrackerFactory as TrackerFactory
    from bertcore.contracts.events import WorkProgress as WorkProgress
    from bertcore.contracts.family import HeadStem as HeadStem
    from bertcore.contracts.family import ModelFamily as ModelFamily
    from bertcore.contracts.head import Head as Head
    from bertcore.contracts.head import RowProblem as RowProblem
    from bertcore.contracts.head import linear_parameters as linear_parameters
    from bertcore.contracts.head_labels import LABEL_ENTRIES as LABEL_ENTRIES
    from bertcore.contracts.head_labels import label_entries as label_entries
    from bertcore.contracts.head_labels import labels_from_config as labels_from_config
    from bertcore.contracts.implementations import Implementation as Implementation
    from bertcore.contracts.launcher import Launcher as Launcher
    from bertcore.contracts.loss_options import LOSS_OPTIONS as LOSS_OPTIONS
    from bertcore.contracts.loss_options import LossOptions as LossOptions
    from bertcore.contracts.loss_options import balanced_weights as balanced_weights
    from bertcore.contracts.objective import HeadLoss as HeadLoss
    from bertcore.contracts.objective import Objective as Objective
    from bertcore.contracts.objective import Pass as Pass
    from bertcore.contracts.parameters import Parameters as Parameters
    from bertcore.contracts.parameters import ParameterSpec as ParameterSpec
    from bertcore.contracts.parameters import SkipRule as SkipRule
    from bertcore.contracts.ranks import ALONE as ALONE
    from bertcore.contracts.ranks import Ranks as Ranks
    from bertcore.contracts.record_format import Feature as Feature
    from bertcore.contracts.record_format import FeatureRecord as FeatureRecord
    from bertcore.contracts.record_format import RecordFormat as RecordFormat
    from bertcore.contracts.tagging import Span as Span
    from bertcore.contracts.task import Encoding as Encoding
    from bertcore.contracts.task import Task as Task
    from bertcore.contracts.tokenizer import TextTokens as TextTokens
    from bertcore.contracts.tokenizer import Tokenizer as Tokenizer
    from bertcore.contracts.training_step import DeviceMemoryError as DeviceMemoryError
    from bertcore.contracts.training_step import OptimizerState as OptimizerState
    from bertcore.contracts.training_step import StepContext as StepContext
    from bertcore.contracts.training_step import StepResult as StepResult
    from bertcore.data.bad_examples import one_example as one_example
    from bertcore.data.bad_examples import unknown_label as unknown_label
    from bertcore.data.tables import Record as Record
    from bertcore.data.tables import Row as Row
    from bertcore.data.tables import read_json_lines as read_json_lines
    from bertcore.data.tables import read_lines as read_lines
    from bertcore.data.tables import read_tsv as read_tsv
    from bertcore.errors import BertcoreError as BertcoreError
    from bertcore.errors import ConfigError as ConfigError
    from bertcore.errors import DataError as DataError
    from bertcore.errors import DeviceError as DeviceError
    from bertcore.errors import ModelError as ModelError
    from bertcore.errors import Origin as Origin
    from bertcore.errors import OutputError as OutputError
    from bertcore.errors import PluginError as PluginError
    from bertcore.errors import TrainingError as TrainingError
    from bertcore.errors import UsageError as UsageError
    from bertcore.files.writing import atomic_folder as atomic_folder
    from bertcore.files.writing import atomic_write as atomic_write
    from bertcore.heads import GlobalPointer as GlobalPointer
    from bertcore.heads import MultipleChoice as MultipleChoice
    from bertcore.heads import Regression as Regression
    from bertcore.heads import SequenceClassification as SequenceClassification
    from bertcore.heads import SpanExtraction as SpanExtraction
    from bertcore.heads import TokenClassification as TokenClassification
    from bertcore.plugins.discovery import installed_plugins as installed_plugins
    from bertcore.plugins.hookspecs import hookimpl as hookimpl
    from bertcore.plugins.lazy import LazyPlugin as LazyPlugin
    from bertcore.plugins.registry import Registry as Registry
    from bertcore.progress import listening as listening
    from bertcore.progress import tracked as tracked
    from bertcore.trackers.progress_display import show_progress as show_progress
    from bertcore.weights.converters.model_folder import config_beside as config_beside

_NAMES = {
    "bertcore.api": (
        "ConversionReport DataConversion DataReport EvaluationResult FoldsResult OpenModel RunResult ScoreResult "
        "SeedsResult SubmissionArchive SubmissionFile SubmissionResult check_data convert convert_data evaluate open "
        "predict resume run run_folds run_seeds score submit"
    ),
    "bertcore.config": "DataConfig HeadConfig",
    "bertcore.contracts.adapter": "Adapter",
    "bertcore.contracts.backend": (
        "Backend CheckResult Outputs ParameterGroup Precision Session SessionSpecification TrainingSpecification"
    ),
    "bertcore.contracts.batch": "Batch Column Per from_rows",
    "bertcore.contracts.benchmark": "Benchmark",
    "bertcore.contracts.class_score": "ClassScore",
    "bertcore.contracts.converter": "KeyReport WeightConverter WeightSet",
    "bertcore.contracts.dataset": "Dataset Example LeftOut Split",
    "bertcore.contracts.evaluation": "Accumulator Confusion Evaluation Metric",
    "bertcore.contracts.events": (
        "CheckpointSaved Described Evaluated Event Note RunFailed RunFinished RunStarted StepDone "
        "StepLogged Tracker TrackerFactory WorkProgress"
    ),
    "bertcore.contracts.bert_config": "BertConfig",
    "bertcore.contracts.family": "HeadStem ModelFamily",
    "bertcore.contracts.head": "Head RowProblem linear_parameters",
    "bertcore.contracts.head_labels": "LABEL_ENTRIES label_entries labels_from_config",
    "bertcore.contracts.implementations": "Implementation",
    "bertcore.contracts.launcher": "Launcher",
    "bertcore.contracts.ranks": "ALONE Ranks",
    "bertcore.contracts.loss_options": "LOSS_OPTIONS LossOptions balanced_weights",
    "bertcore.contracts.objective": "HeadLoss Objective Pass",
    "bertcore.contracts.parameters": "ParameterSpec Parameters SkipRule",
    "bertcore.contracts.record_format": "Feature FeatureRecord RecordFormat",
    "bertcore.contracts.tagging": "Span",
    "bertcore.contracts.task": "Encoding Task",
    "bertcore.contracts.training_step": "DeviceMemoryError OptimizerState StepContext StepResult",
    "bertcore.contracts.tokenizer": "TextTokens Tokenizer",
    "bertcore.data.bad_examples": "one_example unknown_label",
    "bertcore.data.tables": "Record Row read_json_lines read_lines read_tsv",
    "bertcore.errors": (
        "BertcoreError ConfigError DataError DeviceError ModelError Origin OutputError PluginError "
        "TrainingError UsageError"
    ),
    "bertcore.files.writing": "atomic_folder atomic_write",
    "bertcore.heads": (
        "GlobalPointer MultipleChoice Regression SequenceClassification SpanExtraction TokenClassification"
    ),
    "bertcore.plugins.discovery": "installed_plugins",
    "bertcore.plugins.hookspecs": "hookimpl",
    "bertcore.plugins.lazy": "LazyPlugin",
    "bertcore.plugins.registry": "Registry",
    "bertcore.progress": "listening tracked",
    "bertcore.trackers.progress_display": "show_progress",
    "bertcore.weights.converters.model_folder": "config_beside",
}
"""Module that holds them to names, as in ``from bertcore import NAME``."""

_HOMES = {name: module for module, names in _NAMES.items() for name in names.split()}

_MODULES = ("api", "errors", "testing")

# A star import would put the open of Python's builtins out of reach; bertcore.open stays.
__all__ = sorted({*_HOMES, *_MODULES, "__version__"} - {"open"})


def home_of(name: str) -> str | None:
    """The module that holds a public name; None of a module or of what bertcore does not export."""
    return _HOMES.get(name)


if not TYPE_CHECKING:  # a type checker would take any name for one that this function finds

    def __getattr__(name: str) -> Any:
        if name in _HOMES:
            return getattr(import_module(_HOMES[name]), name)
        if name in _MODULES:
            return import_module(f"bertcore.{name}")
        raise AttributeError(f"module 'bertcore' has no attribute {name!r}", name=name, obj=sys.modules[__name__])


def __dir__() -> list[str]:
    return sorted({*__all__, *_HOMES, *(name for name in globals() if name.startswith("__"))})
