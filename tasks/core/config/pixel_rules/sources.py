"""The rules that a config names, as texts that a run keeps, and as rules.

Public names: ``RuleText``, ``BUILTIN``, ``builtin_text``, ``risks_text``, ``of_the_site``, ``read_rules``.
"""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING, Final, NamedTuple

from deidflow.tasks.core.config.pixel_rules.ctp_script import read_ctp_script
from deidflow.tasks.core.config.pixel_rules.rule_file import read_risks, read_rule_file
from deidflow.tasks.core.errors import InvalidInput, Problem
from deidflow.tasks.core.pixels.decision import PixelRule, PixelRules, Risk

if TYPE_CHECKING:
    from collections.abc import Sequence

BUILTIN: Final = "builtin"
"""In ``pixels.rules``: the rule set that comes with deidflow. A file of that name is ``./builtin``."""

_RISKS: Final = "at-risk"
_OWN_FORM: Final = (".yaml", ".yml")
_FOLDER: Final = "deidflow.tasks.core.config.pixel_rules"


class RuleText(NamedTuple):
    """One entry of ``pixels.rules``.

    Attributes:
        name: The file's name as messages and rules show it, or ``builtin``.
        text: Its content.

    """

    name: str
    text: str


def builtin_text() -> RuleText:
    """Return the rule set that comes with deidflow."""
    return RuleText(BUILTIN, files(_FOLDER).joinpath("builtin.yaml").read_text(encoding="utf-8"))


def risks_text() -> RuleText:
    """Return the list of kinds at risk."""
    return RuleText(_RISKS, files(_FOLDER).joinpath("at_risk.yaml").read_text(encoding="utf-8"))


def of_the_site(texts: Sequence[Sequence[str]]) -> list[list[str]]:
    """Return rule texts without what comes with deidflow, of which the names stay: a release may bring other rules.

    Args:
        texts: As of ``read_rules``, or as JSON has them.

    """
    return [[name, "" if name == BUILTIN else text] for name, text in texts[:-1]]


def read_rules(texts: Sequence[RuleText]) -> PixelRules:
    """Read all rules, in the order in which they are tried, and what is at risk.

    A name that ends in .yaml or .yml is of our own form, others are scripts of RSNA's CTP.

    Args:
        texts: Of ``pixels.rules`` and, as the last one, of ``risks_text``.

    Raises:
        InvalidInput: With every problem of every text, by file and line.

    """
    rules: list[PixelRule] = []
    risks: list[Risk] = []
    problems: list[Problem] = []
    for name, text in texts:
        try:
            if name == _RISKS:
                risks += read_risks(text, name)
            elif name == BUILTIN or name.lower().endswith(_OWN_FORM):
                rules += read_rule_file(text, name)
            else:
                rules += read_ctp_script(text, name)
        except InvalidInput as error:
            problems += error.problems
    if problems:
        raise InvalidInput(problems)
    return PixelRules(tuple(rules), tuple(risks))
