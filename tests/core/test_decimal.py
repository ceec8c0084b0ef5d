"""Doubles as the core prints them, held against Python's own repr: sums, times, counts, and any bits."""

import math
import os
import random
import shutil
import struct
import subprocess
from array import array
from collections.abc import Callable, Iterable
from itertools import islice
from pathlib import Path

import pytest

from tests.core.conftest import CC, CORE, FLAGS

SOURCES = (CORE / "metrics" / "decimal.c", Path(__file__).resolve().parents[1] / "helpers" / "decimals.c")
NUMBERS = int(os.environ.get("SHMSTORE_DECIMALS", "20000"))  # of each kind


def go(number: float) -> str:
    """What prometheus_client makes of a value."""
    if math.isnan(number):
        return "NaN"
    if math.isinf(number):
        return "+Inf" if number > 0 else "-Inf"
    text = repr(number)
    whole = text.find(".")
    if number <= 0 or whole <= 6:
        return text
    return f"{text[0]}.{text[1:whole]}{text[whole + 1 :]}".rstrip("0.") + f"e+{whole - 1:02d}"


def shown(number: float) -> str:
    return f"{go(number)} {repr(number) if math.isfinite(number) else ''}"


def powers_of_2() -> Iterable[float]:
    for exponent in range(-1074, 1024):
        power = 2.0**exponent
        yield from (power, -power, math.nextafter(power, 0), math.nextafter(power, math.inf))


KINDS: dict[str, Callable[[random.Random], float]] = {
    "any bits": lambda r: struct.unpack("<d", struct.pack("<Q", r.getrandbits(64)))[0],
    "fractions": lambda r: r.random(),
    "sizes": lambda r: math.exp(r.uniform(-30, 45)),
    "short": lambda r: round(math.exp(r.uniform(-20, 20)), r.randrange(12)),
    "counts": lambda r: float(r.randrange(10 ** r.randrange(1, 16))),
    "large counts": lambda r: float(r.randrange(2**53, 10**17)),
    "scaled": lambda r: r.randrange(-(10**9), 10**9) * 10.0 ** r.randrange(-30, 30),
    "times": lambda r: r.uniform(1.6e9, 1.9e9),
    "beside a power of 2": lambda r: (r.randrange(2**52, 2**53)) * 2.0 ** r.randrange(-90, 4),
}


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("decimals") / "decimals"
    subprocess.run([*CC, *FLAGS, "-O2", *SOURCES, "-lm", "-o", target], check=True)
    return target


def printed(program: Path, numbers: list[float], *locale: str, **environment: str) -> list[str]:
    done = subprocess.run(
        [program, *locale], input=array("d", numbers).tobytes(), capture_output=True, check=True, env=environment
    )
    return done.stdout.decode().splitlines()


def check(program: Path, numbers: list[float], *locale: str, **environment: str) -> None:
    found = printed(program, numbers, *locale, **environment)
    assert len(found) == len(numbers)
    wrong = [(number.hex(), text) for number, text in zip(numbers, found, strict=True) if text != shown(number)]
    assert wrong[:10] == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_number_has_the_digits_that_python_gives_it(program: Path, kind: str, seed: int) -> None:
    numbers = random.Random(seed)
    check(program, list(islice(iter(lambda: KINDS[kind](numbers), None), NUMBERS)))


def test_so_have_all_powers_of_2_and_their_neighbours(program: Path) -> None:
    check(program, [*powers_of_2()])


def test_so_have_the_numbers_where_the_form_changes(program: Path) -> None:
    near = (1e-5, 1e-4, 1e5, 1e6, 1e7, 1e15, 1e16, 1e17, 2.0**53, 1e22, 1e23)
    numbers = [f(n) for n in near for f in (float, lambda n: math.nextafter(n, 0), lambda n: math.nextafter(n, 1e99))]
    rare = [0.0, -0.0, math.inf, -math.inf, math.nan, 5e-324, 1.7976931348623157e308, 999999.9999999999]
    check(program, [*numbers, *(-number for number in numbers), *rare])


def test_a_locale_with_another_point_changes_nothing(program: Path, tmp_path: Path) -> None:
    if not shutil.which("localedef"):
        pytest.skip("localedef is not here")
    made = subprocess.run(
        ["localedef", "-i", "de_DE", "-f", "UTF-8", tmp_path / "de"], capture_output=True, check=False
    )
    if made.returncode and not (tmp_path / "de").exists():
        pytest.skip("the sources of locales are not here (on Debian: locales)")
    numbers = [1.5e-20, 1 / 3, 2.0**-1000, 1e300 / 7, 12345.678]
    check(program, numbers, "de", LOCPATH=str(tmp_path))
