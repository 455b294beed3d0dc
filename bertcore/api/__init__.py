"""The Python interface: what the command line does, with typed results.

import bertcore
result = bertcore.run(task="rte", backend="torch", model="bert-base-uncased", data="GLUE/RTE")
print(result.metrics["accuracy"], result.folder)
"""

from __future__ import annotations

from bertcore.api.data import check_data, convert_data, score
from bertcore.api.inference import evaluate, predict, submit
from bertcore.api.training import resume, run, run_folds, run_seeds
from bertcore.api.weights import convert
from bertcore.conversion import ConversionReport
from bertcore.engine.data_check import DataReport
from bertcore.engine.data_convert import DataConversion
from bertcore.engine.folds import FoldsResult
from bertcore.engine.inference import EvaluationResult, TrainedModel
from bertcore.engine.repeats import SeedsResult
from bertcore.engine.run import RunResult
from bertcore.engine.scoring import ScoreResult
from bertcore.engine.submission import SubmissionArchive, SubmissionFile, SubmissionResult

__all__ = [
    "ConversionReport",
    "DataConversion",
    "DataReport",
    "EvaluationResult",
    "FoldsResult",
    "RunResult",
    "ScoreResult",
    "SeedsResult",
    "SubmissionArchive",
    "SubmissionFile",
    "SubmissionResult",
    "TrainedModel",
    "check_data",
    "convert",
    "convert_data",
    "evaluate",
    "predict",
    "resume",
    "run",
    "run_folds",
    "run_seeds",
    "score",
    "submit",
]
