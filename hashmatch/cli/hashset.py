"""``hashmatch hashset``: hash sets in the embedded catalog, by hand.

Theory of operation
-------------------
Every command opens the catalog in the data directory, calls one of its methods and prints what that returned. A server
that runs on the same data directory follows the catalog, so a withdrawal made here stops matching there within
``index.poll_ms``. Only ``create`` and ``import --create`` make a catalog: a mistyped ``--data`` is an error everywhere
else rather than an empty answer.

What this module deliberately does not do: it parses no list (``exchange`` does), and it deletes nothing; neither can
the catalog.
"""

from __future__ import annotations

import getpass
import itertools
import os
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import click

from hashmatch.cli import author, diff, keys, list_formats, sync, transfer, vote
from hashmatch.cli.options import GlobalOptions, Group, example, pass_options
from hashmatch.cli.output import Cell, Output, Results, Styled
from hashmatch.errors import BadInput, ExitCode
from hashmatch.model import Entry, EntryStatus, HarmDomain, HashSet, Opinion, SetMode

if TYPE_CHECKING:
    from hashmatch.catalog.relational import RelationalCatalog

SET_FIELDS: Mapping[str, str] = MappingProxyType(
    {
        "name": "what people type",
        "set_id": "identity, assigned by the catalog and never reused",
        "harm_domain": "what the set is about; decides where a report may go",
        "owner": "who answers for the set",
        "source": "where it comes from",
        "jurisdiction": "ISO 3166 code or free text",
        "terms": "conditions of use",
        "description": "free text",
        "mode": "`enforced`; `shadow`: hits are reported and never change a verdict; `allow`: they suppress other hits",
        "version": "grows by one with every committed change",
        "entries": "entries that are not withdrawn",
        "withdrawn": "entries that are",
        "created_at": "RFC 3339 in UTC",
        "list_version": "what the last import said of the version of its list",
        "received_at": "when an import last changed the set; null before the first",
    }
)
"""Keys of a set in ``list --json``, ``show --json`` and of what changed a set."""

ENTRY_FIELDS: Mapping[str, str] = MappingProxyType(
    {
        "entry_id": "identity within the set",
        "status": "`active`, `disputed`, `quarantined` or `withdrawn`",
        "status_reason": "why it is not active",
        "hashes": "`algorithm`, `value` (hex), `quality` and `view` of each hash",
        "labels": "classifications: `scheme`, `version`, `value`",
        "source": "where the entry comes from",
        "list_version": "version of the list it came with",
        "external_id": "its name there",
        "terms": "conditions of use of this entry; empty where those of the set hold",
        "jurisdiction": "likewise",
        "received_at": "when this catalog took it in",
        "opinions": "those that hold: `who`, `stance` (`agree` or `disagree`), `reason`, `at`, `algorithm`",
    }
)
"""Keys of an entry in ``show --entries N --json``."""

EVENT_FIELDS: Mapping[str, str] = MappingProxyType(
    {
        "at": "when, RFC 3339 in UTC",
        "actor": "who",
        "reason": "why",
        "before": "status or, of a vote, stance (of an entry) or mode (of a set) before; empty for the first",
        "after": "status, stance or mode after",
        "set_version": "version of the set that this made",
        "who": "of a vote, whose opinion it is; empty otherwise",
        "algorithm": "of a vote, which hash is meant; empty for the whole entry",
        "said_at": "of a vote, when it was given; null otherwise",
    }
)
"""Keys of an event in ``history --json``."""

MODES = "enforced (default): hits give verdicts; shadow: they are reported; allow: they suppress other hits."
_SET_COLUMNS = ("name", "domain", "mode", "version", "entries", "withdrawn", "owner", "source")
_ENTRY_COLUMNS = ("entry", "status", "hashes", "labels", "source", "terms", "opinions")
_STATUS_STYLES = MappingProxyType(
    {
        EntryStatus.ACTIVE: "green",
        EntryStatus.DISPUTED: "yellow",
        EntryStatus.QUARANTINED: "magenta",
        EntryStatus.WITHDRAWN: "red",
    }
)

domain_option = click.option(
    "--domain", type=click.Choice([domain.value for domain in HarmDomain]), help="What the set is about."
)


def _path_option(*names: str, **attributes: Any) -> Callable[[Any], Any]:
    return click.option(*names, type=click.Path(path_type=Path), metavar="FILE", **attributes)


def open_catalog(options: GlobalOptions, *, make: bool = False) -> RelationalCatalog:
    """Open the catalog that the configuration names; ``make`` creates it (and the data directory) when there is none.

    Raises
    ------
    BadInput
        When there is none and ``make`` is False.
    BadConfig
        When the configuration is not valid.
    CatalogCorrupt, CatalogUnavailable
        When it cannot be used.

    """
    config = options.load_config().catalog
    if make and not config.url:
        options.make_data_dir()

    from hashmatch.catalog.opening import open_catalog as open_configured

    return open_configured(config, options.data_dir, make=make)


@click.group(cls=Group)
def hashset() -> None:
    """Create, fill, look at and correct hash sets in the embedded catalog."""


@hashset.command("create", epilog=example("hashmatch hashset create known --domain csam --owner 'Example hotline'"))
@click.argument("name")
@domain_option
@click.option("--owner", default="", help="Who answers for the set.")
@click.option("--source", default="", help="Where it comes from.")
@click.option("--jurisdiction", default="", help="ISO 3166 code or free text.")
@click.option("--terms", default="", help="Conditions of use, e.g. stop_transmission_only.")
@click.option("--description", default="", help="Free text.")
@click.option("--mode", type=click.Choice([mode.value for mode in SetMode]), help=MODES)
@click.option("--shadow", is_flag=True, help="The same as --mode shadow.")
@pass_options
def create(
    options: GlobalOptions, /, name: str, domain: str | None, mode: str | None, *, shadow: bool, **details: str
) -> ExitCode:
    """Make an empty set.

    --domain is required: it decides where a report of a match may go, and of an allow set, which hits it suppresses.
    """
    if domain is None:
        raise click.MissingParameter(param_hint="'--domain'", param_type="option")
    if shadow and mode not in {None, SetMode.SHADOW}:
        raise BadInput(f"--shadow and --mode {mode} are two answers to one question; give one of them", field="mode")
    output = Output(options)
    chosen = SetMode.SHADOW if shadow else SetMode(mode or SetMode.ENFORCED)
    with open_catalog(options, make=True) as catalog:
        print_sets(output, catalog.create_set(name, HarmDomain(domain), mode=chosen, **details))
    return ExitCode.CLEAN


@hashset.command(
    "import",
    epilog=example(
        "hashmatch hashset import known list.csv --domain csam --create",
        "hashmatch hash photos/ --json | hashmatch hashset import known - --format jsonl",
        "hashmatch hashset import known list.csv --rejected rejected.jsonl",
    ),
)
@click.argument("name")
@click.argument("file")
@click.option(
    "--format", "format_name", default="auto", show_default=True, metavar="NAME", help="One of `hashset formats`."
)
@click.option("--option", "format_options", multiple=True, metavar="NAME=VALUE", help="Of the format; repeatable.")
@domain_option
@click.option("--create", "make", is_flag=True, help="Make the set when there is none; needs --domain.")
@click.option("--rejected", metavar="FILE", help="Write every rejected row there, as JSON Lines.")
@_path_option("--manifest", help="The list's signed manifest; default: FILE.manifest.json where there is one.")
@_path_option("--issuer-key", help="Public key of who signs; kept for this set from then on.")
@click.option("--unsigned", is_flag=True, help="Do not look at a manifest, even if the set takes signed lists only.")
@click.option("--accept-gap", is_flag=True, help="Take a full list although releases before it were not seen.")
@_path_option("--identity", help="Decrypt the list with the age identity in this file.")
@pass_options
def import_(
    options: GlobalOptions,
    /,
    name: str,
    file: str,
    *,
    format_name: str,
    format_options: tuple[str, ...],
    domain: str | None,
    make: bool,
    rejected: str | None,
    **trust: Any,
) -> ExitCode:
    """Add or update the entries of a set from FILE (- is standard input), all in one transaction.

    The format is recognised by what is in the file; a file compressed with gzip is unpacked. CSV needs a header with
    the columns algorithm and value; quality, entry_id, labels, source and others are optional. The output of
    `hashmatch hash --json` can be imported as it is. Rows that are refused do not keep the others out.

    A list with a manifest is verified first: signature, digest, and that it follows what was imported before. The key
    is named once; afterwards the set takes lists signed with it only.

    Exit codes: 0 all rows taken, 3 some were rejected, 2 nothing could be read, 5 the list does not verify.
    """
    from hashmatch.cli.signed import Trust

    with open_catalog(options, make=make) as catalog:
        target = transfer.Target(name, HarmDomain(domain) if domain else None, make=make)
        notation = transfer.Notation(format_name, format_options)
        return transfer.import_file(
            catalog, target, file, Output(options), notation=notation, rejected_file=rejected, trust=Trust(**trust)
        )


hashset.add_command(author.author)
hashset.add_command(diff.diff)
hashset.add_command(keys.keygen)
hashset.add_command(keys.manifest)
hashset.add_command(list_formats.formats)
hashset.add_command(sync.sync)
hashset.add_command(vote.vote)


@hashset.command(
    "export",
    epilog=example(
        "hashmatch hashset export known --format csv --output known.csv",
        "hashmatch hashset export known | gzip > known.jsonl.gz",
        "hashmatch hashset export known --output known.jsonl --sign hotline.key",
    ),
)
@click.argument("name")
@click.option("--format", "format_name", default="jsonl", show_default=True, metavar="NAME", help="Format.")
@click.option("--output", "file", default="-", show_default=True, metavar="FILE", help="- is standard output.")
@_path_option("--sign", "signing_key", help="Write FILE.manifest.json too, signed with this key (hashset keygen).")
@click.option("--issuer", default="", metavar="TEXT", help="Who signs; default: the set's owner.")
@_path_option("--since", help="Only what changed since the release of this earlier manifest of yours.")
@click.option("--encrypt-to", "recipients", multiple=True, metavar="KEY", help="age recipient, or a file of them.")
@pass_options
def export(options: GlobalOptions, /, name: str, format_name: str, file: str, **seal: Any) -> ExitCode:
    """Write every entry of a set, withdrawn ones included, as of one version.

    jsonl, stix and misp carry an entry whole. Of any other format it is said what could not be carried, and how often;
    withdrawn and disputed entries are left out where the format cannot call them so. `hashset formats` lists them. A
    file appears under its name only when it is complete. With --sign a manifest is written beside it: which set and
    version, which one came before, how much is in it, and the digest of the list.

    Exit codes: 0 all entries written, 3 some were left out, 2 bad input.
    """
    from hashmatch.cli.signed import Seal

    with open_catalog(options) as catalog:
        return transfer.export_file(catalog, name, file, Output(options), format_name=format_name, seal=Seal(**seal))


@hashset.command("list", epilog=example("hashmatch hashset list --json"))
@pass_options
def list_(options: GlobalOptions) -> ExitCode:
    """List the sets."""
    output = Output(options)
    with open_catalog(options) as catalog:
        sets = catalog.sets()
    print_sets(output, *sets)
    if not sets:
        output.remark("no hash sets yet; `hashmatch hashset create NAME --domain DOMAIN` makes one")
    return ExitCode.CLEAN


@hashset.command(
    "show", epilog=example("hashmatch hashset show known --entries 20", "hashmatch hashset show known a1b2")
)
@click.argument("name")
@click.argument("entry", required=False)
@click.option("--entries", default=0, type=click.IntRange(min=0), metavar="N", help="Also print the first N entries.")
@pass_options
def show(options: GlobalOptions, name: str, entry: str | None, entries: int) -> ExitCode:
    """Print a set, and of its entries the one named ENTRY or, with --entries, the first."""
    if entry is not None and entries:
        raise click.UsageError("give either ENTRY or --entries")
    output = Output(options)
    with open_catalog(options) as catalog:
        print_sets(output, catalog.get_set(name))
        if entry is not None:
            found = catalog.get_entry(name, entry)
            with output.results(*_ENTRY_COLUMNS) as results:
                _print_entry(results, found)
            for opinion in found.opinions:
                output.remark(_in_words(opinion))
        elif entries:
            with catalog.entries(name) as stream, output.results(*_ENTRY_COLUMNS) as results:
                for item in itertools.islice(stream, entries):
                    _print_entry(results, item)
    return ExitCode.CLEAN


@hashset.command("mode", epilog=example("hashmatch hashset mode trial shadow --reason 'two weeks of trial'"))
@click.argument("name")
@click.argument("mode", type=click.Choice([mode.value for mode in SetMode]))
@click.option("--reason", required=True, metavar="TEXT", help="Why; kept with the set.")
@click.option("--by", "actor", metavar="WHO", help="Who decides; default: the user's login name.")
@pass_options
def mode_(options: GlobalOptions, name: str, mode: str, reason: str, actor: str | None) -> ExitCode:
    """Let the hits of a set change verdicts (enforced), only be reported (shadow), or suppress other hits (allow).

    From enforced to allow or back a set goes by way of shadow: each step would turn every verdict around.
    """
    with open_catalog(options) as catalog:
        changed = catalog.set_mode(name, SetMode(mode), reason=reason, actor=actor or login_name())
    print_sets(Output(options), changed)
    return ExitCode.CLEAN


@hashset.command("history", epilog=example("hashmatch hashset history known a1b2", "hashmatch hashset history known"))
@click.argument("name")
@click.argument("entry", required=False)
@pass_options
def history(options: GlobalOptions, name: str, entry: str | None) -> ExitCode:
    """Print who decided what of an entry, when and why; without ENTRY, of the set itself."""
    from hashmatch.report.json import moment_to_json

    output = Output(options)
    with open_catalog(options) as catalog, output.results(*EVENT_FIELDS) as results:
        for event in catalog.history(name, entry):
            at, said_at = moment_to_json(event.at), moment_to_json(event.said_at)
            record = {field: getattr(event, field) for field in EVENT_FIELDS} | {"at": at, "said_at": said_at}
            results.add(record, *record.values())
    return ExitCode.CLEAN


def login_name() -> str:
    """Return who is typing, as far as the operating system knows."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # KeyError before Python 3.13: a container's user id need not have a name
        return f"uid {os.getuid()}"


def _add_decision(decision: str, explained: str) -> None:
    """Declare one of the four decisions about an entry; they differ in nothing but the catalog's method."""

    @hashset.command(
        decision,
        help=explained,
        epilog=example(f"hashmatch hashset {decision} known a1b2 --reason 'case 17' --by 'J. Doe'"),
    )
    @click.argument("name")
    @click.argument("entry")
    @click.option("--reason", required=True, metavar="TEXT", help="Why; kept with the entry.")
    @click.option("--by", "actor", metavar="WHO", help="Who decides; default: the user's login name.")
    @pass_options
    def decide(options: GlobalOptions, name: str, entry: str, reason: str, actor: str | None) -> ExitCode:
        with open_catalog(options) as catalog:
            method: Callable[..., HashSet] = getattr(catalog, decision)
            changed = method(name, entry, reason=reason, actor=actor or login_name())
        print_sets(Output(options), changed)
        return ExitCode.CLEAN


_add_decision("withdraw", "Stop an entry from matching. The entry and the reason stay in the catalog.")
_add_decision("dispute", "Object to an entry: it is reported as a possible match at most until somebody has looked.")
_add_decision("quarantine", "Have an entry reported without changing a verdict, until somebody has looked.")
_add_decision("reinstate", "Take a dispute, a quarantine or a withdrawal back.")


def print_sets(output: Output, *sets: HashSet) -> None:
    """Print sets, one per line."""
    from hashmatch.report.json import hash_set_to_json

    with output.results(*_SET_COLUMNS) as results:
        for item in sets:
            cells: tuple[Cell, ...] = (item.version, item.entries, item.withdrawn, item.owner, item.source)
            results.add(hash_set_to_json(item), item.name, item.domain.value, item.mode.value, *cells)


def _print_entry(results: Results, entry: Entry) -> None:
    from hashmatch.report.json import entry_to_json

    hashes = ", ".join(f"{item.algorithm} {item.hex}" for item in entry.hashes)
    labels = ", ".join(f"{label.scheme}/{label.version}/{label.value}" for label in entry.labels)
    status = Styled(entry.status.value, _STATUS_STYLES[entry.status])
    stances = Counter(item.stance.value for item in entry.opinions)
    opinions = ", ".join(f"{count} {stance}" for stance, count in sorted(stances.items()))
    origin = entry.provenance
    cells = (entry.entry_id, status, hashes, labels, origin.source, origin.terms, opinions)
    results.add(entry_to_json(entry), *cells)


def _in_words(opinion: Opinion) -> str:
    what = f"its {opinion.algorithm}" if opinion.algorithm else "it"
    since = f" since {opinion.at.date().isoformat()}" if opinion.at else ""
    return f"{opinion.who} {opinion.stance}s with {what}{since}: {opinion.reason or 'no reason was given'}"
