"""What tests of scores share: a cache for what depends on the real digits and their judge only."""

import pytest

from pipeline.scores.feature_cache import FeatureCache


@pytest.fixture(scope="session")
def kept(tmp_path_factory: pytest.TempPathFactory) -> FeatureCache:
    """A cache of the session, as a project has one."""
    return FeatureCache(tmp_path_factory.mktemp("kept"))
