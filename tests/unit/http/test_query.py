"""The parameters of a query are those that the standard library finds, however they are found."""

import random
from urllib.parse import parse_qsl

import pytest

from shmstore.http.message import HttpError, Request


def query_of(text: str) -> dict[str, str]:
    return dict(Request({"REQUEST_METHOD": "GET", "PATH_INFO": "/", "QUERY_STRING": text}, 1).query)


def test_any_query_is_taken_as_the_standard_library_takes_it(seed: int) -> None:
    chance, refused = random.Random(seed), 0
    for _ in range(5000):
        text = "".join(chance.choices(["a", "b", "=", "&", ";", "%20", "+", "\xe9", " ", "#"], k=chance.randrange(9)))
        expected = parse_qsl(text, keep_blank_values=True)
        try:
            assert query_of(text) == dict(expected), text
        except HttpError:
            refused += 1
            assert len(dict(expected)) < len(expected), text
    assert 0 < refused < 1000


def test_only_so_many_parameters_are_taken() -> None:
    assert len(query_of("&".join(f"p{number}=" for number in range(64)))) == 64
    for piece in ("p=1", "p=%20", ""):
        with pytest.raises(HttpError, match="more than 64 parameters"):
            query_of("&".join([piece] * 65))
