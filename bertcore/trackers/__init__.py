"""The trackers that bertcore brings: what listens to the events of a run."""
