"""A Galera cluster: MariaDB servers that agree on each commit before it is acknowledged.

    with cluster(3) as nodes:
        pymysql.connect(**nodes[0].server.connect_args)

All nodes begin with the same data and the same position in the cluster's history, and who was
killed finds its position in its data, so that who joins only lacks the last events. Those it gets
from another node's memory (IST); the transfer of a whole data folder (SST), which needs programs
that not every machine has, never happens.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from .catalogue import CLUSTER
from .errors import ServerError
from .instance import Instance, free_port
from .packages import find_program
from .progress import Ticker

SYNCED_TIMEOUT = 60.0
_METHOD = "tests"
# What the servers call to prepare a transfer: it only hands over the position (MariaDB:
# "Introduction to State Snapshot Transfers").
_SCRIPT = r"""#!{python} -IS
import socket, sys
options = dict(zip(sys.argv[1:], sys.argv[2:]))
host, port = options["--address"].split("/")[0].rsplit(":", 1)
if options["--role"] == "joiner":
    with socket.create_server((host, int(port))) as server:
        print("ready", options["--address"], flush=True)
        with server.accept()[0] as peer, peer.makefile() as file:
            print(file.read(), flush=True)
else:
    assert "--bypass" in sys.argv, "a whole data folder is wanted"
    with socket.create_connection((host, int(port))) as peer:
        peer.sendall((options["--gtid"] + " " + options.get("--gtid-domain-id", "0")).encode())
    print("done", options["--gtid"], flush=True)
"""


class Node(Instance):
    """A server that is part of a cluster."""

    group: tuple[str, int]
    """The address of the whole cluster, and how many nodes it has."""

    def rejoin(self) -> None:
        """Start the node again, which was killed while others went on; waits until it is in step.

        Raises ServerError when it does not come so far.
        """
        # A killed node left no position behind; what its storage engine recovers has one.
        printed = self.run("--wsrep-recover")
        found = re.search(r"Recovered position: *(\S+:\d+)", printed)
        if found is None:
            raise ServerError(f"no position was recovered:\n{printed[-3000:]}")
        address, size = self.group
        self.restart({"wsrep-start-position": found[1], "wsrep-cluster-address": address})
        self.wait_synced(size)

    def wait_synced(self, size: int) -> None:
        """Wait until the node is one of `size`, and has what the others have.

        Raises ServerError after SYNCED_TIMEOUT seconds.
        """
        end = time.monotonic() + SYNCED_TIMEOUT
        wanted = {
            "wsrep_ready": "ON",
            "wsrep_cluster_size": str(size),
            "wsrep_local_state_comment": "Synced",
        }
        state: dict[str, str] = {}
        while time.monotonic() < end:
            state = dict(self.server.execute("SHOW STATUS LIKE 'wsrep_%'"))
            if all(state.get(name) == value for name, value in wanted.items()):
                return
            time.sleep(0.05)
        shown = {name: state.get(name) for name in wanted}
        raise ServerError(f"a node of the cluster is not in step with {size - 1} others: {shown}")


@contextlib.contextmanager
def cluster(size: int = 3) -> Iterator[list[Node]]:
    """`size` nodes, each in step with the others; they are stopped and purged afterwards.

    Raises ServerError when they cannot be had or do not find one another.
    """
    ticker = Ticker(CLUSTER.name)
    program = find_program(CLUSTER.name)
    provider = next(program.binary.parent.parent.glob("lib/**/libgalera_smm.so"), None)
    if provider is None:
        raise ServerError(f"no Galera library beside {program.binary}")
    with contextlib.ExitStack() as stack:
        scripts = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        script = scripts / f"wsrep_sst_{_METHOD}"
        script.write_text(_SCRIPT.replace("{python}", sys.executable))
        script.chmod(0o755)
        path = os.environ["PATH"]
        stack.callback(os.environ.__setitem__, "PATH", path)
        os.environ["PATH"] = f"{path}{os.pathsep}{scripts}"
        groups = [free_port() for _ in range(size)]

        def start(count: int, data: Path | None = None) -> Node:
            options = _options(provider, groups[:count])
            node = Node(program, CLUSTER.name, options, ticker, data)
            stack.callback(node.stop)
            node.group = (_address(groups), size)
            node.wait_synced(count)
            return node

        # The first node alone, for the data and the history that all have in common.
        first = start(1)
        first.shut_down()
        data = scripts / "data"
        shutil.copytree(first.data, data)
        first.stop()
        nodes = [start(count + 1, data) for count in range(size)]
        ticker.say(f"{size} nodes run after {ticker.elapsed:.1f} s")
        yield nodes


def _address(groups: list[int]) -> str:
    """The nodes at the ports `groups`; with none of them a new cluster begins."""
    return "gcomm://" + ",".join(f"127.0.0.1:{port}" for port in groups)


def _options(provider: Path, groups: list[int]) -> dict[str, str]:
    """Settings of a node; the nodes talk to one another at the ports `groups`, the last is its."""
    port = groups[-1]
    addresses = {
        "base_host": "127.0.0.1",
        "base_port": port,
        "gmcast.listen_addr": f"tcp://127.0.0.1:{port}",
        "ist.recv_addr": f"127.0.0.1:{free_port()}",
        "gcache.size": "32M",
        # A dead node is left behind after some seconds.
        "evs.keepalive_period": "PT0.5S",
        "evs.suspect_timeout": "PT2S",
        "evs.inactive_timeout": "PT6S",
        "evs.install_timeout": "PT3S",
    }
    return {
        "wsrep-on": "ON",
        "wsrep-provider": str(provider),
        "wsrep-cluster-name": f"tests-{groups[0]}",
        "wsrep-cluster-address": _address(groups[:-1]),
        "wsrep-node-name": f"node{len(groups)}",
        "wsrep-node-address": f"127.0.0.1:{port}",
        "wsrep-sst-method": _METHOD,
        "wsrep-sst-receive-address": f"127.0.0.1:{free_port()}",
        "wsrep-provider-options": f'"{";".join(f"{k}={v}" for k, v in addresses.items())}"',
        "binlog-format": "ROW",
        "default-storage-engine": "InnoDB",
        "innodb-autoinc-lock-mode": "2",
        "innodb-buffer-pool-size": "64M",
    }
