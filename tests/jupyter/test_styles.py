"""Rows as HTML: inert, readable, and what nbconvert, nbviewer and GitHub can show."""

import re
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipyproc._core.output import screen
from ipyproc._jupyter.views import styles

pytestmark = pytest.mark.pure


def html(text: str) -> str:
    return "".join(styles.markup(row) for row in screen.rows([(1, text.encode())]))


def on_page(colour, share=70):
    return f"color:{colour};color:color-mix(in srgb,{colour} {share}%,var(--ipyproc-ink))"


@pytest.mark.parametrize(
    ("sgr", "css"),
    [
        ("1;4;31", f"font-weight:bold;text-decoration:underline;{on_page('#d44747')}"),
        ("2;3;9", "opacity:.7;font-style:italic;text-decoration:line-through"),
        ("4;9", "text-decoration:underline line-through"),
        ("97", on_page("#7d858f", 40)),
        ("38;5;196", "color:#ff0000"),
        ("38;5;244", "color:#808080"),
        ("38;5;1", on_page("#d44747")),
        ("38;2;1;2;3", "color:#010203"),
        ("48;5;226", "color:#000000;background:#ffff00"),
        ("41", "color:#ffffff;background:#d63c41"),
        ("41;97", "color:#ffffff;background:#d63c41"),
        ("42;30", "color:#000000;background:#1c873b"),
        ("31;41", "color:#d63c41;background:#d63c41"),
        ("31;101", "color:#d63c41;background:#f2555a"),
        ("90;40", "color:#666666;background:#000000"),
        ("38;2;9;9;9;48;2;0;0;0", "color:#090909;background:#000000"),
        ("32;104", "color:#0e431d;background:#58a6ff"),
        ("7", "color:#ffffff;background:#6a6f78"),
        ("7;42", "color:#135e29;background:#d0d0d0"),
        ("7;32", "color:#ffffff;background:#1c873b"),
        ("38;2;48;0;7", "color:#300007"),
        ("38;5;47", "color:#00ff5f"),
        ("48;5;107", "color:#000000;background:#87af5f"),
    ],
)
def test_css(sgr, css):
    assert styles.css(screen.styled(screen.PLAIN, sgr)) == css


@pytest.mark.parametrize("layer", [38, 48])
def test_every_colour_has_a_css_of_its_own(layer):
    found = [styles.css(screen.styled(screen.PLAIN, f"{layer};5;{number}")) for number in range(256)]
    plain = [styles.css(screen.styled(screen.PLAIN, f"{layer};2;{number};1;2")) for number in range(256)]
    mixed = r"(;color:color-mix\(in srgb,#[0-9a-f]{6} [47]0%,var\(--ipyproc-ink\)\))?"
    assert all(re.fullmatch(rf"color:#[0-9a-f]{{6}}{mixed}(;background:#[0-9a-f]{{6}})?", css) for css in found + plain)
    assert len(set(plain)) == 256 and all(("background" in css) == (layer == 48) for css in found + plain)


@pytest.mark.parametrize(
    ("text", "shown", "end"),
    [
        ("see https://a.b/c?d=1&e=2.", 'see <a href="https://a.b/c?d=1&amp;e=2" ', "."),
        ("(http://a.b)", '(<a href="http://a.b" ', ")"),
        ("javascript:alert(1) file:///etc data:text/html,x ftp://a", "javascript:", "ftp://a"),
        ("<b>https://x<b>", "&lt;b&gt;<a ", "&lt;b&gt;"),
    ],
)
def test_only_http_addresses_are_links(text, shown, end):
    made = html(text)
    assert shown in made and made.endswith(end)
    assert made.count("<a ") == (1 if "http" in text else 0)


class Tags(HTMLParser):
    """Collects what a browser would make of it."""

    def __init__(self):
        super().__init__()
        self.tags, self.text = set(), ""

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        for name, value in attributes:
            assert name in ("style", "href", "target", "rel")
            assert name != "href" or re.match("https?://", value, re.IGNORECASE)
            assert name != "style" or re.fullmatch(
                r"[a-z\-:;#0-9.]*|color:#[0-9a-f]{6};color:color-mix\(in srgb,#[0-9a-f]{6} [47]0%,var\(--ipyproc-ink\)\)",
                value,
            )

    def handle_data(self, data):
        self.text += data


@given(
    st.lists(
        st.sampled_from(
            ["\x1b[", "31m", "48;5;", "300m", "7m", "<", ">", '"', "'", "&", "http://", "a", " ", "\x1b]8;;"]
        )
    )
)
def test_anything_becomes_inert_html_with_the_same_text(parts):
    parser = Tags()
    parser.feed(html("".join(parts)))
    parser.close()
    assert parser.tags <= {"span", "a"}
    assert parser.text == "".join(row.plain for row in screen.rows([(1, "".join(parts).encode())]))
