"""Opening, converting and verifying weights."""
