"""A worked example of everything that a bertcore plugin can bring; start reading in ``plugins.py``."""
