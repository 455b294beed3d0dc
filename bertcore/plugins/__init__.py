"""Hooks, discovery and look-up by name."""
