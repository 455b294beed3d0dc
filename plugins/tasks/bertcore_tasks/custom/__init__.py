"""Tasks on the user's own files."""
