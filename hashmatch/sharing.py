"""What MISP events and STIX bundles of hashmatch have in common, whether they hold a hash set or a report.

Theory of operation
-------------------
Neither format has a perceptual hash (reference formats §3.9), so both need words of our own: object templates in MISP,
an extension definition in STIX. Whoever reads them keys on their ids, so each is stated once, here, and used by
``exchange``, which writes sets, and by ``projections``, which write reports. Ids of what is written are made from what
it is (RFC 9562 §5.5), so that what is written again speaks of the same things.

No attribute of a MISP object is for intrusion detection (``to_ids``), and none is correlated: values of these lists
must not show up beside other events.

What this module deliberately does not do: it knows neither entries nor cases, and writes no file.
"""

from __future__ import annotations

import datetime as dt
import types
import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from hashmatch.model import HarmDomain

MISP_NAMESPACE: Final = uuid.UUID("5f0d8a2b-1c64-4e7b-8d2e-94c3a7b61f08")
"""Of ids in MISP events that are made from what they name."""

FILE: Final = "file"
PERCEPTUAL: Final = "perceptual-hash"
ENTRY: Final = "hashmatch-entry"
REPORT: Final = "report"

TEMPLATES: Final[Mapping[str, tuple[str, str, str]]] = types.MappingProxyType(
    {
        FILE: ("688c46fb-5edb-40a3-8273-1af7923e2215", "25", "file"),
        PERCEPTUAL: (str(uuid.uuid5(MISP_NAMESPACE, PERCEPTUAL)), "1", "file"),
        ENTRY: (str(uuid.uuid5(MISP_NAMESPACE, ENTRY)), "1", "misc"),
        REPORT: ("70a68471-df22-4e3f-aa1a-5a3be19f82df", "8", "misc"),
    }
)
"""Of objects by name: UUID, version and category of the template. ``file`` and ``report`` are MISP's own."""

TAGS: Final = ("tlp:amber+strict", "PAP:RED")
"""Of every event: for the recipient's organisation only, and not to be acted on where its author could see it."""

DOMAIN_TAGS: Final[Mapping[HarmDomain, tuple[str, ...]]] = types.MappingProxyType(
    {
        HarmDomain.CSAM: (
            'dark-web:topic="child-sexual-abuse-material"',
            'content-classification:illegal-markets="child-abuse-material"',
        ),
        HarmDomain.NCII: (
            'dark-web:topic="pornography-illicit-or-illegal"',
            'content-classification:illegal-markets="illicit-pornography-excluding-csam"',
        ),
        HarmDomain.TVEC: (
            'dark-web:topic="extremism"',
            'content-classification:geopolitics-and-hacktivism="extremist"',
        ),
        HarmDomain.IPR: ('content-classification:illegal-markets="counterfeiting"',),
        HarmDomain.WEAPONS: ('dark-web:topic="weapons"', 'content-classification:illegal-markets="weapons"'),
        HarmDomain.DRUGS: ('dark-web:topic="drugs-narcotics"', 'content-classification:illegal-markets="drugs"'),
    }
)
"""What an event is about, for the domains that MISP's taxonomies have a word for; the others have none."""

STIX_NAMESPACE: Final = uuid.UUID("8a7d6c3e-52b1-4f0e-9c34-0b6d1f2e7a55")
"""Of ids in STIX bundles that are made from what they name."""

ENTRY_EXTENSION: Final = "extension-definition--8e16fbf8-8ade-5699-9c9f-65f9efe7542f"
MATCH_EXTENSION: Final = f"extension-definition--{uuid.uuid5(STIX_NAMESPACE, 'perceptual match')}"

_EXTENSIONS: Final[Mapping[str, tuple[str, str, str]]] = types.MappingProxyType(
    {
        ENTRY_EXTENSION: (
            "hashmatch entry",
            "entry: an object as hashmatch's docs/reference/hashsets.md describes it under JSON Lines",
            "2026-11-27T00:00:00.000Z",
        ),
        MATCH_EXTENSION: (
            "hashmatch perceptual match",
            "what hashmatch's docs/guide/reporting.md describes under STIX: perceptual_hashes and what they met",
            "2026-11-28T00:00:00.000Z",
        ),
    }
)
"""Id to name, schema and when it was defined."""

_DEFINED: Final = "2026-11-27T00:00:00.000Z"
"""When identities were: a constant, so that those of one name are equal in every bundle."""

TLP_AMBER_STRICT: Final = "marking-definition--939a9414-2ddd-4d32-a0cd-375ea402b003"
"""TLP 2.0, https://github.com/oasis-open/cti-stix-common-objects."""

PATTERN_NAMES: Final[Mapping[str, str]] = types.MappingProxyType({"md5": "MD5", "sha1": "SHA-1", "sha256": "SHA-256"})
"""Our digests by STIX's names (STIX 2.1 §10.7)."""

OWN_PATTERN: Final = "hashmatch"
"""Language of the patterns of what has no digest; others pass over it."""


def misp_object(name: str, about: str, attributes: Sequence[Mapping[str, Any]], *, deleted: bool) -> dict[str, Any]:
    """Return an object whose id is made from its name and ``about``."""
    template, version, category = TEMPLATES[name]
    return {
        "name": name,
        "meta-category": category,
        "template_uuid": template,
        "template_version": version,
        "uuid": str(uuid.uuid5(MISP_NAMESPACE, f"{name} {about}")),
        "distribution": "5",
        "deleted": deleted,
        "Attribute": attributes,
    }


def misp_attribute(relation: str, kind: str, value: str, category: str = "Other") -> dict[str, Any]:
    """Return an attribute that is neither for detection nor for correlation."""
    return {
        "object_relation": relation,
        "type": kind,
        "category": category,
        "value": value,
        "to_ids": False,
        "disable_correlation": True,
    }


def misp_references(first: Mapping[str, Any], others: Iterable[Mapping[str, Any]]) -> list[dict[str, str]]:
    """Return what makes one object refer to others."""
    return [
        {"object_uuid": first["uuid"], "referenced_uuid": other["uuid"], "relationship_type": "characterized-by"}
        for other in others
    ]


def stix_moment(at: dt.datetime) -> str:
    """Return a time as STIX writes it: UTC, milliseconds."""
    return at.astimezone(dt.UTC).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def stix_id(kind: str, about: str) -> str:
    """Return an id that is made from what it names."""
    return f"{kind}--{uuid.uuid5(STIX_NAMESPACE, about)}"


def stix_identity(name: str) -> dict[str, Any]:
    """Return the organisation of a name, the same in every bundle."""
    return {
        "type": "identity",
        "spec_version": "2.1",
        "id": stix_id("identity", name),
        "created": _DEFINED,
        "modified": _DEFINED,
        "name": name,
        "identity_class": "organization",
    }


def stix_extension(extension: str, identity: str) -> dict[str, Any]:
    """Return the definition of one of our extensions."""
    name, schema, defined = _EXTENSIONS[extension]
    return {
        "type": "extension-definition",
        "id": extension,
        "spec_version": "2.1",
        "created": defined,
        "modified": defined,
        "created_by_ref": identity,
        "name": name,
        "schema": schema,
        "version": "1.0.0",
        "extension_types": ["property-extension"],
    }


def stix_pattern(hashes: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Return pattern and its language for hashes, given as algorithm and hex: the digests, which anybody can compare.

    A pattern can only ask for equality, which says nothing of a perceptual hash; of hashes without a digest among them
    the pattern lists all, in a language of our own.
    """
    digests = [
        f"file:hashes.{_quoted(PATTERN_NAMES[name])} = '{text}'" for name, text in hashes if name in PATTERN_NAMES
    ]
    if digests:
        return {"pattern": f"[{' OR '.join(digests)}]", "pattern_type": "stix"}
    return {"pattern": " OR ".join(f"{name}:{text}" for name, text in hashes) or "none", "pattern_type": OWN_PATTERN}


def _quoted(name: str) -> str:
    return f"'{name}'" if "-" in name else name
