"""What a command answers: lines for people, or with ``--json`` one document for programs, on standard output.

A command gives a record of what it has found out. The fields of the record are the document's, and its lines are made
from them, so that neither form says what the other does not know; docs/json.md names the fields of every command. What
is said on standard error is the same in both forms.

Public names: ``Answer``, ``give``, ``warn``, ``warn_of_all``, ``say``, ``answer_in_json``, ``answers_in_json``,
``take_standard_output``, ``flush_standard_output``, ``unwritable_output``, ``drop_standard_output``, ``show_all``,
``most_shown``, ``write_document``, ``plain``, ``described``, ``counted``, ``export_line``.
"""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from deidflow.tasks.core.errors import Problem, Unusable, os_error_text, printable
from deidflow.tasks.core.files.standard_streams import drop
from deidflow.tasks.core.problem_lists import SHOWN, listed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class Answer:
    """What a command has found out; its subclasses are frozen dataclasses, and their fields are the document's."""

    def lines(self) -> Iterator[str]:
        """Yield what people read."""
        raise NotImplementedError

    def document(self) -> Any:
        """Return what programs read, of the types that JSON has; nothing in it identifies what the lines do not."""
        return plain(self)


class _Output:
    """How this process answers."""

    command = ""
    document: BinaryIO | None = None
    is_taken = False
    shows_all = False
    answer: Answer | None = None
    warnings: Final[list[str]] = []


def take_standard_output() -> BinaryIO:
    """Return standard output, for one content and nothing else: whatever is printed from now on goes to standard error.

    Processes that this one starts are held to it, too.

    Raises:
        Unusable: It is closed, or nobody takes what was printed before.

    """
    if sys.stdout is None:  # descriptor 1 may be another file by now
        raise Unusable("standard output must be open; redirect it to a file")
    try:
        sys.stdout.flush()
        taken = os.dup(1)
        os.dup2(2, 1)
    except OSError as error:
        raise unwritable_output(error) from None
    _Output.is_taken = True
    return os.fdopen(taken, "wb")


def answer_in_json(command: str) -> None:
    """Answer with one JSON document when the command has ended.

    Raises:
        Unusable: Standard output is closed.

    """
    _Output.command = command
    _Output.document = take_standard_output()


def answers_in_json() -> bool:
    """Whether a document is what will be answered."""
    return _Output.document is not None


def show_all() -> None:
    """Show every problem from now on, however many there are."""
    _Output.shows_all = True


def most_shown() -> int | None:
    """Return how many problems of a list are shown one by one, None for all."""
    return None if _Output.shows_all else SHOWN


def give(answer: Answer) -> None:
    """Answer; the last answer of a command counts. Whoever has read enough, as ``head`` has, is told no more.

    Raises:
        Unusable: Standard output cannot be written.

    """
    _Output.answer = answer
    if answers_in_json():
        return
    try:
        for line in answer.lines():
            print(printable(line), file=sys.stderr if _Output.is_taken else sys.stdout)
        flush_standard_output()
    except BrokenPipeError:
        drop_standard_output()
    except OSError as error:
        raise unwritable_output(error) from None


def flush_standard_output() -> None:
    """Hand over what was printed; where standard output is closed (``>&-``) nothing is.

    Raises:
        OSError: Nobody takes it.

    """
    if sys.stdout is not None:
        sys.stdout.flush()


def drop_standard_output() -> None:
    """Pass over what is still to be written to standard output."""
    drop(1)


def unwritable_output(error: OSError) -> Unusable:
    """Return what to say when nobody takes what is written to standard output, which nothing more is written to."""
    drop_standard_output()
    return Unusable(f"standard output cannot be written: {os_error_text(error)}", error)


def warn(text: str) -> None:
    """Say on standard error what the user should know, and note it for the document."""
    _Output.warnings.append(text)
    say(f"warning: {text}")


def warn_of_all(texts: Collection[str]) -> None:
    """Warn of many things of one kind."""
    _Output.warnings.extend(texts)
    for line in listed([(f"warning: {text}", text) for text in texts], most=most_shown()):
        say(line)


def say(text: str) -> None:
    """Say something on standard error, that no program has to know."""
    print(printable(text), file=sys.stderr)  # noqa: T201 (the user's terminal)


def write_document(code: int, errors: Iterable[Mapping[str, Any]] = ()) -> None:
    """Write the document of a command that ends, if one is asked for.

    Args:
        code: The exit code.
        errors: What ended it.

    Raises:
        OSError: Nobody takes it.

    """
    if _Output.document is None:
        return
    found = list(errors)
    answered = _Output.answer.document() if _Output.answer is not None else {}
    if found or isinstance(answered, dict):
        head = {"command": _Output.command, "exit_code": code}
        answered = answered if isinstance(answered, dict) else {}
        answered = head | answered | {"warnings": _Output.warnings, "errors": found}
    with _Output.document as stream:
        _Output.document = None
        stream.write(json.dumps(answered, indent=2).encode() + b"\n")


def plain(value: Any) -> Any:
    """Return a record, or what it holds, in the types that JSON has; records become objects, paths become texts."""
    if isinstance(value, Problem):
        return described(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(name): plain(one) for name, one in value.items()}
    if hasattr(value, "_asdict"):
        return plain(value._asdict())
    if isinstance(value, str | Path):
        return str(value)
    return [plain(one) for one in value] if isinstance(value, Collection) else value


def described(problem: Problem) -> dict[str, Any]:
    """Return a problem as documents have it: what is wrong, and where; what is unknown of it is null."""
    return {
        "message": problem.text,
        "file": problem.file or None,
        "line": problem.line or None,
        "lines": list(problem.lines),
        "column": problem.column or None,
        "key": problem.key or None,
    }


def counted(number: int, what: str) -> str:
    """Return a number of things for people.

    >>> counted(1, "result"), counted(0, "row")
    ('1 result', '0 rows')
    """
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def export_line(exports: Iterable[str]) -> str:
    """Return what people read of exports that may hold other results than are done now."""
    return f"exports:   {', '.join(exports)} may hold results that are not done any more: tell whoever got them"
