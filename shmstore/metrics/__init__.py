"""Worker-shared metrics: the instruments of Prometheus, on series that all processes of an application share."""

from shmstore.metrics.checks import disable_created_metrics, enable_created_metrics
from shmstore.metrics.configure import configure
from shmstore.metrics.exposition import (
    CONTENT_TYPE_LATEST,
    CONTENT_TYPE_OPENMETRICS,
    CONTENT_TYPE_PLAIN_0_0_4,
    generate_latest,
)
from shmstore.metrics.families import (
    CounterMetricFamily,
    Exemplar,
    GaugeHistogramMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
    Sample,
    StateSetMetricFamily,
    SummaryMetricFamily,
    Timestamp,
    UnknownMetricFamily,
    UntypedMetricFamily,
)
from shmstore.metrics.instruments import Counter, Enum, Gauge, Histogram, Info, Summary
from shmstore.metrics.middleware import ASGIMiddleware, WSGIMiddleware
from shmstore.metrics.process import PROCESS_COLLECTOR, ProcessCollector
from shmstore.metrics.registry import (
    REGISTRY,
    Collector,
    CollectorRegistry,
    DuplicateTimeseries,
    RestrictedRegistry,
)
from shmstore.metrics.runtime import GC_COLLECTOR, PLATFORM_COLLECTOR, GCCollector, PlatformCollector
from shmstore.metrics.serving import make_asgi_app, make_wsgi_app, start_http_server

__all__ = [
    "ASGIMiddleware",
    "CONTENT_TYPE_LATEST",
    "CONTENT_TYPE_OPENMETRICS",
    "CONTENT_TYPE_PLAIN_0_0_4",
    "Collector",
    "CollectorRegistry",
    "Counter",
    "CounterMetricFamily",
    "DuplicateTimeseries",
    "Enum",
    "Exemplar",
    "GCCollector",
    "GC_COLLECTOR",
    "Gauge",
    "GaugeHistogramMetricFamily",
    "GaugeMetricFamily",
    "Histogram",
    "HistogramMetricFamily",
    "Info",
    "InfoMetricFamily",
    "Metric",
    "PLATFORM_COLLECTOR",
    "PROCESS_COLLECTOR",
    "PlatformCollector",
    "ProcessCollector",
    "REGISTRY",
    "RestrictedRegistry",
    "Sample",
    "StateSetMetricFamily",
    "Summary",
    "SummaryMetricFamily",
    "Timestamp",
    "UnknownMetricFamily",
    "UntypedMetricFamily",
    "WSGIMiddleware",
    "configure",
    "disable_created_metrics",
    "enable_created_metrics",
    "generate_latest",
    "make_asgi_app",
    "make_wsgi_app",
    "start_http_server",
]
