"""Hardening edits that replace one unsafe call or value by a safer one."""

from __future__ import annotations

import ast
import re
from functools import partial

import numpy as np

from trimtab.providers.rewriter.edits.base import Edit, edit, is_text, patch_of
from trimtab.providers.rewriter.patch import Patch, Splice
from trimtab.providers.rewriter.program import Program, dotted
from trimtab.providers.rewriter.syntax import change_call, operand

__all__ = ["EDITS"]

Rng = np.random.Generator
hardening = partial(edit, reach=3)


def _keyword(call: ast.Call, name: str) -> ast.expr | None:
    return next((keyword.value for keyword in call.keywords if keyword.arg == name), None)


def _is(node: ast.expr | None, value: bool) -> bool:
    return isinstance(node, ast.Constant) and node.value is value


def _plain(call: ast.Call) -> bool:
    return not any(isinstance(argument, ast.Starred) for argument in call.args) and all(
        keyword.arg for keyword in call.keywords
    )


def _literal_sites(program: Program) -> list[ast.Call]:
    return [call for call in program.calls_to("eval") if call.args and _plain(call)]


@hardening("literal-eval", "hardening", "replace `eval` by `ast.literal_eval`", "eval", "inject", find=_literal_sites)
def literal_eval(program: Program, call: ast.Call, rng: Rng) -> Patch | None:
    """Parse literals only, instead of evaluating any expression."""
    return patch_of(change_call(program, call, func="ast.literal_eval", keep=1), imports=["import ast"])


def _shell_sites(program: Program) -> list[ast.Call]:
    names = [name for name in program.calls if name.startswith("subprocess.")]
    return [
        call for call in program.calls_to(*names) if call.args and _plain(call) and _is(_keyword(call, "shell"), True)
    ]


@hardening(
    "drop-shell", "hardening", "run commands without a shell", "shell", "command", "inject", "subprocess",
    find=_shell_sites,
)  # fmt: skip
def drop_shell(program: Program, call: ast.Call, rng: Rng) -> Patch | None:
    """Split the command into arguments instead of handing it to a shell."""
    first = call.args[0]
    split = isinstance(first, ast.List | ast.Tuple) or (
        isinstance(first, ast.Call) and dotted(first.func) == "shlex.split"
    )
    wrap = "" if split else "shlex.split"
    imports = [] if split else ["import shlex"]
    return patch_of(change_call(program, call, drop=("shell",), wrap=wrap), imports=imports)


def _system_sites(program: Program) -> list[ast.Call]:
    plain = [call for call in program.calls_to("os.system") if len(call.args) == 1 and not call.keywords]
    piped = [
        call
        for call in program.nodes(ast.Call)
        if isinstance(call.func, ast.Attribute)
        and call.func.attr == "read"
        and isinstance(call.func.value, ast.Call)
        and dotted(call.func.value.func) == "os.popen"
        and len(call.func.value.args) == 1
    ]
    return [call for call in (*plain, *piped) if _plain(call)]


@hardening(
    "system-to-run", "hardening", "replace `os.system` and `os.popen` by `subprocess.run`", "shell", "command",
    "inject", find=_system_sites,
)  # fmt: skip
def system_to_run(program: Program, call: ast.Call, rng: Rng) -> Patch | None:
    """Start the command with split arguments and no shell."""
    piped = dotted(call.func) != "os.system"
    source = call.func.value if isinstance(call.func, ast.Attribute) and piped else call
    if not isinstance(source, ast.Call):
        return None
    command = program.text(source.args[0])
    options = "capture_output=True, text=True, check=False" if piped else "check=False"
    result = "stdout" if piped else "returncode"
    text = f"subprocess.run(shlex.split({command}), {options}).{result}"
    return patch_of(Splice(*program.span(call), text), imports=["import shlex", "import subprocess"])


def _yaml_sites(program: Program) -> list[ast.Call]:
    return [call for call in program.calls_to("yaml.load", "yaml.unsafe_load", "yaml.full_load") if call.args]


@hardening("safe-yaml", "hardening", "load YAML with the safe loader", "yaml", "deserial", find=_yaml_sites)
def safe_yaml(program: Program, call: ast.Call, rng: Rng) -> Patch | None:
    """Build plain data only, never arbitrary objects."""
    return patch_of(change_call(program, call, func="yaml.safe_load", keep=1))


_REQUESTS = [f"requests.{verb}" for verb in ("get", "post", "put", "delete", "patch", "head", "request")]
_WAITS = [
    *_REQUESTS, "urlopen", "urllib.request.urlopen", "subprocess.run", "subprocess.call", "subprocess.check_output",
    "subprocess.check_call", "socket.create_connection",
]  # fmt: skip


def _timeout_sites(program: Program) -> list[ast.Call]:
    return [call for call in program.calls_to(*_WAITS) if _plain(call) and _keyword(call, "timeout") is None]


@hardening(
    "add-timeout", "hardening", "give calls that wait on others a timeout", "timeout", "robust", "hang", "denial",
    find=_timeout_sites,
)  # fmt: skip
def add_timeout(program: Program, call: ast.Call, rng: Rng) -> Patch | None:
    """Bound the time spent waiting for a network peer or child process."""
    seconds = int(rng.choice([5, 10, 30]))
    return patch_of(change_call(program, call, add=[f"timeout={seconds}"]))


_SECRET = re.compile(r"(?i).*(secret|passw|token|api_?key|private_key|credential|access_key|signing_key).*")


def _secret_sites(program: Program) -> list[ast.Assign]:
    return [
        node
        for node in program.nodes(ast.Assign)
        if len(node.targets) == 1
        and isinstance(node.targets[0], ast.Name)
        and _SECRET.fullmatch(node.targets[0].id)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str | bytes)
        and len(node.value.value) >= 4
    ]


@hardening(
    "secret-to-environment", "hardening", "read secrets from the environment", "secret", "credential", "password",
    "hard-coded", "hardcoded", find=_secret_sites,
)  # fmt: skip
def secret_to_environment(program: Program, node: ast.Assign, rng: Rng) -> Patch | None:
    """Keep secrets out of the source."""
    name = program.text(node.targets[0]).upper()
    bytes_wanted = isinstance(node.value, ast.Constant) and isinstance(node.value.value, bytes)
    text = f'os.environ.get("{name}", "")' + (".encode()" if bytes_wanted else "")
    return patch_of(Splice(*program.span(node.value), text), imports=["import os"])


def _hash_sites(program: Program) -> list[ast.Call]:
    named = [call for call in program.calls_to("hashlib.new") if call.args and _weak(call.args[0])]
    return [*program.calls_to("hashlib.md5", "hashlib.sha1"), *named]


def _weak(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value in ("md5", "sha1")


@hardening("strong-hash", "hardening", "hash with SHA-256", "hash", "crypt", "md5", find=_hash_sites)
def strong_hash(program: Program, call: ast.Call, rng: Rng) -> Patch | None:
    """Use a hash without known collisions."""
    if dotted(call.func) == "hashlib.new":
        return patch_of(Splice(*program.span(call.args[0]), '"sha256"'))
    return patch_of(Splice(*program.span(call.func), "hashlib.sha256"))


_RANDOM = ("random.choice", "random.randint", "random.randrange", "random.random", "random.getrandbits")


def _random_sites(program: Program) -> list[ast.Call]:
    counts = {"random.choice": 1, "random.randint": 2, "random.randrange": 1, "random.random": 0}
    return [
        call
        for call in program.calls_to(*_RANDOM)
        if _plain(call) and not call.keywords and len(call.args) == counts.get(dotted(call.func), 1)
    ]


@hardening(
    "secure-random", "hardening", "draw random values with `secrets`", "random", "token", "crypt", "predict",
    find=_random_sites,
)  # fmt: skip
def secure_random(program: Program, call: ast.Call, rng: Rng) -> Patch | None:
    """Draw from the operating system, so that values cannot be predicted."""
    name = dotted(call.func).split(".")[1]
    if name in ("choice", "randrange", "getrandbits"):
        func = {"choice": "secrets.choice", "randrange": "secrets.randbelow", "getrandbits": "secrets.randbits"}[name]
        return patch_of(change_call(program, call, func=func), imports=["import secrets"])
    return patch_of(change_call(program, call, func=f"secrets.SystemRandom().{name}"), imports=["import secrets"])


def _verify_sites(program: Program) -> list[ast.Call]:
    found = [call for call in program.nodes(ast.Call) if call.keywords and _is(_keyword(call, "verify"), False)]
    return [*found, *program.calls_to("ssl._create_unverified_context")]


@hardening("verify-tls", "hardening", "verify TLS certificates", "tls", "ssl", "certif", "verif", find=_verify_sites)
def verify_tls(program: Program, call: ast.Call, rng: Rng) -> Patch | None:
    """Check whom one is talking to."""
    if dotted(call.func) == "ssl._create_unverified_context":
        return patch_of(Splice(*program.span(call.func), "ssl.create_default_context"))
    return patch_of(change_call(program, call, drop=("verify",)))


def _temporary_sites(program: Program) -> list[ast.Call]:
    return [call for call in program.calls_to("tempfile.mktemp") if _plain(call)]


@hardening("safe-temporary", "hardening", "create temporary files safely", "temp", "race", find=_temporary_sites)
def safe_temporary(program: Program, call: ast.Call, rng: Rng) -> Patch | None:
    """Create the file together with its name, so that nobody can step in between."""
    made = change_call(program, call, func="tempfile.mkstemp")
    return patch_of(Splice(made.start, made.end, f"{made.text}[1]") if made else None)


def _pickle_sites(program: Program) -> list[ast.Call]:
    calls = program.calls_to("pickle.load", "pickle.loads", "pickle.dump", "pickle.dumps")
    return [call for call in calls if call.args and _plain(call)]


def _mode_splices(program: Program, call: ast.Call) -> list[Splice]:
    """Return splices that open the files around a call as text instead of bytes."""
    found = []
    for above in program.ancestors(call):
        if not isinstance(above, ast.With):
            continue
        for item in above.items:
            opened = item.context_expr
            if isinstance(opened, ast.Call) and dotted(opened.func) == "open" and len(opened.args) > 1:
                mode = opened.args[1]
                if isinstance(mode, ast.Constant) and mode.value in ("rb", "wb"):
                    found.append(Splice(*program.span(mode), f'"{mode.value[0]}"'))
    return found


@edit(
    "pickle-to-json", "hardening", "store data as JSON instead of pickle", "pickle", "deserial", "serial",
    find=_pickle_sites,
)  # fmt: skip
def pickle_to_json(program: Program, call: ast.Call, rng: Rng) -> Patch | None:
    """Read data that cannot carry code."""
    name = dotted(call.func).split(".")[1]
    keep = 2 if name == "dump" else 1
    first = change_call(program, call, func=f"json.{name}", keep=keep)
    return patch_of(first, *_mode_splices(program, call), imports=["import json"])


_MARKUP = re.compile(r"</?[a-zA-Z][^>]*>?")


def _unescaped(node: ast.JoinedStr) -> list[ast.FormattedValue]:
    text = "".join(part.value for part in node.values if isinstance(part, ast.Constant) and isinstance(part.value, str))
    if not _MARKUP.search(text):
        return []
    return [
        part
        for part in node.values
        if isinstance(part, ast.FormattedValue)
        and part.conversion == -1
        and part.format_spec is None
        and isinstance(part.value, ast.Name | ast.Attribute)
    ]


def _markup_sites(program: Program) -> list[ast.JoinedStr]:
    return [node for node in program.nodes(ast.JoinedStr) if _unescaped(node)]


@hardening("escape-html", "hardening", "escape values put into HTML", "html", "xss", "escap", "saniti",
           find=_markup_sites)  # fmt: skip
def escape_html(program: Program, node: ast.JoinedStr, rng: Rng) -> Patch | None:
    """Keep values from being read as markup."""
    text = program.text(node)
    for part in _unescaped(node):
        inner = ast.unparse(part.value)
        text = re.sub(r"\{" + re.escape(inner) + r"\}", f"{{html.escape(str({inner}))}}", text)
    return patch_of(Splice(*program.span(node), text), imports=["import html"]) if "html.escape" in text else None


_DIGEST = re.compile(r"(?i)(token|digest|signature|hmac|checksum|passw|secret|otp|expected_mac|hash)")


def _comparison_sites(program: Program) -> list[ast.Compare]:
    found = []
    for node in program.nodes(ast.Compare):
        if len(node.ops) != 1 or not isinstance(node.ops[0], ast.Eq | ast.NotEq):
            continue
        sides = (node.left, node.comparators[0])
        if any(isinstance(side, ast.Constant | ast.List | ast.Tuple | ast.BinOp) for side in sides):
            continue
        if any(isinstance(side, ast.Call) and dotted(side.func) in ("len", "type", "hash") for side in sides):
            continue
        named = (side.id if isinstance(side, ast.Name) else getattr(side, "attr", "") for side in sides)
        if any(_DIGEST.search(name) for name in named):
            found.append(node)
    return found


@hardening(
    "constant-time-compare", "hardening", "compare secrets in constant time", "timing", "compar", "crypt",
    find=_comparison_sites,
)  # fmt: skip
def constant_time_compare(program: Program, node: ast.Compare, rng: Rng) -> Patch | None:
    """Take the same time whatever the first difference is."""
    left, right = operand(program, node.left), operand(program, node.comparators[0])
    text = f"hmac.compare_digest(str({left}), str({right}))"
    if isinstance(node.ops[0], ast.NotEq):
        text = f"(not {text})"
    return patch_of(Splice(*program.span(node), text), imports=["import hmac"])


def _debug_sites(program: Program) -> list[ast.Call]:
    return [call for call in program.nodes(ast.Call) if call.keywords and _is(_keyword(call, "debug"), True)]


@hardening("disable-debug", "hardening", "switch debug mode off", "debug", "production", find=_debug_sites)
def disable_debug(program: Program, call: ast.Call, rng: Rng) -> Patch | None:
    """Keep the interactive debugger out of reach."""
    value = _keyword(call, "debug")
    return patch_of(Splice(*program.span(value), "False")) if value is not None else None


def _open_host_sites(program: Program) -> list[ast.Constant]:
    return [node for node in program.nodes(ast.Constant) if node.value == "0.0.0.0"]  # noqa: S104 - what is looked for


@hardening("bind-localhost", "hardening", "listen on the local interface only", "expos", "network", "interface",
           find=_open_host_sites)  # fmt: skip
def bind_localhost(program: Program, node: ast.Constant, rng: Rng) -> Patch | None:
    """Do not offer the service to the whole network."""
    return patch_of(Splice(*program.span(node), '"127.0.0.1"'))


def _exec_sites(program: Program) -> list[ast.Expr]:
    return [
        node
        for node in program.nodes(ast.Expr)
        if isinstance(node.value, ast.Call)
        and dotted(node.value.func) == "exec"
        and node.value.args
        and not is_text(node.value.args[0])
    ]


@hardening("refuse-exec", "hardening", "refuse to run supplied code", "exec", "inject", "arbitrary", find=_exec_sites)
def refuse_exec(program: Program, node: ast.Expr, rng: Rng) -> Patch | None:
    """Raise where the program would run code from outside."""
    return patch_of(Splice(*program.span(node), 'raise PermissionError("running supplied code is not allowed")'))


EDITS: tuple[Edit, ...] = (
    literal_eval,
    drop_shell,
    system_to_run,
    safe_yaml,
    add_timeout,
    secret_to_environment,
    strong_hash,
    secure_random,
    verify_tls,
    safe_temporary,
    pickle_to_json,
    escape_html,
    constant_time_compare,
    disable_debug,
    bind_localhost,
    refuse_exec,
)
