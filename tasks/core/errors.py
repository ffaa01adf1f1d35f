"""Every exception of deidflow, named by what the caller should do with it; a test holds that none is missing here.

::

    DeidflowError                 its text is safe to print, log and store: no cell, no identifier, no source's name
    ├── InvalidInput              stop before anything was changed; carries every ``Problem`` found    (exit 2)
    │   └── UnknownResource       the local engine's bulk routes: ``Resources`` names what the folder does not hold
    ├── BadText                   a text of a config, manifest or request that cannot be understood; a ValueError, too;
    │   │                         whoever knows in which file it stands reports its ``Problem``
    │   └── TagSyntaxError        it names no tag or path
    ├── InstanceFailed            give this instance the outcome ``failed``, go on with the others
    │   ├── ScanError             its file cannot be scanned to its end with certainty
    │   │   └── TooManyElementsError   it has more elements than are held in memory
    │   └── NotDicomError         its file is no DICOM
    ├── TransientError            try the chunk again, a limited number of times
    │   ├── Unreachable           an Orthanc gave no answer, or only half of one
    │   ├── ServerError           it answered 5xx or 429
    │   ├── JobFailed             its job ended in Failure
    │   └── DeadlineExceeded      its job has not ended in time
    ├── Unusable                  stop the run: the server or the destination cannot be used           (exit 3)
    │   ├── RefusedCredentials    401 or 403
    │   ├── UntrustedCertificate  the server's certificate cannot be verified
    │   ├── WrongAddress          something answers that is no Orthanc, or too old a one
    │   ├── ReadOnlyServer        the Orthanc is in its mode ``ReadOnly``
    │   └── SharedOriginals       another job edits the same originals, and nothing would tell the results apart
    ├── NotFound                  the Orthanc does not hold it (any more)
    ├── BadRequest                the Orthanc will never accept this request
    ├── UnexpectedError           a bug in deidflow, without its text
    └── Interrupted               stop now; ``deidflow resume`` goes on from here                      (exit 130)

    OSError
    └── NotPlainError             a folder, pipe or device stands where a plain file must; never leaves deidflow

    FailedRun                     Prefect's
    └── NotReconciled             what a flow that calls ours gets; carries the record of the run

Control flow, which never leaves the room it is raised in: ``HeadTooShortError``, ``OutOfWindow``, ``Differs``,
``NoRecipeError``, ``_FaultError``, ``ShiftError``, ``UnsafeContentError``, ``NotPaintableJpegError``.

An error that crosses a process keeps its class and its fields: the tree is pickled by class, arguments and attributes.

Public names: ``DeidflowError``, ``InvalidInput``, ``BadText``, ``InstanceFailed``, ``TransientError``, ``Unusable``,
``Interrupted``, ``Problem``, ``listed_problems``, ``bare``, ``about``, ``unforeseen``, ``printable``, ``remedy_of``,
``os_error_text``, ``os_error_and_remedy``.
"""

from __future__ import annotations

import errno
import os
import re
from dataclasses import dataclass
from traceback import walk_tb
from typing import TYPE_CHECKING, Final, TypeVar

from deidflow.tasks.core.outcomes import ReasonCode
from deidflow.tasks.core.problem_lists import SHOWN, listed

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator


_E = TypeVar("_E", bound="DeidflowError")

_NO_ROOM: Final = (errno.ENOSPC, errno.EDQUOT)

_REMEDIES: Final = {
    errno.EDQUOT: "have the quota raised, or make room",
    errno.EROFS: "have it mounted with the right to write, and see why it was not: systems do that when a disk fails",
    errno.ESTALE: "have the share mounted anew",
    errno.ENOTCONN: "have the share mounted anew",
    errno.EHOSTDOWN: "see to it that its server answers",
    errno.EIO: "have the disk or share looked at; the system's log says more",
}
"""For what no room and no other folder mends."""

_SHOWN_LINES: Final = 20
"""Of the lines that one problem concerns."""

_UNPRINTABLE: Final = re.compile(
    "[\x00-\x1f\x7f-\xa0\xad\u200b\u2060\ufeff\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
"""Control characters (C0, C1), other line ends, marks that turn the direction of text, halves of surrogate pairs; and
what nobody sees, or tells from a blank: ``must be written orthanc_id`` is no help where that seems to stand there."""


class DeidflowError(Exception):
    """The root of the tree; ``str(error)`` never holds patient data nor an original identifier."""

    def __reduce__(self) -> tuple[object, ...]:
        """Travel with class, text and fields, whatever the class's own arguments are."""
        return _restored, (type(self), self.args, self.__dict__)


def _restored(kind: type[_E], args: tuple[object, ...], members: dict[str, object]) -> _E:
    error = kind.__new__(kind, *args)
    error.__dict__.update(members)
    return error


def bare(error: _E) -> _E:
    """Return an error without its traceback and the errors behind it, so that nothing else travels or is shown."""
    error.__cause__ = error.__context__ = None
    return error.with_traceback(None)


def about(key: str, error: _E) -> _E:
    """Return an error like this one, whose text begins with the key of the config that it is about."""
    return _restored(type(error), (f"{key}: {error}",), error.__dict__)


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with a config, a manifest or a source.

    Attributes:
        text: What is wrong and what a good value looks like; never the content of a cell.
        file: Name of the config or manifest as the user gave it, or "" when no file is to blame.
        line: Line number from 1, or 0 when the problem concerns the whole file.
        column: Manifest column, or a member of a request where there is no line, or "" when none is to blame.
        key: Dotted config key, or "" when none is to blame.
        others: Further lines that it concerns, where it is about several rows.

    """

    text: str
    file: str = ""
    line: int = 0
    column: str = ""
    key: str = ""
    others: tuple[int, ...] = ()

    @classmethod
    def of_rows(cls, lines: tuple[int, ...], text: str, column: str = "") -> Problem:
        """Return what is wrong with one row or with several together, by their lines, at least one."""
        return cls(text, line=lines[0], column=column, others=lines[1:])

    @property
    def lines(self) -> tuple[int, ...]:
        """All lines that it concerns; none when it concerns the whole file."""
        return (self.line, *self.others) if self.line else ()

    def __str__(self) -> str:
        """``cohort.csv, line 3, column Replace.PatientID: text``, without what is unknown, and no file named twice.

        Where several rows are concerned, their lines follow, the first ones of many.

        >>> str(Problem("must be at least 1", file="trial.yaml", line=9, key="execution.workers"))
        'trial.yaml, line 9, key execution.workers: must be at least 1'
        """
        return self.told()

    def told(self, *, most: int | None = _SHOWN_LINES) -> str:
        """Return the same with so many lines, None for all."""
        file = "standard input" if self.file == "-" else printable(self.file, lines=False)
        if self.text.endswith(f": {self.file}"):
            file = ""
        where = [file, f"line {self.line}" if self.line else ""]
        shown = ", ".join(map(str, self.lines[:most]))
        more = 0 if most is None else max(0, len(self.lines) - most)
        together = f" (lines {shown}{f' and {more} more' if more else ''})" if self.others else ""
        return self._said(where, f"{printable(self.text)}{together}")

    @property
    def kind(self) -> str:
        """What is said of it without file and lines, so that problems of many rows can be counted."""
        return self._said([], printable(self.text))

    def _said(self, where: list[str], text: str) -> str:
        if self.column:
            where = [*where, f"{'column' if self.line else 'key'} {printable(self.column, lines=False)}"]
        if self.key:
            where = [*where, f"key {printable(self.key, lines=False)}"]
        place = ", ".join(filter(None, where))
        return f"{place}: {text}" if place else text


class InvalidInput(DeidflowError):
    """Config, manifest or source cannot be used; nothing was changed anywhere.

    Its text names the first ones, and counts the others by kind.

    Attributes:
        problems: All problems, in the order of their lines.

    """

    def __init__(self, problems: Iterable[Problem] | str) -> None:
        """Take every problem found, or the text of the only one."""
        self.problems: tuple[Problem, ...] = (Problem(problems),) if isinstance(problems, str) else tuple(problems)
        super().__init__("\n".join(listed_problems(self.problems)))


def listed_problems(problems: Collection[Problem], *, before: str = "", most: int | None = SHOWN) -> Iterator[str]:
    """Yield lines for people, see ``deidflow.tasks.core.problem_lists``.

    Args:
        problems: To be told.
        before: What each line begins with.
        most: How many are shown one by one, None for all, and of each all lines that it concerns.

    """
    lines = None if most is None else _SHOWN_LINES
    return listed([(f"{before}{problem.told(most=lines)}", problem.kind) for problem in problems], most=most)


class BadText(DeidflowError, ValueError):
    """A text that cannot be understood; what is said is what a good one looks like, never the text itself.

    Attributes:
        problem: What is wrong, and what is known of where: the line inside a text of several, or a column.

    """

    def __init__(self, text: str, *, line: int = 0, column: str = "") -> None:
        """Take what is wrong, see ``Problem``."""
        self.problem = Problem(text, line=line, column=column)
        super().__init__(text)


class InstanceFailed(DeidflowError):
    """One instance cannot be edited; the others go on.

    Attributes:
        code: Why, from the closed list of reasons.

    """

    def __init__(self, code: ReasonCode, text: str) -> None:
        """Take the reason's code and a text without patient data."""
        self.code = code
        super().__init__(text)


def unforeseen(error: Exception, doing: str) -> InstanceFailed:
    """Return what to say of an instance over which deidflow itself failed.

    Args:
        error: Not one of this tree; its text, which may hold patient data, is left out.
        doing: What was done with the instance.

    """
    if isinstance(error, MemoryError):
        return InstanceFailed(ReasonCode.WORKER_DIED, f"there was not enough memory for {doing} it")
    own = [frame for frame, _ in walk_tb(error.__traceback__) if "deidflow" in frame.f_globals.get("__name__", "")]
    place = f"{own[-1].f_globals['__name__'].rpartition('.')[2]}.{own[-1].f_code.co_name}" if own else "a library"
    return InstanceFailed(ReasonCode.INTERNAL_ERROR, f"{doing} it ended with {type(error).__name__} in {place}")


class TransientError(DeidflowError):
    """A transient fault (a worker died, a server answered 503): the chunk may be tried again.

    Attributes:
        retry_after_s: How long to wait first, where a server says so.

    """

    retry_after_s: float | None = None


class Unusable(DeidflowError):
    """The server or the destination cannot be used at all; going on makes no sense.

    Attributes:
        errno: What the operating system said, None when something else is wrong.

    """

    def __init__(self, text: str, cause: OSError | None = None) -> None:
        """Take what is wrong, and the error of the system that says so, if any."""
        self.errno = None if cause is None else cause.errno
        super().__init__(text)

    @property
    def is_for_want_of_room(self) -> bool:
        """Whether a disk or a quota is full."""
        return self.errno in _NO_ROOM


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


def remedy_of(error: OSError, otherwise: str = "") -> str:
    """Return what to do about an error of a disk or share.

    Args:
        error: What the system said.
        otherwise: What to do about all others.

    """
    return _REMEDIES.get(error.errno or 0, otherwise)


def os_error_text(error: OSError) -> str:
    """Say what an operating system error was, without the file name that ``str(error)`` would hold.

    >>> os_error_text(OSError(28, "No space left on device", "/secret/name"))
    'No space left on device (ENOSPC)'
    """
    if error.errno is None:
        return type(error).__name__
    return f"{os.strerror(error.errno)} ({errno.errorcode.get(error.errno, error.errno)})"


def os_error_and_remedy(error: OSError, otherwise: str = "") -> str:
    """Return the texts of ``os_error_text`` and ``remedy_of``, the second only where there is one."""
    return "; ".join(filter(None, (os_error_text(error), remedy_of(error, otherwise))))
