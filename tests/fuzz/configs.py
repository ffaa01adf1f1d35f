"""Damaged configs: how they are made, and what must hold for each.

Public names: ``MUTATIONS``, ``mutated_config``, ``check_config``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from deidflow.tasks.core.config.config import Config
from deidflow.tasks.core.errors import InvalidInput
from deidflow.tasks.steps.run.settings import check_files, load_config
from tests.fuzz.dicom_check import Fault, timer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from random import Random

MARKER: Final = "ZQXVALUE"


class Given(NamedTuple):
    """A config file and what ``--set`` says."""

    data: bytes
    overrides: tuple[str, ...] = ()


_GROUPS: Final = (
    "operation: anonymize\n",
    "engine: local\n",
    "source: {folder: incoming/}\n",
    "destination:\n  folder: outgoing/\n  overwrite: false\n",
    (
        f'options:\n  DicomVersion: "2023b"\n  Replace: {{PatientID: "{{subject}}", StudyDescription: "{MARKER}"}}\n'
        "  Remove: [InstitutionName]\n  Force: true\n"
    ),
    "pseudonyms: {key_env: DEIDFLOW_KEY, scope: one}\n",
    "execution:\n  chunk_size: 500\n  workers: 2\n  retry_delay_seconds: 0.5\n",
    'schedule: {cron: "0 2 * * *", timezone: Europe/Brussels}\n',
    "report: {runs_dir: runs}\n",
    "orthanc: {verify_tls: true, max_parallel_jobs: 2}\n",
    "hardening: true\nverify: full\n",
)
_NEEDED: Final = ("operation", "source", "destination", "options")
_SIGNS: Final = b"\n:{}[]&*!|>'\"%@`#- \t"
_KEYS: Final = (
    "name", "manifest", "operation", "engine", "source", "source.folder", "source.orthanc", "destination", "options",
    "options.Replace", "options.Replace.PatientID", "options.Remove", "options.DicomVersion", "options.Priority",
    "options.Transcode", "pseudonyms.scope", "pseudonyms.key_file", "execution.chunk_size", "execution.workers",
    "execution.job_timeout_seconds", "schedule.cron", "schedule.timezone", "schedule.interval", "report.runs_dir",
    "orthanc.ca_file", "verify", "profile", "profile_options", "hardening", "", ".", "..", "a.b.c", "options.Level",
)  # fmt: skip
_ODD: Final = (
    "1", "-1", "1e999", ".inf", "-.inf", ".nan", "9" * 5000, "0x" + "f" * 6000, "0o" + "7" * 9000, "1" * 4000,
    "true", "yes", "null", "~", "[]", "{}", "[[]]", "2024-01-31", "2024-99-99", "2001-12-14t21:59:43.10-05:00",
    '"a\\0b"', '"\\ud800"', '"\\U0010ffff"', "'" + "x" * 9000 + "'", "!!binary aGVsbG8=", "!!python/object:os.system x",
    "!!set {a, b}", "!!omap [a: 1]", "!!timestamp 1", "!!int x", "!!float y", "!unknown z", "*none", "&a [*a]",
    "{? [a, b] : 1}", "{? {a: b} : 1}", "{1: 2, null: 3, true: 4}", "{<<: {a: 1}}", "<<: 1", "0x" + "f" * 6000 + ": 1",
    "{0x" + "f" * 6000 + ": 1}", "http://user:ZQXVALUE@host", "http://[::1", "http://h:99999", "http://h/a b", "/", ".",
    "../..", "~root/x", "~nobody-here/x",
    '"~\\0/x"', '"~\\ud800"', "/dev/null", "/proc/self/fd/0", '"\\x00"', '"/a/\\0"',
    "'" + "../" * 3000 + "'",
    "{folder: [1]}", '{folder: "\\0"}', '{folder: "\\ud800"}', '{orthanc: "http://\\u2100"}', "- 1\n- 2", "|\n  text",
    '"* * * * *"', '"*/0 * * * *"', '"1-1-1 * * * *"', '"' + "1," * 3000 + '1 * * * *"', '"² * * * *"', "\u202e",
    "[PatientID, PatientID]", "{PatientID: {a: b}}", "{PatientID: [1]}", "{Nonsense: x}", '{"' + " " * 2000 + ']": x}',
    '{PatientID: "{"}', '{PatientID: "{' + "a" * 5000 + '}"}', "{PatientID: 2024-01-31}", "{ContentSequence: [{a: b}]}",
    "{ContentSequence: [{ContentSequence: [{ContentSequence: []}]}]}", "12345678901234567890", "1_000", "1:30:00",
    "--- x", "...", "%YAML 9.9\n---\n", "%TAG ! x\n", "\x07", "\ufeff", "# only", ": :", "- - - -", "? ?", "'",
    '"', "@",
)  # fmt: skip


def mutated_config(random: Random) -> tuple[str, Given]:
    """Return the name of the first mutation and the config after one or two of them."""
    groups = [group for group in _GROUPS if random.random() < 0.5 or group.startswith(_NEEDED)]
    given = Given(("name: trial\nmanifest: cohort.csv\n" + "".join(groups)).encode())
    name = random.choice(list(MUTATIONS))
    given = MUTATIONS[name](random, given)
    if random.random() < 0.4:
        given = MUTATIONS[random.choice(list(MUTATIONS))](random, given)
    return name, given


def check_config(given: Given, folder: Path) -> str:
    """Read one config: it is refused, or it is what its JSON form says, too.

    Raises:
        Fault: Something does not hold.

    """
    path = folder / "trial.yaml"
    path.write_bytes(given.data)
    with timer.running():
        try:
            config = load_config(path, given.overrides)
            check_files(config)
            _ = config.defaults
            again = Config.from_json(config.to_json())
        except InvalidInput as error:
            text = "\n".join(problem.text for problem in error.problems)
            if MARKER in text and MARKER not in str([problem.key for problem in error.problems]):
                raise Fault("a message repeats a value") from None
            return "refused: config"
    if again != config:
        raise Fault("the config's JSON form is another config")
    return "done"


def _odd_value(random: Random, given: Given) -> Given:
    """Put an odd value where another one stands, or in a group of its own."""
    lines = given.data.split(b"\n")
    number = random.randrange(len(lines))
    key, colon, _ = lines[number].partition(b":")
    value = random.choice(_ODD).encode("utf-8", "surrogatepass")
    lines[number] = key + (colon or b":") + b" " + value
    return given._replace(data=b"\n".join(lines))


def _override(random: Random, given: Given) -> Given:
    chosen = tuple(
        random.choice((f"{random.choice(_KEYS)}={random.choice(_ODD)}", f"{random.choice(_KEYS)}", random.choice(_ODD)))
        for _ in range(random.choice((1, 1, 3)))
    )
    return given._replace(overrides=(*given.overrides, *chosen))


def _change_bytes(random: Random, given: Given) -> Given:
    changed = bytearray(given.data)
    for _ in range(random.choice((1, 3, 8))):
        if changed:
            changed[random.randrange(len(changed))] = random.choice((random.getrandbits(8), *_SIGNS))
    return given._replace(data=bytes(changed))


def _nested(random: Random, given: Given) -> Given:
    """Nest groups or lists from a few to thousands deep."""
    depth = random.choice((5, 39, 40, 41, 200, 1500))
    start, end = random.choice((("[", "]"), ("{a: ", "}"), ("- ", ""), ("? ", ""), ("[&b", "]"), ("!x [", "]")))
    value = start * depth + random.choice(("", "1")) + end * random.choice((depth, depth - 1, 0))
    key = random.choice((b"options: ", b"name: ", b"zzz:\n  ", b""))
    return given._replace(data=given.data + key + value.encode() + b"\n")


def _aliases(random: Random, given: Given) -> Given:
    """Make a bomb of anchors: each level names the one before many times, or itself."""
    levels, width = random.choice(((3, 4), (9, 9), (30, 2), (38, 10), (12, 20)))
    kind = random.randrange(4)
    lines = ["a0: &a0 [x, x]" if kind != 1 else "a0: &a0 {x: 1}"]
    for level in range(1, levels):
        names = [f"*a{level - 1}"] * width
        if kind == 1:
            merged = "{" + ", ".join(f"k{number}: {name}" for number, name in enumerate(names)) + "}"
            lines.append(f"a{level}: &a{level} {merged}")
        elif kind == 2:
            lines.append(f"a{level}: &a{level} {{<<: [{', '.join(names)}]}}" if level > 1 else "a1: &a1 {x: 1}")
        else:
            lines.append(f"a{level}: &a{level} [{', '.join(names)}]")
    if kind == 3:
        lines = ["a: &a", "  b: *a", "c: &c [*c, *c]", "d: &d {<<: *d}"][: random.randrange(1, 5)]
    if random.random() < 0.3:
        return given._replace(overrides=(*given.overrides, "options={" + ", ".join(lines) + "}"))
    return given._replace(data=given.data + "\n".join(lines).encode() + b"\n")


def _lines(random: Random, given: Given) -> Given:
    lines = given.data.split(b"\n")
    kind = random.randrange(4)
    if kind == 0:
        random.shuffle(lines)
    elif kind == 1:
        lines.insert(random.randrange(len(lines)), random.choice(lines))
    elif kind == 2:
        lines = [b" " * random.randrange(4) + line for line in lines]
    else:
        return given._replace(data=given.data[: random.randrange(len(given.data) + 1)])
    return given._replace(data=b"\n".join(lines))


MUTATIONS: Final[dict[str, Callable[[Random, Given], Given]]] = {
    "odd value": _odd_value,
    "--set": _override,
    "bytes changed": _change_bytes,
    "nested": _nested,
    "aliases": _aliases,
    "lines": _lines,
}
