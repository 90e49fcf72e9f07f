from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashmatch.index.columns import Growing, GrowingTexts, Texts, keys_of, leading_keys, text_keys, whole_keys
from hashmatch.model import AlgorithmKind


def test_views_stay_as_they_were_while_the_column_grows() -> None:
    column = Growing("<u4")
    views = []
    for row in range(300):
        column.append(np.array([row], dtype=np.uint32))
        views.append(column.view())
    for rows, view in enumerate(views, 1):
        assert view.tolist() == list(range(rows))


def test_a_view_cannot_be_written() -> None:
    column = Growing("|u1", 2)
    column.append(np.ones((3, 2), dtype=np.uint8))
    with pytest.raises(ValueError, match="read-only"):
        column.view()[0, 0] = 7
    column.append(np.zeros((1, 2), dtype=np.uint8))
    assert column.view().tolist() == [[1, 1], [1, 1], [1, 1], [0, 0]]


def test_appending_copies_each_row_a_bounded_number_of_times() -> None:
    column = Growing("<u8")
    buffers = set()
    for row in range(10_000):
        column.append(np.array([row], dtype=np.uint64))
        buffers.add(len(column._buffer))
    assert len(buffers) <= 9
    assert len(column) == 10_000


@given(st.lists(st.lists(st.text(max_size=12), max_size=6), max_size=6))
def test_texts_come_back_whole(batches: list[list[str]]) -> None:
    texts = GrowingTexts()
    for batch in batches:
        texts.append(Texts.of(batch))
    expected = [text for batch in batches for text in batch]
    view = texts.view()
    assert [view[i] for i in range(len(view))] == expected
    assert len(texts) == len(expected)


@given(st.lists(st.tuples(st.text(max_size=8), st.integers(0, 5)), max_size=30))
def test_a_name_has_the_same_key_in_any_company(names: list[tuple[str, int]]) -> None:
    salts = np.array([salt for _, salt in names], dtype=np.uint32)
    together = text_keys(Texts.of([text for text, _ in names]), salts)
    alone = [text_keys(Texts.of([text]), np.array([salt], dtype=np.uint32))[0] for text, salt in names]
    assert together.tolist() == [int(key) for key in alone]
    assert len(set(together.tolist())) == len(set(names))


def test_keys_differ_between_like_names_and_between_sets() -> None:
    names = [f"entry-{i}" for i in range(20_000)] + [f"{i}-entry" for i in range(20_000)]
    texts = Texts.of(names * 2)
    salts = np.repeat(np.arange(2, dtype=np.uint32), len(names))
    assert len(np.unique(text_keys(texts, salts))) == 2 * len(names)


@given(st.lists(st.binary(min_size=11, max_size=11), min_size=1))
def test_leading_keys_sort_like_the_bytes(codes: list[bytes]) -> None:
    keys = leading_keys(np.frombuffer(b"".join(codes), dtype=np.uint8).reshape(-1, 11))
    assert [code[:8] for code in codes] == [int(key).to_bytes(8) for key in keys]


@given(st.lists(st.binary(min_size=19, max_size=19), min_size=1))
def test_whole_keys_are_the_same_alone_and_together(codes: list[bytes]) -> None:
    keys = whole_keys(np.frombuffer(b"".join(codes), dtype=np.uint8).reshape(-1, 19))
    alone = [whole_keys(np.frombuffer(code, dtype=np.uint8).reshape(1, 19))[0] for code in codes]
    assert keys.tolist() == alone
    assert len(set(alone)) == len(set(codes))


def test_opaque_values_that_begin_and_end_alike_have_keys_of_their_own() -> None:
    """As PhotoDNA values do, of pictures with a plain border: one key for all would be a scan of all."""
    codes = np.zeros((10_000, 144), dtype=np.uint8)
    codes[:, 70:78] = np.arange(10_000, dtype="<u8").view(np.uint8).reshape(-1, 8)
    assert len(np.unique(leading_keys(codes))) == 1
    assert len(np.unique(keys_of(AlgorithmKind.OPAQUE)(codes))) == len(codes)
    assert keys_of(AlgorithmKind.DIGEST) is leading_keys


def test_short_codes_are_padded_behind() -> None:
    assert leading_keys(np.array([[1, 2]], dtype=np.uint8)).tolist() == [0x0102_0000_0000_0000]
