"""What an attacker writes: values for a line, output of a program, names of things. Nothing in it may ever act."""

from __future__ import annotations

PWNED = "PWNED"  # the file, the variable of the page or the title that would be there if something had acted

VALUES = {
    "command separator": f"a; touch {PWNED}",
    "command substitution": f"$(touch {PWNED})",
    "old command substitution": f"`touch {PWNED}`",
    "out of single quotes": f"' ; touch {PWNED} ; '",
    "out of double quotes": f'" ; touch {PWNED} ; "',
    "newline": f"a\ntouch {PWNED}",
    "NUL": "a\0b",
    "option": "-rf",
    "end of options": "--",
    "glob": "*",
    "tilde": "~",
    "brace expression with a call": f"{{__import__('os').system('touch {PWNED}')}}",
    "environment": "$HOME",
    "environment in braces": "${HOME}",
    "lone quote": "'",
    "line separator": f"a\u2028touch {PWNED}",
    "too long": "x" * 140_000,
}

_RUN = f"window.{PWNED}=1;document.title='{PWNED}'"
_BIDI = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"

MARKUP = {
    "script": f"<script>{_RUN}</script>",
    "script with a source": f"<script src=data:text/javascript,{_RUN}></script>",
    "image": f'<img src=x onerror="{_RUN}">',
    "image out of an attribute": f'"><img src=x onerror="{_RUN}">',
    "image out of our elements": f"</pre></span></div></code><img src=x onerror={_RUN}>",
    "SVG": f"<svg onload={_RUN}><use href=x></svg>",
    "frame": f'<iframe srcdoc="<script>parent.{_RUN}</script>"></iframe>',
    "object": f"<object data='data:text/html,{PWNED}'></object><embed src='javascript:{_RUN}'>",
    "style": "<style>* { display: none }</style>",
    "style sheet": f"<link rel=stylesheet href='data:text/css,*{{content:{PWNED}}}'>",
    "form": f"<form action=http://evil/><input name={PWNED} autofocus onfocus={_RUN}><button>Stop</button></form>",
    "refresh": "<meta http-equiv=refresh content='0;url=http://evil/'><base href=http://evil/>",
    "link": f"<a href='javascript:{_RUN}'>click</a>",
    "video": f"<video><source onerror={_RUN}></video><audio src=x onerror={_RUN}>",
    "details": f"<details open ontoggle={_RUN}>x</details>",
    "comment": f"<!--><img src=x onerror={_RUN}>-->",
    "CDATA": f"<![CDATA[><script>{_RUN}</script>]]>",
    "text area": f"</textarea></title></style></noscript><script>{_RUN}</script>",
    "template": f"<template><script>{_RUN}</script></template>",
    "entities": f"&lt;script&gt;{_RUN}&lt;/script&gt; &#60;script&#62; &amp;lt;b&amp;gt; &quot;",
    "attribute": f'" onmouseover="{_RUN}" style="position:fixed;inset:0" x="',
    "attribute in single quotes": f"' onmouseover='{_RUN}' x='",
    "markup in colours": f"\x1b[31m<script>\x1b[32m{_RUN}\x1b[0m</script>",
    "markup within a sequence": f'\x1b[38;2;1;2;3"><img src=x onerror={_RUN}>m',
    "markdown": f"[click](javascript:{_RUN}) ![x](http://evil/{PWNED}) `x` **b**",
    "mathematics": f"$\\href{{javascript:{_RUN}}}{{x}}$ $$\\unicode{{x}}$$ \\(x\\)",
    "LaTeX": r"\input{/etc/passwd} \immediate\write18{touch PWNED} \end{Verbatim} \csname x\endcsname % # $ & _ ^ ~",
    "jinja": "{{ ''.__class__ }} {% raw %} {# x #}",
    "widget": '{"application/vnd.jupyter.widget-view+json": {"model_id": "x"}}',
}
URLS = {
    "web address": "http://evil/ https://evil/?a=1&b=<b>",
    "web address with markup": f'https://evil/"onmouseover="{_RUN}" https://evil/\'><img src=x onerror={_RUN}>',
    "web address in capitals": "HTTP://EVIL/ HtTpS://evil/",
    "web address with a name": "https://bank.example@evil/ https://bank.example\u2044login@evil/",
    "web address with bidi": "https://evil/\u202emoc.knab https://evil\u2066/\u200b",
    "script address": f"javascript:{_RUN} JaVaScRiPt:{_RUN} java\tscript:{_RUN}",
    "data address": f"data:text/html,<script>{_RUN}</script> data:text/html;base64,PHNjcmlwdD4=",
    "file address": "file:///etc/passwd file://evil/share",
    "other addresses": "vbscript:x ftp://evil/ blob:http://evil/x view-source:x //evil/x jupyter:x mailto:x@evil",
}
STRINGS = {  # sequences with a text in them: OSC, DCS, APC, PM, SOS
    **{
        f"{name}, {end_name}": f"{start}{text}{end}"
        for name, start, text in (
            ("title", "\x1b]0;", PWNED),
            ("window title", "\x1b]2;", PWNED),
            ("link", "\x1b]8;;", f"javascript:{_RUN}"),
            ("clipboard", "\x1b]52;c;", "UFdORUQ="),
            ("DCS", "\x1bP", f"q#0;2;0;0;0{PWNED}"),
            ("APC", "\x1b_", f"Gf=100;{PWNED}"),
            ("PM", "\x1b^", PWNED),
            ("SOS", "\x1bX", PWNED),
        )
        for end_name, end in (("BEL", "\x07"), ("ST", "\x1b\\"), ("no end", ""))
    },
    "link around markup": f"\x1b]8;id=x;http://evil/\x1b\\<img src=x onerror={_RUN}>\x1b]8;;\x1b\\",
    "link to data": "\x1b]8;;data:text/html,x\x07click\x1b]8;;\x07",
    "link with quotes": f'\x1b]8;;http://evil/" onmouseover="{_RUN}\x07click\x1b]8;;\x07',
    "clipboard query": "\x1b]52;c;?\x07",
    "colour queries": "\x1b]4;1;?\x07\x1b]10;?\x07\x1b]11;?\x07",
    "notifications": f"\x1b]9;{PWNED}\x07\x1b]777;notify;{PWNED};x\x07\x1b]99;;{PWNED}\x1b\\",
    "working directory": "\x1b]7;file://evil/etc\x07\x1b]1337;CurrentDir=/etc\x07\x1b]633;P;Cwd=/etc\x07",
    "image of iTerm": "\x1b]1337;File=inline=1;width=9999:PHN2Zz4=\x07",
    "settings query": "\x1bP$qm\x1b\\\x1bP+q544e\x1b\\",
    "keys": f"\x1bP1;1|17/{PWNED.encode().hex()}\x1b\\",
    "C1 strings": f"\x9d0;{PWNED}\x9c\x90q\x9c\x9f{PWNED}\x9c\x9e{PWNED}\x9c\x98{PWNED}\x9c",
}
SEQUENCES = {
    "device queries": "\x1b[c\x1b[>c\x1b[=c\x1b[5n\x1b[6n\x1b[?6n\x1b[>q\x1bZ\x05",
    "mode queries": "\x1b[?1$p\x1b[4$p\x1b[?25n",
    "window reports": "\x1b[14t\x1b[18t\x1b[21t\x1b[3;0;0t\x1b[8;1;1t",
    "modes": "\x1b[?1049h\x1b[?2004h\x1b[?1000h\x1b[?1006h\x1b[?25l\x1b[?7l\x1b[?5h\x1b[4h\x1b[20h\x1b[?1049l",
    "reset": "\x1bc\x1b[!p\x1b#8\x1b7\x1b8",
    "character sets": "\x1b(0\x0eqqq\x0f\x1b)B\x1b*A\x1bN\x1bO\x1b%G\x1b%@",
    "keypad": "\x1b=\x1b>\x1b[2 q\x1b[>4;2m\x1b[>1u",
    "bare foreground": "\x1b[38mtext",
    "bare background": "\x1b[48mtext",  # stops the whole export of nbconvert
    "half a colour": "\x1b[38;5mx\x1b[48;2;1mx\x1b[38;2;;;mx\x1b[38;9mx\x1b[38;5;mx",
    "colours out of range": "\x1b[38;5;999mx\x1b[48;2;256;-1;9999mx\x1b[38;2;1;2;99999999999mx",
    "colours with colons": "\x1b[38:2::1:2:3mx\x1b[48:5:mx\x1b[4:9mx\x1b[38:mx\x1b[:::mx",
    "many styles": "\x1b[" + ";".join(map(str, range(120))) + "mtext",
    "private styles": "\x1b[?38;5;1mx\x1b[>38mx\x1b[<1mx\x1b[=1mx",
    "repeat": "x\x1b[9999999b",
    "insert lines": "a\nb\x1b[H\x1b[2147483647L",
    "delete lines": "a\nb\x1b[H\x1b[2147483647M",
    "scroll": "a\nb\x1b[2147483647S\x1b[2147483647T",
    "insert and erase characters": "abc\r\x1b[2147483647@\x1b[2147483647P\x1b[2147483647X",
    "far away": "\x1b[2147483647B\x1b[2147483647Cx\x1b[2147483647;2147483647Hy\x1b[2147483647A",
    "scroll regions": "\x1b[2147483647;1r\x1b[0;0r\x1b[1;1rx\n\n\n\x1b[9;2rx",
    "cut by another": "\x1b[31\x18x\x1b[31\x1ax\x1b[3\x1b[1mx\x1b[\n1mx",
    "unfinished": "text\x1b[38;5",
    "C1 sequences": "\x9b31mx\x9b2J\x84\x85\x8d\x9a",
    "C0": "\x00a\x01\x02\x03\x04\x06\x07\x0b\x0c\x0e\x0f\x10\x15\x16\x17\x19\x1d\x1e\x1f\x7fb",
    "backspaces": f"ok{chr(8) * 20}{PWNED}{chr(8) * 99}x",
    "hidden by a return": f"rm -rf /\rls      \x1b[8m{PWNED}\x1b[28m",
}
TEXTS = {
    "bidi controls": "".join(f"a{control}b" for control in _BIDI),
    "bidi trick": f"access = 'user\u202e \u2066// check if admin\u2069 \u2066' {PWNED}",
    "name with bidi": "invoice\u202efdp.exe",
    "separators": "a\u2028b\u2029c\x85d",
    "invisible": "a\u200bb\u200dc\ufeffd\u00ade\U000e0041f\u180e",
    "marks": "a" + "\u0301" * 500,
    "private use": "\ue000\uf8ff\ufffe\uffff\U0010ffff",
}
BROKEN = {
    "overlong": b"\xc0\xaf\xe0\x80\xafscript\xc1\xbc",
    "surrogates": b"\xed\xa0\x80\xed\xbf\xbf",
    "cut characters": b"\xe2\x82\xf0\x9f\x98 \xc3",
    "lone bytes": bytes(range(128, 256)),
    "UTF-16": f"<script>{_RUN}</script>".encode("utf-16"),
    "UTF-7": b"+ADw-script+AD4-" + _RUN.encode() + b"+ADw-/script+AD4-",
    "raw C1": b"\x9b31m\x9d0;" + PWNED.encode() + b"\x07\x90q\x9c",
    "NUL": b"<scr\0ipt>" + _RUN.encode() + b"</scr\0ipt>\0",
}
OUTPUTS: dict[str, bytes] = {
    **{name: text.encode() for group in (MARKUP, URLS, STRINGS, SEQUENCES, TEXTS) for name, text in group.items()},
    **BROKEN,
}
"""What a program writes."""

HEAVY: dict[str, bytes] = {
    "a huge number": b"\x1b[" + b"9" * 100_000 + b"mtext",
    "many numbers": b"\x1b[" + b"1;" * 100_000 + b"mtext",
    "many colons": b"\x1b[" + b":" * 100_000 + b"mtext",
    "repeats": b"x" + b"\x1b[2147483647b" * 1000,
    "inserted lines": b"x\n\x1b[H\x1b[2147483647L" * 1000,
    "inserted characters": b"x\r\x1b[2147483647@" * 1000,
    "far moves": b"\x1b[9999Bx\x1b[9999A\x1b[9999Cy" * 1000,
    "many styles": b"".join(b"\x1b[%dmx" % (31 + number % 7) for number in range(20_000)),
    "a long line": b"x" * 1_000_000,
    "many lines": b"\n" * 100_000,
    "returns": b"x\r" * 50_000,
    "an endless title": b"\x1b]0;" + b"x" * 500_000,
    "titles without an end": b"\x1b]0;" * 50_000,
    "markup": b"<" * 300_000,
    "links": b"http://a " * 20_000,
}
"""What a program writes to keep us busy."""

NAMES = {name: text for group in (MARKUP, URLS, STRINGS, SEQUENCES, TEXTS) for name, text in group.items()}
"""What a program, a label, an argument, a file or a directory is called, where that is possible."""
