"""A page on this machine and a real browser: both are started once for all tests of a process."""

import shutil
import socket

import pytest
from page_visitor import PERSON, SHIRT, Visitor
from PIL import Image
from playwright.sync_api import sync_playwright
from tests.web.page_lane import PAGE_LANE

from idmvton.engine.service import Service
from idmvton.options import ModelOptions, ServiceOptions, WebOptions
from idmvton.web.app import Running


@pytest.fixture(scope="package")
def service(tmp_path_factory):
    """One lane that makes its pictures without networks; photos are read by the real ones."""
    state = tmp_path_factory.mktemp("state")
    options = ServiceOptions(state=str(state), warm_up=False, max_images=4, retention=5.0)
    with Service(options, ModelOptions(device="cpu", threads=1), worker=PAGE_LANE) as running:
        yield running


@pytest.fixture(scope="package")
def site(service):
    """The page, open on this machine."""
    with Running(service, WebOptions(port=_free_port())) as running:
        yield running


@pytest.fixture
def free_port():
    """A port that nothing listens on."""
    return _free_port()


def _free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


@pytest.fixture(scope="package")
def chromium():
    """Debian's Chromium, without a window, with a camera that shows a test picture."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    assert found, "the tests of the page need Chromium: `make browser` installs it on Debian"
    camera = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=found, args=["--no-sandbox", *camera])
        yield browser
        browser.close()


@pytest.fixture
def visitors(chromium, site):
    """Opens windows; they are closed after the test."""
    opened = []

    def open_window(width=1440, **context):
        opened.append(Visitor(chromium, site.url, width, **context))
        return opened[-1].enter()

    yield open_window
    for each in opened:
        each.leave()


@pytest.fixture(scope="module")
def at_home(chromium, site):
    """A visitor whom the tests of a file share, with a person and a garment on."""
    visitor = Visitor(chromium, site.url).enter()
    visitor.put("person", PERSON)
    visitor.put("garment", SHIRT)
    visitor.mask_share()
    yield visitor
    visitor.leave()


@pytest.fixture(scope="package")
def couple(tmp_path_factory):
    """Two people in one photo."""
    one = Image.open(PERSON).convert("RGB")
    both = Image.new("RGB", (1536, 1024))
    both.paste(one, (0, 0))
    both.paste(one.transpose(Image.Transpose.FLIP_LEFT_RIGHT), (768, 0))
    path = tmp_path_factory.mktemp("couple") / "couple.jpg"
    both.save(path, quality=95)
    return path
