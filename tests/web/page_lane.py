"""A worker for lanes that needs no networks, with results as the page shows them."""

import io
import time

import numpy as np
from PIL import Image, ImageOps
from tests.fake_lane import FakeWorker

PAGE_LANE = "tests.web.page_lane:PageWorker"


class PageWorker(FakeWorker):
    """Lays the garment's colour over the middle of the person's photo; the caption orders what it orders there."""

    def __call__(self, job, asked, tell):
        if asked["kind"] == "adapter":
            return self._learn(job, asked, tell)
        made = super().__call__(job, asked, tell)
        options = asked["options"]
        tell("denoising", 1, 2)
        person, garment = (
            ImageOps.exif_transpose(Image.open(io.BytesIO(self.store.read(asked["files"][role]["key"])))).convert("RGB")
            for role in ("person", "garment")
        )
        count = options.get("num_images") or 1
        seeds = [options["seed"] + number for number in range(count)]
        mask = None
        if "mask" in asked["files"]:
            mask = Image.open(io.BytesIO(self.store.read(asked["files"]["mask"]["key"]))).convert("L")
        pictures = [dressed(person, garment, seed, mask) for seed in seeds]
        made["outputs"] = [self._save(job, f"{number}.png", each) for number, each in enumerate(pictures)]
        made["warnings"] = ["the seeds made nearly the same picture"] if count > 1 else []
        made["provenance"] = [{"seed": seed} for seed in seeds]
        made["about"] = {"caption": options.get("caption") or "a fake garment", "category": "upper_body"}
        return made

    def _learn(self, job, asked, tell):
        """Learns nothing; what is called ``slow`` takes its time."""
        name = asked["adapter"]["name"]
        tell("preparing the photos", 0, None)
        total = 2000 if name == "slow" else 20
        for step in range(total):
            tell("training", step + 1, total)
            time.sleep(0.05)
        tell("drawing before and after", 0, None)
        sha, size = self.store.put(f"jobs/{job}/adapter.safetensors", name.encode())
        file = {"name": "adapter.safetensors", "sha256": sha, "bytes": size}
        outputs = [file, self._save(job, "before-after.png", Image.new("RGB", (400, 130), "teal"))]
        about = {"name": name, "caption": "a fake garment", "category": "upper_body", "steps": total}
        return {"outputs": outputs, "warnings": [], "timings": {}, "about": about}

    def _save(self, job, name, picture):
        content = io.BytesIO()
        picture.save(content, "PNG", compress_level=1)
        sha, size = self.store.put(f"jobs/{job}/{name}", content.getvalue())
        return {"name": name, "sha256": sha, "bytes": size, "width": picture.width, "height": picture.height}


def dressed(person, garment, seed, mask=None):
    """The photo with the garment's colour in the mask, or in its middle; a little lighter with each seed."""
    width, height = garment.size
    colour = np.asarray(garment)[height // 3 : 2 * height // 3, width // 3 : 2 * width // 3].mean((0, 1))
    made = person.copy()
    left, top = person.width // 4, person.height // 3
    box = (left, top, 3 * left, 2 * top) if mask is None else (0, 0)
    made.paste(tuple(int(each * 0.8) + seed % 50 for each in colour), box, mask)
    return made
