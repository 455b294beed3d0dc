"""The package's own tests run where it is installed: in the environment that tests/plugins makes for it."""

from __future__ import annotations

from importlib.util import find_spec

collect_ignore = [] if find_spec("bertcore_example") else ["tests"]
