"""Every exception of deidflow, named by what the caller should do with it.

::

    DeidflowError                 its text is safe to print, log and store: no cell, no identifier, no source's name
    ├── InvalidInput              stop before anything was changed; carries every problem found       (exit 2)
    ├── InstanceFailed            give this instance the outcome ``failed``, go on with the others
    ├── TransientError            try the chunk again, a limited number of times
    ├── Unusable                  stop the run: the server or the destination cannot be used           (exit 3)
    └── Interrupted               stop now; ``deidflow resume`` goes on from here                      (exit 130)

Public names: ``DeidflowError``, ``InvalidInput``, ``InstanceFailed``, ``TransientError``, ``Unusable``,
``Interrupted``, ``Problem``, ``printable``,
``os_error_text``.
"""

from __future__ import annotations

import errno
import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from deidflow.tasks.core.outcomes import ReasonCode


_UNPRINTABLE: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters (C0, C1), other line ends, marks that turn the direction of text, halves of surrogate pairs."""


class DeidflowError(Exception):
    """The root of the tree; ``str(error)`` never holds patient data nor an original identifier."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with a config, a manifest or a source.

    Attributes:
        text: What is wrong and what a good value looks like; never the content of a cell.
        file: Name of the config or manifest as the user gave it, or "" when no file is to blame.
        line: Line number from 1, or 0 when the problem concerns the whole file.
        column: Manifest column, or a member of a request where there is no line, or "" when none is to blame.
        key: Dotted config key, or "" when none is to blame.

    """

    text: str
    file: str = ""
    line: int = 0
    column: str = ""
    key: str = ""

    def __str__(self) -> str:
        """``cohort.csv, line 3, column Replace.PatientID: text``, without the parts that are unknown.

        >>> str(Problem("is a number from 1", file="trial.yaml", line=9, key="execution.workers"))
        'trial.yaml, line 9, key execution.workers: is a number from 1'
        """
        where = [printable(self.file, lines=False)] if self.file else []
        if self.line:
            where.append(f"line {self.line}")
        if self.column:
            where.append(f"{'column' if self.line else 'key'} {printable(self.column, lines=False)}")
        if self.key:
            where.append(f"key {printable(self.key, lines=False)}")
        text = printable(self.text)
        return f"{', '.join(where)}: {text}" if where else text


class InvalidInput(DeidflowError):
    """Config, manifest or source cannot be used; nothing was changed anywhere.

    Attributes:
        problems: All problems, in the order of their lines.

    """

    def __init__(self, problems: Iterable[Problem] | str) -> None:
        """Take every problem found, or the text of the only one."""
        self.problems: tuple[Problem, ...] = (Problem(problems),) if isinstance(problems, str) else tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class InstanceFailed(DeidflowError):
    """One instance cannot be edited; the others go on.

    Attributes:
        code: Why, from the closed list of reasons.

    """

    def __init__(self, code: ReasonCode, text: str) -> None:
        """Take the reason's code and a text without patient data."""
        self.code = code
        super().__init__(text)


class TransientError(DeidflowError):
    """A fault that may pass (a worker died, a server answered 503): the chunk may be tried again.

    Attributes:
        retry_after_s: How long to wait first, where a server says so.

    """

    retry_after_s: float | None = None


class Unusable(DeidflowError):
    """The server or the destination cannot be used at all; going on makes no sense."""


class Interrupted(DeidflowError):
    """Ctrl-C, SIGTERM or a cancelled flow run."""


def printable(text: str, *, lines: bool = True) -> str:
    r"""Write what would steer a terminal, or hide what stands there, as an escape.

    Column names, tags, keys and paths come from files of others: one could clear the screen, or print a line of its
    own.

    Args:
        text: To be printed.
        lines: Whether line ends stay.

    >>> printable("\x1b[2Jname\n")
    '\\x1b[2Jname\n'
    """
    return _UNPRINTABLE.sub(
        lambda found: found[0] if lines and found[0] == "\n" else found[0].encode("unicode_escape").decode("ascii"),
        text,
    )


def os_error_text(error: OSError) -> str:
    """Say what an operating system error was, without the file name that ``str(error)`` would hold.

    >>> os_error_text(OSError(28, "No space left on device", "/secret/name"))
    'No space left on device (ENOSPC)'
    """
    if error.errno is None:
        return type(error).__name__
    return f"{os.strerror(error.errno)} ({errno.errorcode.get(error.errno, error.errno)})"
