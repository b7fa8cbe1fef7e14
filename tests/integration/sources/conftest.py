"""Whole sources, read as `prepare` reads them: each has a cache of its own."""

from tests.sources import caches, made, own_cache, settings
