"""A secret that a program gets stands nowhere in what is shown, sent or saved."""

import hashlib
import json
import secrets

import nbclient
import nbformat
import pytest
from nbconvert import HTMLExporter
from traitlets.config import Config

from .kernel_session import sockets

pytestmark = pytest.mark.pure

# what the program got: digests of its argument, of a variable, and of its standard input
CODE = "import hashlib, os, sys; print(*(hashlib.sha256(text.encode()).hexdigest() for text in " + (
    "(sys.argv[1], os.environ['TOKEN'], sys.stdin.read())))"
)
TOOL = "{sys.executable} -c {code} {token}"
OPTIONS = "--env TOKEN={token} --secret token"
# each one ends in its own way; three of them last long enough for a card
CELLS = (
    f"%aproc {OPTIONS} {TOOL}",
    f"%%aproc {OPTIONS} --expand {TOOL}\nbody: {{token}}",
    f"%%aproc {OPTIONS} --expand\n: {{token}}; sleep 0.4; echo $TOKEN{{token}} | sha256sum",
    f"%aproc {OPTIONS} --bg --proc p sh -c 'sleep 0.3; echo $0 | sha256sum' {{token}}",
    "await p.wait(); p",
    f"%xmode Verbose\nx = %aproc {OPTIONS} sh -c 'exit 3' {{token}}",
    f"%xmode Verbose\n%aproc {OPTIONS} --timeout 0.3 sh -c 'sleep 60' {{token}}",
    f"%xmode Verbose\nprint(1); r = %aproc {OPTIONS} --no-raise-error false {{token}}\nprint(r, r.args); r.check_returncode()",
    f"%aproc {OPTIONS} no-such-program-{{token}}",
    f"%aproc {OPTIONS} ./{{token}}",
    f"%aproc {OPTIONS} {{folder}}/{{token}}",
    f"%aproc {OPTIONS} tool {{token}}{{nul}}",
    f"%aproc {OPTIONS} --cwd {{token}} true",
    f"%aproc {OPTIONS} --log {{token}}.log true",
    f"%aproc {OPTIONS} --timeout {{token}} true",
    f"%aproc {OPTIONS} --log '{{token}}' --stdin {{token}} cat",
    f"%aproc {OPTIONS} cat {{token[a]}} {{token.b}}",
    f"%aproc {OPTIONS} cat -- {{token:b}}",
    f"%aproc {OPTIONS} true -{{token}} {{big}}",
    "%aproc --env {token} true",
    "%aproc --env A={token}{nul} true",
    "%config AProcMagics\n%config AProcMagics.plain",
)


@pytest.fixture
def canary(tmp_path):
    """(the secret, cells that make it known to a kernel without its standing in one of them)."""
    text = f"canary{secrets.token_hex(8)}"
    path = tmp_path / "secret"
    value = f"{text} '\"$x\\"
    path.write_text(value)
    program = tmp_path / value
    program.write_text("#!/no/such/interpreter\n")
    program.chmod(0o700)
    setup = f"import os, sys; folder = {str(tmp_path)!r}; os.chdir(folder); code = {CODE!r}; token = open({str(path)!r}).read(); nul = '\\0'; big = 'x' * 200_000"
    return text, ("%load_ext ipyproc", setup)


def everything(messages):
    """The text of messages, and of what is in their buffers."""
    return "".join(
        json.dumps([message["content"], message["metadata"]], default=str)
        + "".join(bytes(buffer).decode(errors="replace") for buffer in message["buffers"])
        for message in messages
    )


@pytest.mark.parametrize("headless", [False, True])
def test_a_secret_is_in_no_message(fresh_kernel, canary, headless):
    text, setup = canary
    for source in setup:
        fresh_kernel.run(source)
    value = f"{text} '\"$x\\"
    digests = [
        hashlib.sha256(each.encode()).hexdigest() for each in (value, value, "", f"body: {value}\n", f"{value * 2}\n")
    ]
    seen, errors, cards = "", [], 0
    for source in CELLS:
        done = fresh_kernel.run(source, headless=headless)
        seen += everything(done.messages + done.strays) + json.dumps(done.reply)
        errors += [done.error.split(":")[0]] if done.error else []
        cards += len(done.cards)
    assert text not in seen, seen[seen.index(text) - 500 :][:600]
    assert cards == (0 if headless else 3)
    assert all(digest in seen for digest in digests[:3]), "the program did not get its argument or its variable"
    assert digests[3] in seen and digests[4] in seen, "no secret in the body"
    assert errors == [
        *("ProcessExitError", "ProcessTimeout", "ProcessExitError", "UsageError", *["FileNotFoundError"] * 2),
        *("ValueError", "UsageError", "UsageError", "UsageError", "UsageError", "UsageError", "UsageError"),
        *("OSError", "UsageError", "ValueError"),
    ]
    assert "sh -c 'exit 3' '***'" in seen and (headless or ": ***; sleep 0.4; " in seen)
    names = "from ipyproc._core.output import storage; [str(path) for path in storage.directory().rglob('*')]"
    assert text not in fresh_kernel.run(names).value


def test_a_secret_is_not_in_the_saved_notebook_nor_in_its_export(canary, tmp_path):
    text, setup = canary
    made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in (*setup, *CELLS)])
    made.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    with sockets() as where:
        config = Config(KernelManager=where)
        nbclient.NotebookClient(made, timeout=60, allow_errors=True, config=config).execute()
    saved = tmp_path / "saved.ipynb"
    nbformat.write(made, saved)
    exported, _ = HTMLExporter().from_filename(saved)
    assert "exited with status 3" in saved.read_text() and "exited with status 3" in exported
    assert text not in saved.read_text() and text not in exported


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("%aproc --secret tokn true", "UsageError: --secret: the name 'tokn' is not defined. did you mean token?"),
        (
            "%aproc --secret token true",
            "UsageError: --secret: {token} stands neither in the line nor, with --expand, in",
        ),
        ("%%aproc --secret token\necho {token}", "UsageError: --secret: {token} stands neither in the line nor"),
        ("%aproc --secret 'token,a b' true", "UsageError: --secret: 'a b' is not the name of a Python variable"),
        ("%%aproc --secret token --expand\necho {token}", ""),
    ],
)
def test_a_name_that_hides_nothing_is_an_error(kernel, code, error):
    kernel.run("token = 'hidden'")
    done = kernel.run(code)
    assert done.error.startswith(error) and (done.error or done.text() == "hidden\n")


def test_an_item_can_be_a_secret(kernel):
    kernel.run("tokens = ['hid' + 'den', 'hid' + 'den']")
    done = kernel.run("%%aproc --each tokens --secret item --jobs 1\nprintf %s {item} | wc -c; sleep 0.4; false")
    assert done.error.startswith("ProcessExitError: `item 1`, line 1: `false` exited with 1") and done.cards
    assert "hidden" not in everything(done.messages) + json.dumps(done.reply)


def test_the_value_is_in_args_and_shows_as_stars(kernel):
    kernel.run("token = 'hidden'")
    done = kernel.run("r = %aproc --secret token echo {token}\nr.args[1] == token, r.args")
    assert done.value == "(True, ('echo', '***'))"
    assert kernel.run("import subprocess; subprocess.check_output(r.args)").value == "b'hidden\\n'"
