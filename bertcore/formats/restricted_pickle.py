"""Reads a pickle of plain data without Python's unpickler, so that nothing in the file can run.

A pickle is a program for a stack machine, and the real machine can import and call whatever the file names. This one
knows only how to build dicts, lists, tuples and scalars, and to call the few functions that its caller lists; any
other name is refused where it appears. torch's own `weights_only` loading works in the same way.

What `{"w": tensor}` looks like, with the stack after each instruction (its top on the right):

    EMPTY_DICT                             {}
    BINUNICODE "w"                         {} "w"
    GLOBAL torch._utils _rebuild_...       {} "w" NAME              a name is put there, and nothing is imported
    MARK                                   {} "w" NAME |            a new stack begins
    ... BINPERSID ...                      {} "w" NAME | STORAGE 0 (2, 3) (3, 1)
    TUPLE                                  {} "w" NAME (STORAGE, 0, (2, 3), (3, 1))
    REDUCE                                 {} "w" TENSOR            calls what the caller lists under NAME, or refuses
    SETITEM                                {"w": TENSOR}
    STOP

Opcodes: the standard library's `pickletools`.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import IO, Any

from bertcore.files.bounds import MOST_COPIED, MOST_INSTRUCTIONS
from bertcore.formats.nesting import check_nesting


class RefusedPickleError(Exception):
    """The pickle asks for something that plain data does not need; `str()` names it."""


class DamagedPickleError(Exception):
    """The pickle is truncated or makes no sense."""


class Global(str):
    """A name (`module.attribute`) that a pickle refers to, told apart from a text. Nothing is ever imported."""

    __slots__ = ()


class Inert:
    """Stands for an object that the pickle would make by other names than those allowed. It was not made.

    Attributes:
        name: the name (`module.attribute`) that the pickle refers to.
        members: what a set would hold; nothing for another object.
        state: what the object's attributes would be set to, if that is a dict.
    """

    def __init__(self, name: str, members: Collection[Any] = ()) -> None:
        self.name = name
        self.members = list(members)
        self.state: dict[Any, Any] = {}


_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_WITH_VALUE = frozenset([
    "INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT",
    "STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8",
    "SHORT_BINBYTES", "BINBYTES", "BINBYTES8",
])  # fmt: skip


def read_pickle(
    file: IO[bytes],
    functions: Mapping[str, Callable[..., Any]],
    other_globals: Collection[str],
    load_persistent: Callable[[Any], Any],
    inert: bool = False,
) -> Any:
    """Read one pickle from where `file` stands, and leave `file` behind it.

    Args:
        file: what to read.
        functions: what the pickle may call, by the name it uses for it.
        other_globals: what else the pickle may name; it gets a `Global`, which it cannot call.
        load_persistent: gives the object for a persistent id.
        inert: put an `Inert` in the place of what the pickle would make by any other name, instead of refusing it.

    Raises:
        RefusedPickleError: it names or does anything else.
        DamagedPickleError: it is truncated, makes no sense, or goes beyond a bound of :mod:`bertcore.files.bounds`.
    """
    try:
        machine = _TolerantMachine if inert else _Machine
        value = machine(functions, other_globals, load_persistent).run(file)
        check_nesting(value, _held)
        return value
    except (ValueError, TypeError, LookupError, OverflowError, MemoryError) as error:
        raise DamagedPickleError(str(error) or type(error).__name__) from error


class _Machine:
    def __init__(
        self,
        functions: Mapping[str, Callable[..., Any]],
        other_globals: Collection[str],
        load_persistent: Callable[[Any], Any],
    ) -> None:
        self.functions = functions
        self.other_globals = other_globals
        self.load_persistent = load_persistent
        self.stack: list[Any] = []
        self.stacks_below_marks: list[list[Any]] = []
        self.memo: dict[int, Any] = {}
        self.copied = 0

    def run(self, file: IO[bytes]) -> Any:
        for count, (opcode, argument, _) in enumerate(pickletools.genops(file)):
            if opcode.name == "STOP":
                break
            if count == MOST_INSTRUCTIONS:
                raise ValueError(f"it has more than {MOST_INSTRUCTIONS} instructions")
            self.step(opcode.name, argument)
        return self.stack.pop()

    def step(self, opcode: str, argument: Any) -> None:
        stack = self.stack
        match opcode:
            case "PROTO" | "FRAME":
                pass
            case "MARK":
                self.stacks_below_marks.append(stack)
                self.stack = []
            case "POP":
                stack.pop()
            case _ if opcode in _WITH_VALUE:
                stack.append(argument)
            case _ if opcode in _CONSTANTS:
                stack.append(_CONSTANTS[opcode])

            case "EMPTY_TUPLE":
                stack.append(())
            case "TUPLE1" | "TUPLE2" | "TUPLE3":
                self.replace_top(int(opcode[-1]), tuple)
            case "TUPLE":
                items = self.pop_to_mark()
                self.stack.append(tuple(items))
            case "EMPTY_LIST":
                stack.append([])
            case "LIST":
                items = self.pop_to_mark()
                self.stack.append(items)
            case "APPEND":
                self.extend([stack.pop()])
            case "APPENDS":
                self.extend(self.pop_to_mark())
            case "EMPTY_DICT":
                stack.append({})
            case "DICT":
                items = self.pop_to_mark()
                self.stack.append({})
                self.set_items(items)
            case "SETITEM":
                value, key = stack.pop(), stack.pop()
                self.set_items([key, value])
            case "SETITEMS":
                self.set_items(self.pop_to_mark())

            case "MEMOIZE":
                self.memo[len(self.memo)] = stack[-1]
            case "PUT" | "BINPUT" | "LONG_BINPUT":
                self.memo[argument] = stack[-1]
            case "GET" | "BINGET" | "LONG_BINGET":
                stack.append(self.memo[argument])

            case "GLOBAL":
                stack.append(self.find_global(*argument.split(" ", 1)))
            case "STACK_GLOBAL":
                attribute, module = stack.pop(), stack.pop()
                stack.append(self.find_global(module, attribute))
            case "BINPERSID":
                stack.append(self.load_persistent(stack.pop()))
            case "REDUCE":
                arguments, function = stack.pop(), stack.pop()
                stack.append(self.call(function, arguments))
            case "BUILD":
                # The attributes of a state_dict (`_metadata`: versions of torch's modules) say nothing of the tensors.
                stack.pop()
                if not isinstance(stack[-1], dict):
                    raise RefusedPickleError(f"it sets attributes of {_describe(stack[-1])}")
            case "INST":
                raise RefusedPickleError(f"it calls {argument.replace(' ', '.')}")
            case _:
                raise RefusedPickleError(f"it uses the pickle instruction {opcode}")

    def pop_to_mark(self) -> list[Any]:
        items = self.stack
        self.stack = self.stacks_below_marks.pop()
        return items

    def replace_top(self, count: int, make: Callable[[list[Any]], Any]) -> None:
        if len(self.stack) < count:
            raise ValueError("too few values on the stack")
        self.stack[-count:] = [make(self.stack[-count:])]

    def extend(self, items: list[Any]) -> None:
        if not isinstance(self.stack[-1], list):
            raise ValueError("it appends to something that is no list")
        self.stack[-1].extend(items)

    def set_items(self, keys_and_values: list[Any]) -> None:
        if not isinstance(self.stack[-1], dict) or len(keys_and_values) % 2:
            raise ValueError("it sets items of something that is no dict")
        for key, value in zip(keys_and_values[::2], keys_and_values[1::2], strict=True):
            self.stack[-1][check_key(key)] = value

    def find_global(self, module: Any, attribute: Any) -> Global:
        if not isinstance(module, str) or not isinstance(attribute, str):
            raise ValueError("a name is no text")
        name = f"{module}.{attribute}"
        if name not in self.functions and name not in self.other_globals:
            raise RefusedPickleError(f"it refers to {name}")
        return Global(name)

    def call(self, function: Any, arguments: Any) -> Any:
        if not isinstance(function, Global) or function not in self.functions:
            raise RefusedPickleError(f"it calls {_describe(function)}")
        if not isinstance(arguments, tuple):
            raise ValueError("a call has no tuple of arguments")
        self.count_copies(arguments)
        return self.functions[function](*arguments)

    def count_copies(self, arguments: tuple[Any, ...]) -> None:
        """A few bytes can call for a copy of all that was made before, again and again."""
        self.copied += len(arguments) + sum(len(part) for part in arguments if isinstance(part, _SIZED))
        if self.copied > MOST_COPIED:
            raise ValueError(f"its calls copy more than {MOST_COPIED} items")


class _TolerantMachine(_Machine):
    """Goes on past what the strict one refuses: an `Inert` is in its place, and what would be put in it is dropped."""

    def step(self, opcode: str, argument: Any) -> None:
        stack = self.stack
        match opcode:
            case "NEWOBJ":
                stack[-2:] = [_inert(stack[-2])]
            case "NEWOBJ_EX":
                stack[-3:] = [_inert(stack[-3])]
            case "OBJ":
                items = self.pop_to_mark()
                self.stack.append(_inert(items[0]))
            case "INST":
                self.pop_to_mark()
                self.stack.append(Inert(argument.replace(" ", ".")))
            case "EMPTY_SET":
                stack.append(Inert(_SET))
            case "ADDITEMS":
                items = self.pop_to_mark()
                if isinstance(self.stack[-1], Inert):
                    self.stack[-1].members += items
            case "FROZENSET":
                self.pop_to_mark()
                self.stack.append(Inert("builtins.frozenset"))
            case "BUILD" if not isinstance(stack[-2], dict):
                state = stack.pop()
                if isinstance(stack[-1], Inert) and isinstance(state, dict):
                    stack[-1].state = state
            case "BINPERSID" if (made := self.first_inert(stack[-1])) is not None:
                stack[-1] = made
            case _:
                super().step(opcode, argument)

    def extend(self, items: list[Any]) -> None:
        if not isinstance(self.stack[-1], Inert):
            super().extend(items)

    def set_items(self, keys_and_values: list[Any]) -> None:
        if isinstance(self.stack[-1], Inert):
            return
        keys = [key if isinstance(key, _KEYS) else Inert(_describe(key)) for key in keys_and_values[::2]]
        if not isinstance(self.stack[-1], dict) or len(keys_and_values) % 2:
            raise ValueError("it sets items of something that is no dict")
        self.stack[-1].update(zip(keys, keys_and_values[1::2], strict=True))

    def find_global(self, module: Any, attribute: Any) -> Any:
        try:
            return super().find_global(module, attribute)
        except RefusedPickleError:
            return Inert(f"{module}.{attribute}")

    def call(self, function: Any, arguments: Any) -> Any:
        made = self.first_inert(arguments)
        if isinstance(function, Inert):
            is_set = function.name in (_SET, "__builtin__.set")
            return Inert(function.name, arguments[0] if is_set and arguments and type(arguments[0]) is list else ())
        return super().call(function, arguments) if made is None else Inert(made.name)

    def first_inert(self, arguments: Any) -> Inert | None:
        """The first of some arguments that was not made; looking through them counts as copying them does."""
        if type(arguments) is not tuple:
            return None
        self.count_copies(arguments)
        return next((part for part in arguments if isinstance(part, Inert)), None)


def _held(value: Any) -> Iterable[Any] | None:
    """What a container holds; None for what is none."""
    if isinstance(value, list | tuple):
        return value
    if isinstance(value, dict):
        return value.values()
    return (value.members, value.state) if isinstance(value, Inert) else None


def _inert(made_of: Any) -> Inert:
    """What stands for a new object of a class."""
    return Inert(made_of.name if isinstance(made_of, Inert) else _describe(made_of))


_SIZED = (list, tuple, dict, str, bytes)
_SET = "builtins.set"
_KEYS = (str, int, float, bytes, type(None))


def check_key(key: Any) -> Any:
    """Let a plain scalar pass as the key of a dict (hashing a deeply nested tuple would overflow the C stack)."""
    if not isinstance(key, _KEYS):
        raise ValueError(f"the key of a dict is {_describe(key)}")
    return key


def _describe(value: Any) -> str:
    return value if isinstance(value, Global) else f"an object of type {type(value).__name__}"
