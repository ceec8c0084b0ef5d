"""Settings of the service: options win over variables, and a wrong one is named as it was given."""

from typing import Any

import pytest

from shmstore.errors import InvalidOption
from shmstore.http.settings import Settings


def test_options_win_over_variables_and_these_over_what_is_usual() -> None:
    variables = {"SHMSTORE_NAME": "gateway", "SHMSTORE_PORT": "8080", "SHMSTORE_HOSTS": "A.example, b.example,"}
    found = Settings.from_environment(variables, port=9090, capacity=None)
    assert found == Settings(name="gateway", port=9090, hosts=("a.example", "b.example"))
    assert Settings.from_environment({}) == Settings()
    assert Settings.from_environment({"SHMSTORE_CAPACITY": ""}).capacity == Settings().capacity
    assert Settings.from_environment({"SHMSTORE_READ_TOKEN": ""}).read_token is None


@pytest.mark.parametrize(
    ("variables", "options", "told"),
    [
        ({"SHMSTORE_CAPACITY": "many"}, {}, "SHMSTORE_CAPACITY is 'many'; expected a whole number from 1 to"),
        ({"SHMSTORE_BODY_LIMIT": "-1"}, {}, "SHMSTORE_BODY_LIMIT is '-1'; expected"),
        ({}, {"port": 65536}, "port is 65536; expected a whole number from 0 to 65535"),
        ({}, {"partitions": 0}, "partitions is 0; expected"),
        ({}, {"event_size": True}, "event_size is True; expected"),
        (
            {"SHMSTORE_HOSTS": "a.example, http://b.example/"},
            {},
            "SHMSTORE_HOSTS. has 'http://b.example/'; expected a name",
        ),
        ({}, {"hosts": "b.example:80"}, "has 'b.example:80'; expected a name alone"),
        ({}, {"read_token": ""}, "read_token is empty; leave it out if none is asked for"),
        ({"SHMSTORE_ADMIN_TOKEN": "secret"}, {"admin_token": ""}, "admin_token is empty"),
        ({}, {"colour": "red"}, "there is no option 'colour'; there are name, capacity,"),
    ],
)
def test_what_is_wrong_is_named(variables: dict[str, str], options: dict[str, Any], told: str) -> None:
    with pytest.raises(InvalidOption, match=told):
        Settings.from_environment(variables, **options)
