"""Accuracy of bertcore beside its peers, over seeds."""
