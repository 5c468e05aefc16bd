"""Records what the real Chaos Toolkit makes of the cases below, as JSON beside this file.

Run it in a virtual environment that has chaostoolkit-lib and jsonpath2:
    python record.py
The tests of this crate hold the recordings against our own reading.
"""
import contextlib
import io
import itertools
import json
import pathlib
import re
import subprocess

import yaml

import chaoslib
from chaoslib import hypothesis, substitute
from chaoslib.exceptions import ChaosException
from chaoslib.experiment import ensure_experiment_is_valid
from chaoslib.provider import process as process_provider
from jsonpath2.path import Path as JSONPath

HERE = pathlib.Path(__file__).parent


def outcome(call):
    """The value, or the exception's class."""
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            value = call()
        return {"value": json.loads(json.dumps(value, cls=chaoslib.PayloadEncoder, allow_nan=False))}
    except Exception as error:  # every class is an answer here
        return {"raises": type(error).__name__}


def write(name, rows):
    text = "[\n" + ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows) + "\n]\n"
    (HERE / f"{name}.json").write_text(text, encoding="utf-8")
    print(name, len(rows))


STORE = {
    "store": {
        "book": [
            {"category": "a", "price": 8.95, "title": "one", "tags": ["x", "y"]},
            {"category": "b", "price": 12.99, "title": "two", "isbn": "0-1"},
            {"category": "b", "price": 8, "title": "three", "tags": []},
        ],
        "bicycle": {"color": "red", "price": 19.95},
    },
    "n": 1, "zero": 0, "yes": True, "nil": None, "s": "hello é", "i": "n", "list": [5, 6, 7, 8, 9],
    "a-b": 3, "nested": {"a": {"a": {"a": 1}}}, "empty": [], "idx": [2, 0],
}

PATHS = """
$
$.n
$.missing
$.store.book[*].price
$.store.book[0]
$.store.book[-1].title
$.store.book[3]
$.store.book[-4]
$.store..price
$..price
$..book[0]
$..*
$.store.*
$.*
$.list[*]
$.list[0,2,4]
$.list[1:3]
$.list[:2]
$.list[2:]
$.list[:]
$.list[::2]
$.list[1::2]
$.list[:4:2]
$.list[1:4:2]
$.list[-2:]
$.list[:-2]
$.list[-9:]
$.list[-9:2]
$.list[4:0:-1]
$.list[::-1]
$.list[3::-1]
$.list[:1:-1]
$.list[-1:0:-1]
$.list[9:]
$.list[9:0:-2]
$.list[2:1]
$.list[-5:]
$.list[-5:-1]
$.list[::0]
$.list[0:99999999]
$.list[::]
$.list[1.5]
$.list[1e0]
$["n"]
$["a-b"]
$['n']
$.a-b
$["store"]["bicycle"]["color"]
$["n","s"]
$[n]
$.store.book[?(@.price)]
$.store.book[*][?(@.price > 8)]
$.store.book[*][?(@.price > 8)].title
$.store.book[*][?(@.price >= 8)].title
$.store.book[*][?(@.price < 9)].title
$.store.book[*][?(@.price <= 8)].title
$.store.book[*][?(@.price = 8)].title
$.store.book[*][?(@.price = 8.0)].title
$.store.book[*][?(@.price != 8)].title
$.store.book[*][?(@.category = "b")].title
$.store.book[*][?(@.category = 'b')].title
$.store.book[*][?(@.category == "b")].title
$.store.book[*][?(@.isbn)].title
$.store.book[*][?(not @.isbn)].title
$.store.book[*][?(not not @.isbn)].title
$.store.book[*][?(@.price > 8 and @.category = "b")].title
$.store.book[*][?(@.price > 12 or @.category = "a")].title
$.store.book[*][?(@.category = "a" or @.category = "b" and @.price > 9)].title
$.store.book[*][?((@.category = "a" or @.category = "b") and @.price > 9)].title
$.store.book[*][?(@.category = "b" and @.price > 9 or @.category = "a")].title
$.store.book[*][?(@.title < "two")].title
$.store.book[*][?(@.tags[*] = "y")].title
$.store.book[*][?(@.tags = ["x","y"])].title
$.store.book[*][?(@.tags = [])].title
$.store.book[*][?(@.price = $.n)].title
$.store.book[*][?(@.price > $.n)].title
$.store.book[*][?(1)].title
$.store.book[*][?(0)].title
$.store.book[*][?("")].title
$.store.book[*][?(null)].title
$.store.book[*][?(@)].title
$.store.book[*][?(@.tags.length() = 2)].title
$.store.book[*][?(true = 1)].title
$[?(@.n = 1)].n
$[?(@.yes = 1)].n
$[?(@.nil = null)].n
$[?(@.zero = false)].n
$[?(@.s = "hello é")].n
$[?({"a":1} = {"a":1.0})].n
$.store.book.length()
$.s.length()
$.store.length()
$.list.length()
$.store.keys()
$.list.keys()
$.store.bicycle.values()
$.list.values()
$.store.bicycle.entries()
$.empty.entries()
$.idx.entries()
$.s.charAt(1)
$.s.charAt(-1)
$.s.charAt(6)
$.s.charAt(99)
$.s.charAt($.n)
$.s.charAt(true)
$.s.charAt("1")
$.s.charAt()
$.s.substring(1)
$.s.substring(1,3)
$.s.substring(-3)
$.s.substring(-3,-1)
$.s.substring(3,1)
$.s.substring($.list[0])
$.s.substring(0,$.idx[*])
$.list.length(1)
$.s.unknown()
$.s["length"]
$.s[length()]
$.list[length()]
$..length()
$[$.i]
$.list[$.n]
$.list[$.idx[*]]
$.list[$.yes]
$.list[@.length()]
$[$.s]
$.nested..a
$.nested..a.a
$..a..a
$..[0]
$..["price","color"]
$..book[*][?(@.price > 10)]..title
$.store.book[*].tags[0]
$.store.book[*]["title","price"]
$.store.book[0,0].title
$.store.book[0:2].title
$. n
$ .n
 $.n 
$.list[ 1 : 3 ]
$.store.book[*][?( @.price>8 )].title
$.and
$.true
$.n.
$..
$...n
$.n]
$[
$[]
$["n
n
@.n
@

$.n $.s
$.list[01]
$.list[-0]
$.list[--1]
$.é
$["é"]
$.1
$._x
$.store.book[?]
$.store.book[?()]
$.store.book[*][?(@.price >)]
$.store.book[*][?(@.price => 8)]
$.store.book[*][?(@.price =! 8)]
$.store.book[*][?(@.price & 8)]
$.store.book[*][(@.price)]
$["a\\"b"]
$["a\\x"]
$["\\u00e9"]
$.list[0,]
$.list[,0]
$.*[*]
$.store.book[*][*]
$.list[1:2,0]
$.list[*,0]
$.list[?(@.length() > 3)]
$.n[0]
$.s[0]
$.list.n
$.store.book[*].price.length()
""".strip("\n").split("\n")


def jsonpath():
    rows = []
    for path in PATHS:
        rows.append({"path": path, **outcome(
            lambda: [m.current_value for m in JSONPath.parse_str(path).match(STORE)])})
    write("jsonpath", [{"document": STORE}] + rows)


CONFIG = {"x": 5, "f": 1.5, "b": True, "no": False, "nil": None, "s": "text", "l": [1, "a"],
          "d": {"a": [1], "b": {"c": None}}, "pat": "^o", "tol": {"type": "range", "range": [0, 9]},
          "q": "it's", "big": 1e16, "small": 1e-5, "uni": "é\u200b"}
SECRETS = {"g": {"s": "secret", "t": "one"}, "h": {"t": "two", "u": 7}}

TEMPLATES = ["${x}", "$x", "a${x}", "${x}b", "${x}${x}", "$$", "$$x", "$${x}", "$$$x", "${x", "$x}",
    "${a-b}", "${ x }", "${X}", "$X", "${unknown}", "$unknown $x", "$", "a$", "$1", "${1}", "${é}",
    "$xé", "${s}", "${t}", "$t-$u", "${u}", "${f}", "${b}", "v ${b} ${no} ${nil}", "${nil}", "${l}",
    "l=${l}", "d=${d}", "${d}", "q=${q}", "${big}/$big", "$small", "[$uni]", "${l} $uni", "", "plain",
    "100%", "$(x)", "$-x", "${x}\n", "\n${x}", "$_", "${_x}", "a$x.b", "$x$f", "${{x}}", "$\u212a",
    "l=$l q=$q", "$d"]


def substitution():
    rows = []
    for template in TEMPLATES:
        rows.append({"template": template, **outcome(lambda: substitute(template, CONFIG, SECRETS))})
    write("substitution", [{"configuration": CONFIG, "secrets": SECRETS}] + rows)


PROC = {"status": 0, "stdout": "4.5\n", "stderr": ""}
FAIL = {"status": 3, "stdout": "", "stderr": "oops"}
HTTP = {"status": 200, "headers": {"A": "b"}, "body": {"a": 1, "items": [{"n": 1}, {"n": 2}]}}
TEXT = {"status": 503, "headers": {}, "body": "{\"a\": 2}"}
VALUES = [PROC, FAIL, HTTP, TEXT, 0, 1, 5, 1.0, 4.5, True, False, None, "ok", "", "5", " 4.5\n", "abc",
    "NaN", "Infinity", "1_0", "1e1", "[1, 2]", "{\"a\": 1}", [], [1, 2], [0, 1, 2], {}, {"a": 1},
    {"status": "up"}, "0.1", 0.1, "ok\n", "é"]
TOLERANCES = [0, 3, 200, 1, 5, True, False, "ok", "", "5", "${x}", "${f}", "${nil}", "${l}", "${tol}", "${b}",
    "${d}", "x${x}", [0, 7], [200, 503], [0, 1, 2], [0], [], ["a", "z"], [0, "z"], [1.0, 5], [True, 5],
    ["ok", "no", "ok\n"], [[0], [9]], [None, None], ["up"],
    {"type": "regex", "pattern": "ok"}, {"type": "regex", "pattern": "^ok$"},
    {"type": "regex", "pattern": "\\d+\\.\\d", "target": "stdout"},
    {"type": "regex", "pattern": "a", "target": "body"}, {"type": "regex", "pattern": "${pat}"},
    {"type": "regex", "pattern": "${x}"}, {"type": "regex", "pattern": ".", "target": ""},
    {"type": "range", "range": [0, 5]}, {"type": "range", "range": [0.1, 5]},
    {"type": "range", "range": [4, 10], "target": "stdout"},
    {"type": "range", "range": [0, 500], "target": "status"},
    {"type": "range", "range": [True, 5]}, {"type": "range", "range": [5, 0]},
    {"type": "jsonpath", "path": "$.a"}, {"type": "jsonpath", "path": "$.a", "target": "body"},
    {"type": "jsonpath", "path": "$.a", "target": "body", "expect": 1},
    {"type": "jsonpath", "path": "$.a", "target": "body", "expect": True},
    {"type": "jsonpath", "path": "$.a", "target": "body", "expect": "1"},
    {"type": "jsonpath", "path": "$.items[*].n", "target": "body", "expect": [1, 2]},
    {"type": "jsonpath", "path": "$.items[*].n", "target": "body", "expect": [2, 1]},
    {"type": "jsonpath", "path": "$.items[*]", "target": "body", "count": 2},
    {"type": "jsonpath", "path": "$.items[*]", "target": "body", "count": 3},
    {"type": "jsonpath", "path": "$.items[*]", "target": "body", "count": 2.0},
    {"type": "jsonpath", "path": "$.items[*]", "target": "body", "count": "2"},
    {"type": "jsonpath", "path": "$.items[*]", "count": 0},
    {"type": "jsonpath", "path": "$.a", "target": "body", "count": 3, "expect": [1]},
    {"type": "jsonpath", "path": "$.zz", "expect": []},
    {"type": "jsonpath", "path": "$.zz", "expect": None},
    {"type": "jsonpath", "path": "$[*]"}, {"type": "jsonpath", "path": "$"},
    {"type": "jsonpath", "path": "$[?(@.a = 1)]"},
    {"type": "jsonpath", "path": "$.a", "expect": "${b}"},
    {"type": "jsonpath", "path": "$[?(@.a = ${b})]"}]
INVALID_TOLERANCES = [1.5, None, {}, {"type": "x"}, {"type": "regex"}, {"type": "regex", "pattern": "("},
    {"type": "regex", "pattern": 5}, {"type": "range"}, {"type": "range", "range": 5},
    {"type": "range", "range": [1]}, {"type": "range", "range": [1, "2"]}, {"type": "range", "range": [1, None]},
    {"type": "jsonpath"}, {"type": "jsonpath", "path": ""}, {"type": "jsonpath", "path": "a.b"},
    {"type": "jsonpath", "path": "$.a[?(@.b > 1)"}, {"type": "probe"},
    {"type": "probe", "name": "p", "provider": {"type": "http"}},
    {"type": "probe", "name": "p", "provider": {"type": "http", "url": "http://x"}}]


def within(tolerance, value):
    tolerance = json.loads(json.dumps(tolerance))
    if isinstance(tolerance, str):
        tolerance = substitute(tolerance, CONFIG, SECRETS)
    found = hypothesis.within_tolerance(tolerance, value, configuration=CONFIG, secrets=SECRETS)
    return bool(found)


def tolerances():
    rows = []
    for tolerance in TOLERANCES:
        answers = [outcome(lambda: within(tolerance, json.loads(json.dumps(value)))) for value in VALUES]
        rows.append({"tolerance": tolerance,
                     "valid": outcome(lambda: hypothesis.ensure_hypothesis_tolerance_is_valid(tolerance)),
                     "answers": [a.get("value", a.get("raises")) for a in answers]})
    for tolerance in INVALID_TOLERANCES:
        rows.append({"tolerance": tolerance,
                     "valid": outcome(lambda: hypothesis.ensure_hypothesis_tolerance_is_valid(tolerance))})
    write("tolerance", [{"configuration": CONFIG, "secrets": SECRETS, "values": VALUES}] + rows)


SCALARS = """010 08 0o10 0 -0 +1 -1 1_000 _1 1_ 0x1F 0X1F 0x1_F -0x10 0b101 0b2 0b 1:30 -1:30 1:60 1:5 01:30 190:20:30
190:20:30.15 1:30. 1.5 1. .5 -.5 +.5 . 1.0e3 1.0e+3 1.0E-3 1e3 1e+3 1.e+3 .5e+1 1_0.0_1 1.5.5 0.0 -0.0 .inf -.Inf .NaN
.nan inf nan yes Yes YES yEs no No NO on On ON off Off OFF y n Y N true True TRUE tRUE false False FALSE
~ null Null NULL nULL none None 2001-12-14 2001-1-1 2001-13-01 2001-02-30 2001-12-14T21:59:43Z
2001-12-14t21:59:43.10-05:00 2001-12-14T21:59:43.1234567 2001-12-14T21:59:43.000+05 2001-12-14T21:59:43-00:30 2001-12-14T24:00:00 12:30:45
= << 1,000 0.1.2 1-2 a:b 0777 0888 00 007 +08 1__0 9223372036854775807 9223372036854775808 18446744073709551615
-9223372036854775808 1e400 0x 0x_ ${x} '${x}' "010" '1' !!str~10 !!int~'7' !!float~1 !!bool~'on' !!null~x !!int~x
!!timestamp~2001-01-01 !!binary~aGk= !!python/none~x !foo~x !~10 3.14159 1e5.0 +.inf -.nan 0b1_0 -0b11 +0x1f 00:30 0:30""".split()


def scalars():
    rows = []
    for scalar in SCALARS:
        text = "a: " + scalar.replace("~", " ", 1) if scalar.startswith("!") else "a: " + scalar
        rows.append({"text": text, **outcome(lambda: yaml.safe_load(text))})
    for text in ["a: 2001-12-14 21:59:43", "a: 2001-12-14  21:59:43 -5", "a: 2001-12-14\t21:59:43.5 Z",
                 "on: 1", "1: 2", "1.50: x", "~: x", "? a\n: b", "a: |\n  x\n  y\n", "a: >\n  x\n  y\n",
                 "a: |-\n  x\n", "a: |+\n  x\n\n", "a: 'it''s'", "a: \"\\x41\\u00e9\\n\"", "a: x # c", "a: x#c",
                 "- 1\n- [2, {b: 3}]\n", "{a: 1, b: [1, 2,]}", "a:\n- 1\n- 2", "a: b: c", "a: [", "a: 'x",
                 "a: 1\na: 2", "b: &x {p: 1}\na:\n  <<: *x\n  q: 2", "a: &x 1\nb: *x", "a: *x",
                 "b: &x {p: 1}\nc: &y {p: 2, q: 2}\na: {<<: [*x, *y], r: 3}", "a: {<<: 3}", "a: {'<<': 3}",
                 "b: &x [1]\na: {<<: *x}", "---\na: 1\n...\n", "a: 1\n---\nb: 2\n", "%YAML 1.1\n---\na: 010\n",
                 "[1, 2]: x", "{a: 1}: x", "", "# only\n", "a:", "a: !!set {x}", "a: !!omap [x: 1]", "\ta: 1", "a: @x",
                 "a: `x`", "a: %x", "a: -", "a: ?x", "a: {b}", "a: [b: c]", "a: \"\\q\"", "a: x\n  y\n  z",
                 "a: &a\n  b: *a", "&a a: 1\n*a : 2", "2001-01-01: x", "b: &x {<<: {p: 1}, r: 2}\na: {<<: *x}",
                 "a: {x: 1, <<: {x: 2}}", "=: 1", "a: [yes, No, 1_0]", "a: \"yes\"", "a: é", "a: \u2028x", "a: 'a\n\n b'"]:
        rows.append({"text": text, **outcome(lambda: yaml.safe_load(text))})
    write("yaml", rows)


PATTERNS = [r"^ok$", r"ok\Z", r"(?m)^b$", r"{", r"a{2}", r"a{,2}b", r"a{2,}", r"a{x}", r"{\"a\": \d+}", r"[[]", r"[]a]",
    r"[^]]", r"[a&&b]", r"[a-c]", r"[--a]", r"[\]\-]", r"\<b\>", r"\d+", r"\w+é", r"(?P<n>a)(?P=n)", r"(a)\1", r"(?i)OK",
    r"(?i:O)k", r"(?=o)", r"(?<=o)k", r"(?<!x)k", r"a|b", r"\.", r"\/", r"\"", r"\x41", r"\u00e9", r"\101", r"\0", r"\e", r"\h",
    r"\p{L}", r"(", r")", r"[", r"*", r"a**", r"a*+", r"(?>a)", r"(?x) o k # c", r"(?s)a.b", r"a.b", r"\bok\b", r"\Aok", r"$",
    r"ok$", r"^$", r"\$", r"[$]", r"(?a)\w", r"(?u)ok", r"(?L)ok", r"\N", r"\Z", r"(?P<1>a)", r"(?P<a>b)(?P<a>c)", r"\8",
    r"a{2}{3}", r"a{3,2}", r"(?:a|b)+c", r"}", r"a}", r"[a-\d]", r"[z-a]", r"\s", r"[\s\S]", r"(?i)é", r"\ ", r"\-", r"~", r"[~~]",
    r"(?#comment)ok", r"(?(1)a|b)", r"(a)?(?(1)b|c)", r"(?m)ok$", r"x{1,2}?", r"\t", r"\\", r"[\\]", r"[\b]", r"ok$\n", "é", r"(?-i:O)", r"\B"]
TEXTS = ["ok", "ok\n", "a\nb\nc", "aab", "{\"a\": 12}", "a{x}", "[", "]", "-", "<b>", "é", "É", "", "A", "a.b", "c", "\\", "x\\", "\t", "$", "~", "}"]


def patterns():
    rows = []
    for pattern in PATTERNS:
        def answers():
            compiled = re.compile(pattern)
            return [compiled.search(text) is not None for text in TEXTS]
        rows.append({"pattern": pattern, **outcome(answers)})
    write("regex", [{"texts": TEXTS}] + rows)


ARGUMENTS = [None, "", "a b", "${x}", "n=${x}", [], ["a", None, "", 0, False, 1.5, ["q"], {"k": None}], ["${l}", "$x"],
    {}, {"-a": "b", "-c": None, "-d": "", "-e": 1}, {"": "x"}, 5, True, "${d}", "${nil}", ["${nil}", "${s}"], "$$"]


def processes():
    captured = []

    def run(arguments, **options):
        captured.append(arguments)
        return subprocess.CompletedProcess(arguments, 0, b"", b"")

    process_provider.subprocess = type("S", (), {"run": staticmethod(run), "TimeoutExpired": subprocess.TimeoutExpired})
    process_provider.shutil = type("W", (), {"which": staticmethod(lambda path: path)})
    rows = []
    for arguments, scope in itertools.product(ARGUMENTS, [True, False]):
        provider = {"type": "process", "path": "prog", "arguments": json.loads(json.dumps(arguments))}

        def call():
            captured.clear()
            process_provider.run_process_activity({"name": "p", "provider": provider},
                                                  CONFIG if scope else {}, SECRETS if scope else {})
            return captured[0]
        rows.append({"arguments": arguments, "scope": scope, **outcome(call)})
    write("process", [{"configuration": CONFIG, "secrets": SECRETS}] + rows)


P = {"type": "process", "path": "true"}
A = {"type": "action", "name": "a", "provider": P}
PROBE = {"type": "probe", "name": "p", "provider": P, "tolerance": 0}


def base(**changes):
    document = {"title": "t", "description": "d", "method": [A], **changes}
    return {key: value for key, value in document.items() if value != "DROP"}


def act(**changes):
    activity = {**A, **changes}
    return base(method=[{key: value for key, value in activity.items() if value != "DROP"}])


def ssh(*probes, **changes):
    return base(**{"steady-state-hypothesis": {"title": "h", "probes": list(probes), **changes}})


CONTROL = {"name": "c", "provider": {"type": "python", "module": "json"}}
DOCUMENTS = [base(), {}, base(title="DROP"), base(title=""), base(title=None), base(description="DROP"), base(description=""),
    base(method="DROP"), base(method=None), base(method=[]), base(tags=["a"]), base(tags=[""]), base(tags=[1]), base(tags=[]),
    base(tags="abc"), base(extensions=[{"name": "x"}]), base(extensions=[{"name": ""}]), base(extensions=[{"name": " "}]), base(extensions=[{}]),
    base(contributions={"a": "huge"}), base(unknown=1), base(version="1"),
    base(configuration={"a": 1, "b": {"c": {"d": 1}}}), base(configuration={"a": {"type": "env", "key": "HOME"}}),
    base(configuration={"a": {"type": "env", "key": "NO_SUCH_VARIABLE", "default": "x"}}),
    base(configuration={"a": {"type": "env"}}), base(configuration={"a": {"type": "env", "key": "HOME", "env_var_type": "date"}}),
    base(secrets={"g": {"k": "v"}}), base(secrets={"g": {"k": {"type": "env", "key": "HOME"}}}),
    base(secrets={"k": {"type": "env", "key": "HOME"}}), base(secrets={"k": "v"}),
    ssh(PROBE), ssh(), ssh(PROBE, title=""), ssh({**PROBE, "tolerance": None}), ssh({k: v for k, v in PROBE.items() if k != "tolerance"}),
    ssh({**PROBE, "type": "action"}), ssh({**PROBE, "background": True}), ssh({"ref": "a", "tolerance": 0}), ssh({"ref": "a"}), ssh({"ref": "zz", "tolerance": 0}),
    ssh({**PROBE, "tolerance": 1.5}), base(**{"steady-state-hypothesis": None}), base(**{"steady-state-hypothesis": {"title": "h"}}),
    act(type="DROP"), act(type="x"), act(type=""), act(name="DROP"), act(name=""), act(provider="DROP"), act(provider={}), act(provider={"path": "true"}),
    act(provider={"type": "x"}), act(provider={"type": ""}), act(provider={"type": "process"}), act(provider={"type": "process", "path": ""}),
    act(provider={"type": "http"}), act(provider={"type": "http", "url": ""}), act(provider={"type": "http", "url": "http://x", "headers": "a"}),
    act(provider={"type": "http", "url": "http://x", "headers": []}), act(provider={"type": "http", "url": "http://x", "headers": {"a": 1}}),
    act(provider={"type": "http", "url": "http://x", "timeout": "x", "method": "GET"}), act(provider={"type": "http", "url": "x"}),
    act(provider={"type": "python"}), act(provider={"type": "python", "module": "os"}), act(provider={"type": "python", "module": "", "func": "x"}),
    act(provider={"type": "python", "module": "os", "func": "getcwd"}), act(provider={"type": "python", "module": "os", "func": "getcwd", "arguments": None}),
    act(timeout=1), act(timeout="1"), act(timeout=True), act(timeout=None), act(pauses={"before": 1}), act(pauses={"before": "1"}), act(pauses={"before": "${x}"}),
    act(pauses={"after": "x"}), act(pauses={"after": 1.5}), act(pauses={}), act(pauses=None), act(pauses={"before": "${x} s"}), act(pauses={"before": "a${x}"}),
    act(background=True), act(background="yes"), act(background=1), act(background=None), act(tolerance=1.5), act(tolerance={"type": "x"}),
    base(method=[{}]), base(method=[{"ref": "p"}]), base(method=[{"ref": ""}]), base(method=[{"ref": 5}]), base(method=[A, {"ref": "a"}]), base(method=[A, {"ref": "b"}]),
    base(method=[{"ref": None, **A}]), base(rollbacks=[A]), base(rollbacks=[{"type": "action"}]), base(rollbacks=[{"ref": "a"}]), base(rollbacks=[]),
    base(controls=[CONTROL]), base(controls=[{"provider": CONTROL["provider"]}]), base(controls=[{"name": "c"}]), base(controls=[{**CONTROL, "scope": "before"}]),
    base(controls=[{**CONTROL, "scope": "during"}]), base(controls=[{**CONTROL, "scope": ""}]), base(controls=[{"name": "c", "provider": {"type": "x"}}]),
    base(controls=[{"name": "c", "provider": {"type": "python"}}]), base(controls=[{"name": "c", "provider": {"type": "python", "module": "no.such"}}]),
    base(controls=[CONTROL, {"ref": "c"}]), base(controls=[CONTROL, {"ref": "c", **CONTROL}]), base(controls=[{"ref": "zz", **CONTROL}]), base(controls=[]),
    act(controls=[CONTROL]), act(controls=[{"name": "c"}]), base(controls=[CONTROL], method=[{**A, "controls": [{"ref": "c", "name": "d", "provider": {"type": "python", "module": "json"}}]}]),
    base(runtime={}), base(runtime={"rollbacks": {"strategy": "always"}}), base(runtime={"hypothesis": {"strategy": "continuously"}}),
    base(**{"kpis": [], "blast-radius": {"targets-max": 1}, "phases": {"baseline": "1s"}})]


def documents():
    rows = []
    for document in DOCUMENTS:
        found = outcome(lambda: ensure_experiment_is_valid(json.loads(json.dumps(document))))
        rows.append({"document": document, "valid": "raises" not in found, **found})
    write("documents", rows)


if __name__ == "__main__":
    import logging
    logging.disable(logging.CRITICAL)
    jsonpath()
    substitution()
    tolerances()
    scalars()
    patterns()
    documents()
    processes()
