"""How the tokenizer files of a model folder become a tokenizer, and are written back."""
