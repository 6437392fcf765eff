"""Servers for tests: one that is honest until told to misbehave."""

from tests.servers.server import Exchange, FaultyServer

__all__ = ["Exchange", "FaultyServer"]
