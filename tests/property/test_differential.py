"""Random schemas, values, ways to append and to read agree with plain Python; `tools/fuzz --python` goes on."""

import pytest

from tests.helpers.differential import run_round


@pytest.mark.parametrize("part", range(12))
def test_every_way_in_and_out_keeps_every_value(name: str, seed: int, part: int) -> None:
    for turn in range(4):
        run_round(f"{name}-{turn}", f"{seed}/{part}/{turn}")
