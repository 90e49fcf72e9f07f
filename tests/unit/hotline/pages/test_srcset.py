"""A ``srcset`` cut as the standard cuts it; what a browser throws away is kept."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashmatch.hotline.pages import srcset


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        (" , ,, ", []),
        ("a", ["a"]),
        ("a,b", ["a,b"]),
        ("a, b", ["a", "b"]),
        ("a,, b", ["a", "b"]),
        (",a 1x,b 2x", ["b", "a"]),
        ("a 100w, b 50w, c 200w", ["c", "a", "b"]),
        ("a 1x,b 1.5x\n,\tc 1e1x", ["c", "a", "b"]),
        ("a 100w 50h, b 200w 10h", ["b", "a"]),
        ("a (1x, 2x) , b 3x", ["b", "a"]),
        ("a (, b 3x", ["a"]),
        ("data:image/gif;base64,AAAA 2x, b", ["data:image/gif;base64,AAAA", "b"]),
        ("a,b 2x,c,", ["a,b", "c"]),
        ("a nonsense, b -1x, c 1..2x", ["a", "b", "c"]),
        ("a 1w 2w, b nanx", ["a", "b"]),
    ],
)
def test_the_largest_comes_first_and_none_is_lost(text: str, expected: list[str]) -> None:
    assert srcset.candidates(text) == expected


@given(
    st.lists(
        st.tuples(st.from_regex(r"[a-z][a-z,]{0,5}[a-z]", fullmatch=True), st.integers(1, 99)), min_size=1, max_size=9
    )
)
def test_what_was_put_together_comes_apart(items: list[tuple[str, int]]) -> None:
    found = srcset.candidates(", ".join(f"{url} {width}w" for url, width in items))
    assert sorted(found) == sorted(url for url, _ in items)
    assert found[0] == max(items, key=lambda item: item[1])[0]


@given(st.text(alphabet="a ,()1wx\t", max_size=60))
def test_no_text_raises(text: str) -> None:
    assert all(url and not url.endswith(",") for url in srcset.candidates(text))
