"""What collectors yield: families of samples, and the classes that custom collectors build them with."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from shmstore.metrics.checks import check_metric_name
from shmstore.public import PACKAGE

KINDS = ("counter", "gauge", "summary", "histogram", "gaugehistogram", "unknown", "info", "stateset")


class Timestamp:
    """A moment since the Unix epoch, to the nanosecond."""

    def __init__(self, sec: float, nsec: float) -> None:
        if nsec < 0 or nsec >= 1e9:
            raise ValueError(f"Invalid value for nanoseconds in Timestamp: {nsec}")
        self.sec = int(sec)
        self.nsec = int(-nsec if sec < 0 else nsec)

    def __str__(self) -> str:
        return f"{self.sec}.{self.nsec:09d}"

    def __repr__(self) -> str:
        return f"Timestamp({self.sec}, {self.nsec})"

    def __float__(self) -> float:
        return self.sec + self.nsec / 1e9

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Timestamp) and (self.sec, self.nsec) == (other.sec, other.nsec)

    def __hash__(self) -> int:
        return hash((self.sec, self.nsec))

    def __lt__(self, other: "Timestamp") -> bool:
        return (self.sec, self.nsec) < (other.sec, other.nsec)

    def __gt__(self, other: "Timestamp") -> bool:
        return other < self


Moment = Timestamp | float


class Exemplar(NamedTuple):
    """What one observation was about."""

    labels: Mapping[str, str]
    value: float
    timestamp: Moment | None = None


class Sample(NamedTuple):
    """One line of an exposition."""

    name: str
    labels: dict[str, str]
    value: float
    timestamp: Moment | None = None
    exemplar: Exemplar | None = None


Bucket = tuple[str, float] | tuple[str, float, Exemplar | None]


class Metric:
    """A family: its name, type and documentation, and its samples."""

    def __init__(self, name: str, documentation: str, typ: str, unit: str = "") -> None:
        if unit and not name.endswith(f"_{unit}"):
            name += f"_{unit}"
        check_metric_name(name)
        kind = "unknown" if typ == "untyped" else typ
        if kind not in KINDS:
            raise ValueError(f"Invalid metric type: {typ}")
        self.name = name
        self.documentation = documentation
        self.unit = unit
        self.type = kind
        self.samples: list[Sample] = []

    def add_sample(
        self,
        name: str,
        labels: dict[str, str],
        value: float,
        timestamp: Moment | None = None,
        exemplar: Exemplar | None = None,
    ) -> None:
        self.samples.append(Sample(name, labels, value, timestamp, exemplar))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Metric) and self._all() == other._all()

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Metric({', '.join(map(str, self._all()))})"

    def _all(self) -> tuple[object, ...]:
        return self.name, self.documentation, self.type, self.unit, self.samples


class _Family(Metric):
    """A family of one type, with label names."""

    _kind = "unknown"

    def __init__(
        self, name: str, documentation: str, labels: Sequence[str] | None, unit: str, has_value: bool, what: str
    ) -> None:
        super().__init__(name, documentation, self._kind, unit)
        if labels is not None and has_value:
            raise ValueError(f"Can only specify at most one of {what} and labels.")
        self._labelnames = tuple(labels or ())

    def _labels(self, values: Sequence[str], **more: str) -> dict[str, str]:
        return {**dict(zip(self._labelnames, values, strict=False)), **more}

    def _add(
        self,
        suffix: str,
        values: Sequence[str],
        value: float,
        timestamp: Moment | None,
        exemplar: Exemplar | None = None,
        **more: str,
    ) -> None:
        self.add_sample(self.name + suffix, self._labels(values, **more), value, timestamp, exemplar)


class UnknownMetricFamily(_Family):
    """Samples of a type that is not known."""

    def __init__(
        self,
        name: str,
        documentation: str,
        value: float | None = None,
        labels: Sequence[str] | None = None,
        unit: str = "",
    ) -> None:
        super().__init__(name, documentation, labels, unit, value is not None, "value")
        if value is not None:
            self.add_metric([], value)

    def add_metric(self, labels: Sequence[str], value: float, timestamp: Moment | None = None) -> None:
        self._add("", labels, value, timestamp)


UntypedMetricFamily = UnknownMetricFamily


class GaugeMetricFamily(UnknownMetricFamily):
    """Samples of a gauge."""

    _kind = "gauge"


class CounterMetricFamily(_Family):
    """Samples of a counter."""

    _kind = "counter"

    def __init__(
        self,
        name: str,
        documentation: str,
        value: float | None = None,
        labels: Sequence[str] | None = None,
        created: float | None = None,
        unit: str = "",
        exemplar: Exemplar | None = None,
    ) -> None:
        super().__init__(name.removesuffix("_total"), documentation, labels, unit, value is not None, "value")
        if value is not None:
            self.add_metric([], value, created, exemplar=exemplar)

    def add_metric(
        self,
        labels: Sequence[str],
        value: float,
        created: float | None = None,
        timestamp: Moment | None = None,
        exemplar: Exemplar | None = None,
    ) -> None:
        self._add("_total", labels, value, timestamp, exemplar)
        if created is not None:
            self._add("_created", labels, created, timestamp)


class SummaryMetricFamily(_Family):
    """Samples of a summary."""

    _kind = "summary"

    def __init__(
        self,
        name: str,
        documentation: str,
        count_value: int | None = None,
        sum_value: float | None = None,
        labels: Sequence[str] | None = None,
        unit: str = "",
    ) -> None:
        if (sum_value is None) != (count_value is None):
            raise ValueError("count_value and sum_value must be provided together.")
        super().__init__(name, documentation, labels, unit, count_value is not None, "value")
        if count_value is not None and sum_value is not None:
            self.add_metric([], count_value, sum_value)

    def add_metric(
        self, labels: Sequence[str], count_value: int, sum_value: float, timestamp: Moment | None = None
    ) -> None:
        self._add("_count", labels, count_value, timestamp)
        self._add("_sum", labels, sum_value, timestamp)


class HistogramMetricFamily(_Family):
    """Samples of a histogram; the buckets are cumulative, and the last is +Inf."""

    _kind = "histogram"

    def __init__(
        self,
        name: str,
        documentation: str,
        buckets: Sequence[Bucket] | None = None,
        sum_value: float | None = None,
        labels: Sequence[str] | None = None,
        unit: str = "",
    ) -> None:
        if sum_value is not None and buckets is None:
            raise ValueError("sum value cannot be provided without buckets.")
        super().__init__(name, documentation, labels, unit, buckets is not None, "buckets")
        if buckets is not None:
            self.add_metric([], buckets, sum_value)

    def add_metric(
        self,
        labels: Sequence[str],
        buckets: Sequence[Bucket],
        sum_value: float | None,
        timestamp: Moment | None = None,
    ) -> None:
        for bucket in buckets:
            exemplar = bucket[2] if len(bucket) == 3 else None
            self._add("_bucket", labels, bucket[1], timestamp, exemplar, le=bucket[0])
        if float(buckets[0][0]) >= 0 and sum_value is not None:
            self._add("_count", labels, buckets[-1][1], timestamp)
            self._add("_sum", labels, sum_value, timestamp)


class GaugeHistogramMetricFamily(_Family):
    """Samples of a histogram whose counts may fall."""

    _kind = "gaugehistogram"

    def __init__(
        self,
        name: str,
        documentation: str,
        buckets: Sequence[tuple[str, float]] | None = None,
        gsum_value: float | None = None,
        labels: Sequence[str] | None = None,
        unit: str = "",
    ) -> None:
        super().__init__(name, documentation, labels, unit, buckets is not None, "buckets")
        if buckets is not None:
            self.add_metric([], buckets, gsum_value)

    def add_metric(
        self,
        labels: Sequence[str],
        buckets: Sequence[tuple[str, float]],
        gsum_value: float | None,
        timestamp: Moment | None = None,
    ) -> None:
        for bound, value in buckets:
            self._add("_bucket", labels, value, timestamp, le=bound)
        self._add("_gcount", labels, buckets[-1][1], timestamp)
        if gsum_value is not None:
            self._add("_gsum", labels, gsum_value, timestamp)


class InfoMetricFamily(_Family):
    """Samples of what is known, as labels."""

    _kind = "info"

    def __init__(
        self,
        name: str,
        documentation: str,
        value: Mapping[str, str] | None = None,
        labels: Sequence[str] | None = None,
    ) -> None:
        super().__init__(name, documentation, labels, "", value is not None, "value")
        if value is not None:
            self.add_metric([], value)

    def add_metric(self, labels: Sequence[str], value: Mapping[str, str], timestamp: Moment | None = None) -> None:
        self._add("_info", labels, 1, timestamp, None, **value)


class StateSetMetricFamily(_Family):
    """Samples of states, each of which is so or not."""

    _kind = "stateset"

    def __init__(
        self,
        name: str,
        documentation: str,
        value: Mapping[str, bool] | None = None,
        labels: Sequence[str] | None = None,
    ) -> None:
        super().__init__(name, documentation, labels, "", value is not None, "value")
        if value is not None:
            self.add_metric([], value)

    def add_metric(self, labels: Sequence[str], value: Mapping[str, bool], timestamp: Moment | None = None) -> None:
        for state, is_so in sorted(value.items()):
            self._add("", labels, int(is_so), timestamp, None, **{self.name: state})


# Public under the name of their public module.
for _class in (Timestamp, Exemplar, Sample, Metric, *_Family.__subclasses__(), GaugeMetricFamily):
    _class.__module__ = f"{PACKAGE}.metrics"
