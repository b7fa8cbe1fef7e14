"""What infra/compose.yaml starts, started here: the smoke budget against all of it at once."""

import json
import re
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest

from tests.cluster_rig import end_tree
from tests.compose_rig import ROOT, Composed
from tests.project import LITTLE, Project
from tests.servers import Postgres

pytestmark = [
    pytest.mark.integration,
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.xdist_group("compose"),
    pytest.mark.skipif(Postgres.why_not() != "", reason=Postgres.why_not() or "-"),
]


class Inside(Project):
    """A project whose stages have what a container of the stack has."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.variables: dict[str, str] = {}

    def environment(self) -> dict[str, str]:
        return {**super().environment(), **self.variables}


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Composed]:
    made = Composed(tmp_path_factory.mktemp("compose"))
    try:
        made.start()
        yield made
    finally:
        made.stop()


@pytest.fixture(scope="module")
def project(stack: Composed, tmp_path_factory: pytest.TempPathFactory) -> Inside:
    """Trained on the stack with the smoke budget."""
    made = Inside.create(tmp_path_factory.mktemp("inside") / "sgan")
    made.variables = {**stack.environment(), "AWS_CONFIG_FILE": str(made.root.parent / "aws")}
    (made.root.parent / "aws").touch()
    made.sgan("compose", "data=mnist_small", "budget=smoke", *LITTLE)
    made.commit("small")
    assert made.repro() == [
        "prepare", "encoder", "features", "levels", "joint", "evaluate", "report", "promote",
    ]  # fmt: skip
    return made


def test_all_of_it_ran_where_compose_says(project: Inside, stack: Composed) -> None:
    environment = project.environment()
    client = boto3.client(
        "s3",
        endpoint_url=environment["AWS_ENDPOINT_URL"],
        aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
        region_name="us-east-1",
    )

    def keys(bucket: str) -> list[str]:
        pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket)
        return [entry["Key"] for page in pages for entry in page.get("Contents", [])]

    results = [key for key in keys("sgan") if key.endswith("/result.json")]
    assert sorted(key.split("/")[1] for key in results) == ["encoder", "joint", "level0", "level1"]
    assert not (project.root / ".runs" / "level0").exists()
    artifacts = keys("mlflow")
    assert [key for key in artifacts if key.endswith("samples.png")]
    assert not (project.root / "mlflow.db").exists()


def test_compare_registry_and_promotion_work_on_postgresql(project: Inside) -> None:
    assert "promoted: sgan-" in project.sgan("promote")
    assert "version 1 stays champion" in project.sgan("promote", code=3)
    project.edit(joint={"seed": 7})
    project.commit("another seed")
    assert "joint" in project.repro()
    told = project.sgan("promote", "--dry-run", "--markdown", "verdict.md", code=3)
    assert "version 2 is not promoted" in told
    assert "| fid |" in (project.root / "verdict.md").read_text()
    page = project.root / "compared.html"
    short = ("git", "rev-parse", "--short=10")
    revisions = [project.run(*short, name).strip() for name in ("HEAD~1", "HEAD")]
    project.sgan("compare", *revisions, "--out", str(page))
    assert "joint.seed" in page.read_text()


def test_the_server_draws_with_the_champion(project: Inside, stack: Composed) -> None:
    model = project.sgan("promote", "--dry-run", code=3).split("kept: ")[1].split()[0]
    address = stack.serve(f"{model}@champion")
    question = json.dumps({"label": 3, "count": 4, "seed": 1}).encode()
    request = urllib.request.Request(
        f"{address}/v1/samples", question, {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        assert answer.read().startswith(b"\x89PNG")
        assert answer.headers["X-Model-Version"] == "1"
    dashboard = (ROOT / "infra/monitoring/grafana/dashboards/sgan.json").read_text()
    told = urllib.request.urlopen(f"{address}/metrics", timeout=30).read().decode()
    wanted = set(re.findall(r"(?<!ray_)\bsgan_\w+", dashboard))
    assert wanted and [name for name in wanted if not re.search(rf"(?m)^{name}\b", told)] == []


def test_the_dashboards_metrics_are_those_that_a_node_exports(
    project: Inside, stack: Composed, until
) -> None:
    """While something runs: a node counts tasks only for drivers that there are."""
    dashboard = (ROOT / "infra/monitoring/grafana/dashboards/sgan.json").read_text()
    wanted = set(re.findall(r"\bray_\w+", dashboard))
    wanted -= {name for name in wanted if "gpus" in name or name.startswith("ray_sgan_")}
    address = f"http://127.0.0.1:{stack.ports['metrics']}/metrics"
    working = "def wait(): time.sleep(300)"
    code = f"import ray, time\n{working}\nray.init()\nray.get(ray.remote(wait).remote())"
    busy = project.start("python", "-c", code)

    def missing() -> list[str]:
        found = urllib.request.urlopen(address, timeout=30).read().decode()
        return [name for name in sorted(wanted) if not re.search(rf"(?m)^{name}\b", found)]

    try:
        until(lambda: missing() == [], 90, "every metric of the dashboard is exported")
    finally:
        end_tree(busy)


def test_a_dump_of_the_database_is_a_backup(project: Inside, stack: Composed) -> None:
    import mlflow

    def psql(*command: str) -> None:
        where = ["--host=127.0.0.1", f"--port={stack.ports['postgres:5432']}", "--username=mlflow"]
        subprocess.run([command[0], *where, *command[1:]], check=True, capture_output=True)

    def champion(uri: str) -> tuple[str, int]:
        client = mlflow.MlflowClient(uri, registry_uri=uri)
        model = client.search_registered_models()[0].name
        runs = client.search_runs([client.get_experiment_by_name("sgan").experiment_id])
        return client.get_model_version_by_alias(model, "champion").run_id, len(runs)

    dump = project.root.parent / "mlflow.dump"
    psql("pg_dump", "--format=custom", f"--file={dump}", "mlflow")
    stack.query("CREATE DATABASE restored OWNER mlflow")
    psql("pg_restore", "--dbname=restored", str(dump))
    address = f"postgresql+psycopg2://mlflow@127.0.0.1:{stack.ports['postgres:5432']}/restored"
    found = champion(address)
    assert found == champion(project.environment()["MLFLOW_TRACKING_URI"])
    assert found[1] > 10
