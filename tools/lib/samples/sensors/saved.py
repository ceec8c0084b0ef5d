"""Snapshots in a file: saved whole or not at all, and read by the next start, or by any other program.

A pickle of a snapshot is whole without its store, and answers the same questions. For programs that are not Python,
`snapshot.to_csv` and `to_jsonl` write text, and pyarrow takes a snapshot and writes Parquet, as
`parquet.write_table(pyarrow.table(snapshot), path)`. Run as `python -m samples.sensors.saved FILE` it says what the
file holds. Read only files that you trust: a pickle may do anything.
"""

import json
import os
import pickle
import sys
from pathlib import Path
from typing import Any

from shmstore import Snapshot


def save(snapshot: Snapshot[Any], path: Path) -> None:
    """Put a snapshot in the place of the file: whoever reads it, also after a crash, gets the old one or the new."""
    new = path.with_name(f"{path.name}.{os.getpid()}.new")
    try:
        with open(new, "wb") as file:
            pickle.dump(snapshot, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(new, path)
    finally:
        new.unlink(missing_ok=True)  # when something went wrong
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)  # so that the name is on the disk, too
    finally:
        os.close(folder)


def load(path: Path) -> Snapshot[Any]:
    """The snapshot that was saved last. Raises OSError."""
    with open(path, "rb") as file:
        snapshot: Snapshot[Any] = pickle.load(file)
        return snapshot


def summary(snapshot: Snapshot[Any]) -> dict[str, Any]:
    """What is in it, in short."""
    sensors = snapshot.group_by("sensor").count()
    return {"readings": len(snapshot), "sensors": len(sensors), "sum": snapshot.sum("celsius")}


if __name__ == "__main__":
    print(json.dumps(summary(load(Path(sys.argv[1])))))
