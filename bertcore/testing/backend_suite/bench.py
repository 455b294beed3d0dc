"""The backend under test, its heads and sessions; what every part of the suite stands on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache, partial
from typing import ClassVar

import numpy as np
import pytest

from bertcore.contracts.adapter import Adapter, with_adapter
from bertcore.contracts.backend import (
    Backend,
    KernelChoice,
    Precision,
    Session,
    SessionSpecification,
    TrainingSpecification,
    Workload,
)
from bertcore.contracts.batch import Batch
from bertcore.contracts.bert_config import BertConfig
from bertcore.contracts.family import ModelFamily
from bertcore.contracts.head import Head
from bertcore.contracts.implementations import implementation_name
from bertcore.contracts.parameters import Parameters
from bertcore.testing.backend_suite.samples import CONFIG, DROPOUT, LENGTHS, MAX_LENGTH, UPDATES, random_parameters
from bertcore.testing.gaps import Gap
from bertcore.testing.heads import CORE_HEADS, descriptions, reference_of
from bertcore.testing.plugin_under_test import load_plugin, only
from bertcore.testing.reference import Array, ReferenceModel
from bertcore.testing.suite import Suite


class Bench:
    """The backend under test, and the sessions opened so far, each opened once."""

    def __init__(
        self, plugins: Sequence[str], name: str, device: str, heads: Sequence[str], kernels: KernelChoice = "fused"
    ) -> None:
        self.registry = load_plugin(*plugins)
        self.heads = heads
        self.kernels = kernels
        self.backend: Backend = self.registry.backend(only(dict(self.registry.backends), name, "backend"))
        assert self.backend.problem() is None
        self.device = device or self.backend.available_devices()[0]
        self._sessions: dict[tuple[Head, TrainingSpecification | None, BertConfig, Adapter | None], Session] = {}

    def specification(
        self,
        head: Head,
        training: TrainingSpecification | None = None,
        config: BertConfig = CONFIG,
        adapter: Adapter | None = None,
    ) -> SessionSpecification:
        """A session in fp32 for the rows of the samples."""
        lengths = np.array(LENGTHS, dtype=np.int64)
        none = np.zeros(0, dtype=np.int64)
        return SessionSpecification(
            config=config,
            head=head,
            table=with_adapter(ModelFamily("tested", config.prefix, "Tested").parameter_table(config, head), adapter),
            device=self.device,
            precision="fp32",
            prediction_precision="fp32",
            workload=Workload(lengths if training else none, lengths, len(lengths), len(lengths), MAX_LENGTH),
            code_of=partial(self.registry.code_of, self.backend.name),
            training=training,
            adapter=adapter,
            kernels=self.kernels,
        )

    def session(
        self,
        head: Head,
        training: TrainingSpecification | None = None,
        config: BertConfig = CONFIG,
        adapter: Adapter | None = None,
    ) -> tuple[Session, Parameters]:
        """A session with new random parameters loaded, and these parameters."""
        specification = self.specification(head, training, config, adapter)
        key = (head, training, config, adapter)
        if key not in self._sessions:
            self._sessions[key] = self.backend.open(specification)
        parameters = random_parameters(specification)
        self._sessions[key].load(parameters)
        return self._sessions[key], parameters

    def registered(self, head: Head) -> bool:
        """Whether the plugin brings code for this head on its backend."""
        return implementation_name(head, self.backend.name) in self.registry.implementations

    def first_head(self) -> Head:
        """The first head that is tested and registered for the backend."""
        known = descriptions()
        return next(head for head in (known[name] for name in self.heads or known) if self.registered(head))

    def expected(
        self, head: Head, parameters: Parameters, batch: Batch, config: BertConfig = CONFIG
    ) -> dict[str, Array]:
        """All outputs of the head and ``loss``, as the session should give them, in float64."""
        return reference_of(head).outputs(head, ReferenceModel(parameters, config), batch)

    def close(self) -> None:
        """Closes all sessions."""
        for session in self._sessions.values():
            session.close()


class BackendSuite(Suite):
    """What the parts of :class:`bertcore.testing.BackendConformance` share; it says what the attributes mean."""

    plugin: ClassVar[str]
    backend: ClassVar[str] = ""
    device: ClassVar[str] = ""
    further_plugins: ClassVar[tuple[str, ...]] = ()
    heads: ClassVar[tuple[str, ...]] = ()
    kernels: ClassVar[KernelChoice] = "fused"
    forward_tolerance: ClassVar[float] = 1e-5
    gradient_tolerance: ClassVar[tuple[float, float]] = (5e-5, 1e-7)
    accumulation_tolerance: ClassVar[float] = 1e-6
    update_tolerance: ClassVar[float] = 1e-6
    low_precision_tolerance: ClassVar[float] = 0.05

    def features(self) -> frozenset[str]:
        """The heads, dropout, objectives of several passes, and adapters."""
        return frozenset({*descriptions(), "dropout", "passes", "adapters"})

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Each head that is named, or all of bertcore, registered or not, and all further ones that are registered."""
        if "head" in metafunc.fixturenames:
            tested = {*CORE_HEADS, *_registered_heads(self.plugin, *self.further_plugins)}
            names = self.heads or [name for name, head in descriptions().items() if head.name in tested]
            metafunc.parametrize("head", names, indirect=True)

    @pytest.fixture(scope="class")
    @classmethod
    def bench(cls) -> Iterator[Bench]:
        """The backend under test."""
        bench = Bench((cls.plugin, *cls.further_plugins), cls.backend, cls.device, cls.heads, cls.kernels)
        yield bench
        bench.close()

    @pytest.fixture
    def head(self, request: pytest.FixtureRequest) -> Head:
        """Each head."""
        self.expect(request, request.param)
        return descriptions()[request.param]

    @pytest.fixture(params=["bf16", "fp16"])
    def precision(self, bench: Bench, request: pytest.FixtureRequest) -> Precision:
        """Each precision below fp32; one that the backend does not declare for the device is a gap by that."""
        precision: Precision = request.param
        if precision not in bench.backend.devices[bench.device.partition(":")[0]]:
            request.applymarker(Gap("not declared", f"{bench.backend.name} has no {precision} on {bench.device}").mark)
        return precision

    @pytest.fixture
    def classifier(self, request: pytest.FixtureRequest) -> Head:
        """One head, where any would do: a classifier, or the first one that is named."""
        name = self.heads[0] if self.heads else "classification"
        self.expect(request, name)
        return descriptions()[name]

    @pytest.fixture
    def dropout(self, request: pytest.FixtureRequest) -> TrainingSpecification:
        """A training with dropout."""
        self.expect(request, "dropout")
        return DROPOUT

    @pytest.fixture
    def passes(self, request: pytest.FixtureRequest) -> None:
        """Objectives of several passes."""
        self.expect(request, "passes")

    @pytest.fixture(params=["without dropout", "with dropout"])
    def training(self, request: pytest.FixtureRequest) -> TrainingSpecification:
        """A training without dropout, and one with it."""
        if request.param == "without dropout":
            return UPDATES
        self.expect(request, "dropout")
        return DROPOUT


@cache
def _registered_heads(*plugins: str) -> frozenset[str]:
    return frozenset(head.name for head in load_plugin(*plugins).heads)
