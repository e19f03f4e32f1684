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


@pytest.mark.parametrize(
    ("sgr", "css"),
    [
        ("1;4;31", "font-weight:bold;text-decoration:underline;color:#d2403f"),
        ("2;3;9", "opacity:.7;font-style:italic;text-decoration:line-through"),
        ("4;9", "text-decoration:underline line-through"),
        ("97", "color:#9aa0a8"),
        ("38;5;196", "color:#ff0000"),
        ("38;5;244", "color:#808080"),
        ("38;5;1", "color:#d2403f"),
        ("38;2;1;2;3", "color:#010203"),
        ("48;5;226", "color:#000000;background:#ffff00"),
        ("41", "color:#ffffff;background:#d2403f"),
        ("32;104", "color:#2e9443;background:#4a90e2"),
        ("7", "color:#ffffff;background:#6f757e"),
        ("7;32", "color:#ffffff;background:#2e9443"),
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
    assert all(re.fullmatch(r"(color:#[0-9a-f]{6};?)?(background:#[0-9a-f]{6})?", css) for css in found + plain)
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
            assert name != "style" or re.fullmatch(r"[a-z\-:;#0-9.]*", value)

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
