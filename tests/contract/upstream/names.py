"""The tests of Orthanc that call modify, anonymize or the bulk routes, and why some have no case here.

Source: orthanc-mirrors/orthanc-tests (Tests/Tests.py and NewTests, August 2026) and orthanc-mirrors/orthanc
(OrthancFramework/UnitTestsSources, OrthancServer/UnitTestsSources, 1.13.0); the page "Anonymization and modification"
of the Orthanc Book.

Public names: ``INTEGRATION``, ``UNIT``, ``BOOK``, ``NOT_APPLICABLE``.
"""

from __future__ import annotations

from typing import Final

INTEGRATION: Final = (
    "change_patient_id_case_in_patient_keep_source_false",
    "change_patient_id_case_in_patient_keep_source_true",
    "change_patient_id_case_in_study_keep_source_false",
    "change_patient_id_case_in_study_keep_source_true",
    "change_patient_id_when_patient_sex_is_empty",
    "change_patient_id_when_patient_sex_is_missing",
    "test_anonymize_instance",
    "test_anonymize_nested",
    "test_anonymize_relationships_1",
    "test_anonymize_relationships_2",
    "test_anonymize_relationships_3",
    "test_anonymize_relationships_4",
    "test_anonymize_relationships_5",
    "test_anonymize_relationships_5b",
    "test_anonymize_relationships_6",
    "test_anonymize_series",
    "test_anonymize_study",
    "test_bitbucket_issue_140",
    "test_bitbucket_issue_42",
    "test_bitbucket_issue_46",
    "test_bitbucket_issue_55",
    "test_bitbucket_issue_94",
    "test_bulk_content",
    "test_bulk_modify",
    "test_dicom_to_json_format",
    "test_find_patient_name_with_brackets_and_star",
    "test_find_patient_name_with_brackets_only",
    "test_incoming_findscu",
    "test_issue_146",
    "test_jobs_user_data",
    "test_mesterhazy_modification",
    "test_modify_attribute",
    "test_modify_instance",
    "test_modify_keep_source",
    "test_modify_need_force_to_change_uids",
    "test_modify_sequence",
    "test_modify_series",
    "test_modify_study",
    "test_modify_study_module_reconstruction",
    "test_modify_subsequences",
    "test_modify_transcode_instance",
    "test_modify_transcode_study",
    "test_modify_with_labels",
    "test_modifying_missing_patientid",
    "test_od_of_ol_array",
    "test_overwrite_generates_stable_study",
    "test_reconstruct",
    "test_rename_patient_almost_same_ids",
    "test_rename_patient_with_multiple_studies",
    "test_shanon",
    "test_shanon_2",
    "test_transcode_lossy_compression_ratio",
    "Authorization.test_authorization",
    "Concurrency.test_concurrent_anonymize_same_study",
    "PixelsMasker.test_pixels_masker",
    "WithIngestTranscoding.test_anonymize",
    "WithIngestTranscoding.test_modify",
)

UNIT: Final = (
    "DicomModification.Anonymization",
    "DicomModification.Basic",
    "DicomModification.DicomPath",
    "DicomModification.Png",
    "FromDcmtkBridge.Encodings3",
    "FromDcmtkBridge.VisitorRemoveTag",
    "JobsSerialization.DicomModification",
    "JobsSerialization.DicomModification2",
    "OrthancJobsSerialization.Jobs",
    "ParsedDicomFile.DicomPath",
    "ParsedDicomFile.InsertReplaceJson",
    "ParsedDicomFile.InsertReplaceStrings",
    "ParsedDicomFile.JsonEncoding",
    "ParsedDicomFile.MultipleFloatValue",
    "TestImages.PatternGrayscale8",
    "TestImages.PatternInt16",
    "TestImages.PatternRGB",
    "TestImages.PatternUint16",
    "Toolbox.EncodingsChinese3",
    "Toolbox.EncodingsJapaneseKanji",
    "Toolbox.EncodingsKorean",
    "Toolbox.EncodingsSimplifiedChinese2",
)

BOOK: Final = ("Book",)

_PARSER: Final = "about the images that a server makes, not about edits"
_SERIAL: Final = (
    "about how a server stores its own jobs; what a killed one does is in tests/contract/test_orthanc_killed.py"
)

NOT_APPLICABLE: Final = {
    "test_bulk_content": "about the route /tools/bulk-content, which deidflow only reads",
    "test_dicom_to_json_format": "about the forms of JSON in which a server shows elements",
    "test_incoming_findscu": "about DICOM queries to a server",
    "test_jobs_user_data": "UserData belongs to the route's own request, which deidflow makes",
    "Authorization.test_authorization": "about a plugin; what a server refuses is reported with its answer",
    "Concurrency.test_concurrent_anonymize_same_study": "a measurement of load without assertions on results",
    "PixelsMasker.test_pixels_masker": "about a plugin with a route of its own",
    "JobsSerialization.DicomModification": _SERIAL,
    "JobsSerialization.DicomModification2": _SERIAL,
    "OrthancJobsSerialization.Jobs": _SERIAL,
    "ParsedDicomFile.JsonEncoding": "about the JSON that a server shows; text in Replace is held by Encodings3",
    "TestImages.PatternGrayscale8": _PARSER,
    "TestImages.PatternInt16": _PARSER,
    "TestImages.PatternRGB": _PARSER,
    "TestImages.PatternUint16": _PARSER,
    "Book: split, merge": "other routes, which deidflow does not use",
}
