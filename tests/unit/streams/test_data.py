"""How data become JSON: as the standard library writes it, by whichever of its encoders there is."""

import json
import random
import re
from collections.abc import Callable, Iterator
from enum import IntEnum
from typing import Any

import pytest

from shmstore import InvalidEvent, Stream
from shmstore.streams import data
from shmstore.streams.data import encoded
from tests.helpers.segments import path

LEAVES: tuple[Callable[[random.Random], Any], ...] = (
    lambda chance: chance.choice([None, True, False, 0, -1, 2**70, 0.1, -0.0, 1e300, 5e-324]),
    lambda chance: chance.random(),
    lambda chance: chance.randrange(-(10**9), 10**9),
    lambda chance: "".join(chance.choices('a"\\/\x00\x1f\x7f\u2028üあ\U0001f600', k=chance.randrange(6))),
)
KEYS: tuple[Any, ...] = ("a", "ü", "", 1, 1.5, True, None, -(2**70))


class Colour(IntEnum):
    RED = 1


@pytest.fixture(params=["C", "Python"])
def encoder(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """With the encoder in C, and without."""
    data._encoder.cache_clear()
    if request.param == "Python":
        monkeypatch.setattr("json.encoder.c_make_encoder", None)
    yield
    data._encoder.cache_clear()


def some_value(chance: random.Random, depth: int = 4) -> Any:
    kind = chance.randrange(4) if depth else 0
    if kind == 1:
        return [some_value(chance, depth - 1) for _ in range(chance.randrange(4))]
    if kind == 2:
        return tuple(some_value(chance, depth - 1) for _ in range(chance.randrange(3)))
    if kind == 3:
        return {chance.choice(KEYS): some_value(chance, depth - 1) for _ in range(chance.randrange(4))}
    return chance.choice(LEAVES)(chance)


@pytest.mark.usefixtures("encoder")
def test_json_is_that_of_the_standard_library(seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(500):
        value = some_value(chance)
        expected = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        assert encoded(value, "data").decode() == expected


@pytest.mark.usefixtures("encoder")
@pytest.mark.parametrize("value", [{"c": Colour.RED}, [Colour.RED], {Colour.RED: 1}, {"": [[[{}]]]}])
def test_subclasses_are_what_they_stand_for(value: Any) -> None:
    assert encoded(value, "data").decode() == json.dumps(value, separators=(",", ":"))


@pytest.mark.usefixtures("encoder")
@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"a": [1, float("nan")]}, r"data\['a'\]\[1\] is nan"),
        ({float("inf"): 1}, r"data has the key inf"),
        ({"a": {1, 2}}, r"data\['a'\] is \{1, 2\} \(set\)"),
        ({(1, 2): 1}, r"data has the key \(1, 2\)"),
        (["\ud800"], r"data\[0\] is '\\ud800', which UTF-8 cannot hold"),
        ({"a": [1, 10**5000]}, r"data\['a'\]\[1\] is an int of .* \(Exceeds the limit"),
        ([{10**5000: 1}], r"data\[0\] has the key an int of"),
    ],
)
def test_what_json_does_not_have_is_refused(value: Any, said: str) -> None:
    for _ in range(3):  # a refusal leaves nothing behind that the next one would come upon
        with pytest.raises(InvalidEvent, match=said):
            encoded(value, "data")
    assert encoded({"a": 1}, "data") == b'{"a":1}'


@pytest.mark.usefixtures("encoder")
def test_what_contains_itself_is_refused(stream: Stream) -> None:
    value: list[Any] = []
    value.append({"again": value})
    deep: Any = 1
    for _ in range(100_000):
        deep = [deep]
    for each in (value, deep):
        with pytest.raises(InvalidEvent, match="data contains itself, or is nested too deep"):
            stream.append(each)
    assert stream.version == -1


@pytest.mark.parametrize(
    "found",
    [
        *(b'{"aa":1}', b' {"a":1}', b'{"a":1} ', b"[1 , 2 ]", b"[1] [2] ", b'{"aa":1,', b"        "),
        *(b'"\xff\xff\xff\xff\xff" ', b"nonsense"),
    ],
)
def test_what_somebody_wrote_into_the_segment_is_read_as_json_is(stream: Stream, found: bytes) -> None:
    stream.append({"aa": 1})
    assert len(found) == 8
    file = path(stream.store.name)
    file.write_bytes(file.read_bytes().replace(b'{"aa":1}', found))
    event = stream.at(0)
    assert event is not None
    try:
        expected = json.loads(found.decode(errors="replace"))
    except ValueError as error:
        with pytest.raises(ValueError, match=re.escape(str(error))):
            _ = event.data
    else:
        assert event.data == expected and event.data is event.data
