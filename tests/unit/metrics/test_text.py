"""Names, labels and numbers as expositions have them, side by side with prometheus_client."""

import math
import random
import struct

import pytest
from prometheus_client.openmetrics.exposition import UNDERSCORES, escape_label_name, escape_metric_name
from prometheus_client.utils import floatToGoString

from shmstore import metrics
from shmstore.metrics.text import escaped, escaped_help, label_pairs, label_text, number_text, plain_name

NUMBERS = [
    0.0,
    -0.0,
    1,
    0.1,
    1e6,
    999999.0,
    123456789.0,
    1e21,
    1e-7,
    -1e9,
    math.inf,
    -math.inf,
    math.nan,
    5e-324,
    2**53,
]


@pytest.mark.parametrize("number", NUMBERS)
def test_numbers_are_written_as_go_writes_them(number: float) -> None:
    assert number_text(number) == floatToGoString(number)


def test_any_number_is_written_as_prometheus_client_writes_it(seed: int) -> None:
    bits = random.Random(seed)
    for _ in range(5000):
        (number,) = struct.unpack("<d", bits.randbytes(8))
        assert number_text(number) == floatToGoString(number)


@pytest.mark.parametrize("name", ["plain", "with.dot", "1first", "grün", "a:b", "a b", "x1"])
def test_names_are_escaped_as_prometheus_client_escapes_them(name: str) -> None:
    assert plain_name(name, colons=True) == escape_metric_name(name, UNDERSCORES)
    assert plain_name(name) == escape_label_name(name, UNDERSCORES)


@pytest.mark.parametrize(
    "value", ["", "plain", 'say "no"', "back\\slash", "two\nlines", '\\"\n', "a,b=c", '} # {x="1"}', "ü"]
)
def test_a_label_value_comes_back(value: str) -> None:
    text = label_text([("first", value), ("second", "2")])
    assert "\n" not in text
    assert label_pairs(text) == {"first": value, "second": "2"}


def test_values_and_documentations_are_escaped_where_they_stand() -> None:
    assert escaped('a"b\\c\nd') == r"a\"b\\c\nd"
    assert escaped_help('a"b\\c\nd') == r'a"b\\c\nd'


def test_what_utf_8_cannot_hold_is_replaced_whoever_yields_it() -> None:
    class Collector:
        def collect(self) -> list[metrics.Metric]:
            family = metrics.GaugeMetricFamily("g", "G", labels=["k"])
            family.add_metric(["\udca0"], 1)
            return [family]

    registry = metrics.CollectorRegistry()
    registry.register(Collector())
    assert b'g{k="?"} 1.0' in metrics.generate_latest(registry)


def test_names_are_escaped_by_underscores_alone() -> None:
    registry = metrics.CollectorRegistry()
    assert metrics.generate_latest(registry, "underscores") == b""
    with pytest.raises(ValueError, match="escaping is 'dots'; names are escaped by 'underscores' alone"):
        metrics.generate_latest(registry, "dots")


def test_labels_that_would_be_written_alike_are_refused() -> None:
    with pytest.raises(ValueError, match="Duplicate label names"):
        metrics.Counter("c", "C", ["a.b", "a_b"], registry=None)
