"""``python -m bertcore_mindspore.scheduler PROCESS``: where MindSpore's ranks meet, until the last of them has left.

The first rank starts it, in a session of its own: a wish to stop is for the ranks, which need the scheduler until they
have written their checkpoint. A rank that leaves when it is gone waits long, and says so in an error.
"""

from __future__ import annotations

import os
import sys
import threading
import time

PATIENCE = 3.0
"""Seconds that the other ranks have to leave after the first one, by whatever death."""


def _end_after(process: int) -> None:
    while os.getppid() == process:
        time.sleep(0.2)
    time.sleep(PATIENCE)
    os._exit(0)


def main() -> None:
    """Serves the ranks that the environment tells of."""
    threading.Thread(target=_end_after, args=(int(sys.argv[1]),), daemon=True).start()

    import mindspore.communication

    mindspore.communication.init("mccl")


if __name__ == "__main__":
    main()
