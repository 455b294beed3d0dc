"""Implements a hook that bertcore does not have."""

from bertcore import hookimpl


@hookimpl
def bertcore_register_taskz():
    return []
