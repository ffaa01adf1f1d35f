"""The words that a site keeps in cleaned texts: the files of ``text.keep``.

Public names: ``read_site_words``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from deidflow.tasks.core.errors import Problem
from deidflow.tasks.core.files.plain_files import read_plain_file, trouble_with

if TYPE_CHECKING:
    from collections.abc import Iterator

    from deidflow.tasks.core.config.config import Config

_MAX_BYTES: Final = 1 << 24
_LONG_NUMBER: Final = re.compile(r"\d{5}")
_WORD: Final = re.compile(r"[^\W_]+")


def read_site_words(config: Config) -> list[Problem]:
    """Read the files of words into a config; return what is wrong with them.

    Args:
        config: Checked, with ``text``.

    """
    problems: list[Problem] = []
    words: set[str] = set()
    for path in config.text.keep if config.text is not None else ():
        try:
            text = read_plain_file(path, _MAX_BYTES)[0].decode("utf-8-sig")
        except OSError as error:
            problems.append(Problem(trouble_with(path, error), key="text.keep"))
            continue
        except UnicodeDecodeError:
            problems.append(Problem(f"must be UTF-8: {path}; save it as UTF-8", key="text.keep"))
            continue
        for number, line in enumerate(text.splitlines(), 1):
            found = list(_words(line))
            if any(map(_LONG_NUMBER.search, found)):
                text = f"words must have at most four digits in a row: {path}, line {number}; longer numbers always go"
                problems.append(Problem(text, key="text.keep"))
            words.update(found)
    config.know_words(frozenset(words))
    return problems


def _words(line: str) -> Iterator[str]:
    """Yield the words of a line as cleaning cuts texts; of a comment none."""
    if not line.startswith("#"):
        yield from _WORD.findall(line)
