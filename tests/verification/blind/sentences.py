"""Sentences about a patient as clinicians, technologists and devices write them, in attributes that are cleaned.

Written without a look at what cleans them or searches in them: from referrals, protocol names, reports and
the annotations of ultrasound and angiography in six languages.

Public names: ``Said``, ``said``, ``CARRIERS``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from tests.verification.blind import names, values

if TYPE_CHECKING:
    import random

    from tests.verification.blind.names import Name


class Said(NamedTuple):
    """A text that is to be cleaned.

    Attributes:
        text: The whole of it.
        left: What identifies in it.
        label: How that is written.
        also: Keyword and text of the attribute that holds it as well; both empty where the text alone does.

    """

    text: str
    left: str
    label: str
    also: tuple[str, str]


_DESCRIPTORS: Final = """
StudyDescription SeriesDescription ProtocolName RequestedProcedureDescription PerformedProcedureStepDescription
AcquisitionDeviceProcessingDescription DerivationDescription ReasonForStudy ReasonForTheRequestedProcedure
AdmittingDiagnosesDescription ContrastBolusAgent RequestingService MedicalAlerts AcquisitionProtocolName
ContentDescription ViewName StageName WindowCenterWidthExplanation
"""
_COMMENTS: Final = """
StudyComments ImageComments PatientComments AdditionalPatientHistory VisitComments FrameComments AcquisitionComments
CommentsOnThePerformedProcedureStep RequestedProcedureComments Allergies ImagingServiceRequestComments
DetectorDescription CommentsOnRadiationDose Impressions PartialViewDescription
"""
_LABELS: Final = """
ROIName ROIObservationLabel StructureSetLabel RTPlanLabel RTPlanName BeamName SegmentLabel SegmentDescription
UserContentLabel TrackingID ChannelLabel UnformattedTextValue FrameOfInterestDescription SpecimenShortDescription
EntityLabel RTImageLabel GraphicLayerDescription DisplaySetLabel
"""
CARRIERS: Final = {
    "descriptor": _DESCRIPTORS.split(),
    "comment": _COMMENTS.split(),
    "label": _LABELS.split(),
    "structured": ["TextValue"],
    "application": ["StationAETitle", "ScheduledStationAETitle", "PerformedStationAETitle", "RetrieveAETitle"],
}
"""Keywords of attributes by who fills them."""

_PATIENT: Final = """
V.a. Meniskusläsion, {}
{} Thorax 2 Eb.
Z.n. Sturz, Pat. {}, Ausschluss Fraktur
Herr {} kommt zur Verlaufskontrolle
MRT Schädel {} nativ + KM
patient {} adressé pour lombalgies
Mme {} : douleur genou droit
IRM cérébrale {} sans injection
dhr. {}, hoesten sinds 3 wkn
mw. {} MRI knie links
Paciente {} con dolor lumbar
RM rodilla izda {}
Sig.ra {}, dolore al ginocchio
TC torace {}
{} c/o chest pain x3d
CXR portable - {}
{} AX T1 POST GAD
US ABD {}
{} CAROTID BILAT
RCA {} LAO 30 CRAN 20
CINE LV {}
ROI {} liver seg IV
wrong label, is {}
merged w/ {}
""".strip().split("\n")
_DOCTOR: Final = """
Zuweiser: {}
ÜW {}, Frage nach Bandscheibenvorfall
Befund bitte an {}
Demande de {}
adressé par {} pour bilan d'extension
aanvrager {}
verwezen door {} ivm rugklachten
Remitido por {}
solicitado por {} por cefalea
inviato da {}
richiesto da {} per controllo
Ref by {}, r/o PE
call {} with results
wet read to {}
as requested by {} - knee
per {} no contrast
{} wants thin cuts
post op check {}
""".strip().split("\n")
_NUMBER: Final = """
Pat.-Nr. {}
Fallnr. {} MRT LWS
Auftrag {} Knie
dossier {}
n° {} scanner thorax
patiëntnr {}
NHC {} TAC craneo
cartella {}
MRN {}
Acc {}
[{}] CHEST
{} Abdomen nativ
see also {}
compare with {}
{}_T1_POST
sent under {} by mistake
""".strip().split("\n")
_BORN: Final = """
geb. {}
Pat. geb. am {}, Knie rechts
née le {}
né(e) {}
geb.dat. {}
F. nac. {}
nata il {}
DOB {}
{} F
b. {} CHEST PA
""".strip().split("\n")
_SEEN: Final = """
VU vom {}
Z.n. TEP am {}
Verlauf zu {}
contrôle post-op du {}
comparatif {}
vgl. {}
OK {} heup rechts
comparar con {}
IQ {}
confronto con {}
cfr. esame del {}
s/p fall {}
compare {}
prior CT {}
{} CAROTID L
LV {} rest
surgery {}
""".strip().split("\n")
_PHONE: Final = """
Rückruf {}
Befund tel. an {}
Tel. {}
rappeler au {}
tél {}
bel {} bij afwijkingen
tel {}
llamar al {}
tfno {}
tel. {}
chiamare {}
call report to {}
pls fax {}
cell {}
ph: {}
pager {}
daughter {}
wet read {}
""".strip().split("\n")
_MAIL: Final = """
Befund an {}
envoyer à {}
mail naar {}
enviar a {}
inviare a {}
send images to {}
{} asked for thin slices
""".strip().split("\n")
_PLACE: Final = """
extern {}
VU {}
importé de {}
scanner fait à {}
elders: {}
procedente de {}
esame eseguito presso {}
outside films {}
imported from {}
{} CHEST 2V
transfer {} ER
{} protocol knee
""".strip().split("\n")
_HOME: Final = """
wohnt {}
domicile {}
woont {}
domicilio {}
abita in {}
lives {}
pick up at {}
""".strip().split("\n")
_TITLES: Final = ("{}", "{}_PACS", "PACS_{}", "{}CT1", "{}-MR", "WS_{}", "{}2", "MR{}")
_SHORT_PLACES: Final = ("LARKSPUR", "THISTLE", "BEAUREG", "KRDI", "VALDEOB", "PENNYR", "GODELIEVE", "KITASENJU")
_MENTIONS: Final = (
    ("patient",) * 4
    + ("doctor", "doctor", "number", "number", "born", "seen")
    + (
        "seen in the text alone",
        "phone",
        "phone in the text alone",
        "phone in the text alone",
        "number in the text alone",
        "mail in the text alone",
        "place",
        "home",
    )
)
_SENTENCES: Final = {
    "doctor": _DOCTOR,
    "number": _NUMBER,
    "born": _BORN,
    "seen": _SEEN,
    "phone": _PHONE,
    "mail": _MAIL,
    "place": _PLACE,
    "home": _HOME,
}


def _name(of: Name, draw: random.Random) -> tuple[str, str]:
    text, label = names.written(of, draw)
    return text.replace("\r\n", " "), label


def said(carrier: str, who: Name, other: Name, patient_id: str, draw: random.Random) -> Said:
    """Return what somebody writes.

    Args:
        carrier: Of ``CARRIERS``.
        who: The patient.
        other: A physician.
        patient_id: The patient's.
        draw: Where chance comes from.

    """
    if carrier == "application":
        return _title(who, draw)
    mention = draw.choice(_MENTIONS)
    kind, alone = mention.split()[0], "alone" in mention
    if kind == "patient":
        left, label = _name(who, draw)
        return Said(draw.choice(_PATIENT).format(left), left, f"{mention}; {label}", ("", ""))
    if kind == "doctor":
        left, label = _name(other, draw)
        keyword = draw.choice(("ReferringPhysicianName", "OperatorsName", "RequestingPhysician", "PhysiciansOfRecord"))
        also = (keyword, other.text)
    else:
        value, also = _mentioned(kind, patient_id, draw)
        left, label = value.left, value.label
    text = draw.choice(_SENTENCES[kind]).format(left)
    return Said(text, left, f"{mention}; {label}", ("", "") if alone else also)


def _mentioned(kind: str, patient_id: str, draw: random.Random) -> tuple[values.Value, tuple[str, str]]:
    """Return a value that is no name, and the attribute that holds it, too."""
    if kind == "number":
        value, own = values.made("identifier", draw, "")
        keyword = draw.choice(("PatientID", "AccessionNumber", "StudyID", "AdmissionID", "OtherPatientIDs"))
        if keyword == "PatientID":
            label = draw.choice(list(values.NUMBERS))
            return values.Value(patient_id, values.NUMBERS[label](patient_id), label), ("", "")
        return value, (keyword, own)
    if kind in {"born", "seen"}:
        value, day = values.made("date", draw, "")
        keyword = "PatientBirthDate" if kind == "born" else draw.choice(("StudyDate", "AcquisitionDate"))
        return value, (keyword, f"{day:%Y%m%d}")
    if kind == "mail":
        name = draw.choice(("p.quillfeather", "praxis", "k.ostrander7", "anna-lena.z", "cdi_sur"))
        mail = f"{name}@{draw.choice(('larkspur.example', 'web.example', 'chu-nord.example'))}"
        return values.Value(mail, mail, "as is"), ("", "")
    of = {
        "phone": ("phone", "PatientTelephoneNumbers"),
        "place": ("institution", "InstitutionName"),
        "home": ("address", "PatientAddress"),
    }
    value, own = values.made(of[kind][0], draw, "")
    return value, (of[kind][1], re.sub(r"\r\n", ", ", own))


def _title(who: Name, draw: random.Random) -> Said:
    """Return the title of an application that names the patient's or a place's own words."""
    if draw.random() < 0.3 and names.plain(who.family).isascii() and 4 <= len(who.family) <= 10:
        word, also = re.sub(r"\W", "", names.plain(who.family)).upper(), ("", "")
    else:
        word = draw.choice(_SHORT_PLACES)
        also = (draw.choice(("InstitutionName", "InstitutionalDepartmentName")), f"{word.title()} Clinic")
    title = draw.choice(_TITLES).format(word)[:16]
    return Said(title, draw.choice((title, word)), "title", also)
