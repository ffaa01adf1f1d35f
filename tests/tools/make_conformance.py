"""Write docs/conformance.md from the tables that the local engine works by.

    .venv/bin/python -m tests.tools.make_conformance > docs/conformance.md

Public names: ``conformance``.
"""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Final

from deidflow.tasks.core.request.profile_choice import NOT_BUILT, PROFILE_EDITION, Option
from deidflow.tasks.local.deidentification.cleaning_rules import CleaningRules
from deidflow.tasks.local.deidentification.profile_rules import Policy, dummy
from deidflow.tasks.local.deidentification.standard.codes import AttributeType, action_for
from deidflow.tasks.local.deidentification.standard.profile import PRIVATE, load_profile
from deidflow.tasks.local.deidentification.standard.safe_private import standard_attributes
from deidflow.tasks.local.deidentification.text.cleaner import TextCleaner
from deidflow.tasks.local.editing.actions import Action

if TYPE_CHECKING:
    from collections.abc import Iterator

    from deidflow.tasks.local.deidentification.standard.profile import Row
    from deidflow.tasks.local.editing.actions import Rule

_WORDS: Final = {
    Action.REMOVE: "removed",
    Action.EMPTY: "emptied",
    Action.DUMMY: "dummy",
    Action.REPLACE_UID: "new UID",
    Action.CLEAN: "cleaned",
    Action.KEEP: "kept",
    Action.SHIFT: "moved",
}
_GROUP_RULES: Final = "removed, with every attribute of its group"

_STATEMENT: Final = Path(__file__).with_name("conformance_statement.md")


def conformance() -> str:
    """Return the document."""
    words = {"edition": PROFILE_EDITION, "options": ", ".join(Option), "not_built": ", ".join(NOT_BUILT)}
    statement = _STATEMENT.read_text("utf-8").format_map(words)
    return "\n".join((statement, *_attributes(), "", *_private(), ""))


def _attributes() -> Iterator[str]:
    yield "## Attributes"
    yield ""
    yield "Code and action of the basic profile for an attribute of type 3, or of which the IOD says nothing;"
    yield "of types 2 and 1 where these differ. Then what becomes of it under each option that speaks of it,"
    yield "alone. Rows with a reason are beyond the standard's table."
    yield ""
    yield "| tag | attribute | basic profile | options |"
    yield "| --- | --- | --- | --- |"
    texts = TextCleaner()
    policies = {name: _policy(frozenset({Option(name)}), texts) for name in Option}
    for row in load_profile():
        options = [f"{name}: {_word(policies[name].rule(row, None), name)}" for name in Option if _concerns(row, name)]
        name = row.keyword or ("all private attributes" if row.tag == PRIVATE else "overlays and curves")
        reason = f" ({row.reason})" if row.reason else ""
        yield f"| {row.tag} | {name}{reason} | {_basic(row)} | {'; '.join(options)} |"


def _policy(options: frozenset[Option], texts: TextCleaner) -> Policy:
    moves = Option.RETAIN_MODIFIED_DATES in options
    return Policy(options, CleaningRules(texts, dummy, lambda _: 0, moves))


def _concerns(row: Row, option: str) -> bool:
    return row.number is not None and Option(option) in row.options


def _word(rule: Rule, option: str) -> str:
    if rule.of_the_run and option == Option.RETAIN_UIDS:
        return "kept"
    return "items cleaned" if rule.cleans_items else _WORDS[rule.action]


def _basic(row: Row) -> str:
    if row.number is None:
        return "X: removed, but for what retain-safe-private keeps" if row.tag == PRIVATE else f"X: {_GROUP_RULES}"
    types = (None, AttributeType.MAY_BE_EMPTY, AttributeType.REQUIRED)
    actions = [_WORDS[action_for(row.basic, needed)] for needed in types]
    text = f"{row.basic}: {actions[0]}"
    text += f"; type 2 {actions[1]}" if actions[1] != actions[0] else ""
    return text + (f"; type 1 {actions[2]}" if actions[2] not in (actions[0], actions[1]) else "")


def _private() -> Iterator[str]:
    creators = Counter(creator for _, creator, _ in standard_attributes())
    yield "## Safe private attributes"
    yield ""
    count = len(standard_attributes())
    yield f"The {count} attributes of Table E.3.10-1 (`tables/safe_private.csv`), in whichever block their"
    yield "creator has; those of `private.keep`; and those of which the object says so itself (0008,0300)."
    yield ""
    yield "| creator | attributes |"
    yield "| --- | --- |"
    for creator, found in sorted(creators.items()):
        yield f"| {creator} | {found} |"


if __name__ == "__main__":
    sys.stdout.write(conformance())
