"""What all commands take: ``--json``, ``-q``, ``-v``, and ``-`` for standard input and output.

Public names: ``Commands``, ``FilePath``, ``FolderPath``, ``place``, ``input_file``,
``output_file``.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

import click

from deidflow.flows.answers.answer import (
    answer_in_json,
    answers_in_json,
    drop_standard_output,
    show_all,
    take_standard_output,
    unwritable_output,
)
from deidflow.flows.signals import take_over
from deidflow.tasks.core.files.standard_streams import STANDARD, give_input, give_output, given_input
from deidflow.tasks.core.processes.open_files import allow_open_files

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

_SENTENCE: Final = 300
"""Characters that no first sentence has; click would cut it off to fit one line."""


def _flag(*names: str, help: str, then: Callable[[click.Context], None]) -> click.Option:  # noqa: A002 (click's word)
    """Return a flag that does something by itself, before anything else of the line is looked at."""

    def callback(context: click.Context, _: click.Parameter, value: bool) -> None:
        if value:
            then(context)

    return click.Option(names, is_flag=True, expose_value=False, is_eager=True, help=help, callback=callback)


def _quiet(_: click.Context) -> None:
    from deidflow.tasks.steps.run.progress import hide_progress  # noqa: PLC0415 (imports rich)

    hide_progress()


def _talk_options() -> list[click.Parameter]:
    quiet = "Show no progress, only results and errors."
    verbose = "Show every problem, also beyond the first 50."
    return [
        _flag("-q", "--quiet", help=quiet, then=_quiet),
        _flag("-v", "--verbose", help=verbose, then=lambda _: show_all()),
    ]


class _Helpful(click.Command):
    """Whose help and version may be read no further, as by ``head``, or be written to what takes nothing."""

    def make_context(self, *arguments: Any, **more: Any) -> click.Context:
        """Read the line, and print help or version where it asks for that.

        Raises:
            Exit: That was printed, as far as anybody wanted it; click itself would end with 1 where it is cut off.
            Unusable: Standard output cannot be written.

        """
        try:
            return super().make_context(*arguments, **more)
        except BrokenPipeError:
            drop_standard_output()
            raise click.exceptions.Exit(0) from None
        except OSError as error:
            raise unwritable_output(error) from None


class _Command(_Helpful):
    """A command that says how it went in the ways that the user asks for, and ends in good order when it is stopped."""

    def __init__(self, *arguments: Any, answers: bool = True, signals: bool = True, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self._signals = signals
        if answers:
            text = "Answer with one JSON document on standard output (docs/json.md)."
            self.params.append(_flag("--json", help=text, then=lambda context: answer_in_json(context.info_name or "")))
        self.params += _talk_options()

    def invoke(self, ctx: click.Context) -> Any:
        """Answer signals from now on, unless the command does so itself; see ``deidflow.flows.signals``.

        Raises:
            Unusable: The system lets it have too few files open.

        """
        if self._signals:
            take_over()
        allow_open_files()
        return super().invoke(ctx)


class Commands(_Helpful, click.Group):
    """The commands, each with the options that all of them have, listed by what they are for."""

    command_class = _Command

    def __init__(self, *arguments: Any, tasks: Mapping[str, tuple[str, ...]], **more: Any) -> None:
        """Take the commands by what they are for, in the order of the help; the rest is click's own."""
        super().__init__(*arguments, **more)
        self._tasks = tasks
        self.params += _talk_options()

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write what the help says of the commands: the first sentence of each, as a whole."""
        del ctx
        for task, names in self._tasks.items():
            with formatter.section(task):
                formatter.write_dl([(name, self.commands[name].get_short_help_str(_SENTENCE)) for name in names])


class FilePath(click.Path):
    """A path, which names something: an empty one, as a variable of a script that is not set, is no current folder."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Refuse an empty text."""
        if value == "":
            self.fail("must not be empty", param, ctx)
        return super().convert(value, param, ctx)


class FolderPath(FilePath):
    """A folder, or a file that is read again later: nothing that standard input or output could be."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Refuse ``-``."""
        if str(value) == str(STANDARD):
            self.fail("must be a path: - stands for standard input or output, which is one file", param, ctx)
        return super().convert(value, param, ctx)


def place(context: click.Context, parameter: click.Parameter, value: str) -> str:
    """Take a folder or an address as it is given.

    Raises:
        BadParameter: It is empty, see ``FilePath``.

    """
    if not value:
        raise click.BadParameter("must be a folder, or an address that begins with http://", context, parameter)
    return value


def input_file(context: click.Context, parameter: click.Parameter, value: Path | None) -> Path | None:
    """Read standard input where a file to read is given as ``-``.

    Raises:
        BadParameter: Another file of the command is standard input already.

    """
    if value == STANDARD:
        if given_input(value) is not None:
            text = "standard input can be only one of the files of a command"
            raise click.BadParameter(text, context, parameter)
        if sys.stdin is None:
            text = "standard input must be open, where a file is given as -"
            raise click.BadParameter(text, context, parameter)
        give_input(sys.stdin.buffer.read())
    return value


def output_file(context: click.Context, parameter: click.Parameter, value: Path) -> Path:
    """Take standard output where a file to write is given as ``-``.

    Raises:
        BadParameter: The answer is to stand there.

    """
    if value == STANDARD:
        if answers_in_json():
            text = "standard output can be either the file or, with --json, the answer"
            raise click.BadParameter(text, context, parameter)
        give_output(take_standard_output())
    return value
