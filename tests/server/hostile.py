"""Requests that schemathesis makes of the server's own OpenAPI document, and what no answer may be."""

import json
from collections import Counter

import httpx
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings

BAD_WORDS = ("Traceback", 'File "/', "/site-packages/", "psycopg", "sqlite3.")


def ask(client, most, secrets=(), tell=lambda *_: None):
    """Asks every operation, `most` times in all at most; statuses counted, and answers that may not be.

    Args:
        client: of a server, which makes the requests.
        most: requests.
        secrets: texts that no answer may hold.
        tell: called after each operation with its name, and the counts and faults so far.
    """
    schema = schemathesis.openapi.from_dict(client.get("/openapi.json").json())
    operations = [each.ok() for each in schema.get_all_operations()]
    statuses, wrong = Counter(), []
    each = max(1, most // len(operations))
    for operation in operations:
        cases = operation.as_strategy(generation_mode=schemathesis.GenerationMode.POSITIVE) | operation.as_strategy(
            generation_mode=schemathesis.GenerationMode.NEGATIVE
        )

        @settings(
            max_examples=each, database=None, deadline=None, derandomize=True, phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )  # fmt: skip
        @given(case=cases)
        def run(case):
            sent = case.as_transport_kwargs(base_url=str(client.base_url))
            sent = {name: value for name, value in sent.items() if name not in ("cookies", "timeout")}
            try:
                response = client.request(**sent)
            except (
                ValueError,
                TypeError,
                AttributeError,
                httpx.InvalidURL,
                httpx.LocalProtocolError,
            ):  # cannot be sent
                statuses["not sent"] += 1
                return
            statuses[response.status_code] += 1
            text = response.text
            is_problem = response.headers.get("content-type") == "application/problem+json"
            if response.status_code >= 500 and response.status_code not in (503, 507):
                wrong.append((case.method, case.path, response.status_code, text[:300]))
            if response.status_code >= 400 and not is_problem:
                wrong.append((case.method, case.path, "no problem document", text[:300]))
            if response.status_code >= 400 and is_problem and not json.loads(text).get("code"):
                wrong.append((case.method, case.path, "no code", text[:300]))
            wrong.extend((case.method, case.path, word) for word in (*BAD_WORDS, *secrets) if word in text)

        run()
        tell(operation.label, statuses, wrong)
    return statuses, wrong
