"""The tables of a ledger.

Public names: ``SCHEMA_VERSION``, ``SCHEMA``, ``INDEXES``, ``SOURCE_INDEXES``, ``ROW_INDEXES``, ``PLAN_INDEXES``.
"""

from __future__ import annotations

from typing import Final

SCHEMA_VERSION: Final = 6
"""Counted up with every change of the tables; a ledger of another version is refused."""

SCHEMA: Final = """
-- The fields of RunFacts, each as JSON, and the number of this schema.
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

-- The manifest as it was read, in one entry.
CREATE TABLE manifest (content BLOB NOT NULL);

-- The effective requests; rows with equal ones share an entry.
CREATE TABLE request (
    id INTEGER PRIMARY KEY,
    operation TEXT NOT NULL,
    body TEXT NOT NULL,
    UNIQUE (operation, body)
);

-- One entry per line of the manifest. outcome is '' until the row itself (not its instances) is not_found or invalid;
-- code and text say why, see tasks/core/outcomes.py: text is '' where the code says it all. done_before: how many of
-- its instances earlier runs have done, which are not in this ledger; new_before: their results at its level (JSON).
CREATE TABLE manifest_row (
    line INTEGER PRIMARY KEY,
    orthanc_id TEXT NOT NULL,
    level TEXT NOT NULL,
    operation TEXT NOT NULL,
    request INTEGER REFERENCES request (id),
    declared INTEGER,
    free TEXT NOT NULL,
    outcome TEXT NOT NULL DEFAULT '',
    code TEXT NOT NULL DEFAULT '',
    text TEXT NOT NULL DEFAULT '',
    done_before INTEGER NOT NULL DEFAULT 0,
    new_before TEXT NOT NULL DEFAULT '[]'
);

-- Series of the source, with the identifiers of all levels above the instance, and whose they say they are (a JSON
-- list, see tasks/core/dicom/persons.py). A series has several entries where its instances differ in these.
CREATE TABLE series (
    id INTEGER PRIMARY KEY,
    patient_id TEXT NOT NULL,
    study_instance_uid TEXT NOT NULL,
    series_instance_uid TEXT NOT NULL,
    frame_of_reference_uid TEXT NOT NULL,
    patient TEXT NOT NULL,
    study TEXT NOT NULL,
    series TEXT NOT NULL,
    person TEXT NOT NULL DEFAULT '',
    UNIQUE (patient_id, study_instance_uid, series_instance_uid, frame_of_reference_uid, person)
);

-- What a series of the source becomes under one request.
CREATE TABLE target (
    id INTEGER PRIMARY KEY,
    patient_id TEXT NOT NULL,
    study_instance_uid TEXT NOT NULL,
    series_instance_uid TEXT NOT NULL,
    patient TEXT NOT NULL,
    study TEXT NOT NULL,
    series TEXT NOT NULL,
    UNIQUE (patient_id, study_instance_uid, series_instance_uid)
);

-- Instances of the source; after planning only those that a row names. outcome is '' while nothing is known; code and
-- text say why it is not done; reason is both, for people who open the file: nothing of deidflow reads it.
-- content: what was read of the source, so that nothing else is deleted in its place: the SHA-256 of its file, or the
-- FileUuid that an Orthanc gives to what it stores; '' when no source is to be deleted.
-- evidence: of the result, as it was written or found right (tasks/core/files/evidence.py).
-- verified: how the result as it is now was found right: '', 'identifiers' or 'full'.
-- is_there: whether something that this run made stands in the destination, whatever its outcome.
-- review: codes of tasks/core/engine/review.py, joined by semicolons.
-- removed: how many words, numbers and other stretches went from its texts, or were moved.
CREATE TABLE instance (
    id INTEGER PRIMARY KEY,
    series INTEGER NOT NULL REFERENCES series (id),
    sop_instance_uid TEXT NOT NULL,
    orthanc_id TEXT NOT NULL,
    path BLOB NOT NULL,
    size INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    line INTEGER REFERENCES manifest_row (line),
    chunk INTEGER REFERENCES chunk (number),
    call INTEGER REFERENCES call (number),
    target INTEGER REFERENCES target (id),
    new_sop_instance_uid TEXT NOT NULL DEFAULT '',
    new_orthanc_id TEXT NOT NULL DEFAULT '',
    outcome TEXT NOT NULL DEFAULT '',
    code TEXT NOT NULL DEFAULT '',
    text TEXT NOT NULL DEFAULT '',
    reason TEXT AS (iif(text = '', code, code || ': ' || text)),
    attempts INTEGER NOT NULL DEFAULT 0,
    evidence TEXT NOT NULL DEFAULT '',
    content TEXT NOT NULL DEFAULT '',
    verified TEXT NOT NULL DEFAULT '',
    is_there INTEGER NOT NULL DEFAULT 0,
    sop_class_uid TEXT NOT NULL DEFAULT '',
    review TEXT NOT NULL DEFAULT '',
    removed INTEGER NOT NULL DEFAULT 0,
    modality TEXT NOT NULL DEFAULT ''
);

-- Words of texts that stayed although nothing vouches for them, each with the first instance that has it.
CREATE TABLE unknown_word (word TEXT PRIMARY KEY, instance INTEGER NOT NULL REFERENCES instance (id)) WITHOUT ROWID;

-- Further files of the source that hold the same instance, byte for byte.
CREATE TABLE copy (instance INTEGER NOT NULL REFERENCES instance (id), path BLOB NOT NULL);

CREATE TABLE chunk (number INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, instances INTEGER NOT NULL);

-- Calls to an Orthanc. since: the server's last change before the request went out, so that its outputs can be found
-- again; sent: the instances of that request (a JSON list of instance.id), which may be fewer than were planned; job:
-- what the server answered. A call without results is settled before it is sent again.
CREATE TABLE call (
    number INTEGER PRIMARY KEY,
    state TEXT NOT NULL DEFAULT 'planned' CHECK (state IN ('planned', 'intended', 'sent', 'ended', 'redo')),
    since INTEGER,
    sent TEXT NOT NULL DEFAULT '[]',
    job TEXT NOT NULL DEFAULT ''
);

-- Results on a server that may be the run's own or somebody else's, with the call that may have made them.
CREATE TABLE leftover (orthanc_id TEXT PRIMARY KEY, call INTEGER NOT NULL) WITHOUT ROWID;

CREATE TABLE source_problem (path BLOB NOT NULL, code TEXT NOT NULL);
"""

# Made when what they sort is there: all at once costs a fraction of one by one.
INDEXES: Final = {
    "instance_orthanc_id": "instance (orthanc_id)",
    "instance_series": "instance (series)",
    "series_series": "series (series)",
    "series_study": "series (study)",
    "series_patient": "series (patient)",
    "instance_line": "instance (line)",
    "instance_chunk": "instance (chunk)",
    "instance_call": "instance (call)",
}
SOURCE_INDEXES: Final = ("instance_orthanc_id", "instance_series", "series_series", "series_study", "series_patient")
ROW_INDEXES: Final = ("instance_line",)
PLAN_INDEXES: Final = ("instance_chunk", "instance_call")
