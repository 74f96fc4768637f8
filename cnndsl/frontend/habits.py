"""Rules for mistakes in chains, and for habits brought along from other languages."""

from __future__ import annotations

import re
from collections.abc import Callable

from cnndsl.frontend.failure import VALUES, Failure
from cnndsl.frontend.habits_arithmetic import arithmetic_in_words
from cnndsl.support.diagnostics import Diagnostic, Label, error
from cnndsl.support.source import Span

QUOTES = 'names need no quotes, and strings are "double-quoted"'

# fmt: off
NUMBERS = (
    "no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven",
    "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
    "twenty",
)
# fmt: on

SETTING = re.compile(r"""(\w+)\s*=\s*("[^"\n]*"|'[^'\n]*'|[\w.%]+(?:-\d+)?)|[\w.%/]+""")
"""A `key=value` or a bare word, after the `=` that word style does not take."""

TUPLE = re.compile(r"\(\s*(\d+(?:\s*,\s*\d+)*)\s*,?\s*\)")
QUOTED = re.compile(r"'([^'\n]*)'")

POSITIONAL = ("kernel_size", "pool_size", "filters", "units", "out_channels", "out_features")
"""Keyword names of other libraries for what stands by position here."""

RENAMED = {"strides": "stride", "dilation_rate": "dilation", "padding": "pad", "rate": "rate"}
"""Keyword names of other libraries with ours."""

WORDS = {
    "for": "`repeat i in 0..3 { .. }` repeats",
    "while": "`repeat 4 { .. }` repeats a fixed number of times",
    "def": "`block name(c) { .. }` defines a piece that is used several times",
    "function": "`block name(c) { .. }` defines a piece that is used several times",
    "class": "`block name(c) { .. }` or `net name { .. }` defines a network",
    "return": "what a body makes is what its last line makes; `output x` names it",
    "var": "`let n = 3` gives a value a name",
    "const": "`let n = 3` gives a value a name",
    "elif": "`if a { .. } else if b { .. }`",
}
"""First words of statements of other languages, with what says the same here."""

CHARACTERS = {
    "&": "`and` joins two conditions",
    "!": "`not` negates a condition",
    "\\": "a line goes on by itself after `->`, after `,` and inside ( ) and [ ]",
    "@": "",
    "$": "",
    "~": "`not` negates a condition",
}


def _python_tuple(failure: Failure) -> Diagnostic | None:
    """`conv(64, kernel_size=(3,3))`: a tuple, or a name in single quotes."""
    stack = failure.open_brackets()
    if failure.kind != "COMMA" or len(stack) < 2 or "COMMA" in failure.expected:
        return None
    opener = failure.tokens[stack[-1]]
    before = failure.tokens[stack[-1] - 1].type
    if opener.type != "LPAR" or before in ("NAME", "RPAR", "RSQB"):
        return None
    text = failure.source.text
    start = opener.start_pos or 0
    end_of_line = text.find("\n", start)
    line = text[start : None if end_of_line < 0 else end_of_line]
    shown = re.match(r"\([^()]*\)?", line)
    if shown is None:
        return None
    span = failure.span_of(opener)
    sizes = TUPLE.match(line)
    label = "lists are written [a, b]"
    if sizes is not None:
        label = f"sizes are written {_size(sizes[1])}"
    related: tuple[Label, ...] = ()
    quoted = QUOTED.search(line)
    if quoted is not None:
        column = span.column + quoted.start()
        place = type(span)(span.file, span.line, column, span.line, column + len(quoted[0]))
        related = (Label(place, QUOTES),)
    wide = type(span)(span.file, span.line, span.column, span.line, span.column + len(shown[0]))
    return error(
        "E0104",
        f"`{shown[0]}` is not a value here",
        wide,
        label=label,
        related=related,
        helps=_our_call(failure, stack[-2]),
    )


def _size(numbers: str) -> str:
    return "x".join(re.findall(r"\d+", numbers))


def _our_call(failure: Failure, opener: int) -> tuple[str, ...]:
    """The call around the mistake, as this language writes it."""
    if opener == 0 or failure.tokens[opener - 1].type != "NAME":
        return ()
    start = failure.tokens[opener - 1].start_pos or 0
    end = failure.source.text.find("\n", start)
    line = failure.source.text[start : None if end < 0 else end]
    line = QUOTED.sub(r"\1", TUPLE.sub(lambda found: _size(found[1]), line))
    call = re.match(r"(\w+)\(([^()]*)\)", line)
    if call is None:
        return ()
    arguments = [_our_argument(argument.strip()) for argument in call[2].split(",")]
    return (f"{call[1]}({', '.join(arguments)})",)


def _our_argument(text: str) -> str:
    key, equals, value = (piece.strip() for piece in text.partition("="))
    if not equals:
        return text
    if key in POSITIONAL or (key == "padding" and not value.isdigit()):
        return value
    size = re.fullmatch(r"(\d+)x\1", value)
    if key in RENAMED and size is not None:
        value = size[1]
    return f"{RENAMED.get(key, key)}={value}"


def _single_quotes(failure: Failure) -> Diagnostic | None:
    """`'relu'`."""
    rest = failure.rest_of_line()
    if failure.kind or not rest.startswith("'"):
        return None
    quoted = QUOTED.match(rest)
    shown = quoted[0] if quoted is not None else rest.rstrip()
    inside = shown.strip("'")
    plain = re.fullmatch(r"[A-Za-z_]\w*", inside) is not None
    return error(
        "E0104",
        f"`{shown}` is in single quotes",
        failure.here(0, len(shown)),
        label=QUOTES,
        helps=(f"write `{inside}`" if plain else f'write `"{inside}"`',),
    )


def _foreign_word(failure: Failure) -> Diagnostic | None:
    """`for i in range(3):` and the like."""
    start = failure.statement()
    if start >= len(failure.tokens):
        return None
    first = failure.tokens[start]
    if first.type != "NAME" or first.value not in WORDS:
        return None
    return foreign_word(first.value, failure.span_of(first))


def foreign_word(word: str, span: Span) -> Diagnostic:
    """Say what stands here for a statement of another language; `word` is one of `WORDS`."""
    return error(
        "E0104",
        f"`{word}` begins no statement here",
        span,
        label="a word of another language",
        helps=(WORDS[word],),
    )


def _foreign_character(failure: Failure) -> Diagnostic | None:
    """`&&`, `!`, a backslash."""
    rest = failure.rest_of_line()
    if failure.kind or rest[:1] not in CHARACTERS:
        return None
    run = re.match(r"(.)\1*", rest)
    shown = run[0] if run is not None else rest[0]
    hint = CHARACTERS[rest[0]]
    return error(
        "E0104",
        f"`{shown}` is not part of this language",
        failure.here(0, len(shown)),
        helps=(hint,) if hint else (),
    )


def _foreign_operator(failure: Failure) -> Diagnostic | None:
    """`**` for a power, `:=` or `==` for a name, `=` for a comparison."""
    before = failure.previous()
    if failure.kind == "STAR" and before == "STAR":
        helps = ("a power is `^`",)
        return error("E0104", "`**` is not an operator here", failure.span, helps=helps)
    if failure.kind == "COLON" and "EQUAL" in failure.expected:
        shown = ":=" if failure.rest_of_line().startswith(":=") else ":"
        label = "a value is given with `=`"
        return error("E0104", f"`{shown}` gives no value here", failure.span, label=label)
    if failure.kind == "EQUAL" and before == "EQUAL":
        label = "one `=` gives a value; `==` compares"
        return error("E0107", "`==` does not belong here", failure.span, label=label)
    if failure.kind == "EQUAL" and "CMP" in failure.expected:
        label = "`=` gives a value; `==` compares"
        return error("E0107", "`=` does not belong here", failure.span, label=label)
    return None


def _body_after_colon(failure: Failure) -> Diagnostic | None:
    """`block double(c):`, `if deep:`."""
    if failure.kind != "COLON" or "LBRACE" not in failure.expected:
        return None
    if "ARROW" in failure.expected or failure.tokens[failure.statement()].type == "NAME":
        return None
    return error(
        "E0104",
        "a body stands between `{` and `}`",
        failure.span,
        label="expected `{`",
    )


def _equals_in_words(failure: Failure) -> Diagnostic | None:
    """`conv 64 3x3 stride=2`."""
    if failure.kind != "EQUAL" or failure.previous() != "NAME":
        return None
    if not failure.expected & {"ARROW", "DASH"}:
        return None
    first, key = failure.element(), len(failure.tokens) - 1
    value = SETTING.match(failure.tokens[-1].value + failure.rest_of_line())
    if first == key:
        setting = value[2] if value is not None and value[1] else "3"
        name = failure.tokens[-1].value
        return error(
            "E0102",
            "a chain has no `=`",
            failure.span,
            label="unexpected here",
            helps=(
                f"to give a value a name write `let {name} = {setting}`",
                f"a setting in a section is written `{name}: {setting}`",
            ),
        )
    words = [failure.between(i, i + 1) for i in range(first, key)]
    return error(
        "E0102",
        "`=` belongs between parentheses",
        failure.span,
        label="unexpected here",
        helps=_both_styles(words, failure.tokens[-1].value + failure.rest_of_line()),
    )


def _both_styles(words: list[str], settings: str) -> tuple[str, ...]:
    """The element in word style and in call style."""
    arguments, written = words[1:], list(words)
    position = 0
    while (found := SETTING.match(settings, position)) is not None:
        if found[1] is not None:
            arguments.append(f"{found[1]}={found[2]}")
            written += [found[1], found[2]]
        else:
            arguments.append(found[0])
            written.append(found[0])
        position = found.end()
        blank = re.match(r"[ \t]+(?!->|[-,|])", settings[position:])
        if blank is None:
            break
        position += blank.end()
    if position == 0:
        return ()
    in_words, in_call = " ".join(written), f"{words[0]}({', '.join(arguments)})"
    return (f"in words:       {in_words}\nin parentheses: {in_call}",)


def _value_in_chain(failure: Failure) -> Diagnostic | None:
    """`conv 64 3x3 -> 10 -> softmax`."""
    if failure.kind not in VALUES or not failure.expected >= {"NAME", "SIZED", "LPAR"}:
        return None
    helps: tuple[str, ...] = ()
    if failure.kind == "NUMBER" and failure.text.isdigit():
        number = int(failure.text[:18])
        spoken = NUMBERS[number] if number < len(NUMBERS) else failure.text
        helps = (f"for {spoken} output neurons write `fc {failure.text}`",)
        if failure.previous() == "DASH" and failure.previous(2) == "NAME":
            word = failure.tokens[-2].value
            helps += (f"`{word}-{failure.text}` is one word if nothing stands around the hyphen",)
    elif failure.kind == "DIMS":
        helps = (f"a window belongs to a layer: `conv 64 {failure.text}`",)
    elif failure.kind == "STRING":
        helps = ('a file belongs to a word: `load "vgg16.npz"`',)
    return error(
        "E0101",
        f"a chain goes from layer to layer, and `{failure.text}` is not one",
        failure.span,
        label="expected a layer, a block, `(` or `[`",
        helps=helps,
    )


def _import_without_quotes(failure: Failure) -> Diagnostic | None:
    """`import vgg`."""
    if failure.previous() != "IMPORT" or failure.kind != "NAME":
        return None
    return error(
        "E0107",
        "what is imported is a file, in double quotes",
        failure.span,
        helps=(f'import "{failure.text}.cnn" as {failure.text}',),
    )


def _shape_without_brackets(failure: Failure) -> Diagnostic | None:
    """`conv 6 5x5 => 28x28x6`."""
    if failure.previous() != "FAT" or failure.kind == "LSQB":
        return None
    shown = failure.text if failure.kind in ("DIMS", "NUMBER") else "28x28x6"
    return error(
        "E0107",
        "what follows `=>` is a size in square brackets",
        failure.span,
        label="expected `[`",
        helps=(f"=> [{shown}]",),
    )


def _branches_without_parentheses(failure: Failure) -> Diagnostic | None:
    """`a | b` with nothing around it."""
    stack = failure.open_brackets()
    if failure.kind != "VBAR" or (stack and failure.tokens[stack[-1]].type != "LBRACE"):
        return None
    return error(
        "E0107",
        "branches stand in parentheses",
        failure.span,
        label="no `(` is open here",
        helps=("(conv 64 1x1 | maxpool 3x3/1 same) -> concat",),
    )


HABITS: tuple[Callable[[Failure], Diagnostic | None], ...] = (
    _python_tuple,
    _single_quotes,
    _foreign_word,
    _foreign_character,
    _foreign_operator,
    _body_after_colon,
    _import_without_quotes,
    _shape_without_brackets,
    _equals_in_words,
    _value_in_chain,
    arithmetic_in_words,
    _branches_without_parentheses,
)
"""In the order in which they are tried."""
