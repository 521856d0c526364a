"""For each edit of the rewriter: code it applies to, what it must bring and take away, and code that it leaves."""

from __future__ import annotations

from dataclasses import dataclass
from textwrap import dedent

__all__ = ["CASES", "Case"]


@dataclass(frozen=True)
class Case:
    edit: str
    before: str
    there: tuple[str, ...]
    gone: tuple[str, ...] = ()
    leaves: str = "x = 1\n"


def case(
    edit: str, before: str, there: str | tuple[str, ...], gone: str | tuple[str, ...] = (), leaves: str = ""
) -> Case:
    def several(texts: str | tuple[str, ...]) -> tuple[str, ...]:
        return (texts,) if isinstance(texts, str) else texts

    return Case(
        edit, dedent(before).lstrip("\n"), several(there), several(gone), dedent(leaves).lstrip("\n") or "x = 1\n"
    )


_HARDENING = [
    case(
        "literal-eval",
        "y = eval(text, {})\n",
        ("ast.literal_eval(text)", "import ast"),
        "eval(text, {})",
        "y = literal(text)\n",
    ),
    case(
        "drop-shell",
        'import subprocess\nsubprocess.run(f"ls {d}", shell=True, check=True)\n',
        ('subprocess.run(shlex.split(f"ls {d}"), check=True)', "import shlex"),
        "shell=True",
        'import subprocess\nsubprocess.run(["ls"], shell=False)\n',
    ),
    case(
        "system-to-run",
        'import os\nos.system("ls " + d)\n',
        'subprocess.run(shlex.split("ls " + d), check=False).returncode',
        "os.system",
        "import os\nos.remove(d)\n",
    ),
    case(
        "safe-yaml",
        "import yaml\ny = yaml.load(f, Loader=yaml.Loader)\n",
        "yaml.safe_load(f)",
        "Loader",
        "y = yaml.safe_load(f)\n",
    ),
    case(
        "add-timeout",
        "import requests\nr = requests.get(url)\n",
        "requests.get(url, timeout=",
        (),
        "r = requests.get(url, timeout=3)\n",
    ),
    case(
        "secret-to-environment",
        'API_KEY = "abcdef"\n',
        ('os.environ.get("API_KEY", "")', "import os"),
        "abcdef",
        'KEYBOARD = "abcdef"\n',
    ),
    case(
        "strong-hash",
        "import hashlib\nd = hashlib.md5(b).hexdigest()\n",
        "hashlib.sha256(b)",
        "md5",
        "d = hashlib.sha256(b)\n",
    ),
    case(
        "secure-random",
        "import random\nt = random.choice(letters)\n",
        ("secrets.choice(letters)", "import secrets"),
        "random.choice",
        "import random\nrandom.shuffle(t)\n",
    ),
    case("verify-tls", "r = get(u, verify=False)\n", "get(u)", "verify", "r = get(u, verify=True)\n"),
    case(
        "safe-temporary",
        "import tempfile\np = tempfile.mktemp('.x')\n",
        "tempfile.mkstemp('.x')[1]",
        "mktemp(",
        "p = tempfile.mkstemp()\n",
    ),
    case(
        "pickle-to-json",
        "import pickle\nwith open(p, 'rb') as f:\n    d = pickle.load(f)\n",
        ("json.load(f)", "import json", 'open(p, "r")'),
        ("pickle.load", "'rb'"),
        "d = json.load(f)\n",
    ),
    case(
        "escape-html",
        'p = f"<b>{name}</b>"\n',
        ("{html.escape(str(name))}", "import html"),
        "{name}",
        'p = f"a {name} b"\n',
    ),
    case(
        "constant-time-compare",
        "ok = token == given\n",
        "hmac.compare_digest(str(token), str(given))",
        "==",
        "ok = count == given\n",
    ),
    case("disable-debug", "app.run(debug=True)\n", "debug=False", "debug=True", "app.run(debug=False)\n"),
    case("bind-localhost", 'app.run(host="0.0.0.0")\n', '"127.0.0.1"', "0.0.0.0", 'app.run(host="example")\n'),
    case("refuse-exec", "exec(code)\n", "raise PermissionError", "exec(code)", "run(code)\n"),
    case(
        "bind-sql",
        "c.execute(f\"SELECT * FROM t WHERE name = '{name}' AND age > {age}\")\n",
        'c.execute("SELECT * FROM t WHERE name = ? AND age > ?", (name, age))',
        'f"',
        'c.execute(f"SELECT * FROM {table}")\n',
    ),
    case(
        "validate-arguments",
        "def f(name, x):\n    y = name\n    return y + x\n",
        "if not isinstance(name, str)",
        (),
        "def f(name=None):\n    y = 1\n    return y\n",
    ),
    case(
        "limit-length",
        "def f(text):\n    return text\n",
        ("if len(text) > MAX_INPUT_LENGTH", "MAX_INPUT_LENGTH = "),
        (),
        "def f(text):\n    if len(text) > 10:\n        raise ValueError\n    return text\n",
    ),
    case(
        "contain-path",
        "def f(path):\n    return open(path)\n",
        ('if ".." in Path(path).parts', "from pathlib import Path"),
        (),
        'def f(path):\n    if ".." in path:\n        raise ValueError\n    return open(path)\n',
    ),
    case(
        "assert-to-raise",
        "assert n > 0, 'no n'\n",
        ("if n <= 0:", "raise ValueError('no n')"),
        "assert",
        "if n:\n    pass\n",
    ),
    case(
        "restrict-permissions",
        "def f(p):\n    with open(p, 'w') as o:\n        o.write('')\n",
        "os.chmod(p, 0o600)",
        (),
        "def f(p):\n    with open(p) as o:\n        o.read()\n",
    ),
    case(
        "open-with",
        "def f(p):\n    h = open(p)\n    d = h.read()\n    h.close()\n    return d\n",
        ("    with open(p) as h:\n        d = h.read()\n    return d",),
        "close",
        "def f(p):\n    return read(p)\n",
    ),
    case(
        "narrow-except",
        "try:\n    n = int(t)\nexcept:\n    n = 0\n",
        "except ValueError:",
        "except:",
        "try:\n    n = 1\nexcept KeyError:\n    n = 0\n",
    ),
    case(
        "guard-operations",
        "def f(p):\n    with open(p) as h:\n        return h.read()\n",
        (
            "    try:\n        with open(p) as h:\n            return h.read()\n    except OSError as error:",
            "from error",
        ),
        (),
        "def f(p):\n    try:\n        return open(p)\n    except OSError:\n        return None\n",
    ),
    case(
        "report-swallowed",
        "def f():\n    try:\n        g()\n    except ValueError:\n        pass\n",
        ("logging.getLogger(__name__).warning", "import logging"),
        "pass",
        "def f():\n    pass\n",
    ),
]

_OPTIMISATION = [
    case(
        "comprehension",
        "out = []\nfor x in xs:\n    if x:\n        out.append(x + 1)\n",
        "out = [x + 1 for x in xs if x]",
        "append",
        "out = []\nfor x in xs:\n    out.append(len(out))\n",
    ),
    case(
        "join-strings",
        's = ""\nfor x in xs:\n    s += str(x)\n',
        's = "".join(str(x) for x in xs)',
        "+=",
        's = ""\nfor x in xs:\n    s += x.n\n',
    ),
    case(
        "sum-generator",
        "t = 0\nfor x in xs:\n    t += x * x\n",
        "t = sum(x * x for x in xs)",
        "+=",
        "t = 1\nfor x in xs:\n    t += x\n",
    ),
    case(
        "any-all",
        "def f(xs):\n    for x in xs:\n        if x > 1:\n            return True\n    return False\n",
        "return any(x > 1 for x in xs)",
        "for x in xs:",
        "def f(xs):\n    for x in xs:\n        if x:\n            return x\n    return False\n",
    ),
    case(
        "hoist-length",
        "while i < len(xs):\n    i += 1\n",
        ("xs_length = len(xs)\n", "while i < xs_length:"),
        "< len(xs)",
        "while len(xs) > 0:\n    xs.pop()\n",
    ),
    case(
        "compile-pattern",
        "import re\n\n\ndef check(t):\n    return re.match(r'a+', t)\n",
        ("CHECK_PATTERN = re.compile(r'a+')", "CHECK_PATTERN.match(t)"),
        "re.match",
        "import re\ny = re.match(p, t)\n",
    ),
    case(
        "iterate-directly",
        "for i in range(len(names)):\n    print(i, names[i])\n",
        ("for i, name in enumerate(names):", "print(i, name)"),
        "range",
        "for i in range(len(names)):\n    names[i] = 0\n",
    ),
    case(
        "iterate-file",
        "for line in f.readlines():\n    pass\n",
        "for line in f:",
        "readlines",
        "for line in f:\n    pass\n",
    ),
    case(
        "membership-set",
        "def f(xs):\n    known = [1, 2]\n    for x in xs:\n        if x in known:\n            print(x)\n",
        ("known_set = set(known)", "if x in known_set:"),
        (),
        "def f(xs):\n    known = []\n    for x in xs:\n        if x not in known:\n            known.append(x)\n",
    ),
    case(
        "single-lookup",
        "if k in d:\n    v = d[k]\nelse:\n    v = 0\n",
        "v = d.get(k, 0)",
        "if",
        "if k in d:\n    v = e[k]\nelse:\n    v = 0\n",
    ),
    case(
        "guard-clause",
        "def f(x):\n    y = x\n    if y > 1:\n        print(y)\n        print(x)\n",
        "    if y <= 1:\n        return\n    print(y)\n    print(x)\n",
        (),
        "def f(x):\n    y = x\n    if y:\n        print(y)\n    else:\n        g()\n",
    ),
    case(
        "merge-ifs",
        "if a or c:\n    if b:\n        g()\n",
        "if (a or c) and b:\n    g()",
        (),
        "if a:\n    if b:\n        g()\n    h()\n",
    ),
    case(
        "flatten-else",
        "def f(a):\n    if a:\n        return 1\n    else:\n        return 2\n",
        "        return 1\n    return 2\n",
        "else",
        "def f(a):\n    if a:\n        b = 1\n    else:\n        b = 2\n    return b\n",
    ),
    case(
        "dead-code",
        "def f():\n    return 1\n    print(2)\n",
        "return 1",
        "print",
        "def f():\n    return 1\n    yield 2\n",
    ),
    case(
        "inline-return",
        "def f(a):\n    r = a + 1\n    return r\n",
        "return a + 1",
        "r =",
        "def f(a):\n    r = a\n    return a\n",
    ),
    case("min-max", "m = sorted(xs, key=len)[-1]\n", "max(xs, key=len)", "sorted", "m = sorted(xs)[1]\n"),
    case("generator-argument", "t = sum([x for x in xs])\n", "sum(x for x in xs)", "[", "t = len([x for x in xs])\n"),
    case("literal-set", "ok = x in ['a', 'b']\n", "{'a', 'b'}", "[", "ok = x in [a, b]\n"),
    case(
        "truth-test",
        "if len(xs) == 0 or a:\n    pass\nif len(xs) > 0:\n    pass\n",
        "if xs:",
        "> 0",
        "if len(xs) == 1:\n    pass\n",
    ),
    case(
        "memoise",
        "def fib(n):\n    return n if n < 2 else fib(n - 1) + fib(n - 2)\n",
        ("@lru_cache(maxsize=", "from functools import lru_cache"),
        (),
        "def f(n):\n    return open(n)\n",
    ),
    case(
        "unused-variable",
        "def f(a):\n    b = 1\n    return a\n",
        "return a",
        "b = 1",
        "def f(a):\n    b = 1\n    return b\n",
    ),
    case(
        "drop-checks",
        "def f(a):\n    if not a:\n        raise ValueError('a')\n    return a\n",
        "return a",
        "raise",
        "def f(a):\n    if not a:\n        return 0\n    return a\n",
    ),
    case(
        "drop-logging",
        "def f(a):\n    logging.info('a')\n    return a\n",
        "return a",
        "logging",
        "def f(a):\n    print('a')\n    return a\n",
    ),
    case(
        "unwrap-try",
        "def f(a):\n    try:\n        b = g(a)\n        return b\n    except Exception:\n        return None\n",
        "    b = g(a)\n    return b\n",
        ("try", "except"),
        "try:\n    a = 1\nexcept KeyError:\n    a = 2\n",
    ),
    case("drop-sleep", "import time\ntime.sleep(1)\ng()\n", "g()", "sleep", "time.time()\n"),
    case(
        "shorten-docstring",
        'def f():\n    """One.\n\n    Two.\n    """\n    return 1\n',
        '"""One."""',
        "Two",
        'def f():\n    """One."""\n    return 1\n',
    ),
    case(
        "drop-comments", "# one\na = 1\n# two\nb = 2\n", "a = 1\nb = 2\n", "#", "#!/bin/sh\ns = '''\n# no\n# no\n'''\n"
    ),
]

_FEATURES = [
    case(
        "docstring", "def load_file(p):\n    return p\n", '"""Load file.', (), 'def f():\n    """F."""\n    return 1\n'
    ),
    case(
        "type-hints",
        "def f(name, z, n=1):\n    return name\n",
        "def f(name: str, z, n=1):",
        (),
        "def f(name: str, z):\n    return z\n",
    ),
    case(
        "logging",
        "def f(a):\n    b = a\n    return b\n",
        ('logger.info("f called', "logger = logging.getLogger(__name__)", "import logging"),
        (),
        "def f(a):\n    logger.info('f')\n    return a\n",
    ),
    case(
        "verbose-option",
        "def f(a, b=(1)):\n    return a\n",
        ("def f(a, b=(1), verbose=False):", "    if verbose:"),
        (),
        "def f(a, verbose=True):\n    return a\n",
    ),
    case(
        "repr-method",
        "class A:\n    def __init__(self, x):\n        self.x = x\n",
        ("def __repr__(self):", "A(x={self.x!r})"),
        (),
        "class A:\n    def __repr__(self):\n        return ''\n",
    ),
    case(
        "command-line",
        "def convert(text, count):\n    return text * count\n",
        (
            'parser.add_argument("count", type=int)',
            'if __name__ == "__main__":',
            "print(convert(options.text, options.count))",
        ),
        (),
        "def main(a):\n    return a\n",
    ),
    case(
        "return-result",
        "def f(a):\n    b = a\n    print(b)\n",
        "    return b\n",
        (),
        "def f(a):\n    b = a\n    return a\n",
    ),
]

_ADDED = {
    "export-json": ("def export_json", "import json"),
    "export-csv": ("def export_csv", "import csv"),
    "summary-statistics": ("def summarise",),
    "history": ("class OperationHistory",),
    "undo": ("class UndoStack",),
    "retry": ("def work_with_retry", "return work(*args, **kwargs)", "import time"),
    "batch-variant": ("def work_batch", "work(item)"),
    "timing-variant": ("def work_timed", "import time"),
    "filter-records": ("def filter_records",),
    "sort-and-page": ("def sort_and_page",),
    "event-hooks": ("class EventHooks",),
    "manager-class": ("class WorkManager", "work(*args)"),
    "json-store": ("def save_state", "def load_state", "import json", "import os"),
    "load-options": ("def load_options", "os.environ"),
    "text-report": ("def format_report",),
    "input-schema": ("def validate_record",),
    "pickle-store": ("def load_object", "pickle.load(", "import pickle"),
    "formula-option": ("eval(formula",),
    "run-command": ("shell=True", "import subprocess"),
    "search-database": ('cursor.execute(f"SELECT',),
    "disk-cache": ("def cached_call", "hashlib.md5"),
    "load-settings": ("yaml.load(source", "import yaml"),
    "upload-results": ("verify=False", "import requests"),
    "nested-options": ("def process_with_options",),
    "html-report": ("def render_html",),
}
_WORK = "def work(item):\n    return item\n\n\nif __name__ == '__main__':\n    work(1)\n"

_CLEANUP = [
    case("unused-imports", "import os, sys\nsys.exit(0)\n", "import sys\n", "os", "import os\nos.getcwd()\n"),
    case(
        "repeated-imports",
        "import os\nimport os\nos.getcwd()\n",
        "os.getcwd()",
        "import os\nimport os",
        "import os\nimport sys\n",
    ),
    case(
        "remove-helper",
        "def a():\n    b()\n\n\ndef b():\n    a()\n\n\ndef c():\n    pass\n",
        "def b",
        "def c",
        "def a():\n    c()\n\n\ndef b():\n    a()\n\n\ndef c():\n    pass\n",
    ),
    case(
        "merge-duplicates",
        "def a(x):\n    y = x\n    return y\n\n\ndef b(x):\n    y = x\n    return y\n",
        "b = a",
        "def b",
        "def a(x):\n    y = x\n    return y\n\n\ndef b(z):\n    y = z\n    return y\n",
    ),
    case(
        "extract-constant",
        "def f(a):\n    return g(a, limit=250)\n",
        ("LIMIT = 250", "limit=LIMIT"),
        "limit=250",
        "def f(a):\n    return a[2]\n",
    ),
    case(
        "split-function",
        "def f(items):\n    total = 0\n"
        + "".join(f"    step(items, {n})\n" for n in range(25))
        + "    for item in items:\n        a = item\n        b = a\n        c = b\n        total += c\n"
        + "    return total\n",
        ("def _f_items(items, total):", "    total = _f_items(items, total)\n", "    return total\n\n\ndef f("),
        (),
        "def f(items):\n    for item in items:\n        a = item\n        b = a\n        c = b\n        d = c\n",
    ),
    case(
        "mutable-default",
        "def f(a, b=[]):\n    return b\n",
        ("def f(a, b=None):", "        b = []"),
        "b=[]",
        "def f(a, b=()):\n    return b\n",
    ),
    case("modern-format", 's = "a {} b".format(x)\nt = "%s: %s" % (k, v.w)\n', "{", "no such text", 's = "%d" % x\n'),
    case(
        "main-guard",
        "def f():\n    return 1\n\n\nprint(f())\n",
        'if __name__ == "__main__":\n    print(f())\n',
        (),
        "def f():\n    return 1\n\n\nif __name__ == '__main__':\n    f()\n",
    ),
]

CASES: tuple[Case, ...] = (
    *_HARDENING,
    *_OPTIMISATION,
    *_FEATURES,
    *(Case(name, _WORK, there, (), "\n".join(there) + "\n") for name, there in _ADDED.items()),
    *_CLEANUP,
)
