"""``bertcore data check``."""
