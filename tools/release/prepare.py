"""Makes the commit and the tag of a release."""

from __future__ import annotations

import sys

from packaging.version import InvalidVersion, Version

from tools.release.commands import ReleaseError, run
from tools.release.packages import Package, Packages


def prepare(packages: Packages, package: Package, version: Version, *, is_trial: bool) -> str:
    """Write version and change log, commit them and tag the commit; the notes of this release.

    is_trial: change nothing.  Raises ReleaseError, and has changed nothing then, if the version was
    released or is too low, there is nothing to release, a fragment can't be used, files are not
    committed, no branch is checked out, the ranges of the requirements don't go together, or git
    fails, which may be a hook or the signature.
    """
    _check_version(packages, package, version)
    if not package.fragments:
        raise ReleaseError(
            f"{package.name} has nothing to release: no fragment in packages/{package.name}/changes"
        )
    package.check_fragments()
    packages.check_requirements(package, version)
    packages.check_clean()
    _check_git(packages)
    notes = _towncrier(packages, package, version, "--draft")
    if is_trial:
        return notes
    before = packages.git("rev-parse", "HEAD").strip()
    try:
        package.set_version(version)
        _towncrier(packages, package, version, "--yes")
        packages.git("add", "--all", "--", str(package.folder))
        packages.git("commit", "--quiet", "--message", f"Release {package.name} {version}")
        # Lines that begin with # are headings, no comments.
        message = f"--message={package.name} {version}\n\n{notes}"
        packages.git("tag", "--annotate", "--cleanup=whitespace", message, package.tag())
    except BaseException:
        # There was nothing that is not committed.
        packages.git("reset", "--quiet", "--hard", before)
        raise
    return notes


def _check_git(packages: Packages) -> None:
    """Raise ReleaseError where a commit would belong to no branch, or to nobody."""
    try:
        packages.git("symbolic-ref", "--quiet", "HEAD")
    except ReleaseError:
        raise ReleaseError("no branch is checked out: the commit would be on none") from None
    for name in ("GIT_AUTHOR_IDENT", "GIT_COMMITTER_IDENT"):
        packages.git("var", name)


def _check_version(packages: Packages, package: Package, version: Version) -> None:
    tags = packages.git("tag", "--list", package.tag(version)[: -len(str(version))] + "*")
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


def _towncrier(packages: Packages, package: Package, version: Version, mode: str) -> str:
    return run(
        *(sys.executable, "-m", "towncrier", "build", mode, "--version", str(version)),
        *("--dir", package.folder, "--config", package.folder / "pyproject.toml"),
        cwd=packages.root,
    )
