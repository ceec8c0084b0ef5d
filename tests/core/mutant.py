"""A mutant: a copy of the core in which some texts are replaced, so that one rule is broken."""

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from tests.core.conftest import CORE


def changed(text: str, changes: dict[str, str], file: str) -> str:
    """A text in which some texts, each of which occurs once, are replaced."""
    for old, new in changes.items():
        pattern = re.compile(r"\s+".join(map(re.escape, old.split())))  # lines may be wrapped anywhere
        found = len(pattern.findall(text))
        assert found == 1, f"{file} has not one but {found} times: {old}"
        text = pattern.sub(lambda _, new=new: new, text)
    return text


@dataclass(frozen=True, eq=False)
class Mutant:
    breaks: str  # the rule, in words
    caught_by: str  # the case that fails
    file: str
    changes: dict[str, str]  # each text occurs once
    by_race: bool = False

    def copy(self, folder: Path) -> list[Path]:
        """The C files to compile of a copy of the core: the changed one, or all when a header is changed."""
        text = changed((CORE / self.file).read_text(), self.changes, self.file)
        core = folder / "core"
        shutil.copytree(CORE, core)
        (core / self.file).write_text(text)
        return [core / self.file] if self.file.endswith(".c") else sorted(core.rglob("*.c"))
