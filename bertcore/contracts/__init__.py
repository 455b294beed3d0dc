"""What a plugin implements or is handed."""
