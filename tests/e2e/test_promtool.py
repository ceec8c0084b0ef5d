"""What Prometheus' own tool says of our expositions: nothing, whatever the instruments and their values are."""

import math

import pytest

from shmstore import metrics
from tests.helpers import programs
from tests.helpers.promtool import complaints

pytestmark = programs.needs("promtool")

HOSTILE = ['"', "\\", "\n", "ü # {", 'a"} 5', "", "\u2028", "日本"]


@pytest.fixture
def registry() -> metrics.CollectorRegistry:
    """Each kind of instrument, with names, labels, documentations and values that have to be escaped."""
    registry = metrics.CollectorRegistry()
    counter = metrics.Counter("orders", 'Orders "of"\n\\ all', ["kind"], registry=registry)
    gauge = metrics.Gauge("läufer.im:wald", "日本", ["größe"], registry=registry)
    histogram = metrics.Histogram("sizes", "Sizes", ["kind"], buckets=(-math.inf, 0, 1e-9, 10), registry=registry)
    summary = metrics.Summary("times_seconds", "", ["kind"], registry=registry)
    for value in HOSTILE:
        counter.labels(value).inc(3, {"trace": value})
        histogram.labels(value).observe(5, {"trace": value})
        summary.labels(value).observe(1e300)
    for label, number in {"nan": math.nan, "up": math.inf, "down": -math.inf, "small": 5e-324, "zero": -0.0}.items():
        gauge.labels(label).set(number)
    for number in (math.inf, -math.inf, math.nan):
        histogram.labels("extreme").observe(number)
    metrics.Info("build", "Build", registry=registry).info({"of": HOSTILE[0], "größe": HOSTILE[3]})
    metrics.Enum("state", "State", states=["up", 'do"wn'], registry=registry).state('do"wn')
    return registry


def told(registry: metrics.CollectorRegistry, openmetrics: bool) -> str:
    return metrics.generate_latest(registry, openmetrics=openmetrics).decode()


@pytest.mark.parametrize("openmetrics", [False, True])
def test_every_kind_and_value_is_read(registry: metrics.CollectorRegistry, openmetrics: bool) -> None:
    text = told(registry, openmetrics)
    assert complaints(text, openmetrics) == ""
    for part in ("orders_total", "orders_created", 'le="+Inf"', "NaN", "-Inf", "times_seconds_sum", "build_info"):
        assert part in text, "the exposition does not hold what it was meant to"
    assert ("# {trace=" in text) is openmetrics


@pytest.mark.parametrize("openmetrics", [False, True])
@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ('orders_total{kind="日本"} 3.0', 'orders_total{kind="日本"} three'),
        ('orders_total{kind="日本"} 3.0', 'orders_total{kind="日"本"} 3.0'),
        ('sizes_count{kind=""}', 'sizes_count{kind=""'),
        ("# TYPE orders", "# TYPE orders a"),
    ],
)
def test_an_error_is_told(registry: metrics.CollectorRegistry, openmetrics: bool, right: str, wrong: str) -> None:
    text = told(registry, openmetrics)
    assert right in text
    assert complaints(text.replace(right, wrong), openmetrics) != ""


def test_a_hint_about_a_name_is_no_error() -> None:
    registry = metrics.CollectorRegistry()
    metrics.Gauge("sleep_milliseconds", "", registry=registry).set(1)
    assert complaints(told(registry, False)) == ""
