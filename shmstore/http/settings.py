"""How the service is set up: options, and the same names as variables of the environment."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Final, get_type_hints

from shmstore.arguments.checks import refused
from shmstore.arguments.shown import shown
from shmstore.errors import InvalidOption

_LEAST: Final = {"capacity": 1, "partitions": 1, "event_size": 1, "port": 0, "body_limit": 1}
_MOST: Final = {"port": 65535}
_HOST: Final = re.compile(r"\*|[\w.-]+")  # what a Host header is compared with: no scheme, port or path


@dataclass(frozen=True, slots=True)
class Settings:
    """What a service serves, and to whom. Each may be given as `SHMSTORE_` and its name in capitals.

    name         the store of streams; the records of `/metrics` are in the store NAME-records
    capacity     events that are kept, and records; 100,000 when left out
    partitions   of each; one a CPU when left out
    event_size   room for the data of an event, in bytes; 512 when left out
    host, port   where `shmstore-serve` listens
    admin_token  what `/admin` asks for; without one, only this machine may use it; "off" closes it
    read_token   what everything else asks for, if anything
    body_limit   the largest body of a request that is taken, in bytes
    hosts        names under which it is known, beside localhost and addresses: separated by commas; "*" for any
    """

    name: str = "events"
    capacity: int | None = None  # not asked for, so that a store that exists with another one is all right
    partitions: int | None = None
    event_size: int | None = None
    host: str = "127.0.0.1"
    port: int = 7070
    admin_token: str | None = None
    read_token: str | None = None
    body_limit: int = 1 << 20
    hosts: tuple[str, ...] = ()

    @staticmethod
    def from_environment(environment: Mapping[str, str] | None = None, **options: Any) -> "Settings":
        """Options that are given and not None; else variables of the environment; else what is written above.

        Raises InvalidOption, which names the option or the variable.
        """
        variables = os.environ if environment is None else environment
        numbers = {name for name, kind in get_type_hints(Settings).items() if kind in (int, int | None)}
        chosen: dict[str, Any] = {}
        for field in fields(Settings):
            name, variable = field.name, f"SHMSTORE_{field.name.upper()}"
            value = options.pop(name, None)
            called = name
            if value is None and variables.get(variable):
                value, called = variables[variable], variable
            if value == "" and name.endswith("_token"):  # as of a variable of a shell that is not set
                raise InvalidOption(f"{name} is empty; leave it out if none is asked for, else give one")
            if value is not None:
                chosen[name] = _number(name, called, value) if name in numbers else value
        if isinstance(chosen.get("hosts"), str):
            chosen["hosts"] = tuple(_host(host.strip()) for host in chosen["hosts"].split(",") if host.strip())
        if options:
            raise InvalidOption(f"there is no option {next(iter(options))!r}; there are {', '.join(_names())}")
        return Settings(**chosen)


def _names() -> list[str]:
    return [field.name for field in fields(Settings)]


def _host(text: str) -> str:
    if not _HOST.fullmatch(text):
        raise InvalidOption(f"hosts (SHMSTORE_HOSTS) has {shown(text)}; expected a name alone, as shop.example, or *")
    return text.lower()


def _number(name: str, called: str, value: Any) -> int:
    least, most = _LEAST[name], _MOST.get(name, 2**63 - 1)
    text = str(value)
    if not (text.isascii() and text.isdigit() and len(text) < 20 and least <= int(text) <= most):
        raise refused(called, value, f"a whole number from {least} to {most}")
    return int(text)
