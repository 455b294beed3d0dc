"""Which code computes a description on which backend: one registration, and one look-up.

    plugin     Implementation(Regression, "torch", "bertcore_torch.heads:RegressionHead")
                    | bertcore_register_implementations
    registry   "head regression on torch" -> that string, still not imported
                    | SessionSpecification.code_of
    session    specification.code_of(head) -> the class RegressionHead

A description says what is to be computed and holds no code of any framework: a head, an encoder (a ``BertConfig``), an
objective, an adapter. It is known by its kind and its name, as everything that plugins bring is known by a name; so a
subclass that keeps both is computed as its parent is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any, ClassVar, Protocol

from bertcore.errors import PluginError


class Description(Protocol):
    """What a backend can be asked to compute.

    Class attributes:
        kind: ``head``, ``encoder``, ``objective`` or ``adapter``.
        name: its name among those of its kind.
    """

    kind: ClassVar[str]
    name: ClassVar[str]


CodeOf = Callable[[Description], Any]
"""One backend's code for a description; raises ``UsageError`` where there is none, ``PluginError`` where it is broken.

What the code must be is said by the backend: of bertcore's, in the modules ``heads``, ``encoder``,
``objectives`` and ``adapters``.
"""


@dataclass(frozen=True)
class Implementation:
    """The code with which one backend computes one description.

    Attributes:
        description: class of the description.
        backend: name of the backend, one's own or another's.
        code: ``module:attribute``; a string, so that listings import no framework.
    """

    description: type[Description]
    backend: str
    code: str

    @property
    def name(self) -> str:
        """As in ``head regression on torch``."""
        return implementation_name(self.description, self.backend)

    def load(self) -> Any:
        """Imports the code.

        Raises:
            PluginError: it cannot be imported; the cause is chained.
        """
        module, _, attribute = self.code.partition(":")
        try:
            return getattr(import_module(module), attribute)
        except Exception as error:
            raise PluginError(
                f"{self.code} cannot be imported, the code of the {self.name}: {type(error).__name__}: {error}",
                "repair or uninstall the plugin that registered it",
                code="plugin-broken",
            ) from error


def implementation_name(description: Description | type[Description], backend: str) -> str:
    """The name under which the code of a description on a backend is registered and looked up."""
    return f"{description.kind} {description.name} on {backend}"
