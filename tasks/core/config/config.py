"""The config of a job as checked, frozen data; how it is read from a file is the business of ``settings``.

Public names: ``Config`` and its groups ``Source``, ``Destination``, ``Pseudonymization``, ``Dates``, ``Private``,
``Text``, ``Pixels``, ``Execution``, ``Schedule``, ``Report``, ``Export``, ``OrthancAccess``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr

from deidflow.tasks.core.config.options import ReadOptions, read_options
from deidflow.tasks.core.config.pixel_rules.sources import BUILTIN, RuleText, read_rules
from deidflow.tasks.core.config.types import (  # noqa: TC001 (pydantic reads them at run time)
    CronText,
    FilePath,
    Mode,
    Name,
    OrthancUrl,
    Scope,
    TimeZoneName,
    VariableName,
)
from deidflow.tasks.core.manifest.row_requests import Defaults
from deidflow.tasks.core.pixels.choice import Lossy, PixelChoice
from deidflow.tasks.core.pixels.decision import Unmatched  # noqa: TC001 (pydantic reads it at run time)
from deidflow.tasks.core.request.export_choice import DEFAULT_LAYOUT, ExportChoice
from deidflow.tasks.core.request.private_attributes import SiteAction, SiteAttribute
from deidflow.tasks.core.request.profile_choice import KEPT_UIDS, Option, ProfileChoice, TextChoice
from deidflow.tasks.core.request.request import Operation  # noqa: TC001 (pydantic reads it at run time)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from deidflow.tasks.core.errors import Problem

Engine = Literal["local", "orthanc"]
Verify = Literal["full", "identifiers", "none"]
Runner = Literal["threads", "dask"]


class _Group(BaseModel):
    """A group of keys: unknown ones are errors, types are not converted, and errors do not repeat the input."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, hide_input_in_errors=True)


class Source(_Group):
    """Where the originals are; exactly one key is given."""

    folder: FilePath | None = None
    """A folder of DICOM files, read recursively; engine local only."""
    orthanc: OrthancUrl | None = None
    """Address of an Orthanc."""
    ignore_damaged: bool = False
    """Whether files that are damaged so early that their identifiers cannot be read do not count against the run."""
    follow_links: bool = False
    """Whether symbolic links in the folder are followed, to wherever."""


class Destination(_Group):
    """Where the local engine puts the results; exactly one of folder and orthanc is given."""

    folder: FilePath | None = None
    """A folder, made when it is missing."""
    orthanc: OrthancUrl | None = None
    """Address of an Orthanc."""
    overwrite: bool = False
    """Whether another object that stands where a result belongs is replaced."""
    mode: Mode | None = None
    """Permissions of results in a folder, in octal digits; what the umask leaves when not given."""


class Pseudonymization(_Group):
    """What generated identifiers are derived from; at most one of key_env and key_file is given."""

    key_env: VariableName | None = None
    """Environment variable that holds the key: at least 32 random bytes in hex or base64."""
    key_file: FilePath | None = None
    """File that holds the key and that only its owner can read."""
    scope: Scope | None = None
    """Projects with different scopes cannot be joined; the config's name when not given."""
    allow_merge: bool = False
    """Whether two patients of the source may get one PatientID."""


class Dates(_Group):
    """How dates move: by one keyed number of days per patient into the past, or as the manifest says."""

    shift_days: list[int] = [1, 3650]
    """The fewest and the most days."""
    whole_weeks: bool = False
    """Whether only whole weeks are taken, so that days of the week stay."""
    column: str | None = None
    """A free column of the manifest that has the days to add, instead of the keyed number; -120 is into the past."""


class Private(_Group):
    """Private attributes that the site knows to be safe, beside those of the standard's list."""

    keep: list[FilePath] = []
    """CSV files with the columns group, element, private_creator, vr and action."""


class Text(_Group):
    """Which words of cleaned texts may stay beside the built-in vocabulary."""

    keep: list[FilePath] = []
    """Files with words, separated by blanks or lines; lines that begin with # are comments."""
    unknown: Literal["remove", "review"] = "remove"
    """Whether other words go, or stay and are listed."""


class Pixels(_Group):
    """What happens to text that is burnt into pixels."""

    rules: list[FilePath] = [Path(BUILTIN)]
    """Rule files, tried in this order: YAML, or scripts of RSNA CTP's DicomPixelAnonymizer; ``builtin`` is ours."""
    unmatched: Unmatched = "refuse"
    """What becomes of instances at risk that no rule is for."""
    detect: bool = False
    """Whether text is looked for in the pixels of instances at risk; needs the extra ``ocr``."""
    lossy: Lossy = "lossless"
    """How instances that are compressed with loss are written when they have to be decoded to be painted."""


class Execution(_Group):
    """How the work is cut and run; may differ between attempts at one run."""

    chunk_size: int = Field(default=500, ge=1, le=1_000_000)
    """Instances per chunk, at least; raised by the planner so that a run has at most 800 chunks."""
    runner: Runner = "threads"
    """Where chunks run."""
    workers: int = Field(default=2, ge=1, le=256)
    """Processes that read, edit (engine local), verify and pack exports."""
    dask_address: str | None = None
    """Address of the Dask scheduler; needed by runner dask."""
    retries: int = Field(default=4, ge=0, le=100)
    """Further attempts at a chunk after a transient fault."""
    retry_delay_seconds: float = Field(default=2.0, ge=0, le=3600, allow_inf_nan=False)
    """First delay; it doubles from attempt to attempt, with jitter."""
    lock_wait_seconds: int | None = Field(default=None, ge=0, le=604_800)
    """How long to wait for a destination that another run holds; `serve` waits an hour where nothing is said."""
    job_timeout_seconds: float = Field(default=3600.0, gt=0, le=604_800, allow_inf_nan=False)
    """How long one chunk of the local engine or one job of an Orthanc may take; then it is tried again."""


class Schedule(_Group):
    """When `deidflow serve` starts a run; exactly one of cron and interval is given."""

    cron: CronText | None = None
    """A cron expression as Prefect takes it."""
    interval: float | None = Field(default=None, ge=1, le=31_622_400, allow_inf_nan=False)
    """Seconds from start to start."""
    timezone: TimeZoneName = "UTC"
    """Where cron's hours are those of the clock."""


class Report(_Group):
    """Where reports go."""

    runs_dir: FilePath = Path("runs")
    """Parent of the run folders."""


class Export(_Group):
    """How the results of each run are packed, as its last step."""

    folder: FilePath
    """Parent of the exports, each of which has the name of its run."""
    layout: str = DEFAULT_LAYOUT
    """Path of each file, from attributes of the result by keyword in braces."""
    archive: Literal["none", "zip"] = "none"
    """Plain files, or ZIP archives."""
    per: Literal["patient", "study"] = "patient"
    """What an archive holds."""
    recipients: list[str] = []
    """age public keys that archives and index are encrypted for."""
    include_review: bool = False
    """Whether what a person should look at first is packed, too."""


class OrthancAccess(_Group):
    """How every Orthanc is used, be it source, destination or engine."""

    username_env: VariableName = "ORTHANC_USERNAME"
    """Environment variable that holds the user's name."""
    password_env: VariableName = "ORTHANC_PASSWORD"  # noqa: S105 (the name of a variable)
    """Environment variable that holds the password."""
    verify_tls: bool = True
    """Whether the certificate of an https address is checked."""
    ca_file: FilePath | None = None
    """Certificates to trust instead of the system's, PEM."""
    max_parallel_jobs: int = Field(default=2, ge=1, le=64)
    """Jobs of a run at a time on its server."""
    timeout_seconds: int = Field(default=60, ge=1, le=3600)
    """How long a server may be silent before a request counts as failed; jobs have `job_timeout_seconds`."""
    accept_unstable: bool = False
    """Whether studies that may still be arriving are taken."""


@dataclass(frozen=True, slots=True)
class _File:
    """The file of a config, byte for byte; two configs that say the same are equal, however they spell it."""

    content: bytes = field(default=b"", compare=False)


class Config(_Group):
    """The whole config, as checked by `load_config`."""

    name: Name
    """Begins the names of its runs."""
    manifest: FilePath
    """CSV file with one row per patient, study, series or instance."""
    operation: Annotated[Operation, Field(strict=False)]
    """For rows without their own."""
    engine: Engine = "local"
    """Who edits: deidflow itself on files, or an Orthanc on its own objects."""
    source: Source
    """Where the originals are."""
    destination: Destination | None = None
    """Where results go; engine local only."""
    options: dict[str, Any] = {}
    """The bulk routes' own arguments, spelled as Orthanc spells them."""
    profile: Literal["ps3.15-2026d"] | None = None
    """A PS3.15 profile; engine local only, where anonymize without DicomVersion has it."""
    profile_options: list[str] = []
    """Options of PS3.15 section E.3, by name."""
    dates: Dates | None = None
    """How far dates move with `retain-longitudinal-modified-dates`."""
    private: Private | None = None
    """The site's safe private attributes, with `retain-safe-private`."""
    text: Text | None = None
    """Which words cleaned texts keep."""
    pixels: Pixels | None = None
    """What happens to text that is burnt into pixels, with `clean-pixel-data`."""
    hardening: bool = True
    """Whether anonymize also removes what Orthanc's profiles leave: overlays, curves, nested names and IDs."""
    verify: Verify = "full"
    """How results are checked."""
    incremental: bool = False
    """Whether a run leaves out what earlier runs of the config have done."""
    skip_invalid: bool = False
    """Whether rows with problems are set aside (outcome `invalid`) and the others done."""
    pseudonyms: Pseudonymization | None = None
    """The key of generated identifiers; without it each run makes its own."""
    execution: Execution = Execution()
    """How the work is cut and run."""
    schedule: Schedule | None = None
    """For `deidflow serve`."""
    report: Report = Report()
    """Where reports go."""
    export: Export | None = None
    """How results are packed; nothing is without it."""
    orthanc: OrthancAccess = OrthancAccess()
    """How Orthancs are used."""

    @property
    def scope(self) -> str:
        """The scope of generated identifiers."""
        return (self.pseudonyms and self.pseudonyms.scope) or self.name

    @property
    def has_key(self) -> bool:
        """Whether a key is configured, so that runs match each other."""
        return self.pseudonyms is not None and bool(self.pseudonyms.key_env or self.pseudonyms.key_file)

    _options: ReadOptions = PrivateAttr()
    _file: _File = PrivateAttr(default_factory=_File)
    _site_words: frozenset[str] = PrivateAttr(default=frozenset())
    _site_attributes: tuple[SiteAttribute, ...] = PrivateAttr(default=())
    _rule_texts: tuple[RuleText, ...] = PrivateAttr(default=())
    _pixel_choice: PixelChoice | None = PrivateAttr(default=None)

    def model_post_init(self, _context: object) -> None:
        """Read the options, once; a config with problems in them is made all the same, so that all else is checked."""
        self._options = read_options(self.options)

    @property
    def file_content(self) -> bytes:
        """The file that the config was read from, byte for byte; empty for one that a run folder keeps."""
        return self._file.content

    def know_file(self, content: bytes) -> None:
        """Take the content of the config's file."""
        self._file = _File(content)

    def know_words(self, words: frozenset[str]) -> None:
        """Take the words of the files of ``text.keep``."""
        self._site_words = words

    def know_attributes(self, attributes: Iterable[SiteAttribute]) -> None:
        """Take the private attributes of the files of ``private.keep``."""
        self._site_attributes = tuple(attributes)

    def know_rules(self, texts: Iterable[RuleText]) -> None:
        """Take the rule files of ``pixels.rules`` with the list of kinds at risk, and read them.

        Raises:
            InvalidInput: With every problem, by file and line.

        """
        self._rule_texts = tuple(texts)
        group = self.pixels or Pixels()
        self._pixel_choice = PixelChoice(read_rules(self._rule_texts), group.unmatched, group.detect, group.lossy)

    @property
    def cleans_pixels(self) -> bool:
        """Whether the profile cleans pixels, so that rules are needed."""
        return self.profile is not None and Option.CLEAN_PIXEL_DATA in self.profile_options

    @property
    def option_problems(self) -> tuple[Problem, ...]:
        """What is wrong with the options."""
        return tuple(self._options.problems)

    @cached_property
    def defaults(self) -> Defaults:
        """What the config says for every row of the manifest."""
        options = self._options
        return Defaults(
            *(self.operation, options.edits, options.settings),
            has_profile=self.profile is not None,
            keeps=KEPT_UIDS if Option.RETAIN_UIDS in self.profile_options else (),
            shift_column=(self.dates and self.dates.column) or "",
        )

    @property
    def profile_choice(self) -> ProfileChoice | None:
        """What the PS3.15 profile does; None without one."""
        if self.profile is None:
            return None
        dates = self.dates or Dates()
        first, last = dates.shift_days
        texts = TextChoice(self._site_words, reviews_unknown=self.text is not None and self.text.unknown == "review")
        return ProfileChoice(
            *(frozenset(self.profile_options), (first, last), dates.whole_weeks, texts, self._site_attributes),
            pixels=self._pixel_choice if self.cleans_pixels else None,
        )

    @property
    def export_choice(self) -> ExportChoice:
        """How results are packed, here or by the command."""
        group = self.export
        if group is None:
            return ExportChoice()
        return ExportChoice(group.layout, group.archive, group.per, tuple(group.recipients), group.include_review)

    @property
    def hardens(self) -> bool:
        """Whether results of anonymize hold no overlay, curve or nested name and ID; with a profile they never do."""
        return self.hardening or self.profile is not None

    def to_json(self) -> dict[str, Any]:
        """Return the effective config as JSON data, with the site's own lists; it names secrets but holds none."""
        data = self.model_dump(mode="json")
        if data["text"] is not None:
            data["text"] = {"words": sorted(self._site_words), "unknown": data["text"]["unknown"]}
        if data["private"] is not None:
            data["private"] = {"attributes": [list(one) for one in self._site_attributes]}
        if self.cleans_pixels:
            group = data["pixels"] or Pixels().model_dump(mode="json")
            data["pixels"] = group | {"rules": [list(one) for one in self._rule_texts]}
        return data

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Config:
        """Return the config that ``to_json`` was made from.

        Raises:
            ValidationError: The data were made by something else.

        """
        text, private, pixels = data.get("text"), data.get("private"), data.get("pixels")
        plain = {
            "text": {"unknown": text["unknown"]} if text else None,
            "private": {} if private else None,
            "pixels": pixels and pixels | {"rules": [name for name, _ in pixels["rules"][:-1]]},
        }
        config = cls.model_validate(data | plain)
        config.know_words(frozenset(text["words"] if text else ()))
        listed = private["attributes"] if private else ()
        config.know_attributes(
            SiteAttribute(group, element, creator, vr, SiteAction(action))
            for group, element, creator, vr, action in listed
        )
        if pixels:
            config.know_rules(RuleText(*one) for one in pixels["rules"])
        return config
