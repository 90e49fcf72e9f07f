"""The vocabulary of the DSA Transparency Database, schema version 2, and what each harm domain is called in it.

Theory of operation
-------------------
Tables only. A harm domain has a category, further categories and keywords by default; what the provider says for itself
(labels of scheme ``dsa`` of the decision) takes the place of each of these. Which keyword belongs to which
category is advice in the documentation of the database and no rule of it, so it is none here.

What this module deliberately does not do: it converts no label of a list.

Source
------
Documentation of the DSA Transparency Database, schema in force since 2025-07-01; Regulation (EU) 2022/2065, Article 18
and recital 56.
"""

from __future__ import annotations

import datetime as dt
import types
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from hashmatch.model import HarmDomain
from hashmatch.model.cases import Account, AccountType, Automation, Monetary, Provision, Source, Visibility

SCHEME: Final = "dsa"
"""Scheme of the labels that carry these words."""

MAX_SHORT, MAX_EXPLANATION, MAX_FACTS, MAX_PUID, MAX_URL = 500, 2_000, 5_000, 500, 500
"""Characters."""
MAX_STATEMENTS: Final = 100
"""Statements of one batch."""
FIRST_CONTENT: Final = dt.date(2000, 1, 1)
FIRST_APPLICATION: Final = dt.date(2020, 1, 1)
LAST_END: Final = dt.date(2038, 1, 1)
"""What the database's 32-bit times can hold; later is said by saying nothing, which means for good."""


def _words(prefix: str, names: str) -> frozenset[str]:
    return frozenset(prefix + name for name in names.split())


_CATEGORY, _KEYWORD, _CONTENT = "STATEMENT_CATEGORY_", "KEYWORD_", "CONTENT_TYPE_"

CATEGORIES: Final = _words(
    _CATEGORY,
    "ANIMAL_WELFARE CONSUMER_INFORMATION CYBER_VIOLENCE CYBER_VIOLENCE_AGAINST_WOMEN "
    "DATA_PROTECTION_AND_PRIVACY_VIOLATIONS ILLEGAL_OR_HARMFUL_SPEECH INTELLECTUAL_PROPERTY_INFRINGEMENTS "
    "NEGATIVE_EFFECTS_ON_CIVIC_DISCOURSE_OR_ELECTIONS NOT_SPECIFIED_NOTICE OTHER_VIOLATION_TC "
    "PROTECTION_OF_MINORS RISK_FOR_PUBLIC_SECURITY SCAMS_AND_FRAUD SELF_HARM UNSAFE_AND_PROHIBITED_PRODUCTS "
    "VIOLENCE",
)
KEYWORD_OTHER: Final = "KEYWORD_OTHER"
KEYWORDS: Final = _words(
    _KEYWORD,
    "ADULT_SEXUAL_MATERIAL AGE_SPECIFIC_RESTRICTIONS AGE_SPECIFIC_RESTRICTIONS_MINORS ANIMAL_HARM "
    "BIOMETRIC_DATA_BREACH BULLYING_AGAINST_GIRLS CHILD_SEXUAL_ABUSE_MATERIAL CHILD_SEXUAL_ABUSE_MATERIAL_DEEPFAKE "
    "CONTENT_PROMOTING_EATING_DISORDERS COORDINATED_HARM COPYRIGHT_INFRINGEMENT CYBER_BULLYING_INTIMIDATION "
    "CYBER_HARASSMENT CYBER_HARASSMENT_AGAINST_WOMEN CYBER_INCITEMENT CYBER_STALKING CYBER_STALKING_AGAINST_WOMEN "
    "DATA_FALSIFICATION DEFAMATION DESIGN_INFRINGEMENT DISCRIMINATION FEMALE_GENDERED_DISINFORMATION "
    "GEOGRAPHIC_INDICATIONS_INFRINGEMENT GEOGRAPHICAL_REQUIREMENTS GOODS_SERVICES_NOT_PERMITTED "
    "GROOMING_SEXUAL_ENTICEMENT_MINORS HATE_SPEECH HIDDEN_ADVERTISEMENT HUMAN_EXPLOITATION HUMAN_TRAFFICKING "
    "ILLEGAL_ORGANIZATIONS IMPERSONATION_ACCOUNT_HIJACKING INAUTHENTIC_ACCOUNTS INAUTHENTIC_LISTINGS "
    "INAUTHENTIC_USER_REVIEWS INCITEMENT_AGAINST_WOMEN INCITEMENT_VIOLENCE_HATRED "
    "INSUFFICIENT_INFORMATION_ON_TRADERS LANGUAGE_REQUIREMENTS MISINFORMATION_DISINFORMATION "
    "MISLEADING_INFO_CONSUMER_RIGHTS MISLEADING_INFO_GOODS_SERVICES MISSING_PROCESSING_GROUND "
    "NON_CONSENSUAL_IMAGE_SHARING NON_CONSENSUAL_IMAGE_SHARING_AGAINST_WOMEN NON_CONSENSUAL_MATERIAL_DEEPFAKE "
    "NON_CONSENSUAL_MATERIAL_DEEPFAKE_AGAINST_WOMEN NONCOMPLIANCE_PRICING NUDITY PATENT_INFRINGEMENT PHISHING "
    "PROHIBITED_PRODUCTS PYRAMID_SCHEMES RIGHT_TO_BE_FORGOTTEN RISK_ENVIRONMENTAL_DAMAGE RISK_PUBLIC_HEALTH "
    "SELF_MUTILATION STALKING SUICIDE TERRORIST_CONTENT TRADE_SECRET_INFRINGEMENT TRADEMARK_INFRINGEMENT "
    "TRAFFICKING_WOMEN_GIRLS UNLAWFUL_SALE_ANIMALS UNSAFE_CHALLENGES UNSAFE_PRODUCTS VIOLATION_EU_LAW "
    "VIOLATION_NATIONAL_LAW OTHER",
)
CONTENT_TYPE_OTHER: Final = "CONTENT_TYPE_OTHER"
CONTENT_TYPES: Final = _words(_CONTENT, "APP AUDIO IMAGE PRODUCT SYNTHETIC_MEDIA TEXT VIDEO OTHER")
REMOVED: Final = frozenset(
    {
        _CATEGORY + "NON_CONSENSUAL_BEHAVIOUR",
        _CATEGORY + "PORNOGRAPHY_OR_SEXUALIZED_CONTENT",
        _CATEGORY + "SCOPE_OF_PLATFORM_SERVICE",
        _CATEGORY + "UNSAFE_AND_ILLEGAL_PRODUCTS",
        _KEYWORD + "REGULATED_GOODS_SERVICES",
        _KEYWORD + "DANGEROUS_TOYS",
    }
)
"""Words of version 1 that version 2 refuses."""

LANGUAGES: Final = _words(
    "",
    "AA AB AE AF AK AM AN AR AS AV AY AZ BA BE BG BH BI BM BN BO BR BS CA CE CH CO CR CS CU CV CY DA DE DV DZ EE EL EN "
    "EO ES ET EU FA FF FI FJ FO FR FY GA GD GL GN GU GV HA HE HI HO HR HT HU HY HZ IA ID IE IG II IK IO IS IT IU JA JV "
    "KA KG KI KJ KK KL KM KN KO KR KS KU KV KW KY LA LB LG LI LN LO LT LU LV MG MH MI MK ML MN MR MS MT MY NA NB ND NE "
    "NG NL NN NO NR NV NY OC OJ OM OR OS PA PI PL PS PT QU RM RN RO RU RW SA SC SD SE SG SI SK SL SM SN SO SQ SR SS ST "
    "SU SV SW TA TE TG TH TI TK TL TN TO TR TS TT TW TY UG UK UR UZ VE VI VO WA WO XH YI YO ZA ZH ZU",
)
"""ISO 639-1, in upper case."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What a statement is classified as; ``synthetic`` are the keywords of content that was made with AI."""

    category: str
    additions: tuple[str, ...] = ()
    keywords: tuple[str, ...] = ()
    synthetic: tuple[str, ...] = ()


_D = HarmDomain
_PRODUCTS: Final = _CATEGORY + "UNSAFE_AND_PROHIBITED_PRODUCTS"
_PROHIBITED: Final = _KEYWORD + "PROHIBITED_PRODUCTS"
DEFAULTS: Final[Mapping[HarmDomain, Terms]] = types.MappingProxyType(
    {
        _D.CSAM: Terms(
            _CATEGORY + "PROTECTION_OF_MINORS",
            keywords=(_KEYWORD + "CHILD_SEXUAL_ABUSE_MATERIAL",),
            synthetic=(_KEYWORD + "CHILD_SEXUAL_ABUSE_MATERIAL_DEEPFAKE",),
        ),
        _D.CSE_EXPLOITATIVE: Terms(_CATEGORY + "PROTECTION_OF_MINORS"),
        _D.NCII: Terms(
            _CATEGORY + "CYBER_VIOLENCE",
            keywords=(_KEYWORD + "NON_CONSENSUAL_IMAGE_SHARING",),
            synthetic=(_KEYWORD + "NON_CONSENSUAL_MATERIAL_DEEPFAKE",),
        ),
        _D.TVEC: Terms(_CATEGORY + "RISK_FOR_PUBLIC_SECURITY", keywords=(_KEYWORD + "TERRORIST_CONTENT",)),
        _D.THB: Terms(
            _CATEGORY + "VIOLENCE", keywords=(_KEYWORD + "HUMAN_TRAFFICKING", _KEYWORD + "HUMAN_EXPLOITATION")
        ),
        _D.WILDLIFE: Terms(
            _CATEGORY + "ANIMAL_WELFARE",
            additions=(_PRODUCTS,),
            keywords=(_KEYWORD + "UNLAWFUL_SALE_ANIMALS", _PROHIBITED),
        ),
        _D.IPR: Terms(_CATEGORY + "INTELLECTUAL_PROPERTY_INFRINGEMENTS"),
        _D.WEAPONS: Terms(_PRODUCTS, keywords=(_PROHIBITED,)),
        _D.DRUGS: Terms(_PRODUCTS, keywords=(_PROHIBITED,)),
    }
)
"""Domain to its terms; ``other`` has none, so whoever reports it has to say."""

VISIBILITY: Final[Mapping[Visibility, str]] = types.MappingProxyType(
    {
        Visibility.REMOVED: "DECISION_VISIBILITY_CONTENT_REMOVED",
        Visibility.DISABLED: "DECISION_VISIBILITY_CONTENT_DISABLED",
        Visibility.DEMOTED: "DECISION_VISIBILITY_CONTENT_DEMOTED",
        Visibility.AGE_RESTRICTED: "DECISION_VISIBILITY_CONTENT_AGE_RESTRICTED",
        Visibility.INTERACTION_RESTRICTED: "DECISION_VISIBILITY_CONTENT_INTERACTION_RESTRICTED",
        Visibility.LABELLED: "DECISION_VISIBILITY_CONTENT_LABELLED",
        Visibility.OTHER: "DECISION_VISIBILITY_OTHER",
    }
)
MONETARY: Final[Mapping[Monetary, str]] = types.MappingProxyType(
    {
        Monetary.SUSPENDED: "DECISION_MONETARY_SUSPENSION",
        Monetary.TERMINATED: "DECISION_MONETARY_TERMINATION",
        Monetary.OTHER: "DECISION_MONETARY_OTHER",
    }
)
PROVISION: Final[Mapping[Provision, str]] = types.MappingProxyType(
    {
        Provision.PARTLY_SUSPENDED: "DECISION_PROVISION_PARTIAL_SUSPENSION",
        Provision.PARTLY_TERMINATED: "DECISION_PROVISION_PARTIAL_TERMINATION",
        Provision.SUSPENDED: "DECISION_PROVISION_TOTAL_SUSPENSION",
        Provision.TERMINATED: "DECISION_PROVISION_TOTAL_TERMINATION",
    }
)
ACCOUNT: Final[Mapping[Account, str]] = types.MappingProxyType(
    {Account.SUSPENDED: "DECISION_ACCOUNT_SUSPENDED", Account.TERMINATED: "DECISION_ACCOUNT_TERMINATED"}
)
ACCOUNT_TYPE: Final[Mapping[AccountType, str]] = types.MappingProxyType(
    {AccountType.BUSINESS: "ACCOUNT_TYPE_BUSINESS", AccountType.PRIVATE: "ACCOUNT_TYPE_PRIVATE"}
)
SOURCE: Final[Mapping[Source, str]] = types.MappingProxyType(
    {
        Source.VOLUNTARY: "SOURCE_VOLUNTARY",
        Source.ARTICLE_16: "SOURCE_ARTICLE_16",
        Source.TRUSTED_FLAGGER: "SOURCE_TRUSTED_FLAGGER",
        Source.NOTICE: "SOURCE_TYPE_OTHER_NOTIFICATION",
    }
)
"""Without orders: Article 17(5) excepts them."""
AUTOMATION: Final[Mapping[Automation, str]] = types.MappingProxyType(
    {
        Automation.FULLY: "AUTOMATED_DECISION_FULLY",
        Automation.PARTIALLY: "AUTOMATED_DECISION_PARTIALLY",
        Automation.NOT: "AUTOMATED_DECISION_NOT_AUTOMATED",
    }
)

OFFENCES: Final[Mapping[HarmDomain, str]] = types.MappingProxyType(
    {
        _D.CSAM: "offences concerning sexual abuse and sexual exploitation of children (Directive 2011/93/EU)",
        _D.CSE_EXPLOITATIVE: "offences concerning sexual abuse and sexual exploitation of children "
        "(Directive 2011/93/EU)",
        _D.THB: "offences concerning trafficking in human beings (Directive 2011/36/EU)",
        _D.TVEC: "terrorist offences (Directive (EU) 2017/541)",
    }
)
"""Domain to the crime that recital 56 names."""
