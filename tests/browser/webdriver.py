"""A headless Chromium driven through chromedriver by the W3C WebDriver protocol: JSON over local HTTP."""

import base64
import json
import os
import pathlib
import re
import shutil
import subprocess
import urllib.request
from typing import Any

import pytest

ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # the protocol's name for a reference to an element
KEYS = {"left": "\ue012", "up": "\ue013", "right": "\ue014", "down": "\ue015", "escape": "\ue00c",
        "enter": "\ue007", "tab": "\ue004"}


def find_chromium() -> tuple[str, str]:
    """Paths of browser and driver; skips the test where one is missing."""
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    driver = shutil.which("chromedriver")
    if not browser or not driver:
        pytest.skip("needs chromium and chromedriver (Debian: apt-get install chromium chromium-driver)")
    return browser, driver


class Browser:
    """A browser with a fresh profile; downloads land in `downloads`.

    Args:
      size: width and height of the page in CSS pixels.
      phone: whether it passes for a phone with a touch screen and three device pixels to one of the page.
    """

    def __init__(self, profile: pathlib.Path, downloads: pathlib.Path, size: tuple[int, int], phone: bool = False):
        browser, driver = find_chromium()
        self._process = subprocess.Popen([driver, "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                         text=True)
        self._url = f"http://127.0.0.1:{self._port()}/session"
        arguments = ["--headless=new", f"--user-data-dir={profile}", f"--window-size={size[0]},{size[1]}",
                     "--no-first-run", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"]
        if os.geteuid() == 0:
            arguments.append("--no-sandbox")  # Chromium has no sandbox for root
        options = {"binary": browser, "args": arguments,
                   "prefs": {"download.default_directory": str(downloads), "download.prompt_for_download": False}}
        if phone:
            options["mobileEmulation"] = {"deviceMetrics": {"width": size[0], "height": size[1], "pixelRatio": 3.0,
                                                            "touch": True}}
        wanted = {"browserName": "chrome", "goog:chromeOptions": options,
                  "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"}}
        try:
            session = self._send("POST", "", {"capabilities": {"alwaysMatch": wanted}})
        except BaseException:
            self._stop()
            raise
        self._url += f"/{session['sessionId']}"
        if not phone:
            self._fit(size)

    def __enter__(self) -> "Browser":
        return self

    def __exit__(self, kind, value, trace) -> None:
        try:
            self._send("DELETE", "")
        finally:
            self._stop()

    def open(self, path: pathlib.Path) -> None:
        """Opens a file as a double click would."""
        self._send("POST", "/url", {"url": path.as_uri()})

    def reload(self) -> None:
        self._send("POST", "/refresh", {})

    def run(self, script: str, *arguments: Any) -> Any:
        """What `script` (a function body; arguments[0], ...) returns in the page."""
        return self._send("POST", "/execute/sync", {"script": script, "args": list(arguments)})

    def click(self, selector: str) -> None:
        """Clicks as a user would: it fails where something hides or covers the element."""
        self._send("POST", f"/element/{self._element(selector)}/click", {})

    def type(self, selector: str, text: str) -> None:
        """Types into a field."""
        self._send("POST", f"/element/{self._element(selector)}/value", {"text": text})

    def press(self, key: str) -> None:
        """Presses a key: a character or one of KEYS, wherever the focus is."""
        value = KEYS.get(key, key)
        actions = [{"type": kind, "value": value} for kind in ("keyDown", "keyUp")]
        self._send("POST", "/actions", {"actions": [{"type": "key", "id": "keyboard", "actions": actions}]})

    def accept_question(self) -> None:
        self._send("POST", "/alert/accept", {})

    def text(self, selector: str) -> str:
        """The text a user sees there."""
        return self._send("GET", f"/element/{self._element(selector)}/text")

    def visible(self, selector: str) -> bool:
        return self._send("GET", f"/element/{self._element(selector)}/displayed")

    def screenshot(self, path: pathlib.Path) -> None:
        path.write_bytes(base64.b64decode(self._send("GET", "/screenshot")))

    def log(self, kind: str) -> list[dict]:
        """Entries since the last call: "browser" is the console, "performance" the protocol's events."""
        return self._send("POST", "/se/log", {"type": kind})

    def _fit(self, size: tuple[int, int]) -> None:
        inner = self.run("return [innerWidth, innerHeight]")
        width, height = (2 * want - have for want, have in zip(size, inner, strict=True))
        self._send("POST", "/window/rect", {"width": width, "height": height})

    def _element(self, selector: str) -> str:
        return self._send("POST", "/element", {"using": "css selector", "value": selector})[ELEMENT]

    def _port(self) -> int:
        for line in self._process.stdout:
            found = re.search(r"started successfully on port (\d+)", line)
            if found:
                return int(found[1])
        raise RuntimeError("chromedriver did not start")

    def _send(self, method: str, path: str, body: dict | None = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(self._url + path, data, headers, method=method)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _KeepErrors)
        with opener.open(request, timeout=120) as response:
            value = json.load(response)["value"]
        if isinstance(value, dict) and "error" in value:
            raise RuntimeError(f"{method} {path}: {value['error']}: {value.get('message', '')[:500]}")
        return value

    def _stop(self) -> None:
        self._process.terminate()
        self._process.wait(30)
        self._process.stdout.close()


class _KeepErrors(urllib.request.HTTPErrorProcessor):
    """Hands answers of status 4xx and 5xx on, since their body says what went wrong."""

    def http_response(self, request, response):
        return response
