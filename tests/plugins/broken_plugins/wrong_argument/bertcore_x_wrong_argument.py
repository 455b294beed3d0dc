"""Wants an argument that the hook does not have."""

from bertcore import hookimpl


@hookimpl
def bertcore_register_tasks(config):
    return []
