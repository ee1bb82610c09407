"""Releases of single distributions: docs/releasing.md says how.

hatch run release:prepare aiomysql-core 1.1.0    version, change log, commit, tag
hatch run release:build aiomysql-core            wheels, source archive and SBOM into dist/
"""
