"""What else answers questions about samples: NumPy, polars and duckdb, with the data loaded, on one thread."""

import os
from typing import Any

from questions import ASKED, SENSORS, SUM, SUMMARY, TOP, Answers, Samples, time_of

os.environ["POLARS_MAX_THREADS"] = "1"  # read by its import

import duckdb
import numpy as np
import polars as pl


def numpy_answers(samples: Samples) -> Answers:
    """The usual way; and the quickest that was found where that is another."""
    sensors, values, times = samples
    middle = time_of(len(values) // 2)

    def summary() -> tuple[Any, ...]:
        chosen = values[(sensors == ASKED) & (times >= middle)]
        return chosen.size, chosen.sum(), chosen.min(), chosen.max()

    def summary_by_search() -> tuple[Any, ...]:
        first = np.searchsorted(times, middle)
        chosen = values[first:].compress(sensors[first:] == ASKED)
        return chosen.size, chosen.sum(), chosen.min(), chosen.max()

    def top() -> list[tuple[str, float]]:
        sums = np.bincount(sensors, weights=values)
        return [(SENSORS[number], sums[number]) for number in np.argsort(sums)[:-6:-1]]

    return {
        (SUM, "NumPy"): lambda: values[sensors == ASKED].sum(),
        (SUM, "NumPy's einsum"): lambda: np.einsum("i,i", values, sensors == ASKED),
        (SUMMARY, "NumPy"): summary,
        (SUMMARY, "NumPy's searchsorted"): summary_by_search,
        (TOP, "NumPy"): top,
    }


def frame_of(samples: Samples) -> pl.DataFrame:
    """With the sensor as an Enum, about which polars answers quicker than about numbers, categories or strings."""
    sensors = pl.Series([SENSORS[number] for number in samples.sensors], dtype=pl.Enum(SENSORS))
    return pl.DataFrame({"sensor": sensors, "value": samples.values, "timestamp": samples.times})


def polars_answers(frame: pl.DataFrame) -> Answers:
    """By its usual engine, and by the one for streams."""
    value, asked = pl.col("value"), pl.col("sensor") == SENSORS[ASKED]
    last_half = asked & (pl.col("timestamp") >= time_of(len(frame) // 2))
    numbers = [pl.len(), value.sum(), value.min().alias("min"), value.max().alias("max")]
    sum_, summary = frame.lazy().filter(asked).select(value.sum()), frame.lazy().filter(last_half).select(numbers)
    top = frame.lazy().group_by("sensor").agg(value.sum()).top_k(5, by="value")
    return {
        (SUM, "polars"): lambda: sum_.collect().item(),
        (SUMMARY, "polars"): lambda: summary.collect().row(0),
        (SUMMARY, "polars' streaming engine"): lambda: summary.collect(engine="streaming").row(0),
        (TOP, "polars"): lambda: top.collect().sort("value", descending=True).rows(),
    }


def duckdb_answers(frame: pl.DataFrame) -> Answers:
    """From a table of its own, with the sensor as an ENUM."""
    connection = duckdb.connect()
    connection.execute("set threads = 1")
    connection.execute(f"create type sensor as enum ({', '.join(map(repr, SENSORS))})")
    connection.execute("create table samples as select sensor::varchar::sensor as sensor, value, timestamp from frame")
    asked = f"from samples where sensor = '{SENSORS[ASKED]}'"
    numbers = f"count(*), sum(value), min(value), max(value) {asked} and timestamp >= {time_of(len(frame) // 2)}"
    queries = {
        SUM: f"select sum(value) {asked}",
        SUMMARY: f"select {numbers}",
        TOP: "select sensor, sum(value) as total from samples group by sensor order by total desc limit 5",
    }
    return {
        (question, "duckdb"): lambda query=query: connection.execute(query).fetchall()
        for question, query in queries.items()
    }
