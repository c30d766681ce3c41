"""A worker for lanes that needs no networks: quick, and able to misbehave."""

import hashlib
import io
import os
import signal
import time

from PIL import Image

from idmvton.engine.service.lane_process import JobError
from idmvton.engine.service.store import Store
from idmvton.engine.service.views import Problem

FAKE = "tests.fake_lane:FakeWorker"


class FakeWorker:
    """Makes a picture whose colour follows from the files and the seed. A caption orders something else:

    ``sleep N``: N steps of 0.05 s; ``die``, ``die once``: kills its process; ``fail``: nobody in the photo;
    ``crash``: an error that nobody expects; ``grow``: takes memory; ``stuck``: takes 60 s without a step.
    """

    def __init__(self, setup):
        self.setup, self.store, self.kept = setup, Store(setup.store), []

    def about(self):
        return {"model": "fake", "threads": self.setup.threads, "waits": os.environ["OMP_WAIT_POLICY"]}

    def warm_up(self):
        pass

    def __call__(self, job, asked, tell):
        caption, _, value = (asked["options"].get("caption") or "").partition(" ")
        if caption == "sleep":
            for step in range(int(value)):
                tell("denoising", step, int(value))
                time.sleep(0.05)
        elif caption == "die":
            mark = os.path.join(os.path.dirname(self.setup.store), f"died-{job}")
            if value != "once" or not os.path.exists(mark):
                open(mark, "w").close()
                os.kill(os.getpid(), signal.SIGKILL)
        elif caption == "fail":
            raise JobError(Problem("no_person", "no person was found in the photo", field="person"))
        elif caption == "crash":
            raise RuntimeError("secret of the fake")
        elif caption == "grow":
            self.kept.append(bytearray(os.urandom(1 << 20) * int(value)))
            time.sleep(1)
        elif caption == "stuck":
            time.sleep(60)
        sha = hashlib.sha256(repr(asked["options"].get("seed")).encode())
        for role in sorted(asked["files"]):
            sha.update(self.store.read(asked["files"][role]["key"]))
        if asked["adapter"] and asked["kind"] == "try_on":
            key = asked["adapter"]["key"]
            sha.update(self.store.read(key) if key else asked["adapter"]["name"].encode())
        names = {"prepare": ["mask.png", "overlay.png"], "adapter": ["adapter.safetensors", "before-after.png"]}
        outputs = [self._write(job, name, sha.digest()[:3]) for name in names.get(asked["kind"], ["0.png"])]
        result = {"outputs": outputs, "warnings": ["fake"], "timings": {"denoising": 0.01}}
        if asked["kind"] == "prepare":
            result["about"] = {"sources": {}}
        if asked["kind"] == "adapter":
            result["about"] = {"name": asked["adapter"]["name"], "caption": "shirt"}
        if asked["kind"] == "mask":
            changed = [self._write(asked["prepared"], "mask.png", sha.digest()[:3])]
            return {"outputs": [], "changed": changed, "about": {"prepared": asked["prepared"]}}
        return result

    def _write(self, job, name, colour):
        content = io.BytesIO()
        Image.new("RGB", (32, 32), tuple(colour)).save(content, "PNG")
        found, size = self.store.put(f"jobs/{job}/{name}", content.getvalue())
        return {"name": name, "sha256": found, "bytes": size, "width": 32, "height": 32}


def picture(colour="red", size=(64, 64), kind="PNG"):
    content = io.BytesIO()
    Image.new("RGB", size, colour).save(content, kind)
    return content.getvalue()
