import copy

import pytest

from pipeline.tracking.lineage import experiment_label, lineage, origin_tags, params_digest
from tests.repository import git

PARAMS = {"levels": {"0": {"learning_rate": 1e-4}}, "data": {"name": "mnist"}}


@pytest.fixture(autouse=True)
def no_experiment(monkeypatch):
    monkeypatch.delenv("DVC_EXP_NAME", raising=False)


@pytest.fixture
def repository(tmp_path):
    git(tmp_path, "init", "-q")
    (tmp_path / "code.py").write_text("a = 1\n")
    (tmp_path / "dvc.lock").write_text("old\n")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "first")
    return tmp_path


def test_digest_ignores_key_order_and_where_things_run():
    digest = params_digest(PARAMS)
    assert len(digest) == 64
    assert params_digest({"data": PARAMS["data"], "levels": PARAMS["levels"]}) == digest
    assert params_digest({**PARAMS, "runtime": {"gpus": 2}}) == digest
    assert params_digest({**PARAMS, "data": {"name": "cifar10"}}) != digest


def test_tag_is_revision_and_digest(repository):
    found = lineage(PARAMS, repository)
    revision = git(repository, "rev-parse", "HEAD")
    assert found.git_revision == revision
    assert found.tag_value == f"{revision[:10]}-{params_digest(PARAMS)[:12]}"
    assert found.dvc_exp_name is None
    assert not found.git_dirty
    assert origin_tags(found)["mlflow.source.git.commit"] == revision


def test_only_changed_code_makes_it_dirty(repository):
    (repository / "dvc.lock").write_text("new\n")
    (repository / "untracked.txt").write_text("x")
    assert not lineage(PARAMS, repository).git_dirty
    (repository / "code.py").write_text("a = 2\n")
    found = lineage(PARAMS, repository)
    assert found.git_dirty
    assert "-dirty-" in found.name
    assert "dirty" not in found.tag_value


def test_dvc_experiment_names_the_lineage(repository, monkeypatch):
    monkeypatch.setenv("DVC_EXP_NAME", "brave 'newt")
    found = lineage(PARAMS, repository)
    assert found.name == found.dvc_exp_name == "brave 'newt"
    assert found.tag_value == "brave__newt"


def test_outside_a_repository(tmp_path):
    found = lineage(PARAMS, tmp_path)
    assert (found.git_revision, found.git_dirty) == ("nogit", None)
    assert found.tag_value == f"nogit-{params_digest(PARAMS)[:12]}"
    assert origin_tags(found)["mlflow.source.git.commit"] is None


def test_repository_without_a_commit(tmp_path):
    git(tmp_path, "init", "-q")
    assert lineage(PARAMS, tmp_path).git_revision == "nogit"


def test_without_git(repository, monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert lineage(PARAMS, repository).git_revision == "nogit"


DEFAULTS = {
    "levels": {"0": {"lambda_ent": 10.0, "seed": 1}, "1": {"lambda_ent": 10.0, "seed": 1}},
    "joint": {"enabled": True},
    "runtime": {"device": "auto"},
}


def label(root, **changed) -> str:
    params = copy.deepcopy(DEFAULTS)
    for path, value in changed.items():
        *above, last = path.split("__")
        place = params
        for name in above:
            place = place[name]
        place[last] = value
    return experiment_label(lineage(params, root), params, DEFAULTS)


def test_a_label_is_what_differs_from_the_defaults(repository):
    assert label(repository, levels__1__lambda_ent=5.0) == "lambda_ent=5"
    both = {"levels__0__lambda_ent": 5.0, "levels__1__lambda_ent": 5.0}
    assert label(repository, **both) == "lambda_ent=5"
    apart = {"levels__0__lambda_ent": 5.0, "levels__1__lambda_ent": 0.5}
    assert label(repository, **apart) == "0.lambda_ent=5, 1.lambda_ent=0.5"
    assert label(repository, joint__enabled=False, runtime__device="cpu") == "enabled=False"


def test_a_label_stays_short(repository):
    many = {f"joint__setting_number_{n}": n for n in range(40)}
    found = label(repository, **many)
    assert found.startswith("setting_number_0=0, ") and found.endswith(" more") and len(found) < 80


def test_without_a_difference_the_revision_is_the_label(repository):
    revision = git(repository, "rev-parse", "HEAD")[:10]
    assert label(repository) == revision
    assert experiment_label(lineage(PARAMS, repository), PARAMS, None) == revision
    (repository / "code.py").write_text("a = 2\n")
    assert label(repository) == f"{revision}-dirty"


def test_a_dvc_experiment_is_its_own_label(repository, monkeypatch):
    monkeypatch.setenv("DVC_EXP_NAME", "full-s1")
    assert label(repository, levels__1__lambda_ent=5.0) == "full-s1"
