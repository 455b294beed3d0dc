"""The engine: the only training loop, evaluation, checkpoints and run folders."""
