"""The command line: see docs/releasing.md."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tools.release.build import build, interpreters
from tools.release.commands import ReleaseError
from tools.release.packages import Packages, parse_version
from tools.release.prepare import prepare


def main(arguments: list[str] | None = None) -> int:
    """Returns the exit code: 0, or 1 and what is wrong on the standard error."""
    options = _parser().parse_args(arguments)
    try:
        _run(options, Packages(Path.cwd()))
    except ReleaseError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _run(options: argparse.Namespace, packages: Packages) -> None:
    if options.command == "prepare":
        package, version = packages.find(options.package), parse_version(options.version)
        print(prepare(packages, package, version, is_trial=options.dry_run).rstrip())
        if not options.dry_run:
            tag = package.tag(version)
            print(f"\nCommitted and tagged: {tag}")
            print(f"Before the push this undoes it: git reset --keep {tag}^ && git tag -d {tag}")
    elif options.command == "build":
        package = packages.find(options.package)
        pythons = options.python
        if pythons is None:
            pythons = interpreters(packages.root) if package.has_c else []
        folder = options.out_dir.resolve()
        for path in build(packages, package.name, pythons, folder, is_trial=options.trial):
            print(f"{path.stat().st_size:>9,} {path.name}")
    else:
        # As lines for $GITHUB_OUTPUT.
        package = packages.of_tag(options.tag)
        print(f"package={package.name}\nversion={package.version}\nstem={package.stem}")
        print(f"has_c={str(package.has_c).lower()}")
        print("below=" + " ".join(f"./packages/{each.name}" for each in packages.below(package)))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="release", description="Release a distribution.")
    commands = parser.add_subparsers(dest="command", required=True)
    said = "write version and change log, commit and tag"
    command = commands.add_parser("prepare", help=said, description=said)
    command.add_argument("package", help="aiomysql-core, for example")
    command.add_argument("version", help="1.1.0, for example")
    command.add_argument("--dry-run", action="store_true", help="only check, and show the notes")
    said = "build and check wheels, source archive and SBOM"
    command = commands.add_parser("build", help=said, description=said)
    command.add_argument("package")
    command.add_argument(
        "--trial", action="store_true", help="build what is committed, tagged or not"
    )
    command.add_argument("--out-dir", type=Path, default=Path("dist"), help="dist if not given")
    wheels = command.add_mutually_exclusive_group()
    wheels.add_argument(
        "--python",
        action="append",
        help="make a wheel with C for this interpreter; else for each supported one that is here",
    )
    no_pythons: list[str] = []
    wheels.add_argument(
        "--without-c",
        action="store_const",
        dest="python",
        const=no_pythons,
        help="make none of them: those come from elsewhere",
    )
    said = "say what a tag releases, for a workflow"
    command = commands.add_parser("tagged", help=said, description=said)
    command.add_argument("tag")
    return parser


if __name__ == "__main__":
    sys.exit(main())
