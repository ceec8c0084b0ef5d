"""One process that writes what sensors measure, until killed: `python -m samples.sensors.sensor STORE FIRST COUNT`."""

import math
import random
import sys
import time

import shmstore
from shmstore import Key, Record, Timestamp

STEP_S = 0.005


class Reading(Record):
    """What is kept of each measurement."""

    sensor: Key
    celsius: float
    at: Timestamp  # now, when left out


def main(store: str, first: str, count: str) -> None:
    """Write a reading of each sensor, again and again."""
    with shmstore.attach(store) as readings:
        append = readings.appender("sensor", "celsius")
        sensors = [readings.key(f"sensor-{number}") for number in range(int(first), int(first) + int(count))]
        while True:
            for number, sensor in enumerate(sensors):
                append(sensor, 20.0 + number + math.sin(time.time()) + random.gauss(0.0, 0.1))
            time.sleep(STEP_S)


if __name__ == "__main__":
    main(*sys.argv[1:])
