"""Tests of aiomysql_protocol that need no server."""
