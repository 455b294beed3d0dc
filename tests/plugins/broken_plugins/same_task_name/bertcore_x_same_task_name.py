"""Takes a task name that bertcore-example has already."""

from bertcore import hookimpl


@hookimpl
def bertcore_register_tasks():
    from bertcore_example.colour import ColourTask

    return [ColourTask()]
