"""The interface, asked over HTTP: images, what they depend on, and how mistakes are told."""

import base64
import dataclasses
import io
import json
import re
import shlex
import shutil
import socket
import subprocess
import threading
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import requests
import torch
from PIL import Image

from pipeline.data.class_names import class_of
from pipeline.serving import app, batcher
from pipeline.serving.sources import WeightsFile
from pipeline.serving.switching import Switch
from pipeline.serving.training_images import TrainingImages

NUMBERS = [0.25, 0.5, 0.75, 1]


def ask(running, path="/v1/samples", **body):
    return requests.post(running.url + path, json=body, timeout=30)


def pixels(png):
    return np.asarray(Image.open(io.BytesIO(png)))


def test_a_sheet_and_its_seed(running):
    first = ask(running, label=3, count=4)
    assert (first.status_code, first.headers["content-type"]) == (200, "image/png")
    again = ask(running, label="3", count=4, seed=int(first.headers["x-seed"]))
    assert again.content == first.content
    assert pixels(first.content).shape[:2] == (2 * 56 + 2, 2 * 56 + 2)
    assert ask(running, label=3, count=4).content != first.content, "a new seed each time"


def test_the_same_images_in_every_format(running):
    asked = {"label": 2, "count": 3, "seed": 5}
    told = ask(running, **asked, format="json").json()
    singles = [pixels(base64.b64decode(image["png"])) for image in told["images"]]
    assert [image["seed"] for image in told["images"]] == [5, 6, 7]
    packed = zipfile.ZipFile(io.BytesIO(ask(running, **asked, format="zip").content))
    assert [name.split("-", 1)[1] for name in packed.namelist()] == [
        f"class2-seed{seed}.png" for seed in (5, 6, 7)
    ]
    sheet = pixels(ask(running, **asked, columns=3, scale=1, gap=0).content)[..., 0]
    for index, name in enumerate(packed.namelist()):
        assert np.array_equal(pixels(packed.read(name)), singles[index])
        assert np.array_equal(sheet[:, 28 * index : 28 * index + 28], singles[index])


def test_noise_may_be_given_for_all_images_or_for_each(running):
    told = ask(running, label=1, seed=8, count=2, format="json").json()["images"]
    again = ask(running, label=1, z=told[1]["z"], format="json").json()["images"][0]
    assert again["png"] == told[1]["png"]
    both = {i: [image["z"][i] for image in told] for i in ("0", "1")}
    each = ask(running, label=1, count=2, z=both, format="json").json()["images"]
    assert [image["png"] for image in each] == [image["png"] for image in told]
    fixed = ask(running, label=1, count=2, seed=8, z={"0": NUMBERS}, format="json").json()
    assert [image["z"]["0"] for image in fixed["images"]] == [NUMBERS, NUMBERS]
    assert fixed["images"][0]["z"]["1"] == told[0]["z"]["1"]


def test_a_seed_s_image_is_the_same_whatever_it_is_batched_with(running):
    """Forty askers at once, of all classes and counts, against each alone."""
    asked = [{"label": k % 10, "seed": 7 * k, "count": 1 + k % 9} for k in range(40)]
    alone = [ask(running, **body).content for body in asked]
    with ThreadPoolExecutor(20) as pool:
        together = list(pool.map(lambda body: ask(running, **body).content, asked * 2))
    assert together == alone * 2


def test_what_is_served(running):
    told = requests.get(f"{running.url}/v1/model", timeout=10).json()
    assert told["levels"] == [{"level": 0, "z_dim": 4}, {"level": 1, "z_dim": 6}]
    assert told["image"] == {"height": 28, "width": 28, "channels": 1}
    assert told["classes"] == list("0123456789")
    health = requests.get(f"{running.url}/healthz", timeout=10).json()
    assert health == {"status": "ok", "model": told["model"], "version": told["version"]}


def test_directions_by_level(running):
    answer = requests.get(f"{running.url}/v1/directions", timeout=60)
    told = answer.json()["levels"]
    assert [np.shape(level["vectors"]) for level in told] == [(4, 4), (4, 6)]
    assert answer.headers["x-model-version"] == running.switch.model.version


def test_without_training_images_there_is_no_nearest(running):
    answer = ask(running, "/v1/nearest", label=1)
    assert answer.status_code == 404
    assert "not in this project" in answer.json()["error"]


def test_the_nearest_training_image(weights, start):
    """Among noise, and the sample itself at row 7."""
    switch = Switch(WeightsFile(weights))
    drawer = switch.model.drawer
    images = np.random.default_rng(0).integers(0, 256, (20, 28, 28, 1), np.uint8)
    images[7] = drawer.images(torch.tensor([4]), drawer.noise([9]))[0].numpy()
    held = TrainingImages(images, np.arange(20) % 10)
    switch.model = dataclasses.replace(switch.model, training=held)
    answer = ask(start(switch, 0.0), "/v1/nearest", label=4, seed=9)
    assert answer.headers["x-model-version"] == switch.model.version
    told = answer.json()
    assert (told["row"], told["label"], told["class"]) == (7, 7, "7")
    assert told["distance"] == pytest.approx(0, abs=0.05)
    assert np.array_equal(pixels(base64.b64decode(told["png"])), images[7][..., 0])


def test_counts(running):
    ask(running, label=1)
    ask(running, label=77)
    requests.get(f"{running.url}/made/up", timeout=10)
    told = requests.get(f"{running.url}/metrics", timeout=10)
    assert told.headers["content-type"].startswith("text/plain; version=")
    text = told.text
    assert 'sgan_requests_total{path="/v1/samples",status="200"}' in text
    assert 'sgan_requests_total{path="/v1/samples",status="422"}' in text
    assert 'sgan_requests_total{path="other",status="404"}' in text
    assert "made" not in text
    assert "sgan_images_waiting 0.0" in text


def test_a_head_that_names_another_host_is_refused(running):
    """A page from elsewhere whose name was turned to 127.0.0.1."""
    answer = requests.get(f"{running.url}/v1/model", headers={"Host": "evil.test"}, timeout=10)
    assert answer.status_code == 400
    assert answer.json()["error"].startswith("host 'evil.test': this server answers to 127.0.0.1")


def test_pages_need_nothing_from_elsewhere(running):
    files = sorted(path.name for path in Path(app.__file__).with_name("page").iterdir())
    assert {"index.html", "explorer.js"} <= set(files)
    for name in ("", "docs", *(name for name in files if not name.endswith(".html"))):
        answer = requests.get(f"{running.url}/{name}", timeout=10)
        assert answer.status_code == 200, name
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert "http:" not in answer.text, name
        assert "https:" not in answer.text, name
        assert "//" not in re.sub(r"^ *//.*|  // .*", "", answer.text, flags=re.M), name
    document = requests.get(f"{running.url}/openapi.json", timeout=10).json()
    assert set(document["paths"]) == {
        "/v1/samples", "/v1/nearest", "/v1/directions", "/v1/model", "/healthz", "/metrics",
    }  # fmt: skip


LINES = """
const vm = require("vm"), fs = require("fs");
const element = { getElementById: () => ({}) }, crypto = { getRandomValues: () => [0] };
const page = vm.createContext({ document: element, crypto, latest: (task) => task });
vm.runInContext(fs.readFileSync(process.argv[1], "utf8"), page);
const served = JSON.stringify({ classes: JSON.parse(process.argv[2]), levels: [] });
vm.runInContext(`model = ${served}; state = { seed: 5, moved: {} }`, page);
const told = "model.classes.map((_, k) => { state.label = k; return line(); })";
console.log(JSON.stringify(vm.runInContext(told, page)));
"""


@pytest.mark.skipif(shutil.which("node") is None, reason="no node on PATH; it comes with npm")
@pytest.mark.parametrize(
    ("classes", "shown"),
    [
        (list("0123456789"), list("0123456789")),
        (["cat", "a dog"], ["0", "1"]),
        (list("123"), ["0", "2", "3"]),
        (["1", "it's $(x)"], ["0", "it's $(x)"]),
    ],
)
def test_the_command_of_the_page_asks_for_the_class_that_is_shown(classes, shown):
    """`--label` takes a name before a number, so a number that names another class will not do."""
    script = Path(app.__file__).with_name("page") / "explorer.js"
    command = ["node", "-e", LINES, str(script), json.dumps(classes)]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    commands = [shlex.split(line) for line in json.loads(run.stdout)]
    assert [words[:3] for words in commands] == [["sgan", "sample", "--label"]] * len(classes)
    labels = [words[3] for words in commands]
    assert labels == shown
    assert [class_of(label, classes) for label in labels] == list(range(len(classes)))


BAD = {
    "no label": ({}, "label: is missing"),
    "a class that is not there": ({"label": 10}, "label 10: must be 0 to 9"),
    "a name that is none": ({"label": "cat"}, "label 'cat': must be 0 to 9"),
    "half a class": ({"label": 3.5}, "label: 3.5: must be a class's number or name"),
    "yes": ({"label": True}, "label: True: must be a class's number or name"),
    "a long number": ({"label": "9" * 5000}, "label '99"),
    "a list": ({"label": [3]}, "label: [3]: must be"),
    "below": ({"label": -1}, "label -1: must be"),
    "a lone surrogate": ({"label": "\ud800"}, "label '\\ud800': must be 0 to 9"),
    "none": ({"label": 1, "count": 0}, "count: 0: should be greater than or equal to 1"),
    "too many": ({"label": 1, "count": 257}, "count: 257: should be less than or equal to 256"),
    "one and a half": ({"label": 1, "count": 1.5}, "count: 1.5: should be a valid integer"),
    "a negative seed": ({"label": 1, "seed": -1}, "seed: -1: should be greater"),
    "a seed too large": ({"label": 1, "seed": 2**31}, "seed: 2147483648: should be less"),
    "a seed as text": ({"label": 1, "seed": "5"}, "seed: '5': should be a valid integer"),
    "another format": ({"label": 1, "format": "gif"}, "format: 'gif': should be 'png', 'zip'"),
    "a field of no meaning": ({"label": 1, "colour": 1}, "colour: is none of label, seed, z"),
    "a level that is not there": ({"label": 1, "z": {"2": NUMBERS}}, "z has a level '2'"),
    "a level by another name": ({"label": 1, "z": {"01": NUMBERS}}, "z has a level '01'"),
    "too few numbers": ({"label": 1, "z": {"0": [0.5]}}, "z.0: 1 numbers; z_0 of this stack has 4"),
    "no vectors": ({"label": 1, "z": {"0": []}}, "z.0: 0 numbers"),
    "vectors for others": (
        {"label": 1, "count": 3, "z": {"0": [NUMBERS, NUMBERS]}},
        "z.0: 2 vectors for 3 images; give 3",
    ),
    "outside": ({"label": 1, "z": {"0": [0, 0, 0, 1.5]}}, "z.0"),
    "no number": ({"label": 1, "z": {"0": [0, 0, 0, None]}}, "z.0"),
    "not a mapping": ({"label": 1, "z": [NUMBERS]}, "z: "),
    "a sheet too large": ({"label": 1, "count": 256, "scale": 16}, "51,380,224 pixels, and 16,000"),
    "not a mapping at all": ([1, 2], "the body: [1, 2]: should be a valid dictionary"),
    "nothing": (None, "the body"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_request_is_told_in_a_sentence(running, name):
    body, sentence = BAD[name]
    headers = {"Content-Type": "application/json"}
    data = json.dumps(body)
    answer = requests.post(f"{running.url}/v1/samples", data=data, headers=headers, timeout=30)
    assert answer.status_code == 422, answer.text
    assert sentence in answer.json()["error"]
    assert len(answer.json()["error"]) < 400


def test_a_mistake_about_the_nearest_names_its_own_fields(running):
    answer = ask(running, "/v1/nearest", label=1, count=2)
    assert answer.status_code == 422
    assert answer.json() == {"error": "count: is none of label, seed, z"}


@pytest.mark.parametrize(
    ("body", "status", "sentence"),
    [
        (b"{", 422, "the body is not JSON"),
        (b"\xff\xfe", 422, "the body is not JSON"),
        (b"[" * 100_000, 400, "the body is not JSON"),
        (b'{"label": ' + b"1" * 10_000 + b"}", 400, "the body is not JSON"),
        (b'{"label": 1, "z": {"0": [NaN, 0, 0, 0]}}', 422, "should be a finite number"),
        (b'{"label": 1, "z": {"0": [1e999, 0, 0, 0]}}', 422, "z.0"),
        (b'{"label": 1, "pad": "' + b"x" * 1_000_000 + b'"}', 413, "1,000,000 are allowed"),
    ],
)
def test_a_body_that_is_no_question(running, body, status, sentence):
    headers = {"Content-Type": "application/json"}
    answer = requests.post(f"{running.url}/v1/samples", data=body, headers=headers, timeout=30)
    assert answer.status_code == status, answer.text
    assert sentence in answer.json()["error"]


def test_a_body_that_does_not_say_how_long_it_is(running):
    def parts():
        yield b'{"label": 1, "pad": "'
        for _ in range(30):
            yield b"x" * 50_000

    headers = {"Content-Type": "application/json"}
    answer = requests.post(f"{running.url}/v1/samples", data=parts(), headers=headers, timeout=30)
    assert answer.status_code == 413
    assert "1,000,000 are allowed" in answer.json()["error"]


@pytest.mark.parametrize(
    ("method", "path", "status", "sentence"),
    [
        ("GET", "/v1/samples", 405, "'GET' is not possible here"),
        ("DELETE", "/v1/model", 405, "'DELETE' is not possible here"),
        ("POST", "/healthz", 405, "'POST' is not possible here"),
        ("GET", "/v2/samples", 404, "'/v2/samples': no such path"),
        ("GET", "/%2e%2e/app.py", 404, "no such path"),
        ("POST", "/v1/samples", 415, "must be application/json"),
    ],
)
def test_what_is_not_there(running, method, path, status, sentence):
    data = b"label=3" if method == "POST" else None
    answer = requests.request(method, running.url + path, data=data, timeout=10)
    assert answer.status_code == status
    assert sentence in answer.json()["error"]


def sent(running, **body):
    """A connection on which samples were asked for, and no answer was read."""
    host, port = running.url.removeprefix("http://").split(":")
    content = json.dumps(body).encode()
    head = "POST /v1/samples HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    client = socket.create_connection((host, int(port)))
    client.sendall(f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content)
    return client


def test_a_client_that_leaves_harms_nobody(running):
    for _ in range(3):
        sent(running, label=1, count=256).close()
    assert ask(running, label=1).status_code == 200


def test_what_a_client_that_left_had_asked_for_is_not_drawn(weights, start, monkeypatch):
    """Its first batch, of 32, is held until the server has seen it leave."""
    begun, goes_on, sizes = threading.Event(), threading.Event(), []
    draw = batcher._drawn

    def held(batch):
        sizes.append(sum(rows.stop - rows.start for _, rows in batch))
        begun.set()
        assert goes_on.wait(30)
        return draw(batch)

    monkeypatch.setattr(batcher, "_drawn", held)
    running = start(Switch(WeightsFile(weights)), 0.0)
    with sent(running, label=1, count=256):
        assert begun.wait(30)
    try:
        deadline = time.monotonic() + 10
        while 'path="/v1/samples",status="499"' not in (
            requests.get(f"{running.url}/metrics", timeout=10).text
        ):
            assert time.monotonic() < deadline
            time.sleep(0.01)
    finally:
        goes_on.set()
    assert ask(running, label=1).status_code == 200
    assert sizes == [32, 1]
