"""The PyTorch backend of bertcore."""
