"""What a client sees: documents, statuses, problems."""

import base64
import hashlib
import json
import logging
import time
import tomllib

import pytest
from starlette.testclient import TestClient
from tests.fake_lane import picture
from tests.server.conftest import LOCAL, app_of, service_in

from idmvton.errors import ConfigError, InputError
from idmvton.options import ServerOptions
from idmvton.server import addresses
from idmvton.server.keys import Keys, make_key

WAIT = {"Prefer": "wait=20"}
TRY_ONS = "/v1/try-ons"


def options(**values):
    return (None, json.dumps(values), "application/json")


def uri(content):
    return "data:image/png;base64," + base64.b64encode(content).decode()


def order(client, pair, headers=WAIT, **values):
    return client.post(TRY_ONS, files={**pair, "options": options(**{"seed": 1} | values)}, headers=headers)


def problem(response, status, code):
    assert response.headers["content-type"] == "application/problem+json", response.text
    found = response.json()
    assert (response.status_code, found["status"], found["code"]) == (status, status, code), found
    assert found["what"] == found["title"]
    assert found["type"] == f"urn:idmvton:{code}"
    return found


def test_one_request_that_waits_brings_the_picture(client, pair):
    answer = order(client, pair)
    assert answer.status_code == 200
    assert answer.headers["preference-applied"] == "wait=20"
    job = answer.json()
    assert (job["state"], job["warnings"], job["error"]) == ("succeeded", ["fake"], None)
    (output,) = job["outputs"]
    shown = client.get(output["url"])
    assert shown.headers["content-type"] == "image/png"
    assert hashlib.sha256(shown.content).hexdigest() == output["sha256"]
    again = client.get(output["url"], headers={"If-None-Match": shown.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_who_accepts_a_picture_gets_it_in_one_request(client, pair):
    answer = order(client, pair, {"Accept": "image/png"})
    assert answer.headers["content-type"] == "image/png"
    assert answer.content == client.get(order(client, pair).json()["outputs"][0]["url"]).content
    problem(order(client, pair, {"Accept": "image/png"}, caption="fail"), 422, "no_person")


def test_an_order_that_does_not_wait_has_a_place_and_then_events(client, pair):
    answer = order(client, pair, headers={}, caption="sleep 4")
    assert answer.status_code == 202
    assert answer.headers["location"] == answer.json()["url"]
    lines = client.get(answer.json()["url"] + "/events").text.splitlines()
    told = [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: ")]
    assert told[-1]["state"] == "succeeded"
    assert "event: finished" in lines
    assert {"stage": "denoising", "done": 2, "total": 4} in [each["progress"] for each in told]


def test_json_with_data_uris_makes_the_same_picture(client, pair):
    document = {role: uri(content) for role, content in pair.items()} | {"options": {"seed": 1}}
    answer = client.post(TRY_ONS, json=document, headers=WAIT)
    assert answer.json()["outputs"][0]["sha256"] == order(client, pair).json()["outputs"][0]["sha256"]


def test_a_job_that_fails_is_a_problem_for_who_waits_and_a_state_for_who_does_not(client, pair):
    found = problem(order(client, pair, caption="fail"), 422, "no_person")
    assert found["field"] == "person"
    job = client.get(f"{TRY_ONS}/{found['job']}")
    assert job.status_code == 200
    assert (job.json()["state"], job.json()["error"]["code"]) == ("failed", "no_person")


def test_an_unexpected_error_shows_nothing_of_ours(client, pair):
    found = problem(order(client, pair, caption="crash"), 500, "internal")
    assert "secret" not in json.dumps(found)
    assert "Traceback" not in json.dumps(found)


def test_an_idempotency_key_makes_one_job(client, pair):
    headers = WAIT | {"Idempotency-Key": "order-17"}
    first, second = order(client, pair, headers), order(client, pair, headers)
    assert first.json()["id"] == second.json()["id"]
    problem(order(client, pair, headers, seed=2), 409, "conflict")
    problem(order(client, pair, {"Idempotency-Key": "a b"}), 400, "bad_request")


def test_jobs_are_cancelled_then_erased(client, pair):
    url = order(client, pair, {}, caption="sleep 400").json()["url"]
    assert client.delete(url).status_code == 202
    until = time.monotonic() + 10
    while client.get(url).json()["state"] != "cancelled" and time.monotonic() < until:
        time.sleep(0.02)
    assert client.delete(url).status_code == 204
    problem(client.get(url), 404, "not_found")


def test_prepared_photos_by_id_with_a_corrected_mask(client, pair):
    prepared = client.post("/v1/prepared", files=pair, headers=WAIT).json()
    files = {each["name"]: each["url"] for each in prepared["outputs"]}
    assert client.get(files["overlay.png"]).content.startswith(b"\x89PNG")
    png = {"Content-Type": "image/png"}
    changed = client.put(f"{prepared['url']}/mask", content=picture("white"), headers=png)
    assert changed.json()["about"]["sources"] == {"mask": "changed by hand"}
    problem(client.put(f"{prepared['url']}/mask", content=b"x"), 415, "unsupported_type")
    members = {"prepared": prepared["id"]}
    done = client.post(TRY_ONS, files={"garment": pair["garment"]}, data=members, headers=WAIT)
    assert done.json()["state"] == "succeeded"
    problem(client.get(f"{TRY_ONS}/{prepared['id']}"), 404, "not_found")
    problem(client.get(f"{prepared['url']}/files/..%2f..%2fjournal.sqlite"), 404, "not_found")


def test_an_adapter_is_made_listed_used_and_deleted(client, pair):
    files = {"person": pair["person"], "options": options(steps=5)}
    job = client.post("/v1/adapters", files=files, data={"name": "jacket"}, headers=WAIT).json()
    assert (job["kind"], job["state"], job["expires"]) == ("adapter", "succeeded", None)
    (listed,) = client.get("/v1/adapters").json()
    assert (listed["name"], listed["id"], listed["url"]) == ("jacket", job["id"], job["url"])
    assert client.get(listed["url"]).json() == job
    contents = {each["name"]: client.get(each["url"]) for each in job["outputs"]}
    assert contents["before-after.png"].headers["content-type"] == "image/png"
    shas = {name: hashlib.sha256(each.content).hexdigest() for name, each in contents.items()}
    assert shas == {each["name"]: each["sha256"] for each in job["outputs"]}
    made = [
        client.post(TRY_ONS, files={**pair, "options": options(seed=1)}, data=more, headers=WAIT).json()
        for more in ({"adapter": "jacket"}, {"adapter": job["id"], "adapter_scale": "1"}, {})
    ]
    by_name, by_id, without = (each["outputs"][0]["sha256"] for each in made)
    assert by_name == by_id != without
    problem(client.post("/v1/adapters", files=files, data={"name": "jacket"}), 409, "conflict")
    wrong = client.post("/v1/adapters", files=files, data={"name": "a/b"})
    assert problem(wrong, 422, "bad_input")["field"] == "name"
    wrong = client.post("/v1/adapters", files=files, data={"adapter": "jacket"})
    assert problem(wrong, 422, "bad_input")["field"] == "adapter"
    assert client.delete(job["url"]).status_code == 204
    assert client.get("/v1/adapters").json() == []
    problem(client.post(TRY_ONS, files=pair, data={"adapter": "jacket"}), 404, "not_found")


def test_where_several_people_may_be_meant_the_order_has_to_say_which(client, pair):
    asked = client.service.journal.get(order(client, pair).json()["id"])["asked"]
    assert json.loads(asked)["options"]["person_number"] == 0
    asked = client.service.journal.get(order(client, pair, person_number=2).json()["id"])["asked"]
    assert json.loads(asked)["options"]["person_number"] == 2
    assert client.get("/v1/options").json()["properties"]["person_number"]["default"] == 0


def test_garments_and_batches(client, pair):
    garment = client.post("/v1/garments", files={"garment": pair["garment"]}, headers=WAIT).json()
    assert client.get(garment["outputs"][0]["url"]).status_code == 200
    by_id = client.post(
        TRY_ONS, files={"person": pair["person"]}, data={"garment_id": garment["id"], "options": '{"seed": 1}'},
        headers=WAIT,
    )  # fmt: skip
    assert by_id.json()["outputs"][0]["sha256"] == order(client, pair).json()["outputs"][0]["sha256"]
    files = [("person", pair["person"]), ("person", picture("green")), ("garment", pair["garment"])]
    batch = client.post("/v1/batches", files=[*files, ("options", options(seed=1))])
    assert batch.status_code == 202
    until = time.monotonic() + 20
    while not (found := client.get(batch.json()["url"]).json())["is_finished"] and time.monotonic() < until:
        time.sleep(0.02)
    assert found["counts"] == {"succeeded": 2}
    assert found["jobs"][0]["outputs"][0]["sha256"] == by_id.json()["outputs"][0]["sha256"]
    assert client.delete(found["url"]).status_code == 204
    problem(client.get(found["url"]), 404, "not_found")
    document = {"person": [uri(pair["person"])], "garment": [uri(pair["garment"])], "pairs": [[0, 1]]}
    assert problem(client.post("/v1/batches", json=document), 422, "bad_input")["field"] == "pairs"


@pytest.mark.parametrize(
    ("change", "status", "code", "field"),
    [
        ({"garment": None}, 422, "bad_input", "garment"),
        ({"person": b"no picture"}, 422, "bad_input", "person"),
        ({"hat": b"x"}, 422, "bad_input", "hat"),
        ({"options": (None, "{", "application/json")}, 400, "bad_request", None),
        ({"options": (None, "[1]", "application/json")}, 422, "bad_input", "options"),
        ({"options": (None, "[" * 9 + "]" * 9, "application/json")}, 400, "bad_request", None),
        ({"options": (None, "[" * 60000, "application/json")}, 400, "bad_request", None),
        ({"options": options(guidance_scale=99)}, 422, "bad_option", "guidance_scale"),
        ({"options": options(stepps=9)}, 422, "bad_option", "stepps"),
        ({"options": options(segmenter="/etc/passwd")}, 422, "bad_option", "segmenter"),
        ({"priority": (None, "11")}, 422, "bad_option", "priority"),
        ({"deadline": (None, "soon")}, 400, "bad_request", None),
        ({"deadline": (None, "-1")}, 422, "bad_option", None),
        ({"prepared": (None, "../../etc/passwd")}, 422, "bad_input", None),
        ({"adapter": (None, "nobody")}, 404, "not_found", None),
        ({"name": (None, "jacket")}, 422, "bad_input", "name"),
        ({"adapter_scale": (None, '"big"')}, 422, "bad_input", "adapter_scale"),
    ],
)
def test_what_cannot_be_used_is_a_problem_that_names_it(client, pair, change, status, code, field):
    files = {name: value for name, value in (pair | change).items() if value is not None}
    found = problem(client.post(TRY_ONS, files=files), status, code)
    assert found.get("field") == field or field is None
    assert "/tmp" not in json.dumps(found)


def test_urls_are_not_fetched_unless_asked_for_and_never_from_inside(client, pair, monkeypatch):
    document = {"person": "http://127.0.0.1:8000/metrics", "garment": uri(pair["garment"])}
    assert "not fetched" in problem(client.post(TRY_ONS, json=document), 422, "bad_input")["what"]
    for url in ("http://127.0.0.1/", "http://[::1]/", "http://10.0.0.1/", "http://169.254.169.254/latest", "http://0/",
                "http://[::ffff:127.0.0.1]/", "http://localhost:1/"):  # fmt: skip
        with pytest.raises(InputError, match="internal"):
            addresses.fetch(url, 100)
    for url in ("file:///etc/passwd", "http://user:secret@host/", "ftp://host/", "http://"):
        with pytest.raises(InputError) as caught:
            addresses.fetch(url, 100)
        assert "internal" not in str(caught.value)


def test_bodies_pixels_and_counts_are_limited_before_anything_is_decoded(client, pair):
    limited = TestClient(app_of(client.service, max_body=0.01, max_pixels=0.01), LOCAL)
    big = {"person": pair["person"] + b"\0" * 11000, "garment": pair["garment"]}
    problem(limited.post(TRY_ONS, files=big), 413, "too_large")
    chunks = (b"x" * 1000 for _ in range(20))
    problem(limited.post(TRY_ONS, content=chunks, headers={"Content-Type": "application/json"}), 413, "too_large")
    wide = pair | {"person": picture("red", (4000, 16 * 8))}
    assert problem(limited.post(TRY_ONS, files=wide), 413, "too_many_pixels")["field"] == "person"


def test_while_the_model_is_loading_orders_are_not_taken_and_health_says_so(tmp_path, pair):
    service = service_in(tmp_path / "state")
    with TestClient(app_of(service), LOCAL) as client:  # its lane has just begun to load
        problem(client.get("/healthz/ready"), 503, "loading")
        assert client.get("/healthz/live").json() == {"status": "ok"}
        service.lanes.clear()
        problem(client.post(TRY_ONS, files=pair), 503, "loading")
        assert client.post(TRY_ONS, files=pair).headers["retry-after"] == "2"
        assert client.get(TRY_ONS).json() == []


def test_a_full_queue_and_too_many_requests_are_polite(client, tmp_path, pair):
    key = make_key("anna", tmp_path / "keys.toml")
    with (tmp_path / "keys.toml").open("a") as file:
        file.write("queue = 1\nrate = 12\n")
    shop = TestClient(
        app_of(client.service, keys=str(tmp_path / "keys.toml")), headers={"Authorization": f"Bearer {key}"}
    )
    answers = [order(shop, pair, {}, caption="sleep 30") for _ in range(4)]
    refused = [each for each in answers if each.status_code == 429]
    assert refused
    assert problem(refused[-1], 429, "queue_full")["fix"].startswith("ask again in")
    assert int(refused[-1].headers["retry-after"]) >= 1
    last = [shop.get(TRY_ONS) for _ in range(12)][-1]
    problem(last, 429, "rate_limited")
    assert int(last.headers["retry-after"]) >= 1
    assert shop.get("/healthz/live").status_code == 200
    for each in answers:
        if each.status_code == 202:
            client.service.cancel(each.json()["id"])


def test_keys_keep_callers_apart_and_are_in_no_file_and_no_log(client, tmp_path, pair, caplog):
    file = tmp_path / "keys.toml"
    anna, bert = make_key("anna", file), make_key("bert", file)
    assert tomllib.loads(file.read_text()).keys() == {"anna", "bert"}
    assert anna not in file.read_text()
    with pytest.raises(InputError, match="there is a key"):
        make_key("anna", file)
    shop = TestClient(app_of(client.service, keys=str(file), host="0.0.0.0"), "http://shop.example")
    caplog.set_level(logging.INFO, "idmvton")
    first, second = ({"Authorization": f"Bearer {key}"} for key in (anna, bert))
    for headers in ({}, {"Authorization": "Bearer idm_wrong"}, {"Authorization": anna}):
        answer = shop.get(TRY_ONS, headers=headers)
        problem(answer, 401, "unauthorized")
        assert answer.headers["www-authenticate"] == "Bearer"
    url = order(shop, pair, first | WAIT).json()["url"]
    assert shop.get(url, headers=first).status_code == 200
    problem(shop.get(url, headers=second), 404, "not_found")
    problem(shop.get(f"{url}/outputs/0", headers=second), 404, "not_found")
    problem(shop.delete(url, headers=second), 404, "not_found")
    assert shop.get(TRY_ONS, headers=second).json() == []
    high = shop.post(TRY_ONS, files={**pair, "priority": (None, "1")}, headers=first)
    assert problem(high, 422, "bad_option")["field"] == "priority"
    assert shop.get("/healthz/live").status_code == 200
    told = "\n".join(record.getMessage() + str(record.__dict__) for record in caplog.records)
    assert "anna" in told
    assert anna not in told


def test_without_keys_only_this_machine_is_served(client, tmp_path):
    with pytest.raises(ConfigError, match="own address only"):
        Keys(ServerOptions(host="0.0.0.0"))
    (tmp_path / "keys.toml").write_text('[anna]\nsha256 = "short"\n')
    with pytest.raises(ConfigError, match="says something wrong"):
        Keys(ServerOptions(keys=str(tmp_path / "keys.toml")))
    problem(client.get(TRY_ONS, headers={"Host": "evil.example"}), 400, "bad_request")
    assert client.get("/healthz/live", headers={"Host": "[::1]:8000"}).status_code == 200


def test_metrics_count_jobs_stages_and_lanes(client, pair):
    order(client, pair)
    text = client.get("/metrics").text
    for line in (
        'idmvton_jobs_total{kind="try_on",state="succeeded"}',
        'idmvton_stage_seconds_count{stage="denoising"}',
        'idmvton_lanes{lane="lane-0",state="',
        "idmvton_lane_memory_bytes",
        'idmvton_jobs_kept{state="succeeded"}',
        'route="/v1/try-ons"',
    ):
        assert line in text


def test_each_answer_has_a_request_id_that_the_log_has_too(client, caplog):
    caplog.set_level(logging.INFO, "idmvton.server")
    assert client.get("/v1/options", headers={"X-Request-Id": "my-1"}).headers["x-request-id"] == "my-1"
    strange = client.get("/v1/options", headers={"X-Request-Id": "a b\tc"})
    assert len(strange.headers["x-request-id"]) == 16
    assert "GET /v1/options 200" in caplog.text


def test_the_options_of_the_server_are_those_of_the_one_table(client):
    from idmvton.engine.service.orders import open_options

    schema = client.get("/v1/options").json()
    assert schema["properties"].keys() == open_options().keys()
    steps = schema["properties"]["num_inference_steps"]
    assert (steps["type"], steps["minimum"], steps["maximum"]) == (["integer", "null"], 1, 100)
    assert "segmenter" not in schema["properties"]
    document = client.get("/openapi.json").json()
    form = document["paths"][TRY_ONS]["post"]["requestBody"]["content"]
    assert form["application/json"]["schema"]["properties"]["options"]["properties"].keys() == open_options().keys()
    assert set(document["paths"]) >= {"/v1/try-ons", "/v1/prepared", "/v1/garments", "/v1/batches", "/v1/adapters",
                                      "/v1/models", "/v1/options", "/metrics", "/healthz/ready"}  # fmt: skip
    assert client.get("/v1/models").json()["lanes"][0]["about"]["model"] == "fake"
    made = document["paths"]["/v1/adapters"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert made["properties"]["options"]["properties"].keys() == open_options("adapter").keys() > {"steps", "caption"}


def test_the_server_loads_no_torch():
    import subprocess
    import sys

    code = "import idmvton.server.app, idmvton.client, sys; print([n for n in ('torch', 'cv2') if n in sys.modules])"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert shown.strip() == "[]"
