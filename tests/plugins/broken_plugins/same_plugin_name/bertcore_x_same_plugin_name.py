"""Takes a plugin name that bertcore-example has already."""
