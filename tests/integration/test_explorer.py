"""The explorer page in headless Chromium, on a real server: what a hand does, and what changes."""

import hashlib
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import browser
from tests.browser import Browser
from tests.integration.test_serve import served
from tests.stacks import write_stack

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(bool(browser.why_not()), reason=browser.why_not() or "there is one"),
]

LEFT, RIGHT = "\ue012", "\ue014"
PICTURE = """
const image = document.getElementById('picture'), canvas = document.createElement('canvas');
[canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
const context = canvas.getContext('2d');
context.drawImage(image, 0, 0);
return [...context.getImageData(0, 0, canvas.width, canvas.height).data].join(',');
"""


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """The page of a stack of three levels, drawn."""
    folder = tmp_path_factory.mktemp("explorer")
    weights = write_stack(folder / "stack.safetensors", z_dims=(4, 5, 6))
    process, url = served("--weights", str(weights))
    window = Browser(folder)
    try:
        window.open(url)
        window.wait("document.querySelectorAll('#variations img').length == 12")
        window.weights = weights  # type: ignore[attr-defined]
        yield window
        assert window.complaints() == []
    finally:
        window.close()
        process.terminate()
        process.wait(30)


def drawn(page: Browser) -> int:
    return int(page.run("return document.getElementById('explorer').dataset.drawn"))


def picture(page: Browser, after: int) -> str:
    """A digest of the sample's pixels, once it was drawn anew and nothing is being drawn."""
    page.wait("Number(document.getElementById('explorer').dataset.drawn) > arguments[0]", after)
    page.wait("document.getElementById('explorer').dataset.busy == '0'")
    return hashlib.sha256(page.run(PICTURE).encode()).hexdigest()


def line(page: Browser) -> str:
    return str(page.run("return document.getElementById('line').textContent"))


def test_a_slider_changes_the_picture(page: Browser) -> None:
    before = picture(page, 0)
    count = drawn(page)
    page.run("document.querySelector('[data-level=\"1\"] .sliders input').focus()")
    for _ in range(30):
        page.press(RIGHT)
    assert picture(page, count) != before
    assert " --z 1 " in line(page)
    assert " --z 0 " not in line(page), "the other levels keep the seed's noise"


def test_a_pad_is_dragged_and_the_step_undone(page: Browser) -> None:
    before, count = picture(page, 0), drawn(page)
    page.drag('[data-level="2"] .pad', (0.5, 0.5), (0.9, 0.2), (0.95, 0.05))
    after = picture(page, count)
    assert after != before
    first = float(page.run("return document.querySelector('[data-level=\"2\"] input').value"))
    assert first == pytest.approx(2.8 * 0.9, abs=0.1)
    count = drawn(page)
    page.run("document.getElementById('undo').click()")
    assert picture(page, count) == before


def test_a_locked_level_stays_while_the_others_are_drawn_anew(page: Browser) -> None:
    page.run("document.querySelector('[data-level=\"2\"] .lock').click()")
    page.wait("document.getElementById('vary-told').textContent.includes('z_1, z_0')")
    value = "return document.querySelector('[data-level=\"2\"] input').value"
    held, count = page.run(value), drawn(page)
    page.press("n")
    picture(page, count)
    # The picture may be of the sliders' last move, which was still being drawn.
    page.wait("document.getElementById('line').textContent.includes(arguments[0])", " --z 2 ")
    assert page.run(value) == held
    page.run("document.querySelector('[data-level=\"2\"] .lock').click()")


def test_a_walk_passes_from_one_sample_to_the_other(page: Browser) -> None:
    seen = []
    for step in (0, 0.5, 1):
        count = drawn(page)
        page.run(
            "const s = document.getElementById('step'); s.value = arguments[0];"
            "s.dispatchEvent(new Event('input'))",
            step,
        )
        seen.append(picture(page, count))
    assert len(set(seen)) == 3


def test_the_command_gives_the_same_picture(page: Browser, tmp_path: Path) -> None:
    count = drawn(page)
    page.press("7")
    picture(page, count)
    page.wait("document.getElementById('line').textContent.includes(arguments[0])", "--label 7 ")
    command = shlex.split(line(page))
    assert command[0] == "sgan"
    command[command.index("--out") + 1] = str(tmp_path / "sample.png")
    subprocess.run([sys.executable, "-m", "pipeline", *command[1:]], check=True)
    import numpy as np
    from PIL import Image

    shown = np.array(page.run(PICTURE).split(","), int).reshape(28, 28, 4)
    written = np.asarray(Image.open(tmp_path / "sample.png"))
    assert np.array_equal(written[::2, ::2, 0], shown[..., 0])


def test_another_model_is_taken_up_by_an_open_page(page: Browser) -> None:
    before, noise = picture(page, 0), line(page)
    served_before = page.run("return model.sha256")
    page.run("document.querySelector('[data-level=\"1\"] .sliders input').focus()")
    write_stack(page.weights, seed=4, z_dims=(4, 5, 6))  # type: ignore[attr-defined]
    deadline = time.monotonic() + 60
    while page.run("return model.sha256") == served_before:  # until an answer comes from the other
        assert time.monotonic() < deadline
        page.press(RIGHT)
        page.press(LEFT)
        time.sleep(0.2)
    page.wait("document.getElementById('told').textContent.includes('another model')")
    assert picture(page, 0) != before
    assert line(page).split(" --z ")[0] == noise.split(" --z ")[0]


def test_a_phone_needs_no_sideways_scrolling(page: Browser) -> None:
    size = {"width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": True}
    page.devtools("Emulation.setDeviceMetricsOverride", **size)
    assert page.run("return document.documentElement.scrollWidth") <= 390
    small = page.run(
        "return [...document.querySelectorAll('button, .chip')].filter(e => e.offsetHeight &&"
        " e.offsetHeight < 36 && !e.closest('.tiles')).map(e => e.textContent)"
    )
    assert small == []
