"""A program that imports from prometheus_client finds the same names here."""

import prometheus_client
from prometheus_client import core as peer_core

from shmstore import metrics
from shmstore.metrics import core

EXPERIMENTAL = {"BucketSpan", "NativeHistogram"}


def test_what_custom_collectors_import_is_there() -> None:
    assert set(peer_core.__all__) - EXPERIMENTAL == set(core.__all__)
    assert all(getattr(core, name) is getattr(metrics, name) for name in core.__all__)


def test_the_instruments_and_registries_are_there() -> None:
    names = {"Counter", "Gauge", "Histogram", "Summary", "Info", "Enum", "Metric", "REGISTRY", "CollectorRegistry"}
    names |= {"generate_latest", "disable_created_metrics", "enable_created_metrics", "CONTENT_TYPE_LATEST"}
    assert names <= set(metrics.__all__) & set(prometheus_client.__all__)
