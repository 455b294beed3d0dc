"""What all backends compute alike."""
