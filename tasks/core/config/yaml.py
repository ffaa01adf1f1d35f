"""YAML 1.2 as plain data, with the line of every key for messages.

Public names: ``YamlDocument``, ``read_yaml``, ``read_yaml_value``.
"""

from __future__ import annotations

import re
import warnings
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, Final

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq, TaggedScalar
from ruamel.yaml.constructor import DuplicateKeyError
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.scalarbool import ScalarBoolean

from deidflow.tasks.core.config.yaml_guard import MAX_DEPTH, check_yaml
from deidflow.tasks.core.errors import BadText, InvalidInput, Problem

_DUPLICATE: Final = re.compile(r'found duplicate key "([^"]*)"')


@dataclass(frozen=True, slots=True)
class YamlDocument:
    """A group of keys read from YAML.

    Attributes:
        data: Plain dictionaries, lists, text, numbers, booleans, dates and None.
        lines: Line from 1 of every dotted key; an entry of a list counts as a key, too (``options.Remove.PatientID``).

    """

    data: dict[str, Any]
    lines: dict[str, int] = field(default_factory=dict)

    def line(self, key: str) -> int:
        """Return the line of a key or else of the group that should hold it; 0 when that is the whole file."""
        while key:
            if key in self.lines:
                return self.lines[key]
            key = key.rpartition(".")[0]
        return 0


def read_yaml(text: str, name: str) -> YamlDocument:
    """Read a YAML file that is one group of keys.

    Args:
        text: Its content.
        name: As the user gave it, for problems.

    Raises:
        InvalidInput: It is none; with line and column.

    """
    try:
        loaded = _load(text)
    except BadText as error:
        raise InvalidInput([replace(error.problem, file=name)]) from None
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, str(mark.column + 1)) if mark else (0, "")
        raise InvalidInput([Problem(_syntax_text(error), name, line, column)]) from None
    except (YAMLError, RecursionError, ValueError):
        raise InvalidInput([Problem("must be YAML", name)]) from None
    if not isinstance(loaded, CommentedMap):
        text = "must be a group of keys, as in\nname: trial-7\nmanifest: cohort.csv\n..."
        raise InvalidInput([Problem("must not be empty" if loaded is None else text, name)])
    document = YamlDocument({})
    try:
        document.data.update(_plain(loaded, "", document.lines, 0))
    except RecursionError:
        raise InvalidInput(
            [Problem(f"must not nest groups more than {MAX_DEPTH} deep, nor one inside itself", name)]
        ) from None
    except ValueError:
        raise InvalidInput([Problem("must not have a key that is a number of thousands of digits", name)]) from None
    return document


def read_yaml_value(text: str) -> object:
    """Read one value, for ``--set``.

    Raises:
        BadText: It is no YAML; the message does not repeat it.

    """
    try:
        return _plain(_load(text), "", {}, 0)
    except (YAMLError, RecursionError, ValueError):
        raise BadText("the value must be YAML; put it in quotes for the shell and, if it is text, for YAML") from None


def _load(text: str) -> Any:
    check_yaml(text)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an anchor that stands twice; the warning repeats the text around it
        return YAML(typ="rt", pure=True).load(text)


def _syntax_text(error: MarkedYAMLError) -> str:
    problem = str(error.problem or "")
    if isinstance(error, DuplicateKeyError):
        duplicate = _DUPLICATE.match(problem)
        return f"the key {duplicate[1]} appears twice in its group" if duplicate else "a key appears twice in its group"
    if "'\\t'" in problem:
        return "YAML cannot be indented with tabs; use spaces"
    return f"must be YAML: {problem or 'bad syntax'}"


def _plain(node: Any, path: str, lines: dict[str, int], depth: int) -> Any:
    """Turn ruamel's types, which remember comments and styles, into plain ones.

    Raises:
        RecursionError: Too deep.
        ValueError: A key is a number too long to be written.

    """
    if depth > MAX_DEPTH:
        raise RecursionError
    if isinstance(node, CommentedMap):
        group = {}
        for key, value in node.items():
            inner = f"{path}{key}"
            with suppress(KeyError, AttributeError, TypeError):  # merged from elsewhere by <<
                lines[inner] = node.lc.key(key)[0] + 1
            group[_scalar(key)] = _plain(value, f"{inner}.", lines, depth + 1)
        return group
    if isinstance(node, CommentedSeq):
        for number, entry in enumerate(node):
            if isinstance(entry, str):
                lines[f"{path}{entry}"] = node.lc.item(number)[0] + 1
        return [_plain(entry, f"{path}{number}.", lines, depth + 1) for number, entry in enumerate(node)]
    return _scalar(node)


def _scalar(node: Any) -> Any:
    if isinstance(node, bool | ScalarBoolean):
        return bool(node)
    for kind in (str, int, float):
        if isinstance(node, kind):
            return kind(node)
    if isinstance(node, TaggedScalar):  # !!str
        return str(node.value)
    return node
