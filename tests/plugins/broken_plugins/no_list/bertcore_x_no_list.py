"""Returns no list."""

from bertcore import hookimpl


@hookimpl
def bertcore_register_backends():
    return None
