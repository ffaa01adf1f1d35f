"""The help texts are enough to use the command, and name what it has."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from deidflow.flows.cli import cli

CONTRACT = {
    "run": {"--manifest", "--set", "--run-id", "--runs-dir", "--skip-invalid", "--redo"},
    "plan": {"--manifest", "--set", "--run-id", "--runs-dir", "--skip-invalid", "--redo", "--diff", "--show-values"},
    "inventory": {"--output", "--level", "--where", "--include-results", "--follow-links", "--overwrite"},
    "resolve": {"--by", "--output", "--include-results", "--follow-links", "--overwrite"},
    "resume": {"--set"},
    "verify": {"--set", "--deep"},
    "report": {"--mappings"},
    "pixels": {"--output", "--manifest", "--set"},
    "withdraw": {"--row", "--set"},
    "crosswalk": {"--set", "--output"},
    "export": {
        *("--output", "--layout", "--archive", "--per", "--recipient", "--include-review", "--crosswalk", "--set"),
    },
    "runs": set(),
    "init": {"--name", "--output"},
    "serve": set(),
}
ALL = {"--quiet", "--verbose"}


def test_the_commands_are_those_of_the_contract() -> None:
    """Every command and option of the contract is there."""
    options = {
        name: {option for parameter in command.params for option in parameter.opts if option.startswith("--")}
        for name, command in cli.commands.items()
    }

    expected = {name: own | ALL | ({"--json"} if name != "serve" else set()) for name, own in CONTRACT.items()}
    assert expected == options


@pytest.mark.parametrize("name", sorted(CONTRACT))
def test_each_help_names_every_option_and_says_what_it_does(name: str) -> None:
    """`deidflow COMMAND --help` exits 0, has a sentence for the command, and one for each option."""
    result = CliRunner().invoke(cli, [name, "--help"])

    assert 0 == result.exit_code
    assert (cli.commands[name].help or "").splitlines()[0] in " ".join(result.output.split())
    for parameter in cli.commands[name].params:
        if isinstance(parameter, click.Option):
            assert parameter.help, parameter.name
            assert parameter.opts[-1] in result.output


def test_the_main_help_shows_a_first_run_and_the_exit_codes() -> None:
    """`deidflow --help` lists all commands, a first session and the exit codes."""
    output = CliRunner().invoke(cli, ["--help"]).output

    assert [1] * len(CONTRACT) == [len(re.findall(rf"^  {name} ", output, re.MULTILINE)) for name in CONTRACT]
    assert "..." not in output.partition("Options:")[2].replace("http://...", "")
    assert "deidflow init incoming/" in output
    assert all(re.search(rf"\b{code}\b", output) for code in (0, 1, 2, 3, 130))


def test_the_readme_names_every_command() -> None:
    """README.md names each command."""
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")

    assert [] == [name for name in CONTRACT if f"deidflow {name}" not in readme]
