"""Run a server for as long as its parent lives, then remove it together with its folder.

    python guard.py FOLDER PROGRAM [OPTION...]

The parent holds the other end of standard input.  However the parent ends, even by SIGKILL, the
pipe is closed then, and the server goes.  Standard output is closed when the server ends.  A byte
on standard input asks for a server that was killed to be started again.
An inherited descriptor holds a lock, which tells other runs that the folder is in use.
Standard library only: it is started without site-packages, to be quick.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path


def main() -> None:
    """Start the server, wait for the parent to let go, clean up."""
    folder_name, *command = sys.argv[1:]
    folder = Path(folder_name)

    def start() -> subprocess.Popen[bytes]:
        with (folder / "server.log").open("ab") as log:
            server = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=folder
            )
        # Never seen half written.
        (folder / "new.pid").write_text(str(server.pid))
        (folder / "new.pid").replace(folder / "server.pid")
        return server

    servers = [start()]
    # Handled, not ignored: the parent alone decides, and the server would inherit "ignored".
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: None)

    def follow_parent() -> None:
        while os.read(0, 1):
            servers[-1].wait()
            servers.append(start())
        # The data are thrown away: nothing would be gained by an orderly shutdown.
        servers[-1].kill()

    next_waiter = threading.Thread(target=follow_parent)
    next_waiter.start()
    servers[0].wait()
    os.close(1)
    # When the server ended by itself, its parent still wants to read the log.
    next_waiter.join()
    servers[-1].wait()
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
