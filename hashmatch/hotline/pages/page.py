"""A document to what it refers to: images in the order of the page, and documents to open for more (pure).

Theory of operation
-------------------
:func:`read` decides the encoding, has the document parsed as browsers parse it, and walks over its elements once. Text
that is a document itself is parsed where it stands: ``srcdoc``, ``template``; ``noscript`` is parsed because no script
runs here. What an element refers to is ``elements``' business, what becomes of it ``collecting``'s.

Nothing a page holds raises. Pages whose tree would take time in the square of their length are made flat before
(``tags``), so that the whole takes time linear in it; whoever calls bounds the length, and kills what takes too long.

What this module deliberately does not do: it runs no script, applies no style, opens nothing, and gives back no text of
the page but addresses.

Source
------
Reference formats §4.3; HTML, 13.2 (parsing), through lexbor.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from selectolax.lexbor import LexborDocumentOptions, LexborHTMLParser, LexborNode, SelectolaxError

from hashmatch.errors import BadInput
from hashmatch.hotline.pages import challenges, charset, elements, json_ld, sniff, tags
from hashmatch.hotline.pages.collecting import Collector, PageLimits
from hashmatch.hotline.web import urls
from hashmatch.model.hotline import Kind, Page, Via

_MAX_TEMPLATES = 16
"""Templates inside templates."""
_JSON_LD = "application/ld+json"
_MAX_TITLE_WORDS = 1_000_000


def read(
    body: bytes,
    *,
    url: str,
    content_type: str = "",
    limits: PageLimits | None = None,
    rules: urls.Rules = urls.STANDARD,
) -> Page:
    """Return what a document refers to.

    Parameters
    ----------
    body : bytes
        HTML, or a stylesheet where ``content_type`` says so.
    url : str
        Where it came from, as ``urls`` made it.
    content_type : str, optional
        As the host declared it.
    limits : PageLimits, optional
        How much is taken.
    rules : Rules, optional
        What may be fetched at all.

    Raises
    ------
    BadInput
        ``url`` is not one that can be fetched; whatever ``body`` holds is no reason.

    """
    base = urls.read(url, rules)
    if isinstance(base, urls.Refused):
        raise BadInput(f"the address of a page: {base.reason}", field="url")
    encoding = charset.decide(body, content_type)
    found = Collector(base, limits or PageLimits(), rules, encoding)
    text = charset.decode(body, encoding)
    seen = _Seen()
    if sniff.sniff(body, content_type).kind is Kind.STYLESHEET:
        elements.style(found, text)
    else:
        _document(found, seen, text, depth=0)
    return Page(
        images=tuple(found.images),
        documents=tuple(found.documents),
        left_out=found.left_out,
        title_words=seen.title_words,
        login_form=seen.login_form,
        challenge=seen.challenge or (seen.widget and not found.images and not found.documents),
        encoding=encoding,
    )


@dataclass(slots=True)
class _Seen:
    """What tells pages apart, apart from addresses."""

    title_words: int = 0
    titled: bool = False
    login_form: bool = False
    challenge: bool = False
    widget: bool = False


def _document(found: Collector, seen: _Seen, text: str, *, depth: int) -> None:
    """Walk over a document; ``depth`` counts the ``srcdoc`` around it."""
    root = _parse(text)
    if root is None:
        return
    if depth == 0:
        base = next((node for node in root.css("base[href]")), None)
        if base is not None:
            found.rebase(base.attributes.get("href") or "")
    for node in _nodes(root):
        tag = (node.tag or "").lower()
        attributes = node.attributes
        elements.visit(found, tag, attributes)
        match tag:
            case "style":
                elements.style(found, node.text_content or node.text() or "")
            case "script":
                _script(found, seen, node, attributes)
            case "title" if not seen.titled:
                seen.titled = True
                seen.title_words = min(len((node.text() or "").split()), _MAX_TITLE_WORDS)
            case "iframe" if attributes.get("srcdoc") is not None:
                _srcdoc(found, seen, attributes.get("srcdoc") or "", depth=depth)
            case "input":
                seen.login_form = seen.login_form or challenges.is_password(attributes)
        mark = challenges.of_element(attributes)
        seen.challenge = seen.challenge or mark is challenges.Mark.CHALLENGE
        seen.widget = seen.widget or mark is challenges.Mark.WIDGET


def _srcdoc(found: Collector, seen: _Seen, text: str, *, depth: int) -> None:
    if depth >= found.limits.max_srcdoc_depth:
        found.left_out += bool(text.strip())
    else:
        _document(found, seen, text, depth=depth + 1)


def _script(found: Collector, seen: _Seen, node: LexborNode, attributes: elements.Attributes) -> None:
    text = node.text() or ""
    seen.challenge = seen.challenge or challenges.in_script(text)
    if (attributes.get("type") or "").partition(";")[0].strip().lower() == _JSON_LD:
        if len(text) > json_ld.MAX_CHARS:
            found.left_out += 1
        for url in json_ld.images(text):
            found.image(url, Via.JSON_LD)


def _parse(text: str) -> LexborNode | None:
    """Parse a document; None when there is nothing in it."""
    clean = tags.reader_safe(text).encode("utf-8", "replace")
    try:
        return LexborHTMLParser(clean, options=LexborDocumentOptions.WO_EVENTS).root
    except SelectolaxError:
        return None


def _nodes(root: LexborNode) -> Iterator[LexborNode]:
    """Yield the elements in their order, and those of a template at its place."""
    stack = [root.traverse(include_text=False)]
    while stack:
        node = next(stack[-1], None)
        if node is None:
            stack.pop()
            continue
        if not node.is_element_node:
            continue
        yield node
        if node.tag == "template" and len(stack) <= _MAX_TEMPLATES:
            stack.extend(fragment.traverse(include_text=False) for fragment in reversed(node.template_fragments()[:1]))
