"""Find the program of a server: the host's own, or one unpacked from fetched packages."""

from __future__ import annotations

import os
import re
import shutil
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path

from . import apt
from .cache import cache_folder, once
from .catalogue import ANY_MARIADB, CATALOGUE, CLUSTER, FALLBACK, Entry, Kind
from .errors import ServerError
from .progress import Ticker, folder_megabytes, run


@dataclass(frozen=True, kw_only=True)
class Program:
    """A server's program and its surroundings."""

    kind: Kind
    version: str
    """The line it prints for --version."""
    binary: Path
    share: Path
    """Messages, character sets and, for MariaDB, the SQL that makes the system tables."""
    plugins: Path | None
    """None: where the program itself looks."""
    loader: tuple[str, ...] = ()
    """Command line of a dynamic loader that has to start the program."""

    def argv(self, *options: str) -> list[str]:
        """The command line that starts it, with no option file read but those in `options`."""
        return [*self.loader, str(self.binary), *options]

    @property
    def environment(self) -> dict[str, str]:
        """The environment to run it in: libraries preloaded here may not suit its loader."""
        return {key: value for key, value in os.environ.items() if not key.startswith("LD_")}

    @property
    def base_options(self) -> list[str]:
        """The options that tell the program where its files are."""
        options = [f"--lc-messages-dir={self.share}", f"--character-sets-dir={self.share}/charsets"]
        if self.plugins:
            options.append(f"--plugin-dir={self.plugins}")
        if os.geteuid() == 0:
            options.append("--user=root")
        return options


def find_program(name: str) -> Program:
    """The program for the server `name`, fetched if need be.

    Raises ServerError when it cannot be had, naming the missing part.
    """
    if name == ANY_MARIADB:
        return _host_mariadb(()) or find_program(FALLBACK)
    entry = CLUSTER if name == CLUSTER.name else CATALOGUE[name]
    # One on the host may lack Galera.
    on_host = entry.kind == "mariadb" and entry is not CLUSTER
    if on_host and (program := _host_mariadb(entry.series)):
        return program
    ticker = Ticker(name)
    root = once(f"packages/{name}", ticker, lambda scratch: _fetch(entry, scratch, ticker))
    return _unpacked_program(entry, root, ticker)


def is_fetched(name: str) -> bool:
    """Whether the packages of `name` are in the cache."""
    return (cache_folder() / "packages" / name).is_dir()


def _version(argv: list[str], ticker: Ticker) -> tuple[str, tuple[int, ...]]:
    text = run([*argv, "--no-defaults", "--version"], ticker, lambda: "asking for its version")
    found = re.search(r"\bVer (\d+)\.(\d+)\.(\d+)", text)
    if found is None:
        raise ServerError(f"{argv[-1]} tells no version: {text.strip()}")
    return text.strip(), tuple(map(int, found.groups()))


def _host_mariadb(series: tuple[int, ...]) -> Program | None:
    """The `mariadbd` on PATH if its version begins with `series`."""
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])
    found = shutil.which("mariadbd", path=path)
    if found is None:
        return None
    binary = Path(found).resolve()
    text, version = _version([str(binary)], Ticker(found))
    share = _share(binary.parent.parent)
    if version[: len(series)] != series or share is None:
        return None
    return Program(kind="mariadb", version=text, binary=binary, share=share, plugins=None)


def _share(usr: Path) -> Path | None:
    for name in ("mariadb", "mysql"):
        if (usr / "share" / name / "english/errmsg.sys").is_file():
            return usr / "share" / name
    return None


def _fetch(entry: Entry, root: Path, ticker: Ticker) -> None:
    """Download the packages of `entry` and unpack them into `root`."""
    work = root / "apt"
    work.mkdir()
    packages = apt.download(entry, work, ticker)
    fetched = folder_megabytes(work)

    def unpack(package: Path) -> None:
        run(["dpkg-deb", "-x", package, root], Ticker(entry.name), lambda: "unpacking")

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        pending = {pool.submit(unpack, package) for package in packages}
        while pending:
            done, pending = wait(pending, timeout=0.5)
            ticker.tick(f"{folder_megabytes(root) - fetched:.0f} MB unpacked")
            for future in done:
                future.result()
    for name in ("apt", "usr/bin", "usr/share/doc", "usr/share/man", "usr/share/locale"):
        shutil.rmtree(root / name, ignore_errors=True)
    _unpacked_program(entry, root, ticker)
    ticker.say(f"{len(packages)} packages, {fetched:.0f} MB, ready after {ticker.elapsed:.1f} s")


def _unpacked_program(entry: Entry, root: Path, ticker: Ticker) -> Program:
    """The program below `root`, started through the loader and with the libraries found there.

    So it runs on hosts whose C library is older than the one it was built for.
    """
    usr = root / "usr"
    binary = usr / "sbin" / ("mysqld" if entry.kind == "mysql" else "mariadbd")
    libraries = [
        folder for at in ("usr/lib", "lib") for folder in sorted(root.glob(f"{at}/*-linux-gnu*"))
    ]
    loaders = [path for folder in libraries for path in sorted(folder.glob("ld-linux-*.so.*"))]
    share = _share(usr)
    if not binary.is_file() or not loaders or share is None:
        raise ServerError(f"{entry.name}: no usable server in the packages unpacked in {root}")
    # The program finds itself by argv[0]: a bare name would lead it to one installed on the host.
    loader = (
        str(loaders[0]),
        "--argv0",
        str(binary),
        "--library-path",
        ":".join(map(str, libraries)),
    )
    text, version = _version([*loader, str(binary)], ticker)
    if version[: len(entry.series)] != entry.series:
        wanted = ".".join(map(str, entry.series))
        raise ServerError(f"{entry.name}: wanted {wanted}, but Debian {entry.suite} has: {text}")
    return Program(
        kind=entry.kind,
        version=text,
        binary=binary,
        share=share,
        plugins=usr / "lib/mysql/plugin",
        loader=loader,
    )
