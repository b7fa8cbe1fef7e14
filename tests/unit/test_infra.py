"""infra/ and .github/: what no schema says of them. What schemas say, `infra/check` reads."""

import json
import os
import re
import shlex
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes_validate import validate

from pipeline.parts.gauges import NAMES

ROOT = Path(__file__).resolve().parents[2]
INFRA = ROOT / "infra"
DOCKERFILES = ("Dockerfile", "Dockerfile.cuda")
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
KUBERNETES = "1.37"


def read(*path: str) -> Any:
    """A YAML file of infra/."""
    return yaml.safe_load(INFRA.joinpath(*path).read_text())


def engines() -> dict[str, str]:
    lines = (INFRA / "engines.env").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


# --- images


def instructions(name: str) -> list[tuple[str, str]]:
    text = (INFRA / "docker" / name).read_text().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [tuple(line.split(maxsplit=1)) for line in lines]  # type: ignore[misc]


@pytest.mark.parametrize("name", DOCKERFILES)
def test_an_image_is_nobodys_root_and_has_no_secret(name: str) -> None:
    found = instructions(name)
    assert [rest for word, rest in found if word == "USER"] == ["10001:10001"]
    assert found[-1][0] == "ENTRYPOINT"
    assert not [rest for word, rest in found if word in ("ARG", "ADD")]
    named = " ".join(rest for word, rest in found if word == "ENV")
    assert not re.search("(?i)token|secret|password|key", named)
    for rest in (rest for word, rest in found if word == "FROM"):
        assert re.fullmatch(r"python:3\.11-slim-bookworm( AS packages)?", rest)


@pytest.mark.parametrize("name", DOCKERFILES)
def test_an_edit_of_the_code_leaves_the_packages_alone(name: str) -> None:
    copies = [shlex.split(rest)[:-1] for word, rest in instructions(name) if word == "COPY"]
    packages, code = copies[:2], copies[3:]
    assert packages == [
        ["requirements.in", "requirements.lock", "pyproject.toml"],
        ["infra/docker/install.sh"],
    ]
    assert {"sgan", "pipeline"} <= {name for one in code for name in one}
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    for one in [*packages, *code]:
        for path in one:
            assert (ROOT / path).exists(), path
            assert f"!{path.split('/')[0]}" in ignored, f".dockerignore leaves {path} out"


def test_the_two_images_differ_in_torch_only() -> None:
    cpu, cuda = (dict.fromkeys(instructions(name)) for name in DOCKERFILES)
    differ = [entry for entry in [*cpu, *cuda] if (entry in cpu) != (entry in cuda)]
    assert {word for word, _ in differ} == {"ENV"}
    assert [rest.split()[0] for _, rest in differ] == [
        "UV_TORCH_BACKEND=cpu",
        "UV_TORCH_BACKEND=cu130",
        "NVIDIA_VISIBLE_DEVICES=all",
    ]


def test_the_installer_is_the_makefiles() -> None:
    script = (INFRA / "docker" / "install.sh").read_text()
    version = re.search(r"UV_VERSION := (\S+)", (ROOT / "Makefile").read_text())
    assert version and f"uv_version={version[1]} " in script
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    extra = project["project"]["optional-dependencies"]["dev"]
    assert any(name.startswith("psycopg2-binary") for name in extra)  # so that the lock pins it


def test_the_makefile_runs_a_script_below_a_folder_with_blanks(tmp_path: Path) -> None:
    folder = tmp_path / "a b"
    (folder / "infra").mkdir(parents=True)
    (folder / "infra" / "engines.env").touch()
    asked = ["bench", "BENCH=one.py", "PYTHON=python3", "FIND_LINKS=x", "WORKERS=1"]
    command = ["make", "--dry-run", "--file", ROOT / "Makefile", *asked]
    told = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout
    assert f'PYTHONPATH="{folder}" python "$script"' in told


# --- compose


def test_compose_publishes_here_only_and_holds_no_secret() -> None:
    services = read("compose.yaml")["services"]
    ports = [port for service in services.values() for port in service.get("ports", ())]
    assert ports and all(port.startswith("127.0.0.1:") for port in ports)
    for name, service in services.items():
        for variable, value in service.get("environment", {}).items():
            if re.search("PASSWORD|TOKEN|SECRET", variable):
                assert re.match(r"/run/secrets/|\$\{\w+:\?", value), f"{name}: {variable}"
        assert ":" in service["image"] and not service["image"].endswith(":latest")
    known = set((INFRA / "example.env").read_text().split()) - {""}
    variables = set(re.findall(r"\$\{(\w+):\?", (INFRA / "compose.yaml").read_text()))
    variables |= {secret["environment"] for secret in read("compose.yaml")["secrets"].values()}
    assert variables == {name.split("=")[0] for name in known if re.match(r"[A-Z0-9_]+=", name)}
    assert "/infra/.env" in (ROOT / ".gitignore").read_text().splitlines()


def test_compose_starts_each_service_when_what_it_needs_is_well() -> None:
    services = read("compose.yaml")["services"]
    for name, service in services.items():
        for needed, how in service.get("depends_on", {}).items():
            if how["condition"] == "service_healthy":
                assert "healthcheck" in services[needed], f"{name} waits for {needed}"
    for name in ("head", "worker", "mlflow"):
        assert services[name]["env_file"] == ["engines.env"]
    assert services["worker"]["deploy"]["replicas"] == 2


def test_the_readme_starts_every_profile_of_compose() -> None:
    services = read("compose.yaml")["services"].values()
    profiles = {profile for service in services for profile in service.get("profiles", ())}
    readme = (ROOT / "README.md").read_text()
    assert profiles == set(re.findall(r"compose\.yaml --profile (\w+) up", readme))


@pytest.mark.parametrize("name", ["head", "worker"])
def test_a_nodes_object_store_fits_into_its_shared_memory(name: str, tmp_path: Path) -> None:
    """Where it does not, Ray puts it on the container's disk."""
    service = read("compose.yaml")["services"][name]
    size = service["environment"]["SGAN_OBJECT_STORE"]
    assert int(size) < int(service["shm_size"].removesuffix("gb")) * 2**30
    (tmp_path / "ray").write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    (tmp_path / "ray").chmod(0o755)
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    told = subprocess.run(
        ["sh", INFRA / "docker" / "entrypoint.sh", *service["command"], "--labels=a=b"],
        env={"PATH": path, "SGAN_HEAD": "head:6379", "SGAN_OBJECT_STORE": size},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert told.index(f"--object-store-memory={size}") < told.index("--labels=a=b")


# --- Kubernetes


def cluster_of(name: str) -> dict[str, Any]:
    spec = read("k8s", "base", name)["spec"]
    return spec if name == "raycluster.yaml" else spec["rayClusterSpec"]


def groups(cluster: dict[str, Any]) -> list[dict[str, Any]]:
    return [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]


@pytest.mark.parametrize("name", ["raycluster.yaml", "rayjob.yaml"])
def test_a_cluster_of_kuberay(name: str) -> None:
    cluster = cluster_of(name)
    assert cluster["authOptions"] == {"mode": "token", "secretName": "sgan-ray-token"}
    lock = (ROOT / "requirements.in").read_text()
    assert f"ray=={cluster['rayVersion']}" in lock.splitlines()
    assert cluster["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"
    (workers,) = cluster["workerGroupSpecs"]
    limits = workers["template"]["spec"]["containers"][0]["resources"]["limits"]
    assert limits["nvidia.com/gpu"] == "1"
    assert workers["minReplicas"] <= workers["replicas"] <= workers["maxReplicas"]
    for group in groups(cluster):
        assert group["template"]["spec"]["restartPolicy"] == "Never"
        (shm,) = group["template"]["spec"]["volumes"]
        limit = int(shm["emptyDir"]["sizeLimit"].removesuffix("Gi")) * 2**30
        assert int(group["rayStartParams"]["object-store-memory"]) < limit


@pytest.mark.parametrize("name", ["raycluster.yaml", "rayjob.yaml"])
def test_its_pods_are_pods_and_restricted(name: str) -> None:
    templates = [group["template"] for group in groups(cluster_of(name))]
    if name == "rayjob.yaml":
        templates.append(read("k8s", "base", name)["spec"]["submitterPodTemplate"])
    for template in templates:
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, **template}
        pod["metadata"] = {**template.get("metadata", {}), "name": "a"}
        validate(pod, KUBERNETES, strict=True)
        spec = template["spec"]
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        (container,) = spec["containers"]
        security = container["securityContext"]
        assert security == {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
        assert container["resources"]["limits"] and container["resources"]["requests"]
        if container["name"] != "submitter":
            assert {"readinessProbe", "livenessProbe"} <= set(container)


def test_a_pod_that_is_none_would_be_seen() -> None:
    with pytest.raises(Exception, match="containrs"):
        spec = {"containers": [], "containrs": []}
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, "spec": spec}
        validate(pod, KUBERNETES, strict=True)


def test_a_job_ends_its_cluster_and_goes_on_in_another() -> None:
    job = read("k8s", "base", "rayjob.yaml")["spec"]
    assert job["shutdownAfterJobFinishes"] is True and job["ttlSecondsAfterFinished"] > 0
    assert "deletionStrategy" not in job  # KubeRay refuses both
    assert job["backoffLimit"] >= 1
    # Every attempt has the same name, or it would begin anew; and state is in S3.
    assert job["entrypoint"] == "python -m pipeline job --name rayjob"
    assert read("k8s", "base", "settings.yaml")["data"]["SGAN_STORAGE"].startswith("s3://")
    assert cluster_of("rayjob.yaml") == cluster_of("raycluster.yaml")


def test_nodes_have_the_engines_settings_and_secrets_by_name() -> None:
    settings = read("k8s", "base", "settings.yaml")["data"]
    assert {**engines(), **settings} == {**settings, "RAY_AUTH_MODE": "token"}
    texts = [path.read_text() for path in (INFRA / "k8s").rglob("*.yaml")]
    assert not [text for text in texts if re.search(r"(?m)^kind: Secret$", text)]


def test_the_job_server_is_reached_by_kuberays_operator_and_by_nobody_else_outside() -> None:
    """It asks how a RayJob stands; without an answer every one of them fails."""
    policy = read("k8s", "base", "network.yaml")["spec"]
    labels = policy["podSelector"]["matchLabels"]
    for group in groups(cluster_of("rayjob.yaml")):
        assert labels.items() <= group["template"]["metadata"]["labels"].items()
    within, operator = policy["ingress"]
    assert within == {"from": [{"podSelector": {}}]}
    pods = {"matchLabels": {"app.kubernetes.io/component": "kuberay-operator"}}  # by its chart
    assert operator["from"] == [{"namespaceSelector": {}, "podSelector": pods}]
    head = cluster_of("rayjob.yaml")["headGroupSpec"]["template"]["spec"]["containers"][0]
    ports = {port["name"]: port["containerPort"] for port in head["ports"]}
    assert operator["ports"] == [{"protocol": "TCP", "port": ports["dashboard"]}]


def test_kueue_queues_what_it_overlays() -> None:
    folder, queue = INFRA / "k8s" / "kueue", {"kueue.x-k8s.io/queue-name": "sgan"}
    overlay = yaml.safe_load((folder / "kustomization.yaml").read_text())
    (labels,) = overlay["labels"]
    assert labels["pairs"] == queue
    assert [field["kind"] for field in labels["fields"]] == ["RayCluster"]
    for name in overlay["resources"]:
        assert (folder / name).exists(), name
    queues = list(yaml.safe_load_all((INFRA / "k8s" / "kueue" / "queues.yaml").read_text()))
    assert [queue["kind"] for queue in queues] == ["ResourceFlavor", "ClusterQueue", "LocalQueue"]
    assert queues[2]["spec"]["clusterQueue"] == queues[1]["metadata"]["name"]
    base = read("k8s", "base", "kustomization.yaml")
    assert all((INFRA / "k8s" / "base" / name).is_file() for name in base["resources"])
    # A file of its own: kustomize takes no object without a name, and each go has a new one.
    job = read("k8s", "base", "rayjob.yaml")
    job["metadata"]["labels"] |= queue
    assert read("k8s", "kueue", "rayjob.yaml") == job


def test_what_comments_tell_to_apply_is_there() -> None:
    for path in sorted(INFRA.rglob("*.yaml")):
        for how, named in re.findall(r"(-f|-k|ray up) (infra/[\w./-]+)", path.read_text()):
            there = ROOT / named / ("kustomization.yaml" if how == "-k" else "")
            assert there.is_file(), f"{path.name} names {named}"
            if how == "-k":  # of which kustomize reads no file outside its folder
                resources = yaml.safe_load(there.read_text())["resources"]
                assert not [r for r in resources if r.startswith("..") and r.endswith(".yaml")]


# --- Ray's own cluster launcher


def test_the_head_is_on_demand_and_workers_are_spot() -> None:
    cluster = read("ray", "aws.yaml")
    head, workers = cluster["available_node_types"].values()
    assert cluster["head_node_type"] == "head"
    assert head["resources"] == {"CPU": 0}
    assert "InstanceMarketOptions" not in head["node_config"]
    assert workers["node_config"]["InstanceMarketOptions"]["MarketType"] == "spot"
    # Without one Ray takes an image whose Python is too old.
    assert all(node["node_config"]["ImageId"].startswith("ami-") for node in (head, workers))
    for local in cluster["file_mounts"].values():
        assert local.startswith("~") or (ROOT / local).is_file(), local


def test_its_nodes_have_the_images_python_and_the_makefiles_uv() -> None:
    commands = " ".join(read("ray", "aws.yaml")["setup_commands"])
    version = re.search(r"UV_VERSION := (\S+)", (ROOT / "Makefile").read_text())
    assert version and f"uv=={version[1]}" in commands.split()
    images = (INFRA / "docker" / "Dockerfile").read_text()
    (python,) = set(re.findall(r"FROM python:(\d+\.\d+)", images))
    assert f"uv python install {python} " in commands
    assert f"--managed-python {python})" in commands


# --- monitoring


def metrics_of(dashboard: dict[str, Any]) -> set[str]:
    expressions = [t["expr"] for panel in dashboard["panels"] for t in panel["targets"]]
    return {name for text in expressions for name in re.findall(r"\b(?:ray|sgan)_\w+", text)}


def test_the_dashboard_shows_what_workers_tell() -> None:
    dashboard = json.loads((INFRA / "monitoring/grafana/dashboards/sgan.json").read_text())
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(set(ids)) == len(ids)
    ours = {name for name in metrics_of(dashboard) if name.startswith("ray_sgan_")}
    counted = {"sgan_values_not_finite"}
    assert ours == {f"ray_{name}{'_total' if name in counted else ''}" for name in NAMES}
    titles = " ".join(panel["title"] for panel in dashboard["panels"])
    for word in ("Images a second", "100 images", "Waiting on data", "not finite", "Queue"):
        assert word in titles
    (bad,) = (panel for panel in dashboard["panels"] if "not finite" in panel["title"])
    steps = bad["fieldConfig"]["defaults"]["thresholds"]["steps"]
    assert steps == [{"color": "green", "value": None}, {"color": "red", "value": 1}]
    source = read("monitoring", "grafana", "provisioning", "datasources", "prometheus.yaml")
    uids = {panel["datasource"]["uid"] for panel in dashboard["panels"]}
    assert uids == {source["datasources"][0]["uid"]}


def test_what_is_sampled_is_counted_without_probes_and_scrapes() -> None:
    dashboard = json.loads((INFRA / "monitoring/grafana/dashboards/sgan.json").read_text())
    asked = " ".join(t["expr"] for panel in dashboard["panels"] for t in panel["targets"])
    chosen = re.findall(r'sgan_request(?:s_total|_seconds_bucket)(\{path=~"/v1/\.\*"\})?', asked)
    assert len(chosen) == 2 and all(chosen)


def test_prometheus_asks_the_services_that_there_are() -> None:
    services = read("compose.yaml")["services"]
    jobs = {job["job_name"]: job for job in read("monitoring", "prometheus.yml")["scrape_configs"]}
    asked = {name for one in jobs["ray"]["dns_sd_configs"] for name in one["names"]}
    asked |= {target.split(":")[0] for target in jobs["serve"]["static_configs"][0]["targets"]}
    assert asked == {"head", "worker", "serve"} and asked <= set(services)


# --- workflows


def workflow(name: str) -> dict[Any, Any]:
    return yaml.safe_load((ROOT / ".github" / "workflows" / name).read_text())


def steps(found: dict[Any, Any]) -> list[dict[str, Any]]:
    return [step for job in found["jobs"].values() for step in job["steps"]]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_actions_are_pinned_and_permissions_few(path: Path) -> None:
    found = yaml.safe_load(path.read_text())
    used = [step["uses"] for step in steps(found) if "uses" in step]
    assert used and all(re.search("@[0-9a-f]{40}$", one) for one in used)
    assert len(re.findall(r"uses: \S+@[0-9a-f]{40} # v\d+\.\d+\.\d+", path.read_text())) == len(
        used
    )
    assert found["permissions"] == {}
    for job in found["jobs"].values():
        assert "timeout-minutes" in job
        writes = {name for name, right in job["permissions"].items() if right == "write"}
        assert writes <= {"id-token", "pull-requests"}
    # `on` is YAML 1.1's True. The target's rights for a fork's code would be everybody's.
    assert "pull_request_target" not in found[True]
    for step in steps(found):
        assert "${{" not in step.get("run", ""), "an expression in a script is code of who fills it"
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False


def test_a_pull_request_sees_no_secret() -> None:
    text = (ROOT / ".github/workflows/ci.yml").read_text()
    assert "secrets." not in text and "vars." not in text and "environment:" not in text
    for name in ("retrain.yml", "promote.yml"):
        assert "pull_request" not in workflow(name)[True]


def test_a_merged_retraining_starts_no_retraining_but_a_promotion() -> None:
    starts = workflow("retrain.yml")[True]["push"]
    assert starts["branches"] == ["main"]
    watched = [pattern.removesuffix("/**") for pattern in starts["paths"]]
    committed = ("dvc.lock", "metrics/retrain.json", "plots/samples.png")
    assert not [path for path in committed if path.startswith(tuple(watched))]
    deps = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"].values()
    code = {dep for stage in deps for dep in stage.get("deps", ()) if dep.endswith(".py")}
    assert len(code) > 50
    assert [path for path in code if not path.startswith(tuple(watched))] == []
    assert workflow("promote.yml")[True]["push"]["paths"] == ["metrics/retrain.json"]


def test_a_promotion_looks_where_the_retraining_put_things() -> None:
    found = (workflow(name)["jobs"].values() for name in ("retrain.yml", "promote.yml"))
    (retrain,), (promote,) = found
    assert retrain["environment"] == promote["environment"]
    where = re.compile("SGAN_STORAGE|MLFLOW_|AWS_")
    told = {name: value for name, value in retrain["env"].items() if where.match(name)}
    assert {"SGAN_STORAGE", "MLFLOW_TRACKING_URI"} <= set(told)
    assert told.items() <= promote["env"].items()


@pytest.mark.parametrize("name", ["retrain.yml", "promote.yml"])
def test_one_at_a_time_for_each_branch_and_none_is_cut_off(name: str) -> None:
    concurrency = workflow(name)["concurrency"]
    assert concurrency["group"].endswith("${{ github.ref }}")
    assert concurrency["cancel-in-progress"] is False
