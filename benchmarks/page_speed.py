"""How long `idmvton web` takes: from cold to the first picture, later pictures, and the page itself, in Chromium.

    python -m benchmarks.page_speed [--threads N]

The browser is open before the clock starts; everything else is a new process. Needs playwright and Chromium.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

EXAMPLES = Path(__file__).parents[1] / "examples"
PERSON, *GARMENTS = (EXAMPLES / f"{name}.jpg" for name in ("person", "checked_shirt", "striped_hoodie"))
PORT = 7899
URL = f"http://127.0.0.1:{PORT}/"
PATIENCE = 300_000  # milliseconds


def main() -> None:
    """Prints seconds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--threads", type=int, help="of the lane; one per core when not given")
    given = parser.parse_args()
    print(f"load {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores")
    with sync_playwright() as driver, tempfile.TemporaryDirectory() as state:
        chromium = shutil.which("chromium") or shutil.which("google-chrome")
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        more = [] if given.threads is None else ["--threads", str(given.threads)]
        start = time.perf_counter()
        command = [sys.executable, "-m", "idmvton", "web", "--state", state, "--port", str(PORT), *more]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            _measure(browser, start)
        finally:
            process.terminate()
            process.wait(30)
            browser.close()
    print(f"load {os.getloadavg()[0]:.1f}")


def _measure(browser: Any, start: float) -> None:
    def told(what: str, since: float) -> None:
        print(f"{time.perf_counter() - since:6.2f} s  {what}", flush=True)

    while True:
        try:
            with urllib.request.urlopen(URL, timeout=5) as answer:
                answer.read()
            break
        except OSError:
            time.sleep(0.1)
    told("from the start: the page answers", start)
    window = _enter(browser)
    told("from the start: the page is drawn", start)
    _put(window, "person", PERSON)
    told("from the start: the person is understood", start)
    _put(window, "garment", GARMENTS[0])
    _make(window)
    told("from the start: the first picture", start)
    for garment in (GARMENTS[1], *GARMENTS):
        window.click("#garment-change")
        _put(window, "garment", garment)
        begin = time.perf_counter()
        _make(window)
        told("a later picture", begin)
    for _ in range(3):
        begin = time.perf_counter()
        _enter(browser)
        told("the page, a new visitor", begin)


def _enter(browser: Any) -> Any:
    window = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
    window.set_default_timeout(PATIENCE)
    window.goto(URL)
    window.wait_for_selector("#garment-examples .strip-item")
    return window


def _put(window: Any, role: str, photo: Path) -> None:
    window.set_input_files(f"#{role}-upload input[type=file]", str(photo))
    window.wait_for_selector("#painter .painter-photo" if role == "person" else "#garment-picture img")


def _make(window: Any) -> None:
    source = "[...document.querySelectorAll('#slider img')].map((each) => each.src).join()"
    before = window.evaluate(source)
    window.click("#run")
    window.wait_for_function(f"before => ![before, ''].includes({source})", arg=before)


if __name__ == "__main__":
    main()
