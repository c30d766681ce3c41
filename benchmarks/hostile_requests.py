"""Ten thousand requests that schemathesis makes of the server's OpenAPI document, on loopback.

    python -m benchmarks.hostile_requests --requests 10000

The worker of the lanes is the tests' quick one: what is tried is the server.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx
from tests.server.hostile import ask
from tests.server_process import ServerProcess


def tell(operation: str, statuses: dict[Any, int], wrong: list[Any]) -> None:
    """How far it is, to standard error."""
    sys.stderr.write(f"{operation}: {sum(statuses.values())} requests so far, {len(wrong)} wrong {wrong[-1:]}\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=10_000)
    arguments = parser.parse_args()
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder, ServerProcess(Path(folder) / "state", {"rate": 1_000_000}) as server:
        with httpx.Client(base_url=server.url, timeout=60) as client:
            statuses, wrong = ask(client, arguments.requests, (folder,), tell)
            is_ready = client.get("/healthz/ready").status_code == 200
        tracebacks = server.log.read_text().count('"traceback": ')
    told = {
        "requests": sum(statuses.values()),
        "statuses": {str(status): count for status, count in sorted(statuses.items(), key=str)},
        "wrong": wrong,
        "tracebacks_in_the_log": tracebacks,
        "ready_afterwards": is_ready,
        "seconds": round(time.perf_counter() - start),
    }
    print(json.dumps(told, indent=2))


if __name__ == "__main__":
    main()
