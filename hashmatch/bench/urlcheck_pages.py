"""The made-up web that the URL checker is measured on: hosts, pages, small pictures, and what must come of them.

Theory of operation
-------------------
A :class:`Web` is a number of hosts with as many pages each, and so many pictures on every page, all distinct: coarse
noise, enlarged, with grain, about 8 kB of JPEG. With ``shared`` the pictures of a host are the same on all its pages,
which is how a hundred thousand pages are served from little memory. Pictures are written to one file, which the process
of the site maps; everything else follows from the numbers.

What this module deliberately does not do: it serves nothing and starts nothing.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from hashmatch.progress import SILENT, Progress

SIDE_PX = 200
_COARSE_PX = 12
_GRAIN = 6.0
_JPEG_QUALITY = 75
PICTURES, INDEX, WEB = "pictures.bin", "pictures.npy", "web.json"


@dataclass(frozen=True, slots=True)
class Web:
    """So many hosts, pages of each, and pictures of each page; ``seed`` is what the pictures follow from."""

    hosts: int = 50
    pages: int = 10
    images: int = 10
    shared: bool = False
    seed: int = 1

    @property
    def pictures(self) -> int:
        """How many pictures there are."""
        return self.hosts * self.images * (1 if self.shared else self.pages)

    def host(self, number: int) -> str:
        """Name of a host."""
        return f"h{number}.bench.test"

    def page_paths(self) -> Iterator[tuple[int, str]]:
        """Yield host and path of each page, hosts in turns."""
        for page in range(self.pages):
            for host in range(self.hosts):
                yield host, f"/p/{page}"

    def picture_paths(self) -> Iterator[tuple[int, str, int]]:
        """Yield host, path and number of each picture."""
        number = 0
        for host in range(self.hosts):
            for page in range(1 if self.shared else self.pages):
                for image in range(self.images):
                    yield host, self.picture_path(page, image), number
                    number += 1

    def picture_path(self, page: int, image: int) -> str:
        """Path of a picture of a page."""
        return f"/i/{0 if self.shared else page}/{image}.jpg"

    def page(self, page: int) -> bytes:
        """HTML of a page; the same on each host."""
        shown = "".join(f'<p><img src="{self.picture_path(page, n)}" alt="{n}"></p>' for n in range(self.images))
        return f"<!doctype html><html><head><title>page {page}</title></head><body>{shown}</body></html>".encode()

    def urls(self, port: int) -> Iterator[str]:
        """Yield the address of each page."""
        return (f"http://{self.host(host)}:{port}{path}" for host, path in self.page_paths())


def picture(web: Web, number: int) -> bytes:
    """Return a picture of the web, a JPEG."""
    generator = np.random.default_rng((web.seed, number))
    coarse = generator.integers(0, 256, (_COARSE_PX, _COARSE_PX, 3), dtype=np.uint8)
    smooth = Image.fromarray(coarse).resize((SIDE_PX, SIDE_PX), Image.Resampling.BICUBIC)
    grained = np.asarray(smooth) + generator.normal(0, _GRAIN, (SIDE_PX, SIDE_PX, 1))
    out = io.BytesIO()
    Image.fromarray(grained.clip(0, 255).astype(np.uint8)).save(out, "JPEG", quality=_JPEG_QUALITY)
    return out.getvalue()


def write(web: Web, where: Path, progress: Progress = SILENT) -> list[bytes]:
    """Write the files that the site serves from, and return the SHA-256 of each picture."""
    ends, digests = np.zeros(web.pictures + 1, dtype=np.int64), []
    progress.start("making pictures", web.pictures, "pictures")
    with (where / PICTURES).open("wb") as out:
        for number in range(web.pictures):
            data = picture(web, number)
            digests.append(hashlib.sha256(data).digest())
            ends[number + 1] = ends[number] + out.write(data)
            progress.advance(1)
    progress.finish()
    np.save(where / INDEX, ends)
    (where / WEB).write_text(json.dumps(asdict(web)), encoding="utf-8")
    return digests


def read(where: Path) -> tuple[Web, bytes, list[int]]:
    """Read them: the web, all pictures as one, and where they end."""
    web = Web(**json.loads((where / WEB).read_text(encoding="utf-8")))
    return web, (where / PICTURES).read_bytes(), np.load(where / INDEX).tolist()
