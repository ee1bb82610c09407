"""Download Debian packages with the host's own apt, as any user and without touching the system.

apt works in a folder of its own: its own lists, its own package status, one suite.  The host's
mirror, proxy and keys stay in force, so signatures are checked as for any other package.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from .catalogue import Entry
from .errors import ADVICE, ServerError
from .progress import Ticker, folder_megabytes, run

# Suites of Debian proper, without those for security, updates and backports.
_SUITES = {"sid", "unstable", "testing", "stable", "bookworm", "trixie", "forky"}
_ONE_LINE = re.compile(r"deb\s+(?:\[[^\]]*\]\s+)?(\S+)\s+(\S+)\s+(.+)")


def _stanzas(text: str) -> Iterator[dict[str, list[str]]]:
    """The sources of a deb822 file (`*.sources`): words by lower-case field name."""
    for block in re.split(r"\n\s*\n", re.sub(r"(?m)^#.*\n?", "", text)):
        fields = re.findall(r"(?m)^([\w-]+):((?:.*)(?:\n[ \t].*)*)", block)
        yield {name.lower(): value.split() for name, value in fields}


def _sources(folder: Path) -> Iterator[tuple[str, list[str], list[str]]]:
    """URI, suites and components of every binary source that is configured and enabled."""
    parts = folder / "sources.list.d"
    for path in [folder / "sources.list", *sorted(parts.glob("*.list"))]:
        if path.is_file():
            for line in path.read_text(errors="replace").splitlines():
                if found := _ONE_LINE.fullmatch(line.partition("#")[0].strip()):
                    yield found[1], [found[2]], found[3].split()
    for path in sorted(parts.glob("*.sources")):
        for fields in _stanzas(path.read_text(errors="replace")):
            if "deb" in fields.get("types", []) and fields.get("enabled") != ["no"]:
                for uri in fields.get("uris", []):
                    yield uri, fields.get("suites", []), fields.get("components", [])


def find_mirror(folder: Path = Path("/etc/apt")) -> str:
    """The Debian mirror: $DEBIAN_MIRROR, else the first one in the host's apt configuration.

    Raises ServerError when there is none.
    """
    if chosen := os.environ.get("DEBIAN_MIRROR"):
        return chosen
    uris = [
        uri
        for uri, suites, components in _sources(folder)
        if _SUITES.intersection(suites) and "main" in components
    ]
    # Other vendors name their suites after Debian's, too: prefer what calls itself Debian.
    uris.sort(key=lambda uri: "debian" not in uri)
    if not uris:
        raise ServerError(
            f"no Debian mirror in the apt configuration ({folder}): set DEBIAN_MIRROR to one. "
            + ADVICE
        )
    return uris[0]


def _keyring() -> Path | None:
    for suffix in ("gpg", "pgp"):
        path = Path(f"/usr/share/keyrings/debian-archive-keyring.{suffix}")
        if path.is_file():
            return path
    return None


def _status(packages: tuple[str, ...], architecture: str) -> str:
    """A dpkg status file in which `packages` are installed and nothing else is."""
    return "".join(
        f"Package: {package}\nStatus: install ok installed\nPriority: optional\n"
        f"Section: misc\nMaintainer: nobody\nArchitecture: {architecture}\n"
        "Multi-Arch: allowed\nVersion: 99:0\nDescription: not needed\n\n"
        for package in packages
    )


def _prepare(entry: Entry, folder: Path, mirror: str, ticker: Ticker) -> list[str]:
    """Make apt's private folder; returns the beginning of every apt-get command line."""
    architecture = run(
        ["dpkg", "--print-architecture"], ticker, lambda: "asking for the architecture"
    ).strip()
    for name in ("state/lists/partial", "cache/archives/partial"):
        (folder / name).mkdir(parents=True)
    (folder / "status").write_text(_status(entry.pretend, architecture))
    keyring = _keyring()
    signed_by = f" signed-by={keyring}" if keyring else ""
    (folder / "sources.list").write_text(
        f"deb [arch={architecture} target=Packages{signed_by}] {mirror} {entry.suite} main\n"
    )
    settings = {
        "Dir::State": folder / "state",
        "Dir::State::status": folder / "status",
        "Dir::Cache": folder / "cache",
        "Dir::Log": folder,
        "Dir::Etc::sourcelist": folder / "sources.list",
        "Dir::Etc::sourceparts": "/dev/null",
        "Dir::Etc::preferences": "/dev/null",
        "Dir::Etc::preferencesparts": "/dev/null",
        "Acquire::Languages": "none",
        "Acquire::Retries": "2",
        "Acquire::AllowInsecureRepositories": "false",
        "APT::Get::AllowUnauthenticated": "false",
        "APT::Install-Recommends": "false",
        "APT::Update::Error-Mode": "any",
    }
    if os.geteuid() == 0:
        # apt's own unprivileged user may not reach a home directory.
        settings["APT::Sandbox::User"] = "root"
    # What a host runs after an update, and the release it prefers, make no sense here.
    unwanted = (
        "APT::Update::Pre-Invoke",
        "APT::Update::Post-Invoke",
        "APT::Update::Post-Invoke-Success",
        "APT::Default-Release",
    )
    (folder / "apt.conf").write_text(
        "".join(f"#clear {key};\n" for key in unwanted)
        + "".join(f'{key} "{value}";\n' for key, value in settings.items())
    )
    return ["apt-get", "-q", "-y", "-c", str(folder / "apt.conf")]


def download(entry: Entry, folder: Path, ticker: Ticker) -> list[Path]:
    """Fetch the packages of `entry` into the empty `folder`; returns the package files.

    Raises ServerError naming the missing part: no apt, no mirror, no network, no such package.
    """
    for tool in ("apt-get", "dpkg", "dpkg-deb"):
        if shutil.which(tool) is None:
            raise ServerError(
                f"{entry.name} cannot be fetched: {tool} is not on PATH (the packages are "
                f"Debian's). {ADVICE}"
            )
    mirror = find_mirror()
    ticker.say(f"fetching from Debian {entry.suite}")
    apt = _prepare(entry, folder, mirror, ticker)
    plain = folder / "plain"
    plain.mkdir()

    def doing() -> str:
        return f"{folder_megabytes(folder):.1f} MB fetched"

    try:
        run([*apt, "update"], ticker, doing)
        run([*apt, "install", "--download-only", *entry.roots], ticker, doing)
        if entry.plain:
            run([*apt, "download", *entry.plain], ticker, doing, cwd=plain)
    except ServerError as error:
        missing = "" if _keyring() else " The package debian-archive-keyring is not installed."
        raise ServerError(
            f"{entry.name} cannot be fetched from {mirror} (off-line, or DEBIAN_MIRROR is needed?)."
            f"{missing} {ADVICE}\n{error}"
        ) from None
    return sorted([*(folder / "cache/archives").glob("*.deb"), *plain.glob("*.deb")])
