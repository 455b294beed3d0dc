"""What all benchmarks of speed and memory share."""
