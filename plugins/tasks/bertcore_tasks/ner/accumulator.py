"""What is kept of a model's outputs: one tag for each unit, whatever windows its text was cut into."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from bertcore.contracts.backend import Outputs
from bertcore.contracts.batch import Batch
from bertcore.contracts.evaluation import Accumulator, Evaluation
from bertcore.contracts.parameters import Parameters
from bertcore.contracts.tagging import OUTSIDE, entity_types, is_mark, tags_to_spans
from bertcore.heads import TokenClassification

from bertcore_tasks.ner.encoding import UNIT_COLUMN
from bertcore_tasks.ner.probabilities import PathProbabilities, SoftmaxProbabilities, TagProbabilities
from bertcore_tasks.ner.scoring import Prediction, entry, evaluate
from bertcore_tasks.ner.targets import model_scheme
from bertcore_tasks.ner.units import Sentence


class NerAccumulator(Accumulator):
    """Keeps one tag for each unit, and what the probabilities of entities are made of."""

    def __init__(self, sentences: Sequence[Sentence], head: TokenClassification, scores_names: bool = False) -> None:
        self.want = ("tags", "logits") if head.crf else ("logits",)
        self._sentences = sentences
        self._labels = head.labels
        self._scheme = model_scheme(head)
        self._marks = [index for index, label in enumerate(head.labels) if is_mark(label)]
        self._scores_names = scores_names
        self._offsets = np.zeros(len(sentences) + 1, dtype=np.int64)
        np.cumsum([len(sentence.units) for sentence in sentences], out=self._offsets[1:])
        units = int(self._offsets[-1])
        # A unit that was cut has no prediction, which scores as O does.
        self._tags = np.full(units, head.labels.index(OUTSIDE), dtype=np.int32)
        self._probabilities: TagProbabilities = (
            PathProbabilities(units, head) if head.crf else SoftmaxProbabilities(units, self._marks)
        )

    def add(self, batch: Batch, outputs: Outputs) -> None:
        """Takes ``logits`` float32 ``[label positions, labels]``, and of a CRF ``tags`` int32 ``[label positions]``."""
        assert batch.label_offsets is not None
        units = batch.columns[UNIT_COLUMN].values.astype(np.int64)
        texts = np.repeat(batch.example_index, np.diff(batch.label_offsets))
        places = np.where(units >= 0, self._offsets[texts] + units, -1)
        if "tags" in self.want:
            tags = outputs["tags"]
        else:
            logits = outputs["logits"].copy()
            logits[:, self._marks] = -np.inf
            tags = logits.argmax(axis=1) if len(logits) else np.zeros(0, dtype=np.int64)
        self._tags[places[places >= 0]] = tags[places >= 0]
        self._probabilities.add(outputs, batch.label_offsets, places)

    def read_parameters(self, parameters: Parameters) -> bool:
        """Takes the scores of a CRF, without which its entities have no probability."""
        return self._probabilities.read(parameters)

    def predictions(self) -> list[dict[str, Any]]:
        """Identifier, text, units, tags and entities, and the gold entities as ``label`` where there are any."""
        return [entry(*pair) for pair in zip(self._sentences, self._decode(), strict=True)]

    def result(self) -> Evaluation:
        """See :func:`bertcore_tasks.ner.scoring.evaluate`."""
        types = entity_types(self._labels)
        return evaluate(self._sentences, self._decode(), self._scheme, types, self._scores_names)

    def _decode(self) -> list[Prediction]:
        decoded: list[Prediction] = []
        for index, sentence in enumerate(self._sentences):
            first, behind = self._offsets[index], self._offsets[index + 1]
            tags = [self._labels[tag] for tag in self._tags[first:behind].tolist()]
            probabilities = self._probabilities.of_entities(tags_to_spans(tags, self._scheme), int(first))
            decoded.append(replace(Prediction.of_tags(sentence, tags, self._scheme), probabilities=probabilities))
        return decoded
