"""`sgan submit` to a real cluster whose head has neither the project nor any of its files."""

import json
import re
import shutil
import signal
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest

from tests.cluster_rig import Cluster, cluster, why_not
from tests.project import Project
from tests.servers import MlflowServer, S3Server

pytestmark = [
    pytest.mark.integration,
    pytest.mark.timeout(400),
    pytest.mark.xdist_group("submit"),
    pytest.mark.skipif(why_not() != "", reason=why_not() or "-"),
]

STORAGE = "s3://kept/mnist"
SECRET = "a-secret-that-nobody-is-shown"
ENCODER = ("--", "encoder")  # two stages are enough: what follows is as on any cluster


@pytest.fixture(scope="module")
def head() -> Iterator[Cluster]:
    """A head with a job server, which shares no files with the tests."""
    with cluster(nodes=1, cpus=2, driver="none", dashboard=True) as started:
        yield started


@pytest.fixture(scope="module")
def bucket(tmp_path_factory) -> Iterator[S3Server]:
    """An S3 server with one bucket."""
    server = S3Server(tmp_path_factory.mktemp("s3"))
    server.start()
    try:
        yield server
    finally:
        server.kill()


@pytest.fixture(scope="module")
def mlflow(tmp_path_factory, mlflow_database: Path) -> Iterator[MlflowServer]:
    """An MLflow server."""
    folder = tmp_path_factory.mktemp("mlflow")
    shutil.copy(mlflow_database, folder / "server.db")
    server = MlflowServer(folder)
    server.start()
    try:
        yield server
    finally:
        server.kill()


class Submitter(Project):
    """A project, and how its owner reaches the cluster, the storage and MLflow."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.variables: dict[str, str] = {}

    def environment(self) -> dict[str, str]:
        return {**super().environment(), **self.variables}

    def submit(self, *arguments: str, **options: object) -> str:
        """`sgan submit …`; returns what it printed."""
        return self.sgan("submit", "--python", sys.executable, *arguments, **options)

    def api(self, path: str) -> str:
        """What the job server answers."""
        request = urllib.request.Request(
            self.variables["RAY_API_SERVER_ADDRESS"] + path,
            headers={"Authorization": f"Bearer {self.variables['RAY_AUTH_TOKEN']}"},
        )
        return urllib.request.urlopen(request, timeout=30).read().decode()

    def jobs(self) -> dict[str, str]:
        """Status of each job by submission id."""
        return {job["submission_id"]: job["status"] for job in json.loads(self.api("/api/jobs/"))}


@pytest.fixture(scope="module")
def project(head, bucket, mlflow, tmp_path_factory) -> Submitter:
    """A project on the small set, on the tests' side."""
    made = Submitter.create(tmp_path_factory.mktemp("submit") / "sgan")
    (made.root.parent / "aws").touch()
    made.variables = {
        **bucket.environment(),
        "AWS_CONFIG_FILE": str(made.root.parent / "aws"),  # DVC takes no device for it
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "MLFLOW_TRACKING_URI": mlflow.uri,
        "RAY_API_SERVER_ADDRESS": head.dashboard,
        "RAY_AUTH_TOKEN": head.token,
        "SGAN_STORAGE": STORAGE,
    }
    made.sgan("compose", "data=mnist_small", "budget=smoke", "encoder.total_images=2000")
    made.commit("small")
    return made


@pytest.fixture
def s3(bucket):
    """A client of the S3 server, on which the bucket is."""
    made = boto3.client(
        "s3", endpoint_url=bucket.url, aws_access_key_id="a", aws_secret_access_key="b"
    )
    made.create_bucket(Bucket="kept")
    return made


def test_a_bucket_that_is_not_there_ends_the_job_at_once_in_one_line(project) -> None:
    told = project.submit("--storage", "s3://nowhere", *ENCODER, code=2)
    assert "error: s3://nowhere/jobs/" in told
    assert "Traceback" not in told
    assert "Running stage" not in told


def test_a_job_is_followed_attached_to_fetched_and_keeps_secrets(project, head, s3) -> None:
    started = project.submit("--no-wait", *ENCODER)
    told = project.submit(*ENCODER)
    (job,) = [name for name in project.jobs() if f"{name}: " in started]
    assert f"{job} is there already" in told
    assert "encoder: test accuracy" in told
    assert told.endswith(f"{job}: SUCCEEDED\n")

    revision = project.run("git", "rev-parse", "HEAD").strip()
    (run,) = [run for run in _runs(project) if run.data.tags["sgan.stage"] == "encoder"]
    assert run.data.tags["sgan.git_revision"] == revision

    assert SECRET not in project.api("/api/jobs/") + started + told
    logs = head.nodes[0].path(head.folder)
    named = [path for path in logs.rglob("*") if path.is_file() and not path.is_socket()]
    assert any(job in path.name for path in named)
    assert not [path for path in named if SECRET.encode() in path.read_bytes()]

    assert "fetched prepare, encoder" in project.submit("--fetch", *ENCODER)
    assert project.repro("encoder") == []
    assert project.sgan("summary")


def test_one_changed_line_runs_only_what_it_changes(project) -> None:
    project.edit(encoder={"seed": 2})
    told = project.submit(*ENCODER)
    assert "Running stage 'encoder'" in told
    assert "Running stage 'prepare'" not in told


@pytest.mark.slow  # a training that has to get going, and a stop that waits for its checkpoint
def test_a_job_goes_on_without_its_person_and_keeps_what_it_has_when_stopped(
    project, s3, until
) -> None:
    project.edit(encoder={"total_images": 5_000_000})
    command = ("python", "-m", "pipeline", "submit", "--python", sys.executable, *ENCODER)
    # Beside the project: a file in it would travel, and make another job.
    client = project.start(*command, log="../submit.log")
    log = project.root.parent / "submit.log"
    until(lambda: "images (" in log.read_text(), 90, "the encoder trains")
    client.send_signal(signal.SIGINT)
    assert client.wait(20) == 0
    assert "goes on; submit the same again to attach to it" in log.read_text()
    (job,) = [name for name, status in project.jobs().items() if status == "RUNNING"]

    stop = f"{sys.executable} -m ray.scripts.scripts job stop {job}".split()
    project.run(*stop)
    assert project.jobs()[job] == "STOPPED"
    kept = [entry["Key"] for entry in s3.list_objects_v2(Bucket="kept")["Contents"]]
    assert [key for key in kept if key.startswith("mnist/encoder/") and "step-" in key]
    record = json.loads(
        s3.get_object(Bucket="kept", Key=f"mnist/jobs/{job}/job.json")["Body"].read()
    )
    assert (record["status"], record["exit_status"]) == ("STOPPED", 143)
    assert "fetched prepare" in project.submit("--fetch", *ENCODER)


def _runs(project: Submitter) -> list:
    import mlflow

    client = mlflow.MlflowClient(project.variables["MLFLOW_TRACKING_URI"])
    experiment = client.get_experiment_by_name("sgan").experiment_id
    return client.search_runs([experiment], "tags.`sgan.stage` != ''")


@pytest.mark.slow  # one job more
def test_plain_ray_job_submit_keeps_its_results_in_a_folder_of_the_head(
    project, head, tmp_path
) -> None:
    submit = [sys.executable, "-m", "ray.scripts.scripts", "job", "submit", "--working-dir", "."]
    inside = [sys.executable, "-m", "pipeline", "job", "--storage", "/tmp/kept", "--", "prepare"]
    project.run(*submit, "--submission-id", "plain", "--", *inside)
    kept = tmp_path / "kept"
    shutil.copytree(head.nodes[0].path("/tmp/kept"), kept)  # as with rsync
    assert json.loads((kept / "jobs/plain/job.json").read_text())["status"] == "SUCCEEDED"
    assert (kept / "mlflow.db").is_file()
    assert "fetched prepare" in project.submit("--fetch", "plain", "--storage", str(kept))
    assert project.repro("prepare") == []


@pytest.mark.slow  # all stages, as one job
def test_a_retraining_is_a_job_whose_results_come_to_a_branch(project, s3, tmp_path) -> None:
    project.edit(encoder={"total_images": 2000, "seed": 3})
    (project.root / ".dvc" / ".gitignore").write_text("/config.local\n/tmp\n/cache\n")
    project.run("dvc", "remote", "add", "--default", "kept", "s3://kept/dvc")
    project.run("git", "rm", "--quiet", "-r", "--cached", "--ignore-unmatch", ".dvc/tmp")
    project.commit("a remote")
    project.run("git", "init", "--quiet", "--bare", str(tmp_path / "origin.git"))
    project.run("git", "remote", "add", "origin", str(tmp_path / "origin.git"))
    told = project.sgan("retrain", "--python", sys.executable)
    assert ": SUCCEEDED\n" in told and "fetched prepare, encoder" in told
    branch = told.split("retrain: branch ")[1].split(" pushed")[0]
    text = (project.root / "artifacts" / "retrain.md").read_text()
    assert "| joint | trained |" in text and "| git |  | clean | clean | ✓ |" in text
    clone = Submitter(tmp_path / "clone")
    clone.variables = project.variables
    clone.root.mkdir()
    clone.run("git", "clone", "--quiet", "--branch", branch, str(tmp_path / "origin.git"), ".")
    clone.run("dvc", "pull")
    assert "Data and pipelines are up to date" in clone.run("dvc", "status")


@pytest.mark.slow  # a head that dies, and another in its place
def test_a_job_whose_head_dies_is_submitted_again_and_goes_on(
    project, head, bucket, s3, until
) -> None:
    project.edit(encoder={"total_images": 150_000, "seed": 4}, runtime={"checkpoint_seconds": 2.0})
    command = ("python", "-m", "pipeline", "submit", "--python", sys.executable, *ENCODER)
    client = project.start(*command, log="../dying.log")
    log = project.root.parent / "dying.log"
    before = _checkpoints(s3)
    until(
        lambda: any(step >= 100 for step in map(_step, _checkpoints(s3) - before)),
        120,
        "the encoder keeps a checkpoint of 10,000 images",
    )

    (dead,) = head.nodes
    head.kill(dead)
    head.nodes.clear()
    port, web = (int(where.rsplit(":", 1)[1]) for where in (head.address, head.dashboard))
    head.start_head(apart=True, dashboard=True, port=port, web=web)
    head.wait()

    assert client.wait(240) == 0, log.read_text()
    _, lost, second = log.read_text().partition(" was lost: ")
    assert lost and "; submitted again\n" in second
    shown = re.findall(r"encoder: ([\d.]+)k/150k images", second)
    assert shown and float(shown[0]) > 10, second  # not from its beginning
    assert second.endswith(": SUCCEEDED\n")


def _checkpoints(s3) -> set[str]:
    kept = s3.list_objects_v2(Bucket="kept", Prefix="mnist/encoder/").get("Contents", [])
    return {entry["Key"] for entry in kept if "step-" in entry["Key"]}


def _step(key: str) -> int:
    return int(Path(key).stem.removeprefix("step-"))
