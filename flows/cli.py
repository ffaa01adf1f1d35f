"""The command ``deidflow``.

Prefect is imported by ``run``, ``resume`` and ``serve`` only, since that takes longer than most other commands.

Public names: ``main``, ``cli``.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from deidflow.flows.answers.ending import run_to_its_end
from deidflow.flows.answers.options import Commands, FilePath, FolderPath, input_file, output_file, place
from deidflow.flows.exit_codes import EXIT_INTERRUPTED
from deidflow.flows.prefect_environment import importing_prefect, prepare_prefect
from deidflow.flows.signals import ending, leave
from deidflow.tasks.core.dicom.identifiers import Level
from deidflow.tasks.core.processes.libraries import quiet_libraries
from deidflow.tasks.steps.run.settings import runs_dir_of

if TYPE_CHECKING:
    from collections.abc import Callable


_CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 120}
_FILE = FilePath(path_type=Path)
_FOLDER = FolderPath(path_type=Path)
_manifest = click.option(
    "--manifest", type=_FILE, callback=input_file, metavar="CSV", help="Manifest to use instead of the config's."
)


def _config_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add what run and plan share."""
    options = (
        click.argument("config", type=_FILE, callback=input_file),
        _manifest,
        click.option(
            "--set",
            "overrides",
            multiple=True,
            metavar="KEY=VALUE",
            help="Override one config key by its dotted path; the value is YAML. "
            "Example: --set execution.chunk_size=50. May be repeated.",
        ),
        click.option("--run-id", metavar="ID", help="ID of the run; an existing one is resumed."),
        click.option("--runs-dir", type=_FOLDER, metavar="DIR", help="Folder that holds the run folders."),
        click.option(
            "--skip-invalid", is_flag=True, help="Set rows with problems aside (outcome 'invalid') and do the others."
        ),
        click.option(
            "--redo",
            is_flag=True,
            help="With incremental and destination.overwrite: do rows again whose options have changed.",
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


_TASKS: Final = {
    "Make a config and a manifest": ("init", "inventory", "resolve"),
    "Look before a run": ("plan", "pixels"),
    "Run, once or every night": ("run", "resume", "runs", "serve"),
    "Check, and hand over": ("verify", "report", "export"),
    "Afterwards": ("crosswalk", "withdraw"),
}


@click.group(cls=Commands, context_settings=_CONTEXT, tasks=_TASKS)
@click.version_option(package_name="deidflow")
@click.option("--debug", is_flag=True, expose_value=False, help="Show where an error came from (never values).")
def cli() -> None:
    """Edit or de-identify DICOM in bulk, from a manifest, and account for every instance.

    \b
    A first run:
      deidflow init incoming/          write a config, job.yaml, and a manifest of what the folder holds, job.csv
      deidflow plan job.yaml           check everything, change nothing
      deidflow run job.yaml            do it, and write the report

    \b
    A manifest alone: deidflow inventory incoming/ -o cohort.csv. In the place of a file that a command reads or
    writes, - stands for standard input or standard output.

    \b
    Exit codes: 0 everything is reconciled; 1 some rows are not done or not verified; 2 config, manifest or source
    is invalid, nothing was changed; 3 the server or the destination cannot be used; 130 interrupted, resume continues.

    Every key of the config and every column of the manifest: configs/README.md.
    """  # noqa: D301 (\b keeps click from wrapping)


@cli.command()
@_config_options
def run(config: Path, manifest: Path | None, overrides: tuple[str, ...], **options: Any) -> None:
    """Do the whole job: check, plan, edit, verify, report.

    Results go to the config's destination, the report to <runs-dir>/<run-id>/.
    """
    from deidflow.flows.commands.run import run_config  # noqa: PLC0415 (imports Prefect)

    code = run_config(config, overrides, manifest=manifest, **options)
    ending(code)
    sys.exit(code)


@cli.command()
@_config_options
@click.option(
    "--diff",
    type=click.IntRange(min=1),
    metavar="N",
    help="Show what happens to each element of N samples (engine local).",
)
@click.option("--show-values", is_flag=True, help="With --diff: also show values (patient data on your screen).")
def plan(config: Path, manifest: Path | None, overrides: tuple[str, ...], **options: Any) -> None:
    """Check config, manifest and source, and show what run would do. Changes nothing anywhere."""
    from deidflow.flows.commands.plan import show_plan  # noqa: PLC0415 (what one command needs)

    show_plan(config, overrides, manifest=manifest, **options)


def _csv_output(what: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    return click.option(
        "-o",
        "--output",
        type=_FILE,
        callback=output_file,
        required=True,
        metavar="CSV",
        help=f"Where to write {what}; - for stdout.",
    )


_follow_links = click.option(
    "--follow-links", is_flag=True, help="Follow symbolic links in a folder (source.follow_links in the config)."
)
_overwrite = click.option("--overwrite", is_flag=True, help="Write an existing file anew, whatever stands in it.")


@cli.command()
@click.argument("source", callback=place)
@click.option("--name", default="job", show_default=True, help="Of the config, its runs, and both files.")
@click.option(
    "-o",
    "--output",
    type=_FOLDER,
    default=Path(),
    metavar="FOLDER",
    help="Where to write them, and where results and reports will go.  [default: the current folder]",
)
def init(source: str, name: str, output: Path) -> None:
    """Write a first config, with comments, and a manifest of what SOURCE (a folder or http://...) holds.

    `deidflow plan` accepts them as they stand. Nothing that is there is overwritten.
    """
    from deidflow.flows.commands.init import write_first_job  # noqa: PLC0415 (what one command needs)

    write_first_job(source, output, name)


@cli.command()
@click.argument("source", callback=place)
@_csv_output("the manifest")
@click.option(
    "--level",
    type=click.Choice([str(level) for level in Level]),
    default=str(Level.STUDY),
    show_default=True,
    help="What each row stands for.",
)
@click.option(
    "--where",
    multiple=True,
    metavar="CONDITION",
    help="List only what fulfils it: Modality=CT, 'StudyDate>=20240101', 'StudyDescription~chest*'. "
    "Relations: = != >= <= > < ~. May be repeated: all must hold.",
)
@click.option("--include-results", is_flag=True, help="Also list results of earlier runs.")
@_follow_links
@_overwrite
def inventory(source: str, output: Path, level: str, where: tuple[str, ...], **options: bool) -> None:
    """List what a folder or an Orthanc (http://...) holds, as a manifest to fill in.

    An existing manifest keeps its rows; what it does not have yet is added.
    """
    from deidflow.flows.commands.inventory import write_inventory_of  # noqa: PLC0415 (what one command needs)

    write_inventory_of(source, output, Level(level), where, **options)


@cli.command()
@click.argument("spreadsheet", type=_FILE, callback=input_file)
@click.option(
    "--by",
    multiple=True,
    required=True,
    metavar="KEYWORD[=COLUMN]",
    help="AccessionNumber, StudyInstanceUID or PatientID, with the column that has it if that is named otherwise. "
    "May be repeated: all must match.",
)
@click.argument("source", callback=place)
@_csv_output("the manifest")
@click.option("--include-results", is_flag=True, help="Also look among results of earlier runs.")
@_follow_links
@_overwrite
def resolve(spreadsheet: Path, by: tuple[str, ...], source: str, output: Path, **options: bool) -> None:
    """Make a manifest from a spreadsheet (CSV or XLSX) of AccessionNumbers, StudyInstanceUIDs or PatientIDs.

    Its other columns become free columns. Rows that the SOURCE (a folder or http://...) does not hold, or holds more
    than once, are printed by line and listed in <CSV>.problems.csv; the exit code is 1 then.
    """
    from deidflow.flows.commands.resolve import resolve_spreadsheet  # noqa: PLC0415 (what one command needs)

    sys.exit(resolve_spreadsheet(spreadsheet, by, source, output, **options))


@cli.command()
@click.argument("config", type=_FILE, callback=input_file)
@click.option("-o", "--output", type=_FOLDER, required=True, metavar="FOLDER", help="Where to write page and pictures.")
@_manifest
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override one config key, as in run.")
def pixels(config: Path, output: Path, manifest: Path | None, overrides: tuple[str, ...]) -> None:
    """Show what the rules of pixels.rules would paint: pictures of each rule, and of what no rule covers.

    The source may be a folder or an Orthanc. The pictures are the patients' own, so the folder is readable by its owner
    only. Changes nothing else.
    """
    from deidflow.flows.commands.pixels import write_sheets_of  # noqa: PLC0415 (imports pydicom's codecs)

    write_sheets_of(config, overrides, output, manifest=manifest)


_run_override = click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="Change what may differ between attempts, such as source.folder and destination.folder (of the same content), "
    "destination.overwrite, verify, execution.workers. May be repeated.",
)


@cli.command()
@click.argument("run_dir", type=_FOLDER)
@_run_override
def resume(run_dir: Path, overrides: tuple[str, ...]) -> None:
    """Finish an interrupted or partly failed run; what is done is not repeated."""
    from deidflow.flows.commands.run import resume_run  # noqa: PLC0415 (imports Prefect)

    code = resume_run(run_dir, overrides)
    ending(code)
    sys.exit(code)


@cli.command()
@click.argument("run_dir", type=_FOLDER)
@_run_override
@click.option(
    "--deep", is_flag=True, help="Have pydicom read every result, too, not only a sample (five times slower)."
)
def verify(run_dir: Path, overrides: tuple[str, ...], *, deep: bool) -> None:
    """Read the results of a run back and check them against the sources and the report."""
    from deidflow.flows.commands.verify import verify_run  # noqa: PLC0415 (what one command needs)

    sys.exit(verify_run(run_dir, overrides, deep=deep))


@cli.command()
@click.argument("run_dir", type=_FOLDER)
@click.option(
    "--mappings",
    type=_FOLDER,
    metavar="FOLDER",
    help="Also write uid_mapping.csv and patid_mapping.csv (id_old,id_new) there. They re-identify people.",
)
def report(run_dir: Path, mappings: Path | None) -> None:
    """Write the report files of a run again, from its ledger."""
    from deidflow.flows.commands.report import report_run  # noqa: PLC0415 (what one command needs)

    sys.exit(report_run(run_dir, mappings))


@cli.command()
@click.argument("run_dir", type=_FOLDER)
@click.option(
    "--row",
    "rows",
    type=click.IntRange(min=1),
    multiple=True,
    metavar="LINE",
    help="Only the row in this line of the run's manifest. May be repeated.",
)
@_run_override
def withdraw(run_dir: Path, rows: tuple[int, ...], overrides: tuple[str, ...]) -> None:
    """Take results of a run out of the destination again, and note it in its report.

    No later attempt at the run makes them again; a new run with the row in its manifest does.
    """
    from deidflow.flows.commands.withdraw import withdraw_run  # noqa: PLC0415 (what one command needs)

    sys.exit(withdraw_run(run_dir, rows, overrides))


@cli.command()
@click.argument("config", type=_FILE, callback=input_file)
@click.option(
    "--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override one config key by its dotted path."
)
@_csv_output("it")
def crosswalk(config: Path, overrides: tuple[str, ...], output: Path) -> None:
    """Write original and new identifiers of all runs of a config. They re-identify people."""
    from deidflow.flows.commands.crosswalk import write_crosswalk  # noqa: PLC0415 (what one command needs)

    write_crosswalk(config, overrides, output)


@cli.command()
@click.argument("run_dir", type=_FOLDER)
@click.option(
    "-o", "--output", type=_FOLDER, required=True, metavar="FOLDER", help="To make; it must not hold anything."
)
@click.option(
    "--layout", metavar="TEMPLATE", help="Path of each file, as in {PatientID}/{StudyDate}/{SOPInstanceUID}.dcm."
)
@click.option("--archive", type=click.Choice(["none", "zip"]), help="Write plain files, or ZIP archives.")
@click.option("--per", type=click.Choice(["patient", "study"]), help="What each archive holds.")
@click.option(
    "--recipient",
    "recipients",
    multiple=True,
    metavar="KEY",
    help="age public key that archives and index are encrypted for. May be repeated.",
)
@click.option("--include-review", is_flag=True, help="Also pack what a person should look at first (review.csv).")
@click.option("--crosswalk", is_flag=True, help="Pack the crosswalk, encrypted, instead of the results.")
@_run_override
def export(run_dir: Path, output: Path, overrides: tuple[str, ...], *, crosswalk: bool, **given: Any) -> None:
    """Pack the results of a finished run for a recipient: files or archives, index.csv, SHA256SUMS."""
    from deidflow.flows.commands.export import export_run  # noqa: PLC0415 (what one command needs)

    export_run(run_dir, output, overrides, crosswalk=crosswalk, **given)


@cli.command()
@click.argument("place", type=_FOLDER, default=Path("runs"), metavar="[RUNS_DIR|CONFIG]")
def runs(place: Path) -> None:
    """List runs: when each began, its verdict and counts, and where it is. Looks into `runs` unless told otherwise."""
    from deidflow.flows.commands.runs import list_runs  # noqa: PLC0415 (what few commands need)

    list_runs(place)


@cli.command(answers=False, signals=False)
@click.argument("configs", type=_FOLDER, nargs=-1, required=True)
def serve(configs: tuple[Path, ...]) -> None:
    """Run each config on its own schedule, on a Prefect server, until stopped."""
    prepare_prefect(runs_dir_of(configs[0]))
    with importing_prefect():
        from deidflow.flows.serve import serve_configs  # noqa: PLC0415 (imports Prefect)

    serve_configs(configs)


def main() -> None:
    """Run the command; errors go to standard error in plain words, and the exit code says of which kind they are."""
    quiet_libraries()
    debug = "--debug" in sys.argv[1:]
    if debug:  # accepted anywhere on the line
        sys.argv = [sys.argv[0], *(argument for argument in sys.argv[1:] if argument != "--debug")]
    code = run_to_its_end(lambda: cli.main(standalone_mode=False), debug=debug)
    if code == EXIT_INTERRUPTED:
        leave(code)  # sys.exit would wait for threads that sleep before they try again
    sys.exit(code)
