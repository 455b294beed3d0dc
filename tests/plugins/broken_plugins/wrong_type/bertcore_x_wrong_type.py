"""Returns a task that is none."""

from bertcore import hookimpl


@hookimpl
def bertcore_register_tasks():
    return ["broken-type"]
