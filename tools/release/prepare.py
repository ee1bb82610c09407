"""Makes the commit and the tag of a release."""

from __future__ import annotations

import sys

from packaging.version import InvalidVersion, Version

from tools.release.commands import run
from tools.release.packages import Package, Packages, ReleaseError


def prepare(packages: Packages, package: Package, version: Version, *, is_trial: bool) -> str:
    """Write version and change log, commit them and tag the commit; the notes of this release.

    is_trial: change nothing.  Raises ReleaseError, before anything is changed, if the version was
    released or is too low, there is nothing to release, files are not committed, or the ranges of
    the requirements don't go together.
    """
    _check_version(packages, package, version)
    if not package.fragments:
        raise ReleaseError(
            f"{package.name} has nothing to release: no fragment in packages/{package.name}/changes"
        )
    packages.check_requirements(package, version)
    if not is_trial and (changed := _git(packages, "status", "--porcelain").rstrip()):
        raise ReleaseError(f"there are files that are not committed:\n{changed}")
    notes = _towncrier(packages, package, version, "--draft")
    if is_trial:
        return notes
    package.set_version(version)
    _towncrier(packages, package, version, "--yes")
    _git(packages, "add", "--all", "--", str(package.folder))
    _git(packages, "commit", "--quiet", "--message", f"Release {package.name} {version}")
    # Lines that begin with # are headings, no comments.
    message = f"--message={package.name} {version}\n\n{notes}"
    _git(packages, "tag", "--annotate", "--cleanup=whitespace", message, package.tag())
    return notes


def _check_version(packages: Packages, package: Package, version: Version) -> None:
    tags = _git(packages, "tag", "--list", package.tag(version)[: -len(str(version))] + "*")
    released = [_version_of(package, tag) for tag in tags.split()]
    if version in released:
        raise ReleaseError(f"the tag {package.tag(version)} exists")
    lowest = max([package.version, *filter(None, released)])
    if version < lowest:
        raise ReleaseError(f"{package.name} is at {lowest} already: {version} would go backwards")


def _version_of(package: Package, tag: str) -> Version | None:
    try:
        return Version(tag.removeprefix(f"{package.name}-v"))
    except InvalidVersion:
        return None  # somebody's own


def _git(packages: Packages, *arguments: str) -> str:
    return run("git", *arguments, cwd=packages.root)


def _towncrier(packages: Packages, package: Package, version: Version, mode: str) -> str:
    return run(
        *(sys.executable, "-m", "towncrier", "build", mode, "--version", str(version)),
        *("--dir", package.folder, "--config", package.folder / "pyproject.toml"),
        cwd=packages.root,
    )
