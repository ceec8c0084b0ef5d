"""Who sees what of the dashboard: with which token, from where, and through what."""

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

import shmstore
from shmstore.http.service import Service
from shmstore.http.settings import Settings
from tests.helpers.asked import Answer, asked

READ, ADMIN = {"authorization": "Bearer read"}, {"authorization": "Bearer admin"}
ELSEWHERE, PROXIED = {"remote": "192.0.2.1"}, {"x_forwarded_for": "192.0.2.1"}
DATA = ("health", "chart", "labels", "streams", "events", "series", "live")


@pytest.fixture
def other(name: str) -> Iterator[str]:
    """A store that is not the service's."""
    with shmstore.create_streams(f"{name}-other", capacity=10):
        yield f"{name}-other"
    shmstore.unlink(f"{name}-other")


def ask(name: str, path: str, query: str = "", settings: dict[str, Any] | None = None, **headers: str) -> Answer:
    service = Service(Settings(name=name, capacity=10, partitions=1, **(settings or {})), None)
    try:
        return asked(service, "GET", path, None, query, **headers)
    finally:
        service.close()
        for each in (name, f"{name}-records"):
            with suppress(shmstore.StoreNotFound):
                shmstore.unlink(each)


@pytest.mark.parametrize(
    ("settings", "headers", "sees_all"),
    [
        ({}, {}, True),
        ({}, ELSEWHERE, False),
        ({}, PROXIED, False),
        ({"admin_token": "off"}, {}, False),
        ({"admin_token": "off"}, {"authorization": "Bearer off"}, False),
        ({"admin_token": "admin"}, {}, False),
        ({"admin_token": "admin"}, ADMIN, True),
        ({"admin_token": "admin"}, {**ADMIN, **ELSEWHERE}, True),
        ({"read_token": "read"}, READ, True),
        ({"read_token": "read"}, {**READ, **ELSEWHERE}, False),
        ({"read_token": "read", "admin_token": "admin"}, READ, False),
        ({"read_token": "read", "admin_token": "admin"}, ADMIN, True),
    ],
)
def test_who_may_administrate_sees_all_stores_and_others_those_of_the_service(
    name: str, other: str, settings: dict[str, Any], headers: dict[str, str], sees_all: bool
) -> None:
    answer = ask(name, "/dashboard/streams", f"store={other}", settings, **headers)
    assert answer.status == (200 if sees_all else 404), answer
    if not sees_all:
        gone = ask(name, "/dashboard/streams", f"store={name}-never", settings, **headers).json["error"]
        assert answer.json["error"].replace(other, f"{name}-never") == gone  # nobody learns that it is there
    found = [finding["what"] for finding in ask(name, "/dashboard/health", "", settings, **headers).json["findings"]]
    assert ("/proc" in found) is sees_all
    assert any(other in what for what in found) is sees_all
    assert f"streams {name}" in found


@pytest.mark.parametrize("what", DATA)
def test_with_a_read_token_the_page_loads_without_it_and_its_data_does_not(name: str, what: str) -> None:
    settings = {"read_token": "read"}
    assert ask(name, "/", "", settings).status == 200
    assert ask(name, "/dashboard.js", "", settings).status == 200
    refused = ask(name, f"/dashboard/{what}", f"store={name}", settings)
    assert refused.status == 401 and refused.headers["WWW-Authenticate"] == "Bearer"
    assert ask(name, f"/dashboard/{what}", f"store={name}", settings, authorization="Bearer x").status == 401


def test_a_page_of_another_site_gets_nothing(name: str) -> None:
    assert ask(name, "/", host="evil.example").status == 421
    assert ask(name, "/dashboard/health", host="evil.example").status == 421
