"""Text to a URL that may be fetched: what is repaired, what is canonical, what is refused and why."""

# ruff: noqa: RUF001 - letters that look like others are what this is about

from __future__ import annotations

import urllib.parse

import pytest
import yarl
from hypothesis import given
from hypothesis import strategies as st

from hashmatch.config import HotlineConfig
from hashmatch.hotline.web import hosts, urls
from hashmatch.hotline.web.urls import Refused, Rules, Target, join, parse, read


def target(text: str, rules: Rules = urls.STANDARD) -> Target:
    made = parse(text, rules)
    assert isinstance(made, Target), made
    return made


REPAIRED = [
    ("hxxps://bad[.]example/a", "https://bad.example/a"),
    ("hXXp://bad[.]example[.]org/a[.]html", "http://bad.example.org/a.html"),
    ("h**p://bad.example/", "http://bad.example/"),
    ("http[:]//bad.example/", "http://bad.example/"),
    ("https[://]bad.example/", "https://bad.example/"),
    ("http://bad(dot)example/", "http://bad.example/"),
    ("http://bad [dot] example/", "http://bad.example/"),
    ("http://bad{.}example/", "http://bad.example/"),
    ("http://bad(.)example/", "http://bad.example/"),
    ("http://bad[.example/", "http://bad.example/"),
    ("http://bad[DOT]example/x(dot)y", "http://bad.example/x(dot)y"),
    ("bad[.]example", "http://bad.example/"),
    ("www.bad.example/x", "http://www.bad.example/x"),
    ("bad.example:80/x", "http://bad.example/x"),
    ("//bad.example/x", "http://bad.example/x"),
    ("hxxp://8.8.8[.]8/x", "http://8.8.8.8/x"),
]


@pytest.mark.parametrize(("text", "url"), REPAIRED)
def test_what_was_made_harmless_is_repaired(text: str, url: str) -> None:
    made = target(text)
    assert (made.url, made.repaired) == (url, True)


CANONICAL = [
    ("HTTP://EXAMPLE.org", "http://example.org/"),
    ("https://example.org:443/", "https://example.org/"),
    ("http://example.org:/", "http://example.org/"),
    ("http://example.org.", "http://example.org/"),
    ("http:example.org", "http://example.org/"),
    ("http:\\\\example.org\\a\\b", "http://example.org/a/b"),
    ("http:////example.org/", "http://example.org/"),
    ("http://example.org/a/../b/./c/..", "http://example.org/b/"),
    ("http://example.org/../../etc", "http://example.org/etc"),
    ("http://example.org/%2E%2e/a", "http://example.org/a"),
    ('http://example.org/a b"<>`{}^', "http://example.org/a%20b%22%3C%3E%60%7B%7D%5E"),
    ("http://example.org/?a b\"<>'#", "http://example.org/?a%20b%22%3C%3E%27"),
    ("http://example.org/%zz%", "http://example.org/%zz%"),
    ("http://example.org/[.]", "http://example.org/[.]"),
    ("http://example.org?x", "http://example.org/?x"),
    ("http://example.org#x", "http://example.org/"),
    ("http://ex%61mple.org/", "http://example.org/"),
    ("http://0x08080808/", "http://8.8.8.8/"),
    ("http://8.8.2056/", "http://8.8.8.8/"),
    ("http://[2606:4700:0:0::1111]/", "http://[2606:4700::1111]/"),
    ("  \t\n<http://example.org/>  ", "http://example.org/"),
    ("“http://example.org/”", "http://example.org/"),
    ("http://a_b.example.org/", "http://a_b.example.org/"),
    ("http://☺.example/", "http://xn--74h.example/"),
    ("http://faß.example/", "http://xn--fa-hia.example/"),
    ("http://exam\u00adple.org/", "http://example.org/"),
    ("http://ｅｘａｍｐｌｅ．org/", "http://example.org/"),
    ("http://example.org/\ud800", "http://example.org/%3F"),
]


@pytest.mark.parametrize(("text", "url"), CANONICAL)
def test_canonical(text: str, url: str) -> None:
    assert target(text).url == url


SCRIPTS = [
    ("http://παράδειγμα.δοκιμή/", "xn--hxajbheg2az3al.xn--jxalpdlp"),
    ("http://пример.испытание/", "xn--e1afmkfd.xn--80akhbyknj4f"),
    ("http://例え.テスト/", "xn--r8jz45g.xn--zckzah"),
    ("http://例子.测试/", "xn--fsqu00a.xn--0zwm56d"),
    ("http://例子.測試/", "xn--fsqu00a.xn--g6w251d"),
    ("http://실례.테스트/", "xn--9n2bp8q.xn--9t4b11yi5a"),
    ("http://उदाहरण.परीक्षा/", "xn--p1b6ci4b4b3a.xn--11b5bs3a9aj6g"),
    ("http://مثال.إختبار/", "xn--mgbh0fb.xn--kgbechtv"),
    ("http://مثال.آزمایشی/", "xn--mgbh0fb.xn--hgbk6aj7f53bba"),
    ("http://உதாரணம்.பரிட்சை/", "xn--zkc6cc5bi7f6e.xn--hlcj6aya9esc7a"),
]


@pytest.mark.parametrize(("text", "host"), SCRIPTS)
def test_names_of_the_test_domains_in_their_scripts(text: str, host: str) -> None:
    assert target(text).host == host


WORDS = {
    "Latin": "bücher", "Greek": "βιβλία", "Cyrillic": "книги", "Armenian": "գրքեր", "Georgian": "წიგნები",
    "Hebrew": "ספרים", "Arabic": "كتب", "Devanagari": "पुस्तक", "Bengali": "বই", "Gurmukhi": "ਕਿਤਾਬ", "Gujarati": "પુસ્તક",
    "Tamil": "புத்தகம்", "Telugu": "పుస్తకం", "Kannada": "ಪುಸ್ತಕ", "Malayalam": "പുസ്തകം", "Sinhala": "පොත", "Thai": "หนังสือ",
    "Lao": "ປຶ້ມ", "Han": "图书", "Hangul": "책", "Katakana": "ホン", "Ethiopic": "መጽሐፍ", "Khmer": "សៀវភៅ",
}  # fmt: skip
MALFORMED = {
    "double dot": "http://{word}..example/",
    "dot first": "http://.{word}.example/",
    "space": "http://{word} {word}.example/",
    "null": "http://{word}%00.example/",
    "slash, full width, encoded": "http://{word}%EF%BC%8Fx.example/",
    "broken UTF-8": "http://{word}%FF.example/",
    "unclosed bracket": "http://[{word}.example/",
    "user": "http://{word}@example.org/",
    "port": "http://{word}.example:{word}/",
    "direction": "http://\u202e{word}.example/",
    "too long": "http://" + "{word}" * 70 + ".example/",
}


@pytest.mark.parametrize("script", sorted(WORDS))
def test_malformed_urls_in_every_script(script: str) -> None:
    word = WORDS[script]
    assert target(f"http://{word}.example/{word}?{word}#{word}").host.startswith("xn--")
    for what, pattern in MALFORMED.items():
        assert isinstance(parse(pattern.format(word=word)), Refused), what


REFUSED = [
    ("", "there is no URL"),
    ("<>", "there is no URL"),
    ("http://exa\nmple.org/", "it holds control characters"),
    ("http://example.org/\x00x", "it holds control characters"),
    ("http://example.org/" + "a" * 8_192, "it is 8211 characters long, at most 8192"),
    ("http://example.org/" + "ü" * 3_000, "it is 18019 characters long, at most 8192"),
    ("ftp://example.org/", "ftp is not fetched: only http and https are"),
    ("javascript:alert(1)", "javascript is not fetched: only http and https are"),
    ("data:image/png;base64,AAAA", "data is not fetched: only http and https are"),
    ("file:///etc/passwd", "file is not fetched: only http and https are"),
    ("http://", "it has no host"),
    ("http:///", "it has no host"),
    ("http://?x", "it has no host"),
    ("http://user:secret@example.org/", "it holds a user name or password"),
    ("http://good.example@bad.example/", "it holds a user name or password"),
    ("http://@example.org/", "it holds a user name or password"),
    ("http://example.org:8080/", "port 8080 is not fetched from: hotline.ports has 80, 443"),
    ("http://example.org:22/", "port 22 is not fetched from: hotline.ports has 80, 443"),
    ("http://example.org:0/", "it has no such port"),
    ("http://example.org:x/", "it has no such port"),
    ("http://example.org:٨٠/", "it has no such port"),
    ("http://example.org:9999999999/", "it has no such port"),
    ("http://[example.com]/", "its host is in brackets and no IPv6 address"),
    ("http://[127.0.0.1]/", "its host is in brackets and no IPv6 address"),
    ("http://[fe80::1%25eth0]/", "its host is in brackets and no IPv6 address"),
    ("http://[::1/", "its host is in brackets and no IPv6 address"),
    ("http://1.2.3.4.5/", "its host ends in a number and is no IPv4 address"),
    ("http://256.1.1.1/", "its host ends in a number and is no IPv4 address"),
    ("http://08.1.1.1/", "its host ends in a number and is no IPv4 address"),
    ("http://4294967296/", "its host ends in a number and is no IPv4 address"),
    ("http://example.0x1/", "its host ends in a number and is no IPv4 address"),
    ("http://a..b/", "its host has an empty label"),
    ("http://a.b../", "its host has an empty label"),
    ("http://exa mple.org/", "its host holds characters that no name can hold"),
    ("http://exa%2fmple.org/", "its host holds characters that no name can hold"),
    ("http://exa%23mple.org/", "its host holds characters that no name can hold"),
    ("http://a|b.example/", "its host holds characters that no name can hold"),
    ("http://-a.example/", "its host holds characters that no name can hold"),
    ("http://xn--abc-.example/", "its host holds a label that is no punycode"),
    ("http://xn--.example/", "its host holds a label that is no punycode"),
    ("http://" + "a" * 64 + ".example/", "its host has a label of more than 63 characters"),
    ("http://" + "a." * 127 + "example/", "its host is longer than 253 characters"),
    ("http://abcdefghijklmnopqrstuvwxyz.onion/", "onion services are reached through hotline.proxy only"),
]


@pytest.mark.parametrize(("text", "reason"), REFUSED, ids=[row[0][:40] for row in REFUSED])
def test_refused_with_its_reason(text: str, reason: str) -> None:
    assert parse(text) == Refused(reason)


def test_a_backslash_ends_the_host_as_in_browsers() -> None:
    assert target("http://good.example\\@bad.example/").host == "good.example"
    assert target("http://good.example#@bad.example/").host == "good.example"
    assert target("http://good.example?@bad.example/").host == "good.example"


def test_ports_and_onions_are_the_configurations() -> None:
    rules = Rules.of(HotlineConfig(ports=(8080,), proxy="socks5h://127.0.0.1:9050"))
    assert target("http://a.example:8080/", rules).port == 8080
    assert target("http://x.onion:8080/", rules).is_onion
    assert parse("http://a.example/", rules) == Refused("port 80 is not fetched from: hotline.ports has 8080")


def test_the_fragment_is_kept_for_the_record() -> None:
    made = target("http://example.org/a#frag ment")
    assert (made.url, made.fragment) == ("http://example.org/a", "frag ment")


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("http://example.org/?b=2&a=1", "http://example.org/?a=1&b=2"),
        ("http://example.org/?utm_source=x&fbclid=y", "http://example.org/"),
        ("http://example.org/?utm_source=x&id=1&UTM_Medium=z", "http://example.org/?id=1"),
        ("http://example.org/?ref=1", "http://example.org/?ref=1"),
        ("HTTP://Example.org:80/a/../b", "http://example.org/b"),
        ("http://example.org/?", "http://example.org/"),
    ],
)
def test_the_key_of_duplicates(text: str, key: str) -> None:
    assert target(text).key == key


def test_only_the_key_is_sorted() -> None:
    assert target("http://example.org/?b=2&utm_source=x&a=1").url == "http://example.org/?b=2&utm_source=x&a=1"


JOINED = [
    ("x", "http://a.example/d/x"), ("./x", "http://a.example/d/x"), ("../x", "http://a.example/x"),
    ("../../../x", "http://a.example/x"), ("/x", "http://a.example/x"), ("\\x", "http://a.example/x"),
    ("//b.example/x", "http://b.example/x"), ("/\\b.example/x", "http://b.example/x"), ("?z", "http://a.example/d/e?z"),
    ("#f", "http://a.example/d/e?q=1"), ("", "http://a.example/d/e?q=1"), ("x?a#b", "http://a.example/d/x?a"),
    ("http:x", "http://a.example/d/x"), ("http:/x", "http://a.example/x"), ("http://b.example", "http://b.example/"),
    ("https:b.example", "https://b.example/"), ("\n /x\ty \r", "http://a.example/xy"), (".", "http://a.example/d/"),
    ("..", "http://a.example/"), ("%2e%2E/x", "http://a.example/x"), ("x:80", None), ("data:image/png,x", None),
    ("mailto:a@b", None), ("http://b.example:81/", None), ("//u@b.example/", None),
]  # fmt: skip


@pytest.mark.parametrize(("reference", "url"), JOINED)
def test_join(reference: str, url: str | None) -> None:
    made = join(target("http://a.example/d/e?q=1"), reference)
    assert (made.url if isinstance(made, Target) else None) == url


def test_join_repairs_nothing() -> None:
    base = target("http://a.example/")
    assert isinstance(join(base, "hxxp://b.example/"), Refused)
    assert join(base, "b.example") == Target("http://a.example/b.example", "http", "a.example", 80, "/b.example")


def test_onions_and_others_are_no_one_job() -> None:
    rules = Rules(onion=True)
    onion, clear = target("http://x.onion/", rules), target("http://a.example/")
    assert urls.mixture([]) == urls.mixture([onion]) == urls.mixture([clear, clear]) == ""
    assert urls.mixture([clear, onion]) == ("onion services and others are never fetched in one job: split the list")


PIECES = st.lists(
    st.one_of(
        st.sampled_from(
            ["http:", "https:", "//", "/", "\\", "@", ":", "[", "]", "%", "%2f", "%00", "#", "?", "..", ".", "0x7f",
             "127.0.0.1", "example.org", "xn--", "①", "。", "::1", "::ffff:127.0.0.1", "hxxp", "[.]", "(dot)", " ",
             "\t", "\n"]
        ),
        st.text(max_size=8),
    ),
    max_size=12,
).map("".join)  # fmt: skip


@given(PIECES)
def test_every_parser_reads_the_host_that_was_checked(text: str) -> None:
    for made in (parse(text), join(target("http://a.example/d/"), text)):
        if isinstance(made, Refused):
            assert made.reason
            continue
        assert made.url.isascii()
        assert made.url.isprintable()
        assert " " not in made.url
        library = yarl.URL(made.url, encoded=True)
        assert (library.scheme, library.raw_host, library.port) == (made.scheme, made.host, made.port)
        assert library.user is None
        split = urllib.parse.urlsplit(made.url)
        assert (split.hostname, split.username) == (made.host, None)
        assert hosts.canonical(f"[{made.host}]" if ":" in made.host else made.host) == made.host
        again = read(made.url)
        assert isinstance(again, Target)
        assert again.url == made.url


@given(st.text())
def test_any_text_is_a_host_or_a_reason(text: str) -> None:
    made = hosts.canonical(text)
    assert isinstance(made, hosts.Bad) or (made.isascii() and made == made.lower() and "/" not in made)
