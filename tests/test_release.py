"""What the commands of docs/releasing.md make, and that what is published works when installed."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
import zipfile
from collections.abc import Iterable
from pathlib import Path

import pytest
from packaging.version import Version

from tests.installations import (
    CORE_QUERY,
    FULL_QUERY,
    IMPLEMENTATION,
    ROOT,
    SWITCH,
    UV,
    Environment,
    build,
    commit,
    needs_compiler,
    run,
)
from tests.servers import Server
from tools.release.build import build as build_release
from tools.release.commands import ReleaseError
from tools.release.packages import Package, Packages, parse_version
from tools.release.prepare import prepare

pytestmark = pytest.mark.slow

PACKAGES = Packages(ROOT)


@pytest.fixture
def packages(checkout: Path, tmp_path: Path) -> Packages:
    """A clone with one change of each distribution that is not released."""
    return Packages(clone(checkout, tmp_path / "clone"))


def clone(checkout: Path, folder: Path) -> Path:
    run("git", "clone", "-q", checkout, folder)
    run("git", "config", "user.name", "tests", cwd=folder)
    run("git", "config", "user.email", "tests@localhost", cwd=folder)
    for package in Packages(folder).values():
        (package.folder / "changes").mkdir(exist_ok=True)
        (package.folder / "changes" / "+tested.fixed.md").write_text("This was tested.\n", "utf-8")
    commit(folder)
    return folder


@pytest.fixture(scope="session")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An interpreter with what the environment `release` of hatch.toml has."""
    environment = Environment.make(tmp_path_factory.mktemp("tools") / "e")
    settings = tomllib.loads((ROOT / "hatch.toml").read_text("utf-8"))["envs"]["release"]
    run(*UV, "pip", "install", "--python", environment.python, *settings["dependencies"])
    return environment.python


def above(version: str) -> str:
    major, minor, patch = version.split(".")
    return f"{major}.{minor}.{int(patch) + 1}"


def refused(packages: Packages, package: Package, version: str) -> str:
    before = run("git", "rev-parse", "HEAD", cwd=packages.root).stdout
    status = run("git", "status", "--porcelain", cwd=packages.root).stdout
    for is_trial in (True, False):
        with pytest.raises(ReleaseError) as caught:
            prepare(packages, package, parse_version(version), is_trial=is_trial)
        assert run("git", "rev-parse", "HEAD", cwd=packages.root).stdout == before
        assert run("git", "status", "--porcelain", cwd=packages.root).stdout == status
    return str(caught.value)


# -- Preparing -------------------------------------------------------------------------------------


def test_what_is_refused(packages: Packages) -> None:
    """Each with a reason, and before anything is changed."""
    pool = packages["aiomysql-pool"]
    now, following = str(pool.version), above(str(pool.version))
    assert "would go backwards" in refused(packages, pool, "0.9.0")
    with pytest.raises(ReleaseError, match="'aiomysql-pol' is none of aiomysql-protocol, "):
        packages.find("aiomysql-pol")
    for text in ("1.1", "v1.1.0", "1.1.0+local", "next"):
        with pytest.raises(ReleaseError, match=re.escape(text)):
            parse_version(text)
    run("git", "tag", f"aiomysql-pool-v{now}", cwd=packages.root)
    run("git", "tag", "aiomysql-pool-v1.7.0", cwd=packages.root)
    assert f"the tag aiomysql-pool-v{now} exists" in refused(packages, pool, now)
    assert "aiomysql-pool is at 1.7.0 already" in refused(packages, pool, following)
    assert "aiomysql-sa requires aiomysql-pool" in refused(packages, pool, "2.0.0")
    (packages.root / "left.txt").touch()
    assert "not committed:\n?? left.txt" in refused(packages, pool, "1.8.0")
    (packages.root / "left.txt").unlink()
    run("git", "config", "user.name", "", cwd=packages.root)
    assert "empty ident name" in refused(packages, pool, "1.8.0")
    run("git", "config", "user.name", "tests", cwd=packages.root)
    run("git", "checkout", "-q", "--detach", cwd=packages.root)
    assert "no branch is checked out" in refused(packages, pool, "1.8.0")
    shutil.rmtree(pool.folder / "changes")
    commit(packages.root)
    assert "nothing to release" in refused(packages, pool, "1.8.0")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("+x.bugfix.md", b"This was mended.\n", "is not named as"),
        ("nokind.md", b"This was mended.\n", "is not named as"),
        ("12.bug.md", b"This was mended.\n", "is not named as"),
        ("12.fixed", b"This was mended.\n", "is not named as"),
        ("12.fixed.md", b"caf\xe9\n", "is not in UTF-8"),
        ("12.fixed.md", b"\n", "has no text"),
    ],
)
@pytest.mark.parametrize("is_alone", [True, False])
def test_fragments_that_can_not_be_used(
    packages: Packages, name: str, content: bytes, message: str, is_alone: bool
) -> None:
    sa = packages["aiomysql-sa"]
    if is_alone:
        shutil.rmtree(sa.folder / "changes")
    (sa.folder / "changes").mkdir(exist_ok=True)
    (sa.folder / "changes" / name).write_bytes(content)
    commit(packages.root)
    said = refused(packages, sa, "1.8.0")
    assert name in said
    assert message in said


def test_the_fragments_of_today_can_be_used() -> None:
    for package in PACKAGES.values():
        package.check_fragments()


def test_a_failure_of_git_changes_nothing(packages: Packages, tools: Path) -> None:
    """Neither of a hook, nor of the tag's signature, behind the commit."""
    root = packages.root
    before = run("git", "rev-parse", "HEAD", cwd=root).stdout
    command = (tools, "-m", "tools.release", "prepare", "aiomysql-sa", "1.8.0")
    hook = root / ".git" / "hooks" / "commit-msg"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho not like this >&2\nexit 1\n", "utf-8")
    hook.chmod(0o755)
    for said in ("not like this", "failed to sign"):
        result = run(*command, cwd=root, check=False)
        assert result.returncode == 1
        assert said in result.stderr
        assert run("git", "rev-parse", "HEAD", cwd=root).stdout == before
        assert run("git", "status", "--porcelain", cwd=root).stdout == ""
        assert run("git", "tag", cwd=root).stdout == ""
        hook.unlink(missing_ok=True)
        run("git", "config", "tag.gpgSign", "true", cwd=root)
        run("git", "config", "gpg.program", "false", cwd=root)


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        ("aiomysql-core", '"aiomysql-protocol>=1.0,<2"', '"aiomysql-protocol>=9"', "leaves out"),
        ("aiomysql-core", '"aiomysql-protocol>=1.0,<2"', '"aiomysql-protocol==1.0"', "ranges only"),
        ("aiomysql", '  "aiomysql-pool>=1.0,<2",\n', "", "does not require aiomysql-pool"),
    ],
)
def test_ranges_that_do_not_go_together(
    packages: Packages, name: str, old: str, new: str, message: str
) -> None:
    path = packages[name].folder / "pyproject.toml"
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new), "utf-8")
    changed = Packages(packages.root)
    assert message in refused(changed, changed[name], "1.8.0")


def test_the_ranges_of_today_go_together() -> None:
    for package in PACKAGES.values():
        PACKAGES.check_requirements(package, package.version)
    assert list(PACKAGES)[:2] == ["aiomysql-protocol", "aiomysql-core"]
    assert [each.name for each in PACKAGES.below(PACKAGES["aiomysql-pool"])] == list(PACKAGES)[:2]


def test_preparing(packages: Packages, tools: Path) -> None:
    """One commit with version and change log, and its tag; a trial changes nothing."""
    root, package = packages.root, packages["aiomysql-pool"]
    version, change_log = above(str(package.version)), package.change_log.read_text("utf-8")
    command = (tools, "-m", "tools.release", "prepare", "aiomysql-pool", version)
    notes = run(*command, "--dry-run", cwd=root).stdout
    assert f"## {version} (" in notes
    assert "### Fixed\n\n" in notes
    assert "- This was tested.\n" in notes
    assert run("git", "status", "--porcelain", cwd=root).stdout == ""
    assert run("git", "tag", cwd=root).stdout == ""
    said = run(*command, cwd=root).stdout
    tag = f"aiomysql-pool-v{version}"
    undo = f"git reset --keep {tag}^ && git tag -d {tag}"
    assert said == (
        f"{notes}\nCommitted and tagged: {tag}\nBefore the push this undoes it: {undo}\n"
    )
    assert str(package.version) == version
    assert package.fragments == []
    assert package.change_log.read_text("utf-8").replace(notes.rstrip(), "") != change_log
    assert notes.rstrip() in package.change_log.read_text("utf-8")
    assert run("git", "status", "--porcelain", cwd=root).stdout == ""
    assert run("git", "cat-file", "-t", tag, cwd=root).stdout == "tag\n"
    assert notes.rstrip() in run("git", "tag", "-l", "--format=%(contents)", tag, cwd=root).stdout
    changed = run("git", "diff", "--name-only", f"{tag}^", tag, cwd=root).stdout.split()
    assert {path.rpartition("/changes/")[0] or path for path in changed} == {
        "packages/aiomysql-pool",
        "packages/aiomysql-pool/CHANGELOG.md",
        "packages/aiomysql-pool/src/aiomysql_pool/_version.py",
    }
    said = run(tools, "-m", "tools.release", "tagged", tag, cwd=root).stdout
    assert said.splitlines() == [
        "package=aiomysql-pool",
        f"version={version}",
        "stem=aiomysql_pool",
        "has_c=true",
        "below=./packages/aiomysql-protocol ./packages/aiomysql-core",
    ]
    other = run(
        tools, "-m", "tools.release", "tagged", "aiomysql-pool-v1.0.99", cwd=root, check=False
    )
    assert other.returncode == 1
    assert other.stderr.startswith("error: the tag is aiomysql-pool-v1.0.99, but the tree has ")
    run("/bin/sh", "-c", undo, cwd=root)
    assert package.change_log.read_text("utf-8") == change_log
    assert run("git", "tag", cwd=root).stdout == ""


def test_the_pushes_of_the_page(packages: Packages, tmp_path: Path) -> None:
    """One push or none; where others have merged, the tag on what was merged, with its notes."""
    page = (ROOT / "docs" / "releasing.md").read_text("utf-8")
    (push,) = re.findall(r"^git push --atomic .*$", page, re.MULTILINE)
    (move,) = re.findall(r"```sh\n(git fetch && TAG=.*?)```", page, re.DOTALL)
    root, remote, tag = packages.root, tmp_path / "remote", "aiomysql-core-v1.1.0"
    run("git", "clone", "-q", "--bare", root, remote)
    run("git", "remote", "set-url", "origin", remote, cwd=root)
    run("git", "commit", "-q", "--allow-empty", "-m", "Release", cwd=root)
    notes = "aiomysql-core 1.1.0\n\n# Notes\n"
    run("git", "tag", "-a", "-m", notes, "--cleanup=whitespace", tag, cwd=root)
    other = tmp_path / "other"
    run("git", "clone", "-q", remote, other)
    identity = ("-c", "user.name=tests", "-c", "user.email=tests@localhost")
    run("git", *identity, "commit", "-q", "--allow-empty", "-m", "Release, merged", cwd=other)
    run("git", "push", "-q", "origin", "HEAD", cwd=other)
    assert run("/bin/sh", "-c", push, cwd=root, check=False).returncode == 1
    assert run("git", "tag", cwd=remote).stdout == ""
    merged = run("git", "rev-parse", "HEAD", cwd=other).stdout.strip()
    run("/bin/sh", "-e", "-c", move.replace("MERGED", merged), cwd=root)
    assert run("git", "rev-parse", f"{tag}^{{commit}}", cwd=remote).stdout.strip() == merged
    assert "\n# Notes\n" in run("git", "tag", "-l", "--format=%(contents)", cwd=remote).stdout


def test_only_the_tagged_commit_is_built(packages: Packages, tmp_path: Path) -> None:
    package = packages["aiomysql-sa"]

    def refusal() -> str:
        with pytest.raises(ReleaseError) as caught:
            build_release(packages, package.name, [], tmp_path / "dist", is_trial=False)
        assert not (tmp_path / "dist").exists()
        return str(caught.value)

    assert f"not the commit that {package.tag()} is on" in refusal()
    run("git", "tag", package.tag(), cwd=packages.root)
    (packages.root / ".env").touch()
    assert "not committed:\n?? .env" in refusal()
    commit(packages.root)
    assert f"not the commit that {package.tag()} is on" in refusal()


# -- Building, and using what was built ------------------------------------------------------------


@pytest.fixture(scope="session")
def dist(checkout: Path, tools: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is published of all five, with C for this interpreter if there is a compiler."""
    folder, repository = tmp_path_factory.mktemp("dist"), tmp_path_factory.mktemp("repository")
    run("git", "clone", "-q", checkout, repository)
    wheels = ["--python", sys.executable] if shutil.which("cc") else ["--without-c"]
    for name, package in PACKAGES.items():
        # Neither is to be published, nor is another release to be removed.
        (repository / "packages" / name / "src" / package.stem / ".env").touch()
        (folder / f"{package.stem}-{package.version}.post1.tar.gz").touch()
        options = ["--trial", "--out-dir", str(folder), *wheels]
        run(tools, "-m", "tools.release", "build", name, *options, cwd=repository)
        (folder / f"{package.stem}-{package.version}.post1.tar.gz").unlink()
    return folder


@pytest.fixture(scope="session")
def pure(dist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the pure wheels alone."""
    folder = tmp_path_factory.mktemp("pure")
    for wheel in dist.glob("*-none-any.whl"):
        shutil.copy(wheel, folder)
    return folder


def install(folder: Path, wheels: Path, name: str, *others: str) -> Environment:
    """An environment with a distribution: ours from `wheels`, what they need from the index."""
    environment = Environment.make(folder)
    package = PACKAGES[name]
    ours = [f"{each.name}=={each.version}" for each in (*PACKAGES.below(package), package)]
    command = (*UV, "pip", "install", "--python", environment.python, "--find-links", wheels)
    run(*command, "--no-index", "--no-deps", *ours)
    run(*command, *ours, *others)
    run(*UV, "pip", "check", "--python", environment.python)
    return environment


@pytest.fixture(scope="session")
def newest(dist: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    return install(tmp_path_factory.mktemp("newest") / "e", dist, "aiomysql")


@pytest.fixture(scope="session")
def oldest(pure: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """Pure wheels, and of what others publish the oldest that the ranges admit."""
    return install(tmp_path_factory.mktemp("oldest") / "e", pure, "aiomysql", *lowest())


def lowest() -> list[str]:
    """The lower bounds of what is required of others, but for extras that aren't asked for."""
    found = {}
    for package in PACKAGES.values():
        for requirement in package.requirements:
            (bound,) = (part for part in requirement.specifier if part.operator == ">=")
            if requirement.name not in PACKAGES:
                found[requirement.name] = bound.version
    return [f"{name}=={found[name]}" for name in ("PyMySQL", "SQLAlchemy", "cryptography")]


def test_what_is_built(dist: Path) -> None:
    for package in PACKAGES.values():
        stem = f"{package.stem}-{package.version}"
        files = {path.name for path in dist.glob(f"{stem}[-.]*")}
        assert {f"{stem}.tar.gz", f"{stem}-py3-none-any.whl", f"{stem}.cdx.json"} <= files
        assert len(files) == 3 + (package.has_c and shutil.which("cc") is not None)
        for wheel in dist.glob(f"{stem}-*.whl"):
            with zipfile.ZipFile(wheel) as archive:
                libraries = [name for name in archive.namelist() if name.endswith((".so", ".pyd"))]
            assert len(libraries) == (not wheel.name.endswith("-none-any.whl"))
            if libraries and sys.platform == "linux":
                assert "-manylinux" in wheel.name
            assert not any(name.endswith(".env") for name in archive.namelist())
        with tarfile.open(dist / f"{stem}.tar.gz") as source:
            assert not any(name.endswith(".env") for name in source.getnames())


@pytest.mark.parametrize("name", PACKAGES)
def test_bills_of_materials(dist: Path, name: str) -> None:
    """They name what an installation has, and nothing of the machine they were made on."""
    package = PACKAGES[name]
    text = (dist / f"{package.stem}-{package.version}.cdx.json").read_text("utf-8")
    assert str(dist.parent) not in text
    assert "file:" not in text
    bill = json.loads(text)
    described = bill["metadata"]["component"]
    assert described["purl"] == f"pkg:pypi/{name}@{package.version}"
    found = {component["name"] for component in bill["components"]}
    assert {each.name for each in PACKAGES.below(package)} <= found
    assert "PyMySQL" in found
    assert ("SQLAlchemy" in found) == (name in ("aiomysql", "aiomysql-sa"))


@needs_compiler
@pytest.mark.skipif(sys.platform != "linux", reason="about manylinux")
def test_the_wheels_ask_for_no_newer_glibc_than_their_names(dist: Path, tools: Path) -> None:
    wheels = list(dist.glob("*-manylinux*.whl"))
    assert len(wheels) == 3
    for wheel in wheels:
        said = run(tools, "-m", "auditwheel", "show", wheel).stdout
        assert re.search(r'tag:\s+"(manylinux_\w+)"', said)[1] in wheel.name  # type: ignore[index]


@needs_compiler
@pytest.mark.skipif(sys.platform != "linux", reason="about ELF")
def test_the_wheels_name_no_folder_of_the_build(dist: Path) -> None:
    folders = [tempfile.gettempdir(), sys.base_prefix]
    for wheel in dist.glob("*-manylinux*.whl"):
        with zipfile.ZipFile(wheel) as archive:
            (name,) = (name for name in archive.namelist() if name.endswith(".so"))
            library = archive.read(name)
        assert not [folder for folder in folders if folder.encode() + b"/" in library]
        assert b".debug_info" not in library


def test_newest(newest: Environment, server: Server) -> None:
    assert newest.run(FULL_QUERY, CONNECT=json.dumps(server.connect_args)) == "42\n43\n"
    assert newest.run(IMPLEMENTATION) == ("c\n" if shutil.which("cc") else "python\n")


def test_oldest(oldest: Environment, server: Server) -> None:
    assert oldest.run(FULL_QUERY, CONNECT=json.dumps(server.connect_args)) == "42\n43\n"
    assert oldest.run(IMPLEMENTATION) == "python\n"
    frozen = dict(
        line.lower().split("==")
        for line in run(*UV, "pip", "freeze", "--python", oldest.python).stdout.split()
    )
    for name, version in (pin.lower().split("==") for pin in lowest()):
        assert Version(frozen[name]) == Version(version)


def test_core_alone(dist: Path, tmp_path: Path, server: Server) -> None:
    environment = install(tmp_path / "e", dist, "aiomysql-core")
    assert environment.distributions() == {"aiomysql-core", "aiomysql-protocol", "pymysql"}
    assert environment.run(CORE_QUERY, CONNECT=json.dumps(server.connect_args)) == "42\n"


@pytest.mark.parametrize("upper", ["aiomysql-core", "aiomysql-pool", "aiomysql"])
def test_the_oldest_layers_below(upper: str, pure: Path, tmp_path: Path, server: Server) -> None:
    """Each distribution of today on the oldest ones that its ranges admit."""
    package = PACKAGES[upper]
    below = PACKAGES.below(package)
    oldest = {layer: oldest_admitted(layer, [*below, package]) for layer in below}
    if all(layer.version == version for layer, version in oldest.items()):
        pytest.skip("what is in the tree is the oldest as well")
    wheels = [next(pure.glob(f"{package.stem}-*.whl"))]
    wheels += [wheel_of(*each, tmp_path / each[0].name) for each in oldest.items()]
    environment = Environment.make(tmp_path / "e")
    run(*UV, "pip", "install", "--python", environment.python, "--no-deps", *wheels)
    run(*UV, "pip", "install", "--python", environment.python, *wheels)
    program = FULL_QUERY if upper == "aiomysql" else f"import {package.stem}\n{CORE_QUERY}"
    said = environment.run(program, CONNECT=json.dumps(server.connect_args))
    assert said.startswith("42\n")


def oldest_admitted(layer: Package, others: Iterable[Package]) -> Version:
    """The oldest version of a layer that all of `others` admit."""
    return max(
        Version(part.version)
        for other in others
        for requirement in other.requirements
        for part in requirement.specifier
        if requirement.name == layer.name and part.operator == ">="
    )


def wheel_of(layer: Package, version: Version, folder: Path) -> Path:
    """A pure wheel of a released version, built from its tag in `folder`."""
    tag = layer.tag(Version(f"{version.major}.{version.minor}.{version.micro}"))
    command = ["git", "archive", tag, f"packages/{layer.name}", "shared"]
    archive = subprocess.run(command, cwd=ROOT, capture_output=True, check=False)
    if archive.returncode:
        pytest.skip(f"this clone lacks the tag {tag}")
    folder.mkdir()
    subprocess.run(["tar", "-x"], cwd=folder, input=archive.stdout, check=True)
    return build(folder / "packages" / layer.name, folder, "--wheel", **{SWITCH: "no"})
