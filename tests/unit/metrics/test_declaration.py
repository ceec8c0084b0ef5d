"""What is stored of a metric comes back, and tells one declaration from another."""

import math

import pytest

from shmstore.metrics.declaration import Declaration, unpacked

COUNTER = Declaration("counter", "requests", 'Requests, "all"\nof them', labelnames=("method", "route"))
HISTOGRAM = Declaration("histogram", "latency", "Latency", unit="seconds", buckets=(0.1, 1.0, math.inf))
GAUGE = Declaration("gauge", "busy", "Busy", mode="livesum")
STATES = Declaration("stateset", "phase", "Phase", states=("up", 'do"wn'))


@pytest.mark.parametrize("declaration", [COUNTER, HISTOGRAM, GAUGE, STATES])
def test_a_declaration_comes_back(declaration: Declaration) -> None:
    key = declaration.name.encode()
    stored = declaration.packed(key, declaration.mode, "default")
    assert stored.startswith(key)
    assert unpacked(stored, len(key)) == (declaration, "default")


def test_it_begins_with_numbers_and_holds_the_lines_of_both_formats() -> None:
    stored = COUNTER.packed(b"requests", "", "default")[len("requests") :]
    assert stored[:8] == bytes([1, 1, 0, 1, 0, 0, 0, 0])
    assert b'# HELP requests_total Requests, "all"\\nof them\n# TYPE requests_total counter\n' in stored
    assert b'# HELP requests Requests, \\"all\\"\\nof them\n# TYPE requests counter\n' in stored
    assert HISTOGRAM.packed(b"", "", "")[:8] == bytes([1, 3, 0, 1, 3, 0, 0, 0])
    assert b"# UNIT latency seconds\n" in HISTOGRAM.packed(b"", "", "")
    assert GAUGE.packed(b"", "mostrecent", "")[:4] == bytes([1, 2, 9, 0])
    assert b'do\\"wn' in STATES.packed(b"", "", "")


@pytest.mark.parametrize(
    "stored", [b"", b"\x01", b"\x02" * 40, b"\x01\x01\0\0\xff\xff\0\0", b"\1\1\0\0\0\0\0\0" + b"\0" * 16]
)
def test_what_is_no_declaration_is_refused(stored: bytes) -> None:
    with pytest.raises(ValueError):
        unpacked(stored, 0)


def test_differences_are_said_in_words() -> None:
    other = Declaration("counter", "requests", "Another text", labelnames=("method",))
    assert COUNTER.differences(COUNTER) == ""
    assert COUNTER.differences(other) == "labels ['method', 'route'], not ['method']"
    assert "type 'gauge', not 'stateset'" in GAUGE.differences(STATES)
    assert "multiprocess_mode 'livesum', not ''" in GAUGE.differences(STATES)
