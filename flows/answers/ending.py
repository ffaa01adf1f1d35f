"""How a command ends: the exit code, and what is said of an error, in plain words and for programs.

Public names: ``run_to_its_end``, ``EXIT_CODES``.
"""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING, Any, Final

import click

from deidflow.flows.answers.answer import (
    answer_in_json,
    answers_in_json,
    described,
    drop_standard_output,
    flush_standard_output,
    most_shown,
    say,
    unwritable_output,
    write_document,
)
from deidflow.flows.exit_codes import EXIT_INTERRUPTED, EXIT_INVALID, EXIT_UNUSABLE
from deidflow.flows.signals import was_pressed
from deidflow.tasks.core.errors import (
    DeidflowError,
    Interrupted,
    InvalidInput,
    Problem,
    TransientError,
    Unusable,
    listed_problems,
)
from deidflow.tasks.steps.run.safe_errors import frames

if TYPE_CHECKING:
    from collections.abc import Callable

EXIT_CODES: Final = {
    "usage": EXIT_INVALID,
    "invalid-input": EXIT_INVALID,
    "unusable": EXIT_UNUSABLE,
    "transient": EXIT_UNUSABLE,
    "permission-denied": EXIT_UNUSABLE,
    "internal-error": EXIT_UNUSABLE,
    "interrupted": EXIT_INTERRUPTED,
}
"""The codes of errors, and the exit code of a command that one of them ends."""

_BUG: Final = "This is a bug in deidflow; please report it with the output of --debug."
_INTERRUPTED: Final = "interrupted; give the same command again to have it done"
_DENIED: Final = "permission denied; check who owns the config, the run folder, and the folders that it names"


def run_to_its_end(command: Callable[[], object], *, debug: bool) -> int:
    """Run a command; say what ended it, and answer programs.

    Args:
        command: Returns, exits by itself, or raises.
        debug: Whether to say where an error came from.

    Returns:
        The exit code.

    """
    try:
        command()
    except SystemExit as end:
        return _answered(end.code if isinstance(end.code, int) else 0)
    except BaseException as error:  # noqa: BLE001 (the last resort)
        code, problems = _told(error)
        if debug and not isinstance(error, click.UsageError | KeyboardInterrupt | click.Abort | Interrupted):
            say(frames(error))
        return _answered(EXIT_CODES[code], [{"code": code} | described(one) for one in problems])
    return _answered(0)


def _answered(code: int, errors: list[dict[str, Any]] | None = None) -> int:
    """Write the document of the command; return its exit code, another one where nobody takes all that it says."""
    try:
        write_document(code, errors or [])
        flush_standard_output()
    except BrokenPipeError:  # whoever reads has seen enough
        drop_standard_output()
        return code or EXIT_UNUSABLE
    except OSError as error:
        say(f"error: {unwritable_output(error)}")
        return code or EXIT_UNUSABLE
    return code


def _told(error: BaseException) -> tuple[str, tuple[Problem, ...]]:
    """Say what ended a command; return its code, and what is wrong."""
    if isinstance(error, click.UsageError):
        error.show()
        if "--json" in sys.argv and not answers_in_json():  # an option that is not known ends the reading of the line
            with contextlib.suppress(Unusable):
                answer_in_json((error.ctx.info_name or "") if error.ctx and error.ctx.parent else "")
        return "usage", (Problem(error.format_message()),)
    if isinstance(error, click.Abort) and isinstance(error.__cause__, EOFError):
        error = error.__cause__  # click takes both for Ctrl-D and Ctrl-C
    # Raised inside a library, an interruption may leave it as an exception of the library's own.
    if was_pressed() and not isinstance(error, Interrupted):
        error = KeyboardInterrupt()
    if isinstance(error, InvalidInput):
        return "invalid-input", _tell_problems(error.problems)
    code, text, more = _summed_up(error)
    if code != "interrupted":
        say(f"error: {text}" + (f"\n{more}" if more else ""))
    elif not isinstance(error, Interrupted):  # which has said so
        say(text)
    return code, (Problem(f"{text}. {more}" if more else text),)


def _summed_up(error: BaseException) -> tuple[str, str, str]:
    """Return the code of an error, its text, and what to do; nothing in them is a patient's."""
    if isinstance(error, KeyboardInterrupt | click.Abort | Interrupted):
        return "interrupted", str(error) if isinstance(error, Interrupted) else _INTERRUPTED, ""
    if isinstance(error, Unusable | TransientError):
        return "unusable" if isinstance(error, Unusable) else "transient", str(error), ""
    if isinstance(error, PermissionError):  # its file name may be a patient's
        return "permission-denied", _DENIED, ""
    # The text of others may hold patient data.
    return "internal-error", str(error) if isinstance(error, DeidflowError) else type(error).__name__, _BUG


def _tell_problems(problems: tuple[Problem, ...]) -> tuple[Problem, ...]:
    most = most_shown()
    for line in listed_problems(problems, before="error: ", most=most):
        say(line)
    count = len(problems)
    all_of_them = "; -v shows all of them" if most is not None and count > most else ""
    say(f"{count} problem{'s' if count > 1 else ''} found; nothing was changed{all_of_them}")
    return problems
