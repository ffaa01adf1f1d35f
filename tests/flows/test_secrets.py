"""The key and passwords stay where the user put them, and files stay their owner's, whatever the umask."""

from __future__ import annotations

import base64
import contextlib
import os
import stat
import subprocess
import time
from pathlib import Path

import pytest

from deidflow.flows.cli import cli
from deidflow.flows.private_outputs import require_own_table
from deidflow.tasks.core.errors import InvalidInput
from deidflow.tasks.core.ledger.state.pairs import PAIR_COLUMNS
from tests.jobs import DEMO_DATA, KEY, Job

PASSWORD = "ZQXPASSWORD"
SPELLINGS = (KEY.encode(), bytes.fromhex(KEY), base64.b64encode(bytes.fromhex(KEY)).rstrip(b"="), KEY.upper().encode())


def _small(job: Job) -> None:
    job.source.mkdir()
    for number, path in enumerate(sorted((DEMO_DATA / "MR").iterdir())[:6]):
        (job.source / f"{number}.dcm").write_bytes(path.read_bytes())
    job.write_config()
    job.write_manifest(job.inventory())


def _command_lines() -> bytes:
    """Return the command line of every process there is."""
    lines = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            lines.append(path.read_bytes())
        except OSError:
            continue
    return b"\n".join(lines)


def _where(folder: Path, secrets: tuple[bytes, ...]) -> list[str]:
    """Return the files below a folder that hold a secret."""
    found = []
    # os.walk, as Path.rglob ends with an error where a folder goes between being listed and being read.
    for path in (Path(parent, name) for parent, _, names in os.walk(folder) for name in names):
        with contextlib.suppress(OSError):  # temporary files come and go, and some are sockets
            data = path.read_bytes()
            if any(secret in data for secret in secrets):
                found.append(str(path.relative_to(folder)))
    return sorted(found)


def test_the_key_is_in_no_file_and_no_command_line(job: Job) -> None:
    """While a run works, and after it, its key stands in its environment alone, in no spelling anywhere else."""
    _small(job)
    temporary = job.root / "tmp"
    temporary.mkdir()
    seen = b""

    with subprocess.Popen(
        job.command("run", "job.yaml", "--run-id", "key"),
        env=job.full_environment() | {"TMPDIR": str(temporary)},
        cwd=job.root,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as process:
        workers = 0
        while process.poll() is None:
            lines = _command_lines()
            workers = max(workers, lines.count(b"forkserver"))
            seen += lines if any(secret in lines for secret in SPELLINGS) else b""
            assert [] == _where(temporary, SPELLINGS)
            time.sleep(0.02)  # as the run needs the processor too
        out, _ = process.communicate()

    assert 0 == process.returncode, out
    assert b"" == seen
    assert workers
    assert [] == _where(job.root, SPELLINGS)
    assert [] == [secret for secret in SPELLINGS if secret in out]


def test_what_makes_no_identifiers_wants_no_key(job: Job) -> None:
    """A run folder is enough to report and to export; verifying and going on want the key."""
    _small(job)
    done = job("run", "job.yaml", "--run-id", "first")
    assert 0 == done.code, done.err
    job.key = ""
    folder = done.run_dir

    for command in (
        ("report", folder, "--mappings", job.root / "mappings"),
        ("export", folder, "-o", job.root / "export"),
        ("resume", folder),  # it is finished
        ("withdraw", folder, "--row", 2),
    ):
        assert 0 == job(*command).code, command
    for command in (("verify", folder), ("resume", folder)):
        refused = job(*command)
        assert 2 == refused.code, command
        assert "the environment variable TEST_DEIDFLOW_KEY must be set" in refused.err


@pytest.mark.parametrize("umask", [0o000, 0o077])
def test_permissions_under_any_umask(job: Job, umask: int) -> None:
    """The run folder is 0700, as is runs_dir, and all of its files 0600, the key that the run made among them.

    One that was killed when it had made its key, before its plan was stored, keeps it.
    """
    _small(job)
    job.write_config(pseudonyms=None)
    kept = "ab" * 32 if umask else ""
    if kept:
        for folder in (job.root / "runs", job.root / "runs" / "own"):
            folder.mkdir(mode=0o700)
        (job.root / "runs" / "own" / "pseudonym.key").write_text(kept)

    # Prefect's own files are under the same umask; only what the run makes counts.
    done = job.start("run", "job.yaml", "--run-id", "own", umask=umask).end()

    run_dir = job.root / "runs" / "own"
    assert 0 == done.code, done.out + done.err
    assert {0o700} == {stat.S_IMODE(folder.stat().st_mode) for folder in (run_dir, run_dir.parent)}
    assert {0o600} == {stat.S_IMODE(path.stat().st_mode) for path in run_dir.iterdir()}
    key = (run_dir / "pseudonym.key").read_text().strip()
    assert key == (kept or key)
    assert ["pseudonym.key"] == _where(run_dir, (key.encode(), bytes.fromhex(key)))
    assert key not in done.out + done.err


@pytest.mark.parametrize("key", ["source", "destination"])
@pytest.mark.parametrize("given", ["file", "--set"])
def test_an_address_with_a_password_is_refused(job: Job, key: str, given: str) -> None:
    """A password in an address is refused with the variables that it belongs in, and is not repeated."""
    _small(job)
    address = f"http://user:{PASSWORD}@127.0.0.1:1"
    overrides = ["--set", f"{key}={{orthanc: '{address}'}}"] if given == "--set" else []
    if given == "file":
        job.write_config(**{key: {"orthanc": address}})

    done = job("run", "job.yaml", *overrides)

    assert 2 == done.code, done.err
    assert f"{key}.orthanc" in done.err
    assert "orthanc.username_env and password_env" in done.err
    assert PASSWORD not in done.out + done.err
    assert not (job.root / "runs").exists()


def test_a_key_in_the_config_is_refused(job: Job) -> None:
    """The key itself in place of the variable's name is refused and not repeated; so is a file that others can read."""
    _small(job)
    job.write_config(pseudonyms={"key_env": KEY})
    as_variable = job("run", "job.yaml")
    (job.root / "key").write_text(KEY)
    os.chmod(job.root / "key", 0o644)  # noqa: PTH101 (as a user would)
    job.write_config(pseudonyms={"key_file": "key"})
    as_file = job("run", "job.yaml")

    assert (2, 2) == (as_variable.code, as_file.code)
    assert KEY not in as_variable.err + as_variable.out + as_file.err + as_file.out
    assert "chmod 600" in as_file.err


def test_what_re_identifies_lies_in_no_folder_that_is_given_away(tmp_path: Path) -> None:
    """Nor in the source; nothing is written over that the command has not written itself."""
    job = Job(tmp_path, {})
    for folder in (job.source, job.destination, tmp_path / "exports"):
        folder.mkdir()
    config = job.write_config(options=None, profile_options=["clean-pixel-data"], export={"folder": "exports"})
    job.write_manifest([{"orthanc_id": "0" * 8, "StudyInstanceUID": "1.2.3"}])
    before = job.manifest.read_bytes()

    for line, says in {
        f"crosswalk {config} -o {tmp_path}/results/pairs.csv": "-o: must lie outside destination.folder",
        f"crosswalk {config} -o {tmp_path}/exports/pairs.csv": "-o: must lie outside export.folder",
        f"crosswalk {config} -o {tmp_path}/source/pairs.csv": "-o: must lie outside source.folder",
        f"pixels {config} -o {tmp_path}/results/sheets": "-o: must lie outside destination.folder",
        f"crosswalk {config} -o {job.manifest}": "-o: must be a file that this command has written before",
        f"resolve {job.manifest} --by StudyInstanceUID s -o {job.manifest} --overwrite": "-o: must be another file",
    }.items():
        with pytest.raises(InvalidInput, match=says):
            cli.main(line.split(), standalone_mode=False)

    assert before == job.manifest.read_bytes()
    assert [] == [*job.destination.iterdir(), *job.source.iterdir()]


def test_a_crosswalk_is_written_over_its_own_alone(tmp_path: Path) -> None:
    """As every night does, and where a script has made an empty file; over no other table."""
    taken = []
    for content in (b"", b"\xef\xbb\xbflevel,original_orthanc_id,new_orthanc_id,and,more\r\n", b"level,subject\r\n"):
        (tmp_path / "pairs.csv").write_bytes(content)
        with contextlib.suppress(InvalidInput):
            require_own_table(tmp_path / "pairs.csv", PAIR_COLUMNS)
            taken.append(content[:3])

    assert [b"", b"\xef\xbb\xbf"] == taken
