"""What is packed and unpacked, and what is told of a node that lacks something.

Nodes that share no files: tests/integration/test_far_nodes.py.
"""

import gc
import json
import os
import pickle
import sys

import grimp
import pytest

from pipeline.cluster import travel
from pipeline.errors import UserError


def test_the_code_is_the_two_packages_and_nothing_else(monkeypatch) -> None:
    monkeypatch.delenv("SGAN_RUNTIME_ENV", raising=False)
    env = travel.runtime_env()
    assert env is not None
    assert [path.rsplit("/", 1)[1] for path in env["py_modules"]] == ["pipeline", "sgan"]
    assert set(env) == {"py_modules", "excludes"}  # no variable: Ray shows those


def test_nothing_is_uploaded_where_the_code_is_there(monkeypatch) -> None:
    monkeypatch.setenv("SGAN_RUNTIME_ENV", "image")
    assert travel.runtime_env() is None
    monkeypatch.setenv("SGAN_RUNTIME_ENV", "docker")
    with pytest.raises(UserError, match=r"SGAN_RUNTIME_ENV=docker: must be 'image'"):
        travel.runtime_env()
    monkeypatch.delenv("SGAN_RUNTIME_ENV")
    job = {"runtime_env": {"working_dir": "gcs://_ray_pkg_0.zip"}}
    monkeypatch.setenv("RAY_JOB_CONFIG_JSON_ENV_VAR", json.dumps(job))
    assert travel.runtime_env() is None


def test_variables_travel_by_an_allow_list_and_are_never_shown(monkeypatch, tmp_path) -> None:
    here = {
        "AWS_SECRET_ACCESS_KEY": "sesame",
        "SGAN_STORAGE": "s3://bucket",
        "MLFLOW_TRACKING_URI": "http://server",
        "https_proxy": "http://proxy",
        "NO_PROXY": "host",
    }
    for name, value in {**here, "HOME": "/nowhere", "RAY_AUTH_TOKEN": "t", "XAWS_A": "x"}.items():
        monkeypatch.setenv(name, value)
    luggage = travel.packed()
    assert here.items() <= luggage.environment.items()
    assert not {"HOME", "RAY_AUTH_TOKEN", "XAWS_A", "PATH"} & set(luggage.environment)
    assert "sesame" not in f"{luggage!r} {luggage} {[luggage]}"
    for name in here:
        monkeypatch.delenv(name)
    pickle.loads(pickle.dumps(luggage)).unpack()
    assert {name: os.environ[name] for name in here} == here


def test_keys_of_a_file_travel_only_where_something_is_on_s3(monkeypatch, tmp_path) -> None:
    keys = tmp_path / "credentials"
    keys.write_text("[default]\naws_access_key_id = me\naws_secret_access_key = sesame\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(keys))
    monkeypatch.delenv("AWS_ACCESS_KEY_ID", raising=False)
    assert "sesame" not in travel.packed("/storage", "object:abc").environment.values()
    there = travel.packed("/storage", "s3://bucket/inputs").environment
    assert there["AWS_SECRET_ACCESS_KEY"] == "sesame"


def test_a_profile_s_name_stays_here_and_what_it_says_travels(monkeypatch, tmp_path) -> None:
    """Where the keys are in the environment, too."""
    (tmp_path / "config").write_text("[profile lab]\nregion = eu-west-3\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_PROFILE", "lab")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "me")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "sesame")
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    there = travel.packed("s3://bucket").environment
    assert "AWS_PROFILE" not in there
    assert (there["AWS_SECRET_ACCESS_KEY"], there["AWS_DEFAULT_REGION"]) == ("sesame", "eu-west-3")


def test_a_variable_that_names_a_file_counts_where_the_file_is(monkeypatch, tmp_path) -> None:
    there = tmp_path / "bundle.pem"
    there.touch()
    monkeypatch.setenv("AWS_CA_BUNDLE", "the node's own")
    monkeypatch.delenv("AWS_CONFIG_FILE", raising=False)
    given = {"AWS_CA_BUNDLE": "/the/driver's/bundle", "AWS_CONFIG_FILE": str(there)}
    travel.Luggage(given, {}).unpack()
    assert os.environ["AWS_CA_BUNDLE"] == "the node's own"
    assert os.environ["AWS_CONFIG_FILE"] == str(there)


def test_a_worker_looks_for_circles_as_seldom_as_a_stage() -> None:
    own = gc.get_threshold()
    gc.set_threshold(700, 10, 10)
    try:
        travel.Luggage({}, {}).unpack()
        assert gc.get_threshold()[0] == 50_000
    finally:
        gc.set_threshold(*own)


def test_another_version_or_a_missing_package_is_one_line(monkeypatch) -> None:
    assert travel.found_fault(travel.packed().versions) == []
    monkeypatch.setattr(travel, "NEEDED", ("torch", "no-such-package"))
    expected = {"python": "2.7", "torch": "1.0"}
    with pytest.raises(UserError) as told:
        travel.Luggage({"SGAN_X": "x"}, expected).unpack()
    own = f"{sys.version_info.major}.{sys.version_info.minor}"
    assert f"no package no-such-package, python {own} and not 2.7, torch " in str(told.value)
    assert "\n" not in str(told.value) and "SGAN_X" not in os.environ


def test_what_a_worker_imports_is_looked_for_on_every_node() -> None:
    """Imports inside functions too."""
    graph = grimp.build_graph(*travel.PACKAGES, include_external_packages=True, cache_dir=None)
    imported = graph.find_upstream_modules("pipeline.parts.worker") | {
        found
        for kind in ("encoder", "level", "joint")
        for found in graph.find_upstream_modules(f"pipeline.parts.recipes.{kind}")
    }
    outside = {
        {"PIL": "pillow"}.get(name, name)
        for name in imported
        if name.split(".")[0] not in travel.PACKAGES
    }
    with_others = {"botocore", "filelock", "requests", "urllib3"}
    assert outside - set(sys.stdlib_module_names) - with_others == set(travel.NEEDED)
