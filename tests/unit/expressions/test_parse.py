"""Expressions from text: what they become, that nothing is evaluated, and that a mistake is shown at its place."""

import pytest

from shmstore import Expression, field
from shmstore.errors import InvalidOption
from shmstore.expressions.parse import parse


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("value > 100", field("value") > 100),
        ("  value\n > 100 ", field("value") > 100),
        ("value > 100 and gateway == 'gw-1'", (field("value") > 100) & (field("gateway") == "gw-1")),
        ("a == 1 or b == 2 and not c", (field("a") == 1) | (field("b") == 2) & ~field("c")),
        ("(a == 1 or b == 2) and c", ((field("a") == 1) | (field("b") == 2)) & field("c")),
        ("1 < a <= 5", (field("a") > 1) & (field("a") <= 5)),
        ("a > 1 == b", (field("a") > 1) & (field("b") == 1)),
        ("a in [1, 2.5]", field("a").isin([1, 2.5])),
        ("a not in ('x', 'y')", ~field("a").isin(["x", "y"])),
        ("a.isin({-1})", field("a").isin([-1])),
        ("isin(a, [])", field("a").isin([])),
        ("a.startswith('x')", field("a").startswith("x")),
        ("startswith(a, b'x')", field("a").startswith(b"x")),
        ("a.between(1, b)", field("a").between(1, field("b"))),
        ("between(a + 1, 2, 3)", (field("a") + 1).between(2, 3)),
        ("-a * 2 // 3 % 4 - +b / 5 >= 0", -field("a") * 2 // 3 % 4 - field("b") / 5 >= 0),
        ("a > 10 * 60", field("a") > 600),
        ("a == -1e3", field("a") == -1e3),
        ("a == True", field("a") == True),  # noqa: E712
        ("größe > 1", field("größe") > 1),
    ],
)
def test_it_becomes_the_expression_that_it_says(text: str, expected: Expression) -> None:
    assert repr(parse(text)) == repr(expected)


@pytest.mark.parametrize(
    ("text", "marked", "words"),
    [
        ("value >", "", "not an expression"),
        ("", "", "not an expression"),
        ("a ? 3", "?", "not an expression"),
        ("a == 1)", ")", "unmatched"),
        ("a == 1 and é is 2", "é is 2", "write =="),
        ("a & b", "a & b", "write and"),
        ("~a", "~a", "write not"),
        ("a ** 2 > 3", "a ** 2", r"write x \* x"),
        ("a > '5' + 1", "'5'", "not a number"),
        ("-'x' < a", "'x'", "not a number"),
        ("1 < 2", "1 < 2", "two constants"),
        ("5", "5", "does not name a field"),
        ("a == 1 and 'x'", "'x'", "not a condition"),
        ("a == 1 and b + 1", "b + 1", "joins conditions"),
        ("a in b", "b", "list of constants"),
        ("a in [b]", "a", "takes constants"),
        ("'x' in a", "'x'", "not a field"),
        ("a == None", "None", "not understood"),
        ("a == [1]", "[1]", "not understood"),
        ("a.b == 1", "a.b", "not understood"),
        ("a[0] == 1", "a[0]", "not understood"),
        ("f'{a}' == a", "f'{a}'", "not understood"),
        ("a if b else c", "a if b else c", "not understood"),
        ("lambda: a", "lambda: a", "not understood"),
        ("a > 1 // 0", "1 // 0", "by zero"),
        ("a.startswith(5)", "a.startswith(5)", "expected text"),
        ("a.startswith('x', 'y')", "a.startswith('x', 'y')", "takes 1 beside the field, found 2"),
        ("a.startswith(prefix='x')", "a.startswith(prefix='x')", "no startswith"),
        ("startswith()", "startswith()", "found 0"),
        ("__import__('os').system('true')", "__import__('os').system('true')", "no system"),
        ("exit()", "exit()", "no exit"),
        ("(a > 1)(2)", "(a > 1)(2)", "cannot be called"),
    ],
)
def test_a_mistake_is_shown_at_its_place(text: str, marked: str, words: str) -> None:
    with pytest.raises(InvalidOption, match=words) as caught:
        parse(text)
    said, shown, marks = str(caught.value).split("\n")
    assert "accepted are field names, numbers, 'text'" in said
    assert shown == f"  {text}"
    place = marks[2:]
    assert text[len(place) - len(place.lstrip()) : len(place)] == marked


def test_a_field_that_is_not_there_is_shown_with_those_that_are() -> None:
    assert repr(parse("a > 1", ["a", "b"])) == "field('a') > 1"
    with pytest.raises(InvalidOption, match=r"no field 'c'; the fields are a, b;(.|\n)*      \^$"):
        parse("a > c", ["a", "b"])


@pytest.mark.parametrize(
    "text",
    [
        "(" * 300 + "a" + ")" * 300 + " > 1",
        "not " * 2400 + "a",
        "-" * 9000 + "a > 1",
        "a > 1 and " * 2000 + "b",
        "a\0 > 1",
        "a > " + "9" * 5000,
    ],
    ids=["parentheses", "nots", "signs", "long", "nul", "digits"],
)
def test_what_is_too_much_is_refused(text: str) -> None:
    with pytest.raises(InvalidOption):
        parse(text)


def test_nothing_is_evaluated(capsys: pytest.CaptureFixture[str]) -> None:
    for text in ("print('x') == a", "a == (print('x'))", "[print('x') for b in a]", "(b := print('x')) == a"):
        with pytest.raises(InvalidOption):
            parse(text)
    assert capsys.readouterr().out == ""
