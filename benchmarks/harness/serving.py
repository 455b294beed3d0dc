"""The worker's side of the pipe: one JSON object a line in, one a line out. Standard library alone."""

from __future__ import annotations

import json
import os
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any


def serve(make: Callable[..., Any]) -> None:
    """Makes the worker from the first line, and answers calls of its methods until the pipe is closed.

    What libraries print goes to the standard error: nothing but answers may stand on the pipe.
    """
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    worker: Any = None
    for line in sys.stdin:
        asked = json.loads(line)
        try:
            if worker is None:
                worker = make(**asked)
                answer: Any = worker.versions()
            else:
                answer = getattr(worker, asked.pop("call"))(**asked)
            said = {"answer": answer}
        except Exception as error:
            traceback.print_exc()
            said = {"error": f"{type(error).__name__}: {error}".splitlines()[0]}
        answers.write(json.dumps(said) + "\n")
        answers.flush()


class Clock:
    """Wall time of a block in seconds, as ``seconds``."""

    def __enter__(self) -> Clock:
        self._started = time.perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds = time.perf_counter() - self._started
