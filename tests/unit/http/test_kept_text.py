"""What is appended in JSON: mostly the very text that was sent, which reads as what it says, however it was written."""

import json
import random
from typing import Any

import pytest

from shmstore.http.service import Service
from tests.helpers.asked import Ask

NDJSON = "application/x-ndjson"


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        (b'{"b": 1.50, "a":[ -0, 1E2 ]}', b'{"b": 1.50, "a":[ -0, 1E2 ]}'),
        (b'{"a":1,"a":2}', b'{"a":1,"a":2}'),
        ('{"\u00e9":"\U0001f600"}'.encode(), '{"\u00e9":"\U0001f600"}'.encode()),
        (b'["\\" \\n \x7f"]', b'["\\" \\n \x7f"]'),
        (b"[" + b"9" * 400 + b"]", b"[" + b"9" * 400 + b"]"),
        # What is written anew, to be one line, in UTF-8, and as short as it can be where there is little room:
        (b'{\r\n "a": [1,\n2]}', b'{"a":[1,2]}'),
        (
            b'{\n"a": 0.1234567890123456789,\r\n\t"b": [-0, 1.10, 1E2] ,\n"x  \\"y\\\\": "a : \\n,  b" }\n',
            b'{"a":0.1234567890123456789,"b":[-0,1.10,1E2],"x  \\"y\\\\":"a : \\n,  b"}',
        ),
        (b'{"a": "\\u00e9\\u0041"}', '{"a":"\u00e9A"}'.encode()),
        (b"[" + b" " * 600 + b"1]", b"[1]"),
        (b" 1.50 ", b"1.5"),
    ],
)
def test_how_a_body_is_kept(ask: Ask, service: Service, sent: bytes, kept: bytes) -> None:
    assert ask("POST", "/streams/a", sent).status == 202
    event = service.stores().streams["a"].last()
    assert event is not None and event.data_json == kept.decode()
    assert event.data == json.loads(sent)
    assert b'"data":' + kept + b"," in ask("GET", "/streams/a").body
    (line,) = ask("GET", "/streams/a", accept=NDJSON).body.splitlines()
    assert json.loads(line)["data"] == json.loads(sent)


@pytest.mark.parametrize(
    "sent",
    [
        *(b'{"a":NaN}', b'{"a":-Infinity}', b'{"a":1e999}', b'{"a":-1e999}', b'["\\ud800"]', b'["\\uDC00 "]'),
        *(b'{"a":"\xff"}', b'{"a":"\xed\xa0\x80"}', b'{"a":"\n"}', b'{"a":1}{', b'{"a":1} x'),
        *(b"{'a':1}", b'{"a":01}', b'{"a":1,}', b"[" + b"9" * 5000 + b"]", b"[" * 3000 + b"]" * 3000),
    ],
)
def test_what_is_no_json_or_cannot_be_kept_is_refused(ask: Ask, sent: bytes) -> None:
    assert ask("POST", "/streams/a", sent).status in (400, 413)
    assert ask("GET", "/streams/a").status == 404


def test_a_repeated_id_gets_the_first_answer_whatever_the_text(ask: Ask) -> None:
    answers = [ask("POST", "/streams/a", sent, "eventId=e") for sent in (b'{"a":1}', b'{"a": 1}', b'{"a":2}', b"[]")]
    assert {answer.json["version"] for answer in answers} == {0}
    assert [event["data"] for event in ask("GET", "/streams/a").json] == [{"a": 1}]


def test_any_json_reads_as_it_was_sent(ask: Ask, seed: int) -> None:
    chance = random.Random(seed)

    def value(depth: int) -> Any:
        kind = chance.randrange(8 if depth < 3 else 6)
        if kind == 6:
            return [value(depth + 1) for _ in range(chance.randrange(4))]
        if kind == 7:
            return {text(): value(depth + 1) for _ in range(chance.randrange(4))}
        return [None, True, chance.randrange(-(10**20), 10**20), chance.uniform(-1e9, 1e9), text(), 1e-300][kind]

    def text() -> str:
        return "".join(chance.choices('a"\\/\n\t\x7f\u00e9\u2028\U0001f600{}[]:,', k=chance.randrange(5)))

    sent = []
    for _ in range(200):
        found = value(0)
        space = chance.choice([None, 1])
        body = json.dumps(found, ensure_ascii=chance.random() < 0.5, indent=space).encode()
        if ask("POST", "/streams/a", body).status == 202:  # else it is too large
            sent.append(found)
    assert len(sent) > 100
    assert [event["data"] for event in ask("GET", "/streams/a").json] == sent
    lines = ask("GET", "/streams/a", accept=NDJSON).body.decode().split("\n")
    assert [json.loads(line)["data"] for line in lines[:-1]] == sent
