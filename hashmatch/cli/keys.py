"""``hashmatch hashset keygen`` and ``hashset manifest``: keys for signed lists, and what a manifest says."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import click

from hashmatch.cli.files import opened_for_writing
from hashmatch.cli.options import Command, GlobalOptions, example, pass_options
from hashmatch.cli.output import Output
from hashmatch.errors import ExitCode

KEY_FIELDS: Mapping[str, str] = MappingProxyType(
    {
        "file": "the secret half, readable by its owner only",
        "public_file": "the half to give away",
        "kind": "`signing` (Ed25519) or `encryption` (age, X25519)",
        "key_id": "of a signing key: SHA-256 of its public half; of an encryption key: the recipient itself",
    }
)
"""Keys of the one row of ``keygen --json``."""

MANIFEST_FIELDS: Mapping[str, str] = MappingProxyType(
    {
        "verified": "whether the signature was checked with the key given, and is right",
        "format": "version of the manifest's own format",
        "issuer": "`name` and `key_id` of who signed",
        "set": "`name`, `harm_domain`, `terms` and `jurisdiction` of the set",
        "release": "`set_id`, `version`, `sequence`, `created_at` and `previous` (version and digest)",
        "kind": "`full`, or `delta`: what changed since a release",
        "since": "that release, of a delta",
        "content": "`format`, `sha256` and `size_bytes` of the list before encryption",
        "counts": "`entries` by status, `hashes` by algorithm",
    }
)
"""Keys of the one row of ``manifest --json``."""


@click.command(
    "keygen",
    cls=Command,
    epilog=example("hashmatch hashset keygen hotline.key", "hashmatch hashset keygen partner.age --encryption"),
)
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--encryption", is_flag=True, help="A key that lists are encrypted to, instead of one that signs them.")
@pass_options
def keygen(options: GlobalOptions, file: Path, *, encryption: bool) -> ExitCode:
    """Make a key pair: FILE to keep, FILE.pub to give away.

    Whoever gets the public half should compare its key id with you over another channel than the one it came by.
    """
    from hashmatch import signatures
    from hashmatch.exchange import sealing

    if encryption:
        secret, public = sealing.generate_identity()
        kind, key_id = "encryption", public
    else:
        key = signatures.SigningKey.generate()
        secret, public = key.to_pem(), key.verify_key.to_pem()
        kind, key_id = "signing", key.verify_key.key_id
    signatures.write_secret(file, secret.rstrip("\n") + "\n")
    public_file = file.with_name(f"{file.name}.pub")
    with opened_for_writing(str(public_file)) as stream:
        stream.write(public.rstrip("\n").encode() + b"\n")
    record = {"file": str(file), "public_file": str(public_file), "kind": kind, "key_id": key_id}
    with Output(options).results(*KEY_FIELDS) as results:
        results.add(record, *record.values())
    return ExitCode.CLEAN


@click.command(
    "manifest",
    cls=Command,
    epilog=example("hashmatch hashset manifest known.jsonl.manifest.json --issuer-key hotline.key.pub"),
)
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--issuer-key", type=click.Path(path_type=Path), metavar="FILE", help="Verify with this public key.")
@pass_options
def manifest(options: GlobalOptions, file: Path, issuer_key: Path | None) -> ExitCode:
    """Print what a manifest says of its list; with --issuer-key only if the signature is right.

    Exit codes: 0 printed, 2 the file is no manifest, 5 it does not verify.
    """
    from hashmatch import signatures
    from hashmatch.cli.signed import read_envelope
    from hashmatch.exchange import manifest as manifests

    output = Output(options)
    envelope = read_envelope(file)
    if issuer_key is None:
        read = manifests.read_unverified(envelope, str(file))
        output.remark(f"{file}: the signature was not checked; name the issuer's key with --issuer-key")
    else:
        read = manifests.open_envelope(envelope, signatures.load_verify_key(issuer_key), str(file))
    record = {"verified": issuer_key is not None, **manifests.to_json(read)}
    release = read.release
    with output.results("set", "version", "kind", "issuer", "key", "entries", "created") as results:
        results.add(
            record,
            read.set_name,
            release.version,
            read.kind.value,
            read.issuer,
            read.key_id[:16],
            sum(read.counts.entries.values()),
            release.created_at.isoformat(timespec="seconds"),
        )
    return ExitCode.CLEAN
