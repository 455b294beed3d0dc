"""Heads: one description a file."""
