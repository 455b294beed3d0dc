"""Data: reading files, tokenizing, encoded splits and their cache, batch plans."""
