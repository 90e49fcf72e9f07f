"""What NCMEC checks of the XML that it gets, written down a second time and apart from what hashmatch writes by.

The schema says more; where the directory in HASHMATCH_EXTRA_DATA has it, the simulator asks that as well.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from lxml import etree

SEQUENCES: dict[str, list[str]] = {
    "report": [
        "batchedReport", "incidentSummary", "internetDetails", "lawEnforcement", "reporter", "personOrUserReported",
        "intendedRecipient", "victim", "additionalInfo",
    ],
    "incidentSummary": [
        "incidentType", "platform", "escalateToHighPriority", "reportAnnotations", "incidentDateTime",
        "incidentDateTimeDescription",
    ],
    "reporter": ["reportingPerson", "contactPerson", "companyTemplate", "termsOfService", "legalURL"],
    "reportingPerson": ["firstName", "lastName", "phone", "email", "address", "age", "dateOfBirth"],
    "personOrUserReportedPerson": ["firstName", "lastName", "phone", "email", "address", "age", "dateOfBirth"],
    "webPageIncident": ["url", "additionalInfo"],
    "personOrUserReported": [
        "personOrUserReportedPerson", "vehicleDescription", "espIdentifier", "espService", "compromisedAccount",
        "screenName", "displayName", "profileUrl", "profileBio", "ipCaptureEvent", "deviceId",
        "thirdPartyUserReported", "priorCTReports", "groupIdentifier", "accountTemporarilyDisabled",
        "accountPermanentlyDisabled", "estimatedLocation", "allEmailsReported", "associatedAccount", "additionalInfo",
    ],
    "ipCaptureEvent": ["ipAddress", "eventName", "dateTime", "possibleProxy", "port"],
    "fileDetails": [
        "reportId", "fileId", "fileName", "originalFileName", "uploadedToEspTimestamp", "locationOfFile",
        "fileViewedByEsp", "exifViewedByEsp", "publiclyAvailable", "fileRelevance", "potentialMeme",
        "fileAnnotations", "industryClassification", "originalFileHash", "ipCaptureEvent", "deviceId", "details",
        "additionalInfo",
    ],
}  # fmt: skip
NEEDED = {
    "report": {"incidentSummary", "reporter"},
    "incidentSummary": {"incidentType", "incidentDateTime"},
    "reporter": {"reportingPerson"},
    "reportingPerson": {"email"},
    "ipCaptureEvent": {"ipAddress"},
    "fileDetails": {"reportId", "fileId"},
}
PRESENT_OR_NOT = {"reportAnnotations", "fileAnnotations"}
NOT_IN_A_BATCH = {"internetDetails", "lawEnforcement", "intendedRecipient", "victim", "additionalInfo"}
NOT_OF_A_BATCHED_FILE = {
    "fileName", "originalFileName", "locationOfFile", "originalFileHash", "ipCaptureEvent", "details", "additionalInfo",
}  # fmt: skip


def faults(root: etree._Element, schema: Path | None = None) -> Iterator[str]:
    """Yield what NCMEC would answer 4100 for."""
    for element in root.iter():
        name, children = str(element.tag), [str(child.tag) for child in element]
        if name in PRESENT_OR_NOT:
            yield from (f"{child.tag!r} is not true" for child in element if child.text not in {None, "true"})
        elif name in SEQUENCES and children:
            places = [SEQUENCES[name].index(child) if child in SEQUENCES[name] else -1 for child in children]
            if -1 in places or places != sorted(places):
                yield f"{name}: children in disorder: {children}"
            if missing := NEEDED.get(name, set()) - set(children):
                yield f"{name}: missing {missing}"
    yield from rules(root)
    if schema is not None:
        checked = etree.XMLSchema(etree.parse(schema))
        if not checked.validate(root):
            yield f"schema: {checked.error_log[0].message}"


def rules(root: etree._Element) -> Iterator[str]:
    """Yield rules that are in NCMEC's prose and in no schema."""
    if root.findtext("exifViewedByEsp") == "true" and root.findtext("fileViewedByEsp") != "true":
        yield "metadata viewed of a file that was not"
    if root.findtext("fileRelevance") == "Supplemental Reported" and root.find("industryClassification") is not None:
        yield "a supplemental file is classified"
    if root.find("batchedReport") is None:
        if len(root.findall("personOrUserReported")) > 1:
            yield "several people, and no batch"
        return
    yield from (f"{child.tag} in a batch" for child in root if child.tag in NOT_IN_A_BATCH)
    if root.find("incidentSummary/escalateToHighPriority") is not None:
        yield "a batch is escalated"
    for one in root.findall("personOrUserReported"):
        if [child.tag for child in one] != ["espIdentifier"]:
            yield "a batch says more of a person than an identifier"


def batched_file_faults(root: etree._Element) -> Iterator[str]:
    """Yield what is wrong with the details of a batch's file."""
    yield from (f"{child.tag} of a batched file" for child in root if child.tag in NOT_OF_A_BATCHED_FILE)
    if root.find("fileAnnotations/viral") is None and root.find("fileAnnotations/potentialMeme") is None:
        yield "a batched file is neither viral nor a potential meme"
    if root.findtext("fileRelevance") != "Reported":
        yield "a batched file is not what is reported"
