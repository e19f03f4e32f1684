"""Output as a DataFrame: the format detected or named; pandas only when one is asked for."""

import sys

import pytest

import ipyproc
from ipyproc._core.batch.frame import frame
from ipyproc.testing import Script, programs

pytestmark = pytest.mark.pure

CSV, TSV = "a,b\n1,x\n2,y\n", "a\tb\n1\tx\n2\ty\n"
JSON, LINES = '[{"a": 1, "b": "x"},\n {"a": 2, "b": "y"}]', '{"a": 1, "b": "x"}\n{"a": 2, "b": "y"}\n'


@pytest.mark.parametrize(("name", "text"), [("csv", CSV), ("tsv", TSV), ("json", JSON), ("jsonl", LINES)])
def test_formats(name, text):
    pytest.importorskip("pandas")
    for found in (frame(text), frame(text, name), frame("\n" + text)):
        assert found.to_dict("list") == {"a": [1, 2], "b": ["x", "y"]}


@pytest.mark.parametrize(("name", "separator"), [("csv", ","), ("tsv", "\t")])
def test_a_table_whose_first_column_has_no_name(name, separator):
    pandas = pytest.importorskip("pandas")
    made = pandas.DataFrame({"a": [1, 2], "b": ["x", "y"]})
    for before in ("", "\n", "\r\n  \n"):
        text = before + made.to_csv(sep=separator)
        assert frame(text).to_dict("list") == frame(text, name).to_dict("list"), text
        assert frame(text).columns.to_list()[1:] == ["a", "b"]


@pytest.mark.parametrize("text", ['{"a": 1}', '{\n  "a": 1\n}', '{"a": 1}\n', '[{"a": 1}]'])
def test_one_object_is_one_row(text):
    pytest.importorskip("pandas")
    assert frame(text).to_dict("list") == {"a": [1]}


def test_values_of_json_stay_as_they_are():
    pytest.importorskip("pandas")
    assert frame('{"id": "007", "created_at": "5"}')["id"][0] == "007"


@pytest.mark.parametrize(
    ("text", "format", "words"),
    [
        (CSV, "cvs", "format='cvs': allowed are 'csv', 'tsv', 'json', 'jsonl', or None; did you mean 'csv'?"),
        (CSV, 5, "format=5: allowed are"),
        ("just words", None, "cannot tell the format of the output, which begins with 'just words'; name it"),
        ("INFO: begun, at 5\nready\n", None, "cannot tell the format of the output, which begins with 'INFO"),
        ("10%, a\r20%, b\n", None, "cannot tell the format"),
        ("", None, "cannot tell the format of the output, which is empty"),
        ("", "csv", "No columns"),
        ("{no json", None, "Expecting property name"),
        ('{"a": 1}\n5\n', None, "this jsonl is not a table"),
    ],
)
def test_clear_errors(text, format, words):
    pytest.importorskip("pandas")
    with pytest.raises(ValueError) as caught:
        frame(text, format)
    assert words in str(caught.value)
    if text.startswith("{no"):
        assert caught.value.__notes__ == ["The output was read as json; it begins with '{no json'."]


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ('name,comment\nx,"a\tb"\n', {"name": ["x"], "comment": ["a\tb"]}),
        ("a, b\tc\n1\t2\n", {"a, b": [1], "c": [2]}),
        ('"a\nb",c\n1,2\n', {"a\nb": [1], "c": [2]}),
        ("\ufeffa,b\r\n1,2\r\n", {"a": [1], "b": [2]}),
        ('\ufeff[{"a": 1}]', {"a": [1]}),
        ('{"a": {}\n, "b": 2}', {"a": [{}], "b": [2]}),
        ("[1, 2]\n[3, 4]\n", {0: [1, 3], 1: [2, 4]}),
    ],
)
def test_detection_looks_closely(text, columns):
    pytest.importorskip("pandas")
    assert frame(text).to_dict("list") == columns


def test_keywords_of_read_csv():
    pytest.importorskip("pandas")
    done = ipyproc.run("printf", "id;n\n007;1\n").result()
    assert done.df(sep=";", dtype=str).to_dict("list") == {"id": ["007"], "n": ["1"]}
    with pytest.raises(TypeError, match=r"sep: keywords of pandas\.read_csv are for csv and tsv, and not for json"):
        done.df("json", sep=";")


def test_a_line_that_is_no_json_is_named():
    pytest.importorskip("pandas")
    with pytest.raises(ValueError) as caught:
        frame('{"a": 1}\n{"a": \n')
    assert caught.value.__notes__[0] == """This is about line 2 of the output, '{"a": '."""


def test_without_pandas(monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match=r"needs pandas, which is not installed \(pip install pandas\)"):
        ipyproc.run("echo", "a,b").result().df()


def test_of_a_program():
    pytest.importorskip("pandas")
    assert ipyproc.run("printf", CSV).result().df().shape == (2, 2)
    assert ipyproc.run("printf", CSV, text=False).result().df("csv").shape == (2, 2)


@pytest.mark.parametrize("text", ["[" * 200_000, '{"a":' * 200_000, '{"a": 1}\n' + "[" * 200_000])
def test_json_that_is_nested_too_deeply_is_a_value_error(text):
    pytest.importorskip("pandas")
    for name in (None, "json", "jsonl"):
        with pytest.raises(ValueError, match=r"nested too deeply|Extra data") as caught:
            frame(text, name)
        assert caught.value.__notes__
    with programs({"sim": Script(stdout=text)}), pytest.raises(ValueError):
        ipyproc.run("sim").result().json()
