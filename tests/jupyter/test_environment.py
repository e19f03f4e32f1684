"""What a program gets from Python and gives back to it: `-i`, `--venv`, `--conda`, `--format`, `--ok-code`."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.pure


def test_python_values_become_environment_variables(kernel):
    kernel.run("n, s, l = 3, 'a b\"$(touch PWNED)', ['one two', \"it's\", '*']")
    done = kernel.run('%%aproc -i n,s -i l\neval "l=($l)"\nprintf "<%s>" "$n" "$s" "${l[@]}"')
    assert done.text().rstrip("\n") == "<3><a b\"$(touch PWNED)><one two><it's><*>"


def test_a_frame_becomes_a_file_that_goes(kernel):
    pytest.importorskip("pandas")
    kernel.run("import pandas; d = pandas.DataFrame({'a': [1, 2], 'b': ['x', 'y z']})")
    done = kernel.run('%%aproc -i d --out path\ncat "$d" >&2; echo "$d"')
    assert done.text("stderr") or done.displays
    assert kernel.run("import os; path.endswith('.csv\\n')").value == "True"
    assert kernel.run("import gc; gc.collect(); os.path.exists(path.strip())").value == "False"


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("-i nosuch true", "-i: the name 'nosuch' is not defined"),
        ("-i none true", "{none} is None; that is no argument for a program"),
        ("-i nul true", "-i nul: its value holds a NUL character"),
        ("-i long true", "-i long: its value is 200,000 characters long"),
        ("-i nested true", "{nested} holds a list within a list"),
        ("-i mapping true", "{mapping} is a mapping; that is no argument for a program (json.dumps"),
        ("-i print true", "-i: the name 'print' is not defined"),
        ("-i function true", "{function} is of type function, which has no text"),
        ("-i lone true", "{lone} is no text that a program can get"),
        ("printf {lone}", "{lone} is no text that a program can get"),
        ("--venv /usr true", "--venv: '/usr' is no virtual environment: it has no pyvenv.cfg"),
        ("--conda nosuch true", "--conda: there is no environment 'nosuch'"),
        ("--venv '' true", "--venv: '' is no virtual environment"),
        ("--conda '' true", "--conda: there is no environment ''"),
        ("--venv a --conda b true", "--venv and --conda: a program can be in one environment only"),
        ("--format lines true", "--format goes with --out NAME"),
        ("--bg --out x --format lines true", "--format goes with --out NAME, and not with --bg"),
        ("--out x --format jsn true", "--format: 'jsn' is none of text, lines, json, csv; did you mean json?"),
        ("--out x --format CSV true", "did you mean csv?"),
        ("--out class true", "--out: class is a keyword of Python, and no name of a variable"),
        ("--err None true", "--err: None is a keyword of Python"),
        ("--out 5x true", "--out: '5x' is not the name of a Python variable"),
        ("--out print true", "--out: print has a meaning in Python or IPython, and would lose it"),
        ("--proc get_ipython true", "--proc: get_ipython has a meaning in Python or IPython"),
        ("--out _ true", "--out: _ has a meaning in Python or IPython"),
        ("--ok-code 0,x true", "--ok-code: '0,x' is no list of exit codes"),
        ("--ok-code 256 true", "--ok-code: '256' is no list of exit codes"),
    ],
)
def test_what_cannot_be_is_an_error_before_anything_starts(kernel, line, error):
    kernel.run("none, nul, long, nested, mapping = None, 'a\\0b', 'x' * 200_000, [['a']], {}")
    kernel.run("lone = '\\ud800'\ndef function(): pass")
    assert error in kernel.run(f"%aproc {line}").error


def test_a_program_runs_inside_a_virtual_environment(kernel, tmp_path):
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "env"], check=True)
    shown = "import json, os, sys; print(json.dumps([sys.prefix, os.environ['VIRTUAL_ENV']]))"
    kernel.run(f"code = {shown!r}")
    kernel.run(f"%aproc --venv {tmp_path}/env --out o --format json python -c {{code}}")
    assert kernel.run(f"o == ['{tmp_path}/env'] * 2").value == "True"
    assert f"there is {tmp_path}/env" in kernel.run(f"%aproc --venv {tmp_path}/evn true").error


def test_a_program_runs_inside_a_conda_environment(fresh_kernel, tmp_path):
    root = tmp_path / "conda"
    for place in (root, root / "envs" / "tools"):
        (place / "conda-meta").mkdir(parents=True)
        (place / "bin").mkdir()
    tool = root / "envs" / "tools" / "bin" / "mytool"
    tool.write_text('#!/bin/sh\necho "$CONDA_DEFAULT_ENV $CONDA_PREFIX"\n')
    tool.chmod(0o755)
    fresh_kernel.run(f"import os; os.environ['CONDA_EXE'] = '{root}/bin/conda'")
    fresh_kernel.run("%aproc --conda tools --out o mytool")
    assert fresh_kernel.run("o").value == repr(f"tools {root}/envs/tools\n")
    assert "did you mean tools?" in fresh_kernel.run("%aproc --conda tool mytool").error


def test_the_output_becomes_what_was_asked_for(kernel):
    kernel.run("%aproc --out o --format lines printf 'a\\nx\\r\\033[1mb c\\n'")
    assert kernel.run("o").value == "['a', 'b c']", "as a terminal would leave them"
    assert kernel.run("%aproc --out o --format lines true").status == "ok" and kernel.run("o").value == "[]"
    kernel.run("""%aproc --out o --format json echo '{"a": [1, 2]}'""")
    assert kernel.run("o").value == "{'a': [1, 2]}"
    failed = kernel.run("%aproc --out o --format json echo no json")
    assert failed.error.startswith("JSONDecodeError: ") and kernel.run("o").value == "'no json\\n'"
    failed = kernel.run("%aproc --out o --format json sh -c 'echo half; exit 3'")
    assert failed.error.startswith("ProcessExitError: ") and kernel.run("o").value == "'half\\n'"


def test_the_output_becomes_a_frame(kernel):
    pytest.importorskip("pandas")
    kernel.run("%aproc --out o --format csv printf 'a,b\\n1,2\\n3,4\\n'")
    assert kernel.run("o['b'].sum()").value.endswith("6)") or kernel.run("int(o['b'].sum())").value == "6"


def test_codes_that_are_no_failure(kernel):
    done = kernel.run("%aproc --ok-code 0,1 grep nosuch /etc/hostname")
    assert done.status == "ok" and kernel.run("%aproc --ok-code 1 true").status == "ok", "0 is one always"
    assert kernel.run("%aproc --ok-code 0,1 sh -c 'exit 2'").error.startswith("ProcessExitError: ")
    done = kernel.run("%aproc --ok-code 0,3 sh -c 'sleep 0.4; exit 3'")
    assert done.displays[-1]["text/plain"].startswith("✔ Done, exit 3")


def test_a_byte_order_mark_and_colours_are_nothing_to_json_and_csv(kernel):
    """Ipykernel itself asks all programs for colours, also in a pipe."""
    assert kernel.run("import os; os.environ['CLICOLOR_FORCE'], os.environ['FORCE_COLOR']").value == "('1', '1')"
    kernel.run(r"""json = '\ufeff\x1b[1m{\x1b[0m"a": \x1b[32m1\x1b[0m}\n'""")
    kernel.run("%aproc --out o --format json printf %s {json}\nr = %aproc printf %s {json}")
    assert kernel.run("o, r.json(), r.stdout == json").value == "({'a': 1}, {'a': 1}, True)"
    pytest.importorskip("pandas")
    kernel.run(r"""csv = '\ufeff\x1b[1ma\x1b[0m,b\r\n\x1b]8;;http://x\x1b\\1\x1b]8;;\x1b\\,2\r\n'""")
    kernel.run("%aproc --out o --format csv printf %s {csv}\nr = %aproc printf %s {csv}")
    assert (
        kernel.run("o.to_dict('list'), r.df().to_dict('list')").value == "({'a': [1], 'b': [2]}, {'a': [1], 'b': [2]})"
    )
