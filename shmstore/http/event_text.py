"""Events as JSON: what was appended as JSON is passed on as it is."""

import base64
from collections.abc import Iterable
from typing import Any

from shmstore._core import Event
from shmstore.http.message import time_text, to_json


def texts(stream: str, events: Iterable[Event]) -> list[str]:
    """Events of a stream, each as an object."""
    name = to_json(stream)
    return [
        f'{{"stream":{name},"version":{event.version},"position":{event.position},'
        f'"eventId":{_label(event.event_id)},"type":{_label(event.type)},'
        f'"data":{event.data_json or _payload(event.data)},'
        f'"metadata":{event.metadata_json or _payload(event.metadata)},"timestamp":"{time_text(event.timestamp)}"}}'
        for event in events
    ]


def _label(text: str | None) -> str:
    return "null" if text is None else to_json(text)


def _payload(value: Any) -> str:
    if value is None:
        return "null"
    return to_json({"base64": base64.b64encode(value).decode()} if isinstance(value, bytes) else value)
