"""A PostgreSQL server of the test's own, in a temporary folder; `make postgresql` installs the programs."""

import contextlib
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

from tests.server_process import free_port


def programs():
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    on_path = shutil.which("initdb")
    if not found and not on_path:
        raise RuntimeError("PostgreSQL is not installed: make postgresql")
    return found[-1] if found else Path(on_path).parent


class PostgreSQL:
    """A server; root cannot run one, so it runs as the user `postgres` where the tests are root's."""

    def __init__(self):
        self.folder = Path(tempfile.mkdtemp(prefix="idmvton-postgresql-"))
        self.port, self.process = free_port(), None
        self._as = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
        if self._as:
            shutil.chown(self.folder, "postgres", "postgres")
        command = [programs() / "initdb", "-D", self.folder / "data", "-U", "idmvton", "-A", "trust", "--no-sync"]
        subprocess.run([*self._as, *map(str, command)], check=True, capture_output=True)

    def start(self):
        command = [programs() / "postgres", "-D", self.folder / "data", "-p", str(self.port), "-k", self.folder]
        command += ["-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"]
        self.process = subprocess.Popen(
            [*self._as, *map(str, command)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=self.folder
        )
        import psycopg

        until = time.monotonic() + 60
        while time.monotonic() < until:
            with contextlib.suppress(psycopg.OperationalError):
                psycopg.connect(self.url("postgres"), connect_timeout=2).close()
                return self
            time.sleep(0.05)
        raise AssertionError("PostgreSQL does not start")

    def url(self, database):
        return f"postgresql://idmvton@127.0.0.1:{self.port}/{database}"

    def new_database(self):
        import psycopg

        name = f"test_{secrets.token_hex(4)}"
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return self.url(name)

    def kill(self):
        """kill -9 of the postmaster and its children."""
        first = int((self.folder / "data" / "postmaster.pid").read_text().split()[0])
        children = Path(f"/proc/{first}/task/{first}/children").read_text().split()
        for pid in (first, *map(int, children)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)
