"""Fails when it is called."""

from bertcore import hookimpl


@hookimpl
def bertcore_register_tasks():
    raise RuntimeError("the moon is in the wrong phase")
