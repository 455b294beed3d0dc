"""The tasks of bertcore; each is a plugin and an entry point of its own."""
