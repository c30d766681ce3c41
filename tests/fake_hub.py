"""A small Hugging Face hub on this machine, for huggingface_hub's own client to talk to."""

import hashlib
import http.server
import json
import re
import threading
from collections import Counter
from pathlib import Path

import pytest
import safetensors.torch
import torch

from idmvton import weights
from idmvton.errors import WeightsError

REPO = "maker/tiny-tryon"
UNET = "unet/diffusion_pytorch_model.safetensors"
LARGE = (".safetensors", ".pkl", ".onnx", ".pth")  # kept by the hub as large files, with their sha256
FIRST_COMMIT, SECOND_COMMIT = "1" * 40, "2" * 40


def tensors(seed: int) -> bytes:
    return safetensors.torch.save({"w": torch.full((5000,), float(seed))})


class Hub(http.server.ThreadingHTTPServer):
    """Speaks as much of the hub's protocol as downloading needs, and misbehaves on request."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.files: dict[str, bytes] = {
            "model_index.json": b'{"_class_name": "TryOn"}',
            "unet/config.json": b"{}",
            UNET: tensors(1),
            "vae/diffusion_pytorch_model.safetensors": tensors(2),
            "humanparsing/parsing.onnx": b"not wanted",
            "README.md": b"not wanted",
        }
        self.commit = FIRST_COMMIT
        self.gets: Counter[str] = Counter()  # bodies asked for, by file
        self.ranges: list[str] = []
        self.listings = 0
        self.refusal: tuple[int, str] | None = None  # status and X-Error-Code of every answer
        self.page: bytes | None = None  # answered to every question
        self.drop_once: str | None = None  # the connection breaks in the middle of this file
        self.fail: str | None = None  # this file is answered with an error, after three others were served
        self.corrupt: dict[str, int] = {}  # how many times a file is served with wrong bytes
        self.tells_hashes = True
        self.moves_to: str | None = None  # the branch moves after the first listing
        self.served: set[str] = set()
        self.others_served = threading.Event()

    def sibling(self, name: str, for_tree: bool) -> dict[str, object]:
        data = self.files[name]
        told: dict[str, object] = {"path" if for_tree else "rfilename": name, "size": len(data)}
        if for_tree:
            told |= {"type": "file", "oid": git_sha1(data)}
        elif self.tells_hashes:
            told["blobId"] = git_sha1(data)
        if name.endswith(LARGE) and self.tells_hashes:
            key = "oid" if for_tree else "sha256"
            told["lfs"] = {key: sha256(data), "size": len(data), "pointerSize": 130}
        return told


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def git_sha1(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


class Answer(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Hub

    def log_message(self, *args: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        hub = self.server
        if hub.refusal is not None:
            return self.send(hub.refusal[0], b"", {"X-Error-Code": hub.refusal[1]})
        if hub.page is not None:
            return self.send(200, hub.page, {"Content-Type": "text/html"})
        path = self.path.partition("?")[0]
        asked = re.fullmatch(r"/api/(?:models|spaces)/[\w.-]+/[\w.-]+/revision/(\w+)", path)
        if asked:
            commit = asked[1] if len(asked[1]) == 40 else hub.commit
            siblings = [hub.sibling(name, for_tree=False) for name in hub.files]
            told = {"id": REPO, "sha": commit, "siblings": siblings, "tags": []}
            hub.listings += 1
            hub.commit = hub.moves_to or hub.commit
            return self.send(200, json.dumps(told).encode(), {})
        if re.fullmatch(r"/api/(models|spaces)/[\w.-]+/[\w.-]+/tree/\w+", path):
            tree = [hub.sibling(name, for_tree=True) for name in hub.files]
            return self.send(200, json.dumps(tree).encode(), {})
        wanted = re.fullmatch(r"(?:/spaces)?/[\w.-]+/[\w.-]+/resolve/(\w+)/(.+)", path)
        if wanted and wanted[2] in hub.files:
            return self.send_file(wanted[1], wanted[2])
        return self.send(404, b"", {"X-Error-Code": "EntryNotFound"})

    def send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def send_file(self, commit: str, name: str) -> None:
        hub, data = self.server, self.server.files[name]
        large = name.endswith(LARGE)
        headers = {"ETag": f'"{sha256(data) if large else git_sha1(data)}"', "X-Repo-Commit": commit}
        if large:
            headers |= {"X-Linked-Size": str(len(data)), "X-Linked-Etag": f'"{sha256(data)}"'}
        if self.command == "HEAD":
            return self.send(200, data, headers)
        hub.gets[name] += 1
        if hub.fail == name:
            hub.others_served.wait(5)
            return self.send(500, b"", {})
        if hub.corrupt.get(name, 0) > 0:
            hub.corrupt[name] -= 1
            data = data[:-4] + b"\x00\x00\x00\x00"
        start = int((self.headers.get("Range") or "bytes=0-")[len("bytes=") :].partition("-")[0])
        if start:
            hub.ranges.append(f"{name} from {start}")
            headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
        if hub.drop_once == name:
            hub.drop_once = None
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data[: len(data) // 2])
            self.close_connection = True
            return None
        self.send(206 if start else 200, data[start:], headers)
        hub.served.add(name)
        if hub.fail and len(hub.served) == 3:
            hub.others_served.set()
        return None


def get(hub: Hub, name: str = REPO, **options: object) -> Path:
    return weights.get(name, endpoint=hub.url, **options)


def failure(hub: Hub, name: str = REPO, **options: object) -> str:
    with pytest.raises(WeightsError) as caught:
        get(hub, name, **options)
    return str(caught.value)


def states(report: weights.VerifyReport) -> dict[str, str]:
    return {check.path: check.state for check in report.files}


def overwrite(path: Path, data: bytes) -> None:
    path.resolve().write_bytes(data)
