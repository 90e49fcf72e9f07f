"""Serve a simulated exchange with a few entries, to try a synchronisation against: see docs/guide/sync.md."""

from __future__ import annotations

import asyncio
import sys

from tests.support.exchanges.base import Exchange, served
from tests.support.exchanges.ncmec import Ncmec
from tests.support.exchanges.stopncii import StopNcii
from tests.support.exchanges.tat import Tat
from tests.support.exchanges.threatexchange import GROUP, ThreatExchange
from tests.support.syncing import OWN_NAMES, SECRETS

KINDS: dict[str, type[Exchange]] = {
    "ncmec": Ncmec,
    "threatexchange": ThreatExchange,
    "stopncii": StopNcii,
    "tat": Tat,
}
HELP = """Each line on standard input is something that happens at the exchange:
  put N | delete N | good N | bad N | time SECONDS | fault NAME"""


def settings(kind: str, exchange: Exchange) -> str:
    """Return the part of a configuration file that makes the exchange a source."""
    lines = [
        "[sync.sources.demo]",
        f'kind = "{kind}"',
        f'url = "{exchange.url}"',
        'environment = "test"',
        'set = "demo"',
        'domain = "other"',
        'credentials = "env:DEMO"',
    ]
    if own_name := OWN_NAMES.get(type(exchange)):
        lines.append(f'own_name = "{own_name}"')
    if kind == "threatexchange":
        lines.append(f'group = "{GROUP}"')
    return "\n".join(lines)


def happen(exchange: Exchange, line: str) -> None:
    """Let what a line says happen."""
    match line.split():
        case ["put", number]:
            exchange.put(int(number))
        case ["delete", number]:
            exchange.delete(int(number))
        case [("good" | "bad") as word, number]:
            exchange.say(int(number), good=word == "good")
        case ["time", seconds]:
            exchange.pass_time(int(seconds))
        case ["fault", name]:
            exchange.faults.append(name)
        case _:
            sys.stderr.write(HELP + "\n")


async def serve(kind: str, port: int) -> None:
    """Serve until standard input ends."""
    exchange = KINDS[kind]()
    for number in range(1, 8):
        exchange.put(number)
    async with served(exchange, port):
        sys.stdout.write(settings(kind, exchange) + "\n")
        sys.stdout.flush()
        for variable, text in SECRETS[type(exchange)].items():
            sys.stderr.write(f"export {variable.replace('X_', 'DEMO_', 1)}='{text}'\n")
        sys.stderr.write(HELP + "\n")
        while line := await asyncio.to_thread(sys.stdin.readline):
            happen(exchange, line)


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], int(sys.argv[2]) if sys.argv[2:] else 0))
