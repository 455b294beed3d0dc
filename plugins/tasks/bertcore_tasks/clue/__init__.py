"""CLUE, the Chinese benchmark."""
