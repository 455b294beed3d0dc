"""What all conformance suites share: declared gaps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import pytest

from bertcore.testing.gaps import Gap


class Suite:
    """Base of the conformance suites.

    Attributes:
        gaps: what the plugin does not do, by the name of a test or of a feature, each with its reason
            (:mod:`bertcore.testing.gaps`). Such a test must fail: when it passes, the declaration has to go.
    """

    gaps: ClassVar[Mapping[str, Gap]] = {}

    def features(self) -> frozenset[str]:
        """What a gap may be declared for, beside single tests."""
        return frozenset()

    def expect(self, request: pytest.FixtureRequest, feature: str) -> None:
        """Expects the requesting test to fail, if the feature is a declared gap."""
        if feature in self.gaps:
            request.applymarker(self.gaps[feature].mark)

    @pytest.fixture(autouse=True)
    def _tests_that_are_gaps(self, request: pytest.FixtureRequest) -> None:
        self.expect(request, request.function.__name__)

    def test_declared_gaps_are_of_this_suite(self) -> None:
        """Each names a test or a feature, so that a misspelt one does not hide what it was meant for."""
        unknown = {name for name in self.gaps if not (name.startswith("test_") and hasattr(self, name))}
        assert unknown <= self.features(), f"the suite has no {', '.join(sorted(unknown - self.features()))}"
