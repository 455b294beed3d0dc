"""Starting a run in several processes, on this machine or on the hosts of a hostfile."""
