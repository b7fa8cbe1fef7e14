"""The small project that is retrained, and the server that takes pull requests."""

from tests.small_project import _alone, checkout, done, hub
