"""How many jobs a second one journal takes from order to end, without any work between: what the queue alone can do.

    python -m benchmarks.queue_speed --database postgresql://user@host/db --servers 4 --seconds 20

Each server is a process that orders a job, claims one and ends it, again and again. Without ``--database`` it is SQLite
in a temporary folder, for which there is one server.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import secrets
import tempfile
import time
from pathlib import Path

from idmvton.engine.service.database import Database
from idmvton.engine.service.journal import SCHEMA, Journal, NewJob, Room

ROOM = Room(1_000_000, 1_000_000, 1.0)


def server(place: str, number: int, seconds: float) -> int:
    """Jobs that one server took from order to end."""
    journal = Journal(Database(place, SCHEMA), f"server-{number}")
    done, until = 0, time.monotonic() + seconds
    while time.monotonic() < until:
        job = NewJob(
            secrets.token_hex(16), "try_on", f"caller-{number}", {"options": {}}, garment=secrets.token_hex(32)
        )
        journal.add([job], ROOM)
        row = journal.claim("lane-0", None, None)
        if row is None:
            continue
        journal.beat(row["id"])
        done += journal.finish(row["id"], "succeeded", {"outputs": []}, 3600.0)
    journal.database.close()
    return done


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--database")
    parser.add_argument("--servers", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=20.0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        place = arguments.database or str(Path(folder) / "journal.sqlite")
        Database(place, SCHEMA).close()
        with multiprocessing.get_context("spawn").Pool(arguments.servers) as pool:
            each = [(place, number, arguments.seconds) for number in range(arguments.servers)]
            done = pool.starmap(server, each)
    told = {"servers": arguments.servers, "jobs": sum(done), "jobs_a_second": round(sum(done) / arguments.seconds, 1)}
    print(json.dumps(told))


if __name__ == "__main__":
    main()
