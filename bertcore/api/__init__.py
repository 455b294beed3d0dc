"""The Python interface: what the command line does, with typed results.

import bertcore
result = bertcore.run(task="rte", backend="torch", model="bert-base-uncased", data="GLUE/RTE")
print(result.metrics["accuracy"], result.folder)
"""

from __future__ import annotations

from bertcore.api.data import check_data, convert_data, score
from bertcore.api.inference import evaluate, open, predict, submit
from bertcore.api.training import resume, run, run_folds, run_seeds
from bertcore.api.weights import convert
from bertcore.commands.check_data.findings import DataReport
from bertcore.commands.conversion import ConversionReport
from bertcore.commands.convert_data import DataConversion
from bertcore.commands.evaluate import EvaluationResult
from bertcore.commands.predict import OpenModel
from bertcore.commands.run_folds import FoldsResult
from bertcore.commands.run_seeds import SeedsResult
from bertcore.commands.score import ScoreResult
from bertcore.commands.submit import SubmissionArchive, SubmissionFile, SubmissionResult
from bertcore.engine.run_result import RunResult

__all__ = [
    "ConversionReport",
    "DataConversion",
    "DataReport",
    "EvaluationResult",
    "FoldsResult",
    "OpenModel",
    "RunResult",
    "ScoreResult",
    "SeedsResult",
    "SubmissionArchive",
    "SubmissionFile",
    "SubmissionResult",
    "check_data",
    "convert",
    "convert_data",
    "evaluate",
    "open",
    "predict",
    "resume",
    "run",
    "run_folds",
    "run_seeds",
    "score",
    "submit",
]
