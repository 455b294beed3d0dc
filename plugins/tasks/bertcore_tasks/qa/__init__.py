"""Extractive question answering: SQuAD, CMRC 2018, and files in their form."""
