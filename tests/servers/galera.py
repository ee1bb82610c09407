"""A Galera cluster: MariaDB servers that agree on each commit before it is acknowledged.

    with cluster(3) as nodes:
        pymysql.connect(**nodes[0].server.connect_args)

All nodes begin with the same data and the same position in the cluster's history, so that who
joins only lacks the last events. Those it gets from another node's memory (IST); the transfer of a
whole data folder (SST), which needs programs that not every machine has, never happens.
"""

from __future__ import annotations

import contextlib
import os
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


@contextlib.contextmanager
def cluster(size: int = 3) -> Iterator[list[Instance]]:
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

        def start(count: int, data: Path | None = None) -> Instance:
            options = _options(provider, groups[:count])
            node = Instance(program, CLUSTER.name, options, ticker, data)
            stack.callback(node.stop)
            _wait_synced(node, count)
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


def _options(provider: Path, groups: list[int]) -> dict[str, str]:
    """Settings of a node; the nodes talk to one another at the ports `groups`, the last is its."""
    port = groups[-1]
    others = ",".join(f"127.0.0.1:{other}" for other in groups[:-1])
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
        "wsrep-cluster-address": f"gcomm://{others}",
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


def _wait_synced(node: Instance, size: int) -> None:
    """Wait until the node is one of `size`, and may be written to."""
    end = time.monotonic() + SYNCED_TIMEOUT
    wanted = {"wsrep_ready": "ON", "wsrep_cluster_size": str(size)}
    state: dict[str, str] = {}
    while time.monotonic() < end:
        state = dict(node.server.execute("SHOW STATUS LIKE 'wsrep_%'"))
        if all(state.get(name) == value for name, value in wanted.items()):
            return
        time.sleep(0.05)
    shown = {name: state.get(name) for name in (*wanted, "wsrep_local_state_comment")}
    raise ServerError(f"a node of the cluster is not in step with {size - 1} others: {shown}")
