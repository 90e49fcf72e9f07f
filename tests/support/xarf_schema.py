"""What we hold XARF reports to: narrower than the schemas of the format, since we write only a part of it."""

from __future__ import annotations

from typing import Any, Final

import jsonschema

SCHEMA: Final[dict[str, Any]] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "additionalProperties": False,
    "required": ["xarf_version", "report_id", "timestamp", "reporter", "sender", "source_identifier", "url"],
    "properties": {
        "xarf_version": {"const": "4.2.0"},
        "report_id": {"pattern": "^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$"},
        "timestamp": {"$ref": "#/$defs/time"},
        "reporter": {"$ref": "#/$defs/who"},
        "sender": {"$ref": "#/$defs/who"},
        "source_identifier": {"type": "string", "minLength": 1},
        "category": {"const": "content"},
        "type": {"enum": ["csam", "csem"]},
        "evidence_source": {"enum": ["automated_scan", "user_report"]},
        "url": {"pattern": r"^https?://[!#-;=?-\[\]_a-z~]+$"},
        "domain": {"pattern": r"^([a-z0-9]+(-[a-z0-9]+)*\.)+[a-z]{2,}$"},
        "verified_at": {"$ref": "#/$defs/time"},
        "verification_method": {"enum": ["manual", "automated_crawler", "user_report"]},
        "evidence": {
            "maxItems": 1,
            "items": {
                "required": ["content_type", "payload", "hash", "size", "description"],
                "properties": {"content_type": {"const": "text/plain"}, "size": {"maximum": 5_242_880}},
            },
        },
        "tags": {"maxItems": 20, "items": {"pattern": "^[a-z0-9][a-z0-9_+-]*:[a-z0-9][a-z0-9_+-]*$"}},
        "classification": {"enum": ["baseline", "A1", "A2", "B1", "B2"]},
        "detection_method": {"enum": ["hash_match", "manual_review", "user_report", "law_enforcement_referral"]},
        "media_type": {"enum": ["image", "video", "audio", "text", "mixed"]},
        "hash_values": {
            "additionalProperties": False,
            "properties": {
                "md5": {"pattern": "^[0-9a-f]{32}$"},
                "sha1": {"pattern": "^[0-9a-f]{40}$"},
                "sha256": {"pattern": "^[0-9a-f]{64}$"},
            },
        },
        "ncmec_report_id": {"type": "string"},
        "content_removed": {"type": "boolean"},
        "account_suspended": {"type": "boolean"},
        "exploitation_type": {"const": "distribution"},
        "reporting_obligations": {"const": ["NCMEC"]},
    },
    "oneOf": [
        {"properties": {"type": {"const": "csam"}}, "required": ["classification", "detection_method"]},
        {"properties": {"type": {"const": "csem"}}, "required": ["exploitation_type", "detection_method"]},
    ],
    "$defs": {
        "time": {"pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3})?Z$"},
        "who": {
            "additionalProperties": False,
            "required": ["org", "contact", "domain"],
            "properties": {
                "org": {"maxLength": 200},
                "contact": {"pattern": "@"},
                "domain": {"pattern": "^[a-z0-9.-]+$"},
            },
        },
    },
}
VALIDATOR: Final = jsonschema.Draft202012Validator(SCHEMA)
