"""Who may enter, what the browser may load, and what is said where a package is missing."""

import sys

import httpx
import pytest
from typer.testing import CliRunner

from idmvton.cli import app
from idmvton.cli.web import read_people
from idmvton.errors import ConfigError
from idmvton.options import WebOptions
from idmvton.web.app import Running, visitor_of


def test_the_browser_is_told_to_load_nothing_from_elsewhere(site):
    policy = httpx.get(site.url).headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "http:" not in policy
    assert "https:" not in policy


def test_nothing_of_the_page_is_an_open_api(site):
    assert httpx.get(f"{site.url}gradio_api/info").json()["named_endpoints"] == {}
    assert httpx.get(f"{site.url}docs").status_code == 404


def test_only_those_with_a_password_enter(service, free_port):
    with Running(service, WebOptions(port=free_port), [("anna", "secret")]) as closed:
        assert httpx.get(f"{closed.url}config").status_code == 401
        wrong = httpx.post(f"{closed.url}login", data={"username": "anna", "password": "guess"})
        assert wrong.status_code == 400
        with httpx.Client() as client:
            client.post(f"{closed.url}login", data={"username": "anna", "password": "secret"}).raise_for_status()
            assert client.get(f"{closed.url}config").status_code == 200


@pytest.mark.parametrize("text", ["", "anna", "anna:", ":secret", "# nobody"])
def test_a_file_of_people_that_lets_everybody_in_is_refused(tmp_path, text):
    (tmp_path / "people.txt").write_text(text)
    with pytest.raises(ConfigError, match="--auth"):
        read_people(tmp_path / "people.txt")


def test_people_are_read_and_passwords_may_hold_colons(tmp_path):
    (tmp_path / "people.txt").write_text("# ours\nanna:se:cret\n\nben:x\n")
    assert read_people(tmp_path / "people.txt") == [("anna", "se:cret"), ("ben", "x")]


@pytest.mark.parametrize("kept", [None, "x", "A" * 32, 7, {"a": 1}])
def test_a_visitor_without_a_name_gets_one_that_nobody_can_guess(kept):
    assert len(visitor_of(kept)) == 32
    assert visitor_of(kept) != visitor_of(kept)


def test_without_gradio_the_command_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "gradio", None)
    result = CliRunner().invoke(app, ["web"])
    assert result.exit_code == 1
    assert "idmvton[web]" in result.output
