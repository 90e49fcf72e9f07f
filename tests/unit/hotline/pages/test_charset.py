"""Which encoding a document is in: who decides, in which order, and that its addresses survive a lie."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from webencodings.labels import LABELS

from hashmatch.hotline.pages import charset


@pytest.mark.parametrize(
    ("body", "content_type", "encoding"),
    [
        (b"\xef\xbb\xbf<meta charset=koi8-r>", "text/html; charset=big5", "utf-8"),
        (b"\xff\xfe<\0", "text/html; charset=utf-8", "utf-16le"),
        (b"\xfe\xff\0<", "", "utf-16be"),
        (b"<meta charset=koi8-r>", 'text/html; CHARSET="Shift_JIS"', "shift_jis"),
        (b"<meta charset=koi8-r>", "text/html; charset=nonsense", "koi8-r"),
        (b"<META CharSet = 'latin1' >", "", "windows-1252"),
        (b"<meta http-equiv=Content-Type content='text/html; charset = gb2312'>", "", "gbk"),
        (b"<meta content='text/html; charset=gb2312'>", "", "windows-1252"),
        (b"<!-- <meta charset=koi8-r> --><meta charset=euc-kr>", "", "euc-kr"),
        (b"<a title='<meta charset=koi8-r>'><meta charset=euc-kr>", "", "euc-kr"),
        (b"<meta charset=nonsense><meta charset=euc-jp>", "", "euc-jp"),
        (b"<meta charset=utf-16>", "", "utf-8"),
        (b"<?xml version='1.0' encoding='iso-8859-2'?>", "", "iso-8859-2"),
        (b"<?xml version='1.0' encoding='iso-8859-2'?><meta charset=koi8-r>", "", "koi8-r"),
        (b"<\0?\0x\0", "", "utf-16le"),
        (b"\0<\0?\0x", "", "utf-16be"),
        (b" " * 1_003 + b"<meta charset=koi8-r>", "", "koi8-r"),
        (b" " * 1_004 + b"<meta charset=koi8-r>", "", "windows-1252"),
        (b"<meta charset=iso-2022-kr>", "", "windows-1252"),
        (b"<meta charset=x-user-defined>", "", "windows-1252"),
        ("ü".encode(), "", "windows-1252"),
        (b"", "", "windows-1252"),
    ],
)
def test_the_first_that_names_an_encoding_decides(body: bytes, content_type: str, encoding: str) -> None:
    assert charset.decide(body, content_type) == encoding


ENCODINGS = sorted(set(LABELS.values()) - {"utf-16le", "utf-16be", "iso-2022-jp"})


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_an_address_in_ascii_survives_every_label_and_what_stands_before_it(encoding: str) -> None:
    assert charset.decode(b"\x81\xff\xc3 <img src=a.jpg>", encoding).endswith(" <img src=a.jpg>")


@pytest.mark.parametrize(
    ("encoding", "text"), [("utf-8", "ü漢"), ("utf-16le", "ü漢"), ("gb18030", "漢"), ("koi8-u", "ї")]
)
def test_text_is_decoded_and_its_mark_removed(encoding: str, text: str) -> None:
    marks = {"utf-8": b"\xef\xbb\xbf", "utf-16le": b"\xff\xfe"}
    assert charset.decode(marks.get(encoding, b"") + charset.encode(text, encoding), encoding) == text


@given(st.binary(max_size=200), st.text(max_size=40))
def test_any_bytes_have_an_encoding_and_a_text(body: bytes, content_type: str) -> None:
    encoding = charset.decide(body, content_type)
    assert encoding in LABELS.values()
    assert len(charset.decode(body, encoding)) <= len(body)
