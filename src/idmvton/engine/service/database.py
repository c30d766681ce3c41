"""One database behind one small layer: SQLite for one server, PostgreSQL for several that share a queue.

Statements are written once, with ``?`` for values and ``{lock}`` where PostgreSQL locks the rows that it found.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

from idmvton.engine.service.failures import UnavailableError
from idmvton.errors import ConfigError, MissingExtraError, OutputError

Result = TypeVar("Result")
Row = Mapping[str, Any]
PATIENCE: Final = 4.0
"""Seconds that a request waits for a database that does not answer."""
_PAUSE: Final = 0.2


class Dialect(NamedTuple):
    """In what the two databases differ.

    Attributes:
        connect: opens a connection.
        begin: starts a transaction that writes.
        value: stands for a value in a statement.
        lock: ends a statement whose rows nobody else may take.
        number: the type of a column that counts up.
        lost: errors of a connection that is gone.
    """

    connect: Callable[[], Any]
    begin: str
    value: str
    lock: str
    number: str
    lost: tuple[type[Exception], ...]


class Cursor:
    """Runs statements inside a transaction."""

    def __init__(self, cursor: Any, dialect: Dialect) -> None:
        self._cursor, self._dialect = cursor, dialect

    def run(self, statement: str, *values: Any) -> int:
        """Runs a statement; returns how many rows it changed."""
        text = statement.replace("{lock}", self._dialect.lock).replace("{number}", self._dialect.number)
        self._cursor.execute(text.replace("?", self._dialect.value), values)
        return int(self._cursor.rowcount)

    def all(self, statement: str, *values: Any) -> list[Row]:
        """The rows that a statement finds."""
        self.run(statement, *values)
        names = [each[0] for each in self._cursor.description]
        return [dict(zip(names, row, strict=True)) for row in self._cursor.fetchall()]

    def one(self, statement: str, *values: Any) -> Row | None:
        """The first row, if there is one."""
        rows = self.all(statement, *values)
        return rows[0] if rows else None


class Database:
    """A database with one connection, which threads take in turn; one that is lost is opened again.

    Args:
        place: a file of SQLite, or a URL ``postgresql://...``.
        schema: statements that make the tables where they are missing.

    Raises:
        ConfigError: another URL.
        MissingExtraError: a PostgreSQL URL, and psycopg is not installed.
        UnavailableError: it does not answer.
        OutputError: the file cannot be written.
    """

    def __init__(self, place: str, schema: Sequence[str]) -> None:
        self.is_shared = "://" in place
        self._dialect = _postgresql(place) if self.is_shared else _sqlite(Path(place))
        self._lock = threading.Lock()
        self._connection: Any = None
        self.transaction(lambda cursor: [cursor.run(each) for each in schema], patience=30.0)

    def transaction(self, work: Callable[[Cursor], Result], *, patience: float = PATIENCE) -> Result:
        """Runs several statements as one: all of them count, or none.

        Args:
            work: runs them; after a lost connection it is called again, so it must not change anything else.
            patience: seconds to wait for a database that does not answer.

        Raises:
            UnavailableError: it did not answer for so long.
            OutputError: the disk is full.
        """
        until = time.monotonic() + patience
        while True:
            try:
                with self._lock:
                    return self._once(work)
            except self._dialect.lost as error:
                if _is_full(error):
                    raise OutputError(
                        "the journal cannot be written", got=str(error).strip(), fix="free space on the server's disk"
                    ) from error
                if time.monotonic() > until:
                    raise UnavailableError(
                        "the database does not answer", got=type(error).__name__, fix="ask again in some seconds"
                    ) from error
                time.sleep(_PAUSE)

    def _once(self, work: Callable[[Cursor], Result]) -> Result:
        try:
            if self._connection is None:
                self._connection = self._dialect.connect()
            cursor = self._connection.cursor()
            cursor.execute(self._dialect.begin)
            result = work(Cursor(cursor, self._dialect))
            cursor.execute("COMMIT")
            return result
        except self._dialect.lost:
            self._drop()
            raise
        except BaseException:
            if self._connection is not None:
                try:
                    self._connection.cursor().execute("ROLLBACK")
                except self._dialect.lost:
                    self._drop()
            raise

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                connection.close()
            except self._dialect.lost:
                return

    def shrink(self) -> None:
        """Of SQLite: moves the log into the file and empties it, so that what was deleted is nowhere."""
        if self.is_shared:
            return
        with self._lock:
            if self._connection is not None:
                self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def close(self) -> None:
        """Closes the connection."""
        with self._lock:
            self._drop()


def _is_full(error: Exception) -> bool:
    words = str(error).lower()
    return any(each in words for each in ("disk is full", "disk i/o error", "no space left", "readonly database"))


def _sqlite(path: Path) -> Dialect:
    def connect() -> sqlite3.Connection:
        connection = sqlite3.connect(path, timeout=30, isolation_level=None, check_same_thread=False)
        for setting in ("journal_mode=WAL", "synchronous=FULL", "secure_delete=ON", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {setting}").fetchall()
        return connection

    return Dialect(
        connect, "BEGIN IMMEDIATE", "?", "", "INTEGER PRIMARY KEY AUTOINCREMENT", (sqlite3.OperationalError,)
    )


def _postgresql(url: str) -> Dialect:
    if not url.startswith(("postgresql://", "postgres://")):
        raise ConfigError("the database's URL is not known", got=url.partition("://")[0], expected="postgresql://...")
    try:
        import psycopg
    except ImportError as error:
        raise MissingExtraError(
            "psycopg is not installed", expected="it, for --database", fix="pip install 'idmvton[postgresql]'"
        ) from error

    def connect() -> Any:
        return psycopg.connect(url, autocommit=True, connect_timeout=5, application_name="idmvton")

    lost = (psycopg.OperationalError, psycopg.InterfaceError)
    return Dialect(connect, "BEGIN", "%s", "FOR UPDATE OF jobs SKIP LOCKED", "BIGSERIAL PRIMARY KEY", lost)
