"""Ends the process when it is imported."""

import sys

sys.exit("no license found")
