"""The rules about burnt-in text that a config names: the files of ``pixels.rules``.

Public names: ``read_site_rules``.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from deidflow.tasks.core.config.config import Pixels
from deidflow.tasks.core.config.pixel_rules.sources import BUILTIN, RuleText, builtin_text, risks_text
from deidflow.tasks.core.errors import InvalidInput, Problem
from deidflow.tasks.core.files.plain_files import read_plain_file, trouble_with
from deidflow.tasks.local.viewing.text_detector import HOW_TO_INSTALL, can_detect

if TYPE_CHECKING:
    from deidflow.tasks.core.config.config import Config

_MAX_BYTES: Final = 1 << 20
_KEY: Final = "pixels.rules"


def read_site_rules(config: Config) -> list[Problem]:
    """Read the rule files into a config whose profile cleans pixels; return what is wrong with them.

    Args:
        config: Checked.

    """
    if not config.cleans_pixels:
        return []
    group = config.pixels or Pixels()
    texts: list[RuleText] = []
    problems: list[Problem] = []
    if group.detect and not can_detect():
        problems.append(Problem(f"needs the extra ocr: {HOW_TO_INSTALL}", key="pixels.detect"))
    paths = {BUILTIN: BUILTIN}
    for path in group.rules:
        if path == Path(BUILTIN):
            texts.append(builtin_text())
            continue
        if path.name in paths:
            problems.append(Problem(f"must name each file once, and files of different names: {path}", key=_KEY))
        paths[path.name] = str(path)
        try:
            texts.append(RuleText(path.name, read_plain_file(path, _MAX_BYTES)[0].decode("utf-8-sig")))
        except OSError as error:
            problems.append(Problem(trouble_with(path, error), key=_KEY))
        except UnicodeDecodeError:
            problems.append(Problem(f"must be UTF-8: {path}; save it as UTF-8", key=_KEY))
    try:
        config.know_rules((*texts, risks_text()))
    except InvalidInput as error:
        problems += [replace(problem, file=paths.get(problem.file, problem.file)) for problem in error.problems]
    return problems
