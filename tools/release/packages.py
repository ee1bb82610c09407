"""The distributions of this repository, and what they require of each other."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.version import InvalidVersion, Version

from tools.release.commands import ReleaseError, run

_ASSIGNED = re.compile(r'^__version__ = "([^"]*)"$', re.MULTILINE)
_TAG = re.compile(r"(?P<name>[a-z-]+)-v(?P<version>[0-9].*)")


@dataclass(frozen=True)
class Package:
    """A distribution: the folder `packages/NAME`."""

    folder: Path

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def stem(self) -> str:
        """How the names of its files begin; also the name that it is imported by."""
        return self.name.replace("-", "_")

    @property
    def version_file(self) -> Path:
        """The one place of the version."""
        return self.folder / "src" / self.stem / "_version.py"

    @property
    def version(self) -> Version:
        (found,) = _ASSIGNED.findall(self.version_file.read_text("utf-8"))
        return Version(found)

    def set_version(self, version: Version) -> None:
        text = self.version_file.read_text("utf-8")
        self.version_file.write_text(_ASSIGNED.sub(f'__version__ = "{version}"', text), "utf-8")

    @property
    def change_log(self) -> Path:
        return self.folder / "CHANGELOG.md"

    @property
    def fragments(self) -> list[Path]:
        """The changes that are not released yet: files of any name, but for .gitignore."""
        return sorted((self.folder / "changes").glob("[!.]*"))

    def check_fragments(self) -> None:
        """Raise ReleaseError for fragments that would be left out, or written as something else."""
        kinds = [kind["directory"] for kind in self._settings["tool"]["towncrier"]["type"]]
        named = re.compile(rf"(?:\+[a-z0-9-]+|[0-9]+)\.(?:{'|'.join(kinds)})\.md")
        wrong = []
        for path in self.fragments:
            if not named.fullmatch(path.name):
                wrong.append(f"{path}: is not named as NUMBER.KIND.md or +words.KIND.md are")
            elif not path.is_file() or not (content := path.read_bytes()).strip():
                wrong.append(f"{path}: has no text")
            else:
                try:
                    content.decode()
                except UnicodeDecodeError as error:
                    wrong.append(f"{path}: is not in UTF-8: {error}")
        if wrong:
            wrong.append(f"The kinds are {', '.join(kinds)}.")
            raise ReleaseError("\n".join(wrong))

    @cached_property
    def _settings(self) -> Mapping[str, Any]:
        """Its pyproject.toml."""
        return tomllib.loads((self.folder / "pyproject.toml").read_text("utf-8"))

    @property
    def project(self) -> Mapping[str, Any]:
        """The table `project` of its pyproject.toml."""
        table: Mapping[str, Any] = self._settings["project"]
        return table

    @property
    def requirements(self) -> list[Requirement]:
        """All of them, of the extras as well."""
        extras: dict[str, list[str]] = self.project.get("optional-dependencies", {})
        texts = [*self.project["dependencies"], *(text for few in extras.values() for text in few)]
        return [Requirement(text) for text in texts]

    @property
    def has_c(self) -> bool:
        """Whether it has a C module."""
        return (self.folder / "src" / self.stem / "c").is_dir()

    def tag(self, version: Version | None = None) -> str:
        """The tag of a release; of the version in the tree, unless another one is given."""
        return f"{self.name}-v{version or self.version}"


class Packages(Mapping[str, Package]):
    """All distributions by name, each behind those that it requires."""

    def __init__(self, root: Path) -> None:
        """root: the repository's folder."""
        self.root = root
        self._packages: dict[str, Package] = {}
        found = {path.parent.name: Package(path.parent) for path in _projects(root)}
        while found:
            ready = [name for name, package in found.items() if not found.keys() & _names(package)]
            for name in ready:
                self._packages[name] = found.pop(name)

    def __getitem__(self, name: str) -> Package:
        return self._packages[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._packages)

    def __len__(self) -> int:
        return len(self._packages)

    def git(self, *arguments: str | Path) -> str:
        """What git says; raises ReleaseError if it fails."""
        return run("git", *arguments, cwd=self.root)

    def check_clean(self) -> None:
        """Raise ReleaseError if there are files that are not committed."""
        if changed := self.git("status", "--porcelain").rstrip():
            raise ReleaseError(f"there are files that are not committed:\n{changed}")

    def find(self, name: str) -> Package:
        """Raises ReleaseError for a name that is none of them."""
        if name not in self:
            raise ReleaseError(f"{name!r} is none of {', '.join(self)}")
        return self[name]

    def below(self, package: Package) -> list[Package]:
        """What it requires of ours, also by way of others."""
        needed = set(_names(package))
        for other in reversed(list(self.values())):
            if other.name in needed:
                needed |= _names(other)
        return [other for other in self.values() if other.name in needed]

    def of_tag(self, tag: str) -> Package:
        """The distribution that a tag releases.

        Raises ReleaseError if it is no such tag, or the tree has another version.
        """
        found = _TAG.fullmatch(tag)
        if found is None:
            raise ReleaseError(f"{tag!r} is no tag of a release: PACKAGE-vVERSION")
        package = self.find(found["name"])
        if package.tag() != tag:
            raise ReleaseError(f"the tag is {tag}, but the tree has version {package.version}")
        return package

    def check_requirements(self, package: Package, version: Version) -> None:
        """Raise ReleaseError if the layers could not be installed together with this release.

        What it requires of others must admit what is in the tree, what others require of it must
        admit `version`, and neither may be an exact version.
        """
        versions = {other.name: other.version for other in self.values()} | {package.name: version}
        wrong = []
        for other in self.values():
            for requirement in other.requirements:
                if package.name not in (other.name, requirement.name):
                    continue
                if requirement.name not in versions:
                    continue
                wanted = versions[requirement.name]
                if any(part.operator in ("==", "===") for part in requirement.specifier):
                    wrong.append(f"{other.name} requires {requirement}: ranges only")
                elif not requirement.specifier.contains(wanted, prereleases=True):
                    wrong.append(f"{other.name} requires {requirement}, which leaves out {wanted}")
        whole = self["aiomysql"]
        if missing := self.keys() - _names(whole) - {whole.name}:
            wrong.append(f"{whole.name} does not require {', '.join(sorted(missing))}")
        if wrong:
            raise ReleaseError("\n".join(wrong))


def parse_version(text: str) -> Version:
    """A public version in its normal form, or ReleaseError."""
    try:
        version = Version(text)
    except InvalidVersion as error:
        raise ReleaseError(str(error)) from None
    if version.local or str(version) != text or len(version.release) != 3:
        raise ReleaseError(f"{text!r} is no version like 1.2.0, 1.2.0rc1 or 1.2.0.post1")
    return version


def _projects(root: Path) -> list[Path]:
    return sorted(root.glob("packages/*/pyproject.toml"))


def _names(package: Package) -> set[str]:
    return {requirement.name for requirement in package.requirements}
