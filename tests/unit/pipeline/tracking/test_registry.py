"""Which version is in use: aliases in a real registry, one change at a time."""

import json
import threading
import time

import pytest

from pipeline.errors import UserError
from pipeline.tracking import registry as module
from pipeline.tracking.registry import CHALLENGER, CHAMPION, PREVIOUS, WEIGHTS_TAG, Busy, Registry

NAME = "sgan-test"


@pytest.fixture
def registry(tracker, monkeypatch):
    """Two versions, of weights "a" and "b"; the registry alone counts here, not the models."""
    monkeypatch.setattr(module, "_SETTLE_S", 0.3)
    tracker.client.create_registered_model(NAME)
    for weights in "ab":
        tracker.client.create_model_version(NAME, "file:///nowhere", tags={WEIGHTS_TAG: weights})
    return Registry(tracker, NAME)


def number(registry: Registry, alias: str) -> str | None:
    found = registry.version(alias)
    return None if found is None else str(found.version)


def test_versions_are_found_by_alias_number_and_weights(registry, tracker):
    assert registry.version(CHAMPION) is None and registry.version("7") is None
    assert Registry(tracker, "sgan-none").version(CHAMPION) is None
    registry.challenge("2")
    assert number(registry, CHALLENGER) == number(registry, "2") == "2"
    found = registry.of_weights("a")
    assert found is not None and str(found.version) == "1"
    assert registry.of_weights("c") is None


def test_a_promotion_keeps_the_one_before_and_can_be_undone(registry):
    for dry in (False, True):
        with pytest.raises(UserError, match="nothing to roll back"):
            registry.rollback(dry=dry)
    registry.promote("1", None, {"sgan.verdict": "promoted"})
    assert (number(registry, CHAMPION), number(registry, PREVIOUS)) == ("1", None)
    registry.promote("2", "1", {})
    assert (number(registry, CHAMPION), number(registry, PREVIOUS)) == ("2", "1")
    assert registry.version("1").tags["sgan.verdict"] == "promoted"
    assert registry.rollback(dry=True) == ("1", "2")
    assert (number(registry, CHAMPION), number(registry, PREVIOUS)) == ("2", "1")
    assert registry.rollback() == ("1", "2")
    assert (number(registry, CHAMPION), number(registry, PREVIOUS)) == ("1", "2")


def test_a_verdict_on_another_champion_promotes_nothing(registry):
    registry.promote("1", None, {})
    with pytest.raises(Busy, match="version 1 became the champion; compare again"):
        registry.promote("2", None, {})
    assert number(registry, CHAMPION) == "1"


def test_of_two_at_once_one_wins_and_the_other_says_so(registry):
    ended: dict[str, str] = {}

    def promote(version: str) -> None:
        try:
            registry.promote(version, None, {})
            ended[version] = "promoted"
        except Busy as error:
            ended[version] = str(error)

    both = [threading.Thread(target=promote, args=(version,)) for version in "12"]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()
    (winner,) = [version for version, said in ended.items() if said == "promoted"]
    assert number(registry, CHAMPION) == winner
    (said,) = [said for version, said in ended.items() if version != winner]
    assert "another promotion is under way" in said or "became the champion" in said


def test_one_that_died_is_passed_over_in_time(registry, tracker):
    for age, busy in ((5.0, True), (700.0, False)):
        held = json.dumps({"owner": "dead", "at": time.time() - age})
        tracker.client.set_registered_model_tag(NAME, "sgan.promoting", held)
        if busy:
            with pytest.raises(Busy, match="under way since 5 s"):
                registry.promote("1", None, {})
        else:
            registry.promote("1", None, {})
    assert number(registry, CHAMPION) == "1"
    assert "sgan.promoting" not in tracker.client.get_registered_model(NAME).tags
