"""``python -m bertcore``: the command line, as launchers start it in each of their processes."""

from __future__ import annotations

from bertcore.cli import main

if __name__ == "__main__":
    main()
