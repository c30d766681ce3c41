"""Rows in SQLite and in PostgreSQL: who is next, who may write, what is taken up again."""

import secrets
import threading

import pytest
from tests.postgresql import PostgreSQL

from idmvton.engine.service.database import Database
from idmvton.engine.service.failures import UnavailableError
from idmvton.engine.service.journal import SCHEMA, Journal, NewJob, Room
from idmvton.errors import ConfigError, OutputError

ROOM = Room(1000, 1000, 1.0)


@pytest.fixture(scope="module")
def postgresql():
    with PostgreSQL() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request, tmp_path):
    if request.param == "sqlite":
        return str(tmp_path / "journal.sqlite")
    return request.getfixturevalue("postgresql").new_database()


@pytest.fixture
def journal(place):
    journal = Journal(Database(place, SCHEMA), "one")
    yield journal
    journal.database.close()


def add(journal, *names, **more):
    """Jobs by the name of their caller; their ids."""
    jobs = [NewJob(secrets.token_hex(16), "try_on", name, {"options": {}}, **more) for name in names]
    return [journal.add([job], ROOM)[0] for job in jobs]


def take(journal, *has):
    row = journal.claim("lane", *(has or (None, None)))
    return row and row["id"]


def test_callers_take_turns_and_a_higher_priority_goes_first(journal):
    first, second, third = add(journal, "anna", "anna", "anna")
    (other,) = add(journal, "bert")
    (urgent,) = add(journal, "anna", priority=5)
    expected = [urgent, other, first, second, third]
    assert journal.line()[0]["id"] == urgent
    assert [take(journal) for _ in range(5)] == expected
    assert take(journal) is None


def test_the_place_in_the_line_is_the_order_in_which_jobs_are_taken(journal):
    add(journal, "anna", "anna", "bert", "carl", "bert")
    told = [row["id"] for row in journal.line()]
    assert [take(journal) for _ in told] == told


def test_a_lane_is_offered_what_shares_a_garment_but_not_before_a_higher_priority(journal):
    (plain,) = add(journal, "anna", garment="trousers")
    (same,) = add(journal, "bert", garment="shirt")
    (person,) = add(journal, "carl", person="emma")
    (urgent,) = add(journal, "carl", priority=1)
    assert take(journal, "emma", "shirt") == urgent
    assert take(journal, "emma", "shirt") == same
    assert take(journal, "emma", "shirt") == person
    assert take(journal, "emma", "shirt") == plain


def test_a_job_is_taken_once_by_many(place):
    journals = [Journal(Database(place, SCHEMA), f"server{number}") for number in range(3)]
    ids = add(journals[0], *["anna"] * 30)
    taken, lock = [], threading.Lock()

    def work(journal):
        while (job := take(journal)) is not None or len(taken) < 30:
            if job:
                with lock:
                    taken.append(job)

    threads = [threading.Thread(target=work, args=(journal,), daemon=True) for journal in journals]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(taken) == sorted(ids)
    for journal in journals:
        journal.database.close()


def test_only_the_server_that_runs_a_job_may_end_it(place, journal):
    other = Journal(Database(place, SCHEMA), "two")
    (job,) = add(journal, "anna")
    assert take(other) == job
    assert not journal.finish(job, "succeeded", {}, 60)
    assert other.finish(job, "succeeded", {"outputs": []}, 60)
    assert not other.finish(job, "failed", {}, 60)
    assert journal.get(job)["state"] == "succeeded"
    other.database.close()


def test_jobs_of_a_silent_server_are_taken_up_by_others_and_its_own_at_its_next_start(place, journal, monkeypatch):
    other = Journal(Database(place, SCHEMA), "two")
    (job,) = add(journal, "anna")
    assert take(other) == job
    assert journal.take_up_own() == 0
    assert journal.take_up_silent() == 0
    monkeypatch.setattr("idmvton.engine.service.journal.SILENCE", -1.0)
    assert journal.take_up_silent() == 1
    assert other.beat(job) == "lost"
    assert take(journal) == job
    assert other.beat(job) is None or other.beat(job) == "lost"
    assert journal.take_up_own() == 1
    other.database.close()


def test_a_transaction_that_fails_changes_nothing(journal):
    def work(cursor):
        cursor.run("INSERT INTO turns (caller, taken) VALUES (?, ?)", "anna", 1)
        raise KeyError

    with pytest.raises(KeyError):
        journal.database.transaction(work)
    assert journal.database.transaction(lambda cursor: cursor.all("SELECT * FROM turns")) == []


def test_a_full_disk_is_an_error_that_says_so_and_passes(tmp_path):
    journal = Journal(Database(str(tmp_path / "journal.sqlite"), SCHEMA), "one")
    add(journal, "anna")
    pages = journal.database.transaction(lambda cursor: cursor.one("PRAGMA page_count"))["page_count"]
    limit = journal.database._connection.execute
    limit(f"PRAGMA max_page_count = {pages + 1}").fetchall()
    with pytest.raises(OutputError, match="journal cannot be written"):
        add(journal, *["bert"] * 500)
    journal.database.close()
    assert add(journal, "carl")


def test_a_database_that_does_not_answer_is_unavailable_and_its_url_is_not_told():
    with pytest.raises(ConfigError, match="not known"):
        Database("mysql://root:secret@host/x", SCHEMA)


def test_postgresql_that_is_killed_is_waited_for(postgresql):
    journal = Journal(Database(postgresql.new_database(), SCHEMA), "one")
    ids = add(journal, "anna", "anna")
    postgresql.kill()
    with pytest.raises(UnavailableError, match="does not answer") as caught:
        journal.counts()
    assert "postgresql://" not in str(caught.value)
    back = threading.Timer(0.5, postgresql.start)
    back.start()
    assert take(journal) == ids[0]
    back.join()
    assert journal.counts() == {"running": 1, "queued": 1}
