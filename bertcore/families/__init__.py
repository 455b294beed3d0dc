"""Model families: one description a file."""
