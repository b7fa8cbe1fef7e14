"""Headless Chromium, by the WebDriver protocol that its driver speaks over HTTP."""

import base64
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import requests

from tests.cluster_rig import end_tree, free_port


def why_not() -> str:
    """Why there is no browser here; "" where there is one."""
    missing = [name for name in ("chromium", "chromedriver") if shutil.which(name) is None]
    return f"no {' and no '.join(missing)} on PATH (Debian: chromium-driver)" if missing else ""


class Browser:
    """One window.

    Args:
        folder: of the profile and the log.
        width: of the page, in pixels.
        height: of the page.
        dark: prefer dark colours.
    """

    def __init__(self, folder: Path, width: int = 1280, height: int = 900, dark: bool = False):
        port = free_port()
        self._log = folder / "chromedriver.log"
        with open(self._log, "w") as out:
            self._process = subprocess.Popen(
                ["chromedriver", f"--port={port}"], stdout=out, stderr=out, start_new_session=True
            )
        self._url = f"http://127.0.0.1:{port}"
        options = [
            "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
            "--hide-scrollbars", f"--user-data-dir={folder / 'profile'}",
            f"--window-size={width},{height}",
        ]  # fmt: skip
        if dark:
            options.append("--force-dark-mode")
            options.append("--blink-settings=preferredColorScheme=0")
        capabilities = {
            "browserName": "chrome",
            "goog:chromeOptions": {"args": options},
            "goog:loggingPrefs": {"browser": "ALL"},
        }
        deadline = time.monotonic() + 60
        while True:
            try:
                found = self._ask("/session", {"capabilities": {"alwaysMatch": capabilities}})
                break
            except requests.ConnectionError:
                assert time.monotonic() < deadline, self._log.read_text()
                time.sleep(0.1)
        self._url += f"/session/{found['sessionId']}"
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
        self.devtools("Emulation.setDeviceMetricsOverride", **size)

    def _ask(self, path: str, body: dict[str, Any] | None) -> Any:
        method = "GET" if body is None else "POST"
        answer = requests.request(method, self._url + path, json=body, timeout=120).json()["value"]
        if isinstance(answer, dict) and "error" in answer:
            raise AssertionError(f"{path}: {answer['error']}: {answer['message'][:500]}")
        return answer

    def open(self, url: str) -> None:
        """Go to a page and wait until it is loaded."""
        self._ask("/url", {"url": url})

    def run(self, script: str, *arguments: Any) -> Any:
        """What JavaScript returns."""
        return self._ask("/execute/sync", {"script": script, "args": list(arguments)})

    def devtools(self, command: str, **parameters: Any) -> Any:
        """A command of the DevTools protocol."""
        return self._ask("/goog/cdp/execute", {"cmd": command, "params": parameters})

    def press(self, key: str) -> None:
        """A key, where the focus is. Arrows and the like by their code in WebDriver."""
        down, up = ({"type": kind, "value": key} for kind in ("keyDown", "keyUp"))
        actions = [{"type": "key", "id": "keyboard", "actions": [down, up]}]
        self._ask("/actions", {"actions": actions})

    def drag(self, selector: str, *places: tuple[float, float]) -> None:
        """Press at the first place, move to each other one, let go; places in parts of the
        element's box, 0 to 1."""
        box = self.run(
            "const e = document.querySelector(arguments[0]); e.scrollIntoView({block: 'center'});"
            "const b = e.getBoundingClientRect(); return [b.left, b.top, b.width, b.height]",
            selector,
        )
        moves = [
            {
                "type": "pointerMove",
                "duration": 50,
                "x": round(box[0] + x * box[2]),
                "y": round(box[1] + y * box[3]),
            }
            for x, y in places
        ]
        actions = [moves[0], {"type": "pointerDown", "button": 0}, *moves[1:]]
        actions.append({"type": "pointerUp", "button": 0})
        self._ask("/actions", {"actions": [{"type": "pointer", "id": "mouse", "actions": actions}]})

    def wait(self, condition: str, *arguments: Any, seconds: float = 60) -> Any:
        """What a JavaScript expression gives, once it is true."""
        deadline = time.monotonic() + seconds
        while not (value := self.run(f"return {condition}", *arguments)):
            assert time.monotonic() < deadline, (
                f"not in {seconds} s: {condition}\n{self.complaints()}"
            )
            time.sleep(0.05)
        return value

    def complaints(self) -> list[str]:
        """What the page has written to the console as an error since it was asked last."""
        entries = self._ask("/se/log", {"type": "browser"})
        return [entry["message"] for entry in entries if entry["level"] == "SEVERE"]

    def picture(self, path: Path, whole: bool = False) -> Path:
        """A screenshot as a PNG, of the window or of the whole page."""
        told = self.devtools("Page.captureScreenshot", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(told["data"]))
        return path

    def close(self) -> None:
        """End the browser and its driver."""
        try:
            requests.delete(self._url, timeout=20)
        finally:
            end_tree(self._process)


Opener = Callable[..., Browser]
