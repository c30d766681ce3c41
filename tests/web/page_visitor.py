"""A visitor of the page: a browser window, and what one does in it."""

from pathlib import Path

import numpy as np
from PIL import Image

EXAMPLES = Path(__file__).parents[2] / "examples"
PERSON, SHIRT, HOODIE = (EXAMPLES / f"{name}.jpg" for name in ("person", "checked_shirt", "striped_hoodie"))
PATIENCE = 180_000  # milliseconds: machines that test are busy


class Visitor:
    """A browser window of its own, on the page.

    Attributes:
        asked: addresses that the window asked for.
        complaints: errors that the window's scripts raised.
    """

    def __init__(self, browser, url, width=1440, **context):
        height = 900 if width > 800 else 844
        self.url = url
        self.context = browser.new_context(
            viewport={"width": width, "height": height}, has_touch=width < 800, accept_downloads=True, **context
        )
        self.asked, self.complaints = [], []
        self.window = self.context.new_page()
        self.window.set_default_timeout(PATIENCE)
        self.window.on("request", lambda request: self.asked.append(request.url))
        self.window.on("pageerror", lambda error: self.complaints.append(str(error)))

    def enter(self):
        """Opens the page."""
        self.window.goto(self.url)
        self.see("#garment-examples .strip-item")
        self.window.wait_for_function("document.body.dataset.entered")
        return self

    def leave(self):
        """Closes the window; none of its scripts may have failed."""
        self.context.close()
        assert not self.complaints

    def tab(self, name):
        """Goes to a tab."""
        self.window.get_by_role("tab", name=name).click()

    def describe(self, caption):
        """Writes a description of the garment; the fake lane reads orders in it."""
        self.window.fill("#caption textarea, #caption input", caption)

    def see(self, query):
        """Waits until something is seen."""
        self.window.locator(query).first.wait_for(state="visible")
        return self.window.locator(query).first

    def put(self, role, path):
        """Puts a photo on, and waits until it was understood."""
        self.window.set_input_files(f"#{role}-upload input[type=file]", str(path))
        self.see("#painter .painter-photo" if role == "person" else "#garment-picture img")

    def mask_share(self):
        """How much of the canvas is marked, once the mask is drawn."""
        self.window.wait_for_function("document.querySelector('#painter .painter-mask')?.width > 300")
        return self.window.evaluate(
            """() => { const c = document.querySelector('#painter .painter-mask');
            const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;
            let n = 0; for (let i = 3; i < d.length; i += 4) n += d[i] > 127; return n / (c.width * c.height); }"""
        )

    def stroke(self, tool, points):
        """Draws with a tool; points are shares of the photo."""
        self.window.click(f"#painter [data-do={tool}]")
        box = self.window.locator("#painter .painter-mask").bounding_box()
        places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in points]
        self.window.mouse.move(*places[0])
        self.window.mouse.down()
        for place in places[1:]:
            self.window.mouse.move(*place, steps=4)
        self.window.mouse.up()
        self.window.click(f"#painter [data-do={tool}]")

    def run(self, button="#run", result="#slider img"):
        """Presses a button and waits for another picture than before."""
        source = "query => [...document.querySelectorAll(query)].map((each) => each.src).join()"
        before = self.window.evaluate(source, result)
        self.window.locator(button).first.click()
        self.window.wait_for_function(
            f"([query, before]) => ![before, ''].includes(({source})(query))", arg=[result, before]
        )
        self.see(result)

    def pixels(self, query):
        """The picture of a file that is taken away; RGB."""
        return np.asarray(Image.open(self.download(query)).convert("RGB")).astype(int)

    def download(self, query):
        """Takes a file."""
        with self.window.expect_download() as taken:
            self.window.click(query)
        return Path(taken.value.path())
