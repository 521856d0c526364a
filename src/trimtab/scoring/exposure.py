"""Security, part two: secrets, cryptography, network and permissions, the bad ways and the good ones."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from trimtab.scoring.evidence import Finding, Rule
from trimtab.scoring.expressions import contents, is_constant, text_constant
from trimtab.scoring.program import Call, Program

__all__ = ["RULES", "find_exposure"]

WEAK_HASH = Rule("weak-hash", -0.75, "MD5 or SHA-1 is used as a hash")
WEAK_CIPHER = Rule("weak-cipher", -1.25, "a broken cipher (DES, RC4, Blowfish) or ECB mode is used")
WEAK_RANDOM = Rule("insecure-random", -1.0, "a secret comes from the predictable random module")
MKTEMP = Rule("mktemp", -1.0, "a temporary name is made before its file (mktemp, tmpnam)")
TMP_PATH = Rule("tmp-path", -0.25, "a fixed path below /tmp is used")
SECRET = Rule("hardcoded-secret", -1.5, "a secret stands in the source")
SECRET_LOGGED = Rule("secret-logged", -0.5, "a secret is printed or logged")
TIMING = Rule("timing-compare", -0.5, "a secret is compared with ==, which leaks its prefix through time")
TLS_OFF = Rule("tls-off", -1.5, "certificate verification is switched off")
HOST_KEY = Rule("host-key-ignored", -1.0, "SSH host keys are accepted without a check")
CLEARTEXT = Rule("cleartext-protocol", -0.5, "a protocol without encryption is used (Telnet, FTP, http://)")
NO_TIMEOUT = Rule("no-timeout", -0.5, "a network call may wait for ever")
BIND_ALL = Rule("bind-all", -0.5, "a server listens on every interface (0.0.0.0)")
DEBUG = Rule("debug-on", -0.75, "debug mode is switched on")
PERMISSION = Rule("world-writable", -1.0, "a file or folder is made writable for everyone")

SECURE_RANDOM = Rule("secure-random", 0.5, "secrets, os.urandom or SystemRandom make random values")
CONSTANT_TIME = Rule("constant-time-compare", 0.5, "compare_digest compares secrets")
STRONG_HASH = Rule("strong-hash", 0.3, "a SHA-2, SHA-3 or BLAKE2 hash or an HMAC is used")
PASSWORD_HASH = Rule("password-hash", 0.6, "passwords are hashed slowly (scrypt, PBKDF2, bcrypt, Argon2)")
ENVIRONMENT = Rule("secret-from-environment", 0.4, "a secret is read from the environment or a prompt without echo")
TIMEOUT = Rule("timeout-set", 0.3, "a call has a timeout")
TLS_CONTEXT = Rule("tls-context", 0.4, "a verifying TLS context is made")
PRIVATE_FILE = Rule("private-file", 0.3, "a file is private: tempfile's safe calls, or a mode for the owner only")

RULES = (
    *(WEAK_HASH, WEAK_CIPHER, WEAK_RANDOM, MKTEMP, TMP_PATH, SECRET, SECRET_LOGGED, TIMING, TLS_OFF, HOST_KEY),
    *(CLEARTEXT, NO_TIMEOUT, BIND_ALL, DEBUG, PERMISSION),
    *(SECURE_RANDOM, CONSTANT_TIME, STRONG_HASH, PASSWORD_HASH, ENVIRONMENT, TIMEOUT, TLS_CONTEXT, PRIVATE_FILE),
)

_SECRET_NAME = re.compile(
    r"(?i)(?:^|_)(?:passw(?:or)?d|passwd|pwd|passphrase|secret|secret_?key|api_?key|apikey|access_?key|private_?key|"
    r"auth_?token|access_?token|token|credentials?|encryption_?key|signing_?key)(?:$|_?\d*$)"
)
_RANDOM_NAME = re.compile(
    r"(?i)passw|secret|token|salt|nonce|otp(?:$|_)|csrf|api_?key|session_?(?:id|key)|reset_?code|verification_?code"
)
_COMPARED_NAME = re.compile(r"(?i)(?:^|_)(?:signature|digest|hmac|mac|token|password|passwd|secret|api_?key|hash)$")
_KEY_TEXT = re.compile(
    r"AKIA[0-9A-Z]{16}|-----BEGIN (?:[A-Z]+ )?PRIVATE KEY|gh[pousr]_[A-Za-z0-9]{30,}|sk-[A-Za-z0-9_-]{20,}"
    r"|xox[baprs]-[A-Za-z0-9-]{10,}|AIza[0-9A-Za-z_-]{35}|[a-z][a-z0-9+.-]{1,20}://[^\s:/@{}]{1,60}:[^\s:/@{}]{1,60}@"
)
_PLACEHOLDER = re.compile(r"(?i)^$|^<.*>$|^\W+$|^(?:x+|none|null|your[-_ ].*|todo|redacted|example)$")
_WEAK_HASHES = frozenset({"md5", "sha1", "md4", "MD5", "SHA1"})
_STRONG_HASHES = frozenset(
    {"sha224", "sha256", "sha384", "sha512", "sha3_256", "sha3_384", "sha3_512", "blake2b", "blake2s"}
)
_PASSWORD_HASHES = frozenset(
    {"scrypt", "pbkdf2_hmac", "hashpw", "PBKDF2HMAC", "PasswordHasher", "generate_password_hash"}
)
_WEAK_CIPHERS = frozenset({"DES", "DES3", "ARC4", "ARC2", "Blowfish", "TripleDES", "IDEA", "CAST5", "RC4"})
_TIMED_CALLS = frozenset(
    {f"requests.{method}" for method in ("get", "post", "put", "patch", "delete", "head", "options", "request")}
    | {"urllib.request.urlopen", "urllib2.urlopen", "socket.create_connection", "smtplib.SMTP", "smtplib.SMTP_SSL"}
    | {"http.client.HTTPConnection", "http.client.HTTPSConnection", "ftplib.FTP"}
)
_PREDICTABLE = frozenset(
    {f"random.{name}" for name in ("random", "randint", "randrange", "choice", "choices", "sample", "getrandbits")}
    | {"random.shuffle", "random.uniform", "numpy.random.randint"}
)
_WRITERS = frozenset({"print", "debug", "info", "warning", "error", "critical", "exception", "log"})


def find_exposure(program: Program) -> Iterator[Finding]:
    """Yield every finding of this module's rules."""
    for call in program.calls:
        yield from _cryptography(call)
        yield from _network(call)
        yield from _permissions(call)
        yield from _secret_sources(call)
        yield from _logged_secrets(call)
    yield from _attributes(program)
    yield from _texts(program)
    yield from _secrets(program)
    yield from _random_secrets(program)
    yield from _comparisons(program)


def _cryptography(call: Call) -> Iterator[Finding]:
    line = call.node.lineno
    module, _, function = call.name.rpartition(".")
    intended = call.keyword("usedforsecurity")
    if module == "hashlib" or module.startswith("Crypto"):
        algorithm = (text_constant(call.first) or "").lower().replace("-", "") if function == "new" else function
        owner = module.rpartition(".")[2]
        if algorithm in _WEAK_HASHES or owner in _WEAK_HASHES:
            if not (isinstance(intended, ast.Constant) and intended.value is False):
                yield Finding(WEAK_HASH, line, detail=algorithm if algorithm in _WEAK_HASHES else owner)
        elif algorithm in _STRONG_HASHES:
            yield Finding(STRONG_HASH, line, detail=algorithm)
        if owner in _WEAK_CIPHERS:
            yield Finding(WEAK_CIPHER, line, detail=owner)
    elif call.name in ("hmac.new", "hmac.digest"):
        yield Finding(STRONG_HASH, line, detail="hmac")
    elif module.endswith("algorithms") and function in _WEAK_CIPHERS:
        yield Finding(WEAK_CIPHER, line, detail=function)
    elif call.name.endswith("modes.ECB"):
        yield Finding(WEAK_CIPHER, line, detail="ECB")
    if call.attr in _PASSWORD_HASHES and call.name:
        yield Finding(PASSWORD_HASH, line, detail=call.attr)
    if call.name in ("hmac.compare_digest", "secrets.compare_digest"):
        yield Finding(CONSTANT_TIME, line)
    elif module == "secrets" or call.name in ("os.urandom", "random.SystemRandom"):
        yield Finding(SECURE_RANDOM, line, detail=call.name)


def _network(call: Call) -> Iterator[Finding]:
    line = call.node.lineno
    verify = call.keyword("verify")
    if (isinstance(verify, ast.Constant) and verify.value is False) or call.name == "ssl._create_unverified_context":
        yield Finding(TLS_OFF, line)
    elif call.name == "ssl.create_default_context":
        yield Finding(TLS_CONTEXT, line)
    if call.name.startswith("telnetlib.") or call.name == "ftplib.FTP":
        yield Finding(CLEARTEXT, line, detail=call.name)
    if call.attr in ("AutoAddPolicy", "WarningPolicy"):
        yield Finding(HOST_KEY, line)
    timeout = call.keyword("timeout")
    has_timeout = timeout is not None and not (isinstance(timeout, ast.Constant) and timeout.value is None)
    if has_timeout or call.attr == "settimeout":
        yield Finding(TIMEOUT, line)
    elif call.name in _TIMED_CALLS and not (call.name == "socket.create_connection" and len(call.node.args) > 1):
        yield Finding(NO_TIMEOUT, line, detail=call.name)
    debug = call.keyword("debug")
    if (
        isinstance(debug, ast.Constant)
        and debug.value is True
        and call.attr in ("run", "Flask", "FastAPI", "Application")
    ):
        yield Finding(DEBUG, line)


def _permissions(call: Call) -> Iterator[Finding]:
    line = call.node.lineno
    if call.name in ("tempfile.mktemp", "os.tmpnam", "os.tempnam"):
        yield Finding(MKTEMP, line)
    elif call.name.startswith("tempfile.") and call.attr != "gettempdir":
        yield Finding(PRIVATE_FILE, line, detail=call.attr)
    elif call.name == "os.umask":
        mask = call.first
        if isinstance(mask, ast.Constant) and isinstance(mask.value, int):
            yield Finding(PRIVATE_FILE if mask.value & 0o077 == 0o077 else PERMISSION, line, detail="umask")
    elif call.attr in ("chmod", "mkdir", "makedirs", "fchmod"):
        for value in (*call.node.args, *(keyword.value for keyword in call.node.keywords)):
            if isinstance(value, ast.Constant) and type(value.value) is int:
                if value.value & 0o002:
                    yield Finding(PERMISSION, line, detail=f"mode {value.value:o}")
                elif value.value & 0o077 == 0 and value.value:
                    yield Finding(PRIVATE_FILE, line, detail=f"mode {value.value:o}")


def _secret_sources(call: Call) -> Iterator[Finding]:
    if call.name in ("os.getenv", "os.environ.get"):
        key = text_constant(call.first)
        if key is not None and _SECRET_NAME.search(key):
            yield Finding(ENVIRONMENT, call.node.lineno)
    elif call.name == "getpass.getpass":
        yield Finding(ENVIRONMENT, call.node.lineno)


def _logged_secrets(call: Call) -> Iterator[Finding]:
    if call.attr not in _WRITERS:
        return
    for argument in call.node.args:
        for part in contents(argument):
            if isinstance(part, ast.Call):
                break
            if isinstance(part, ast.Name | ast.Attribute) and _SECRET_NAME.search(_name(part)):
                yield Finding(SECRET_LOGGED, call.node.lineno)
                return


def _attributes(program: Program) -> Iterator[Finding]:
    for attribute, _ in program.of(ast.Attribute):
        if attribute.attr == "CERT_NONE":
            yield Finding(TLS_OFF, attribute.lineno)
        elif attribute.attr == "MODE_ECB":
            yield Finding(WEAK_CIPHER, attribute.lineno, detail="ECB")
    for subscript, _ in program.of(ast.Subscript):
        key = text_constant(subscript.slice)
        if key is not None and program.resolve(subscript.value) == "os.environ" and _SECRET_NAME.search(key):
            yield Finding(ENVIRONMENT, subscript.lineno)


def _texts(program: Program) -> Iterator[Finding]:
    for constant, _ in program.of(ast.Constant):
        text = constant.value
        if not isinstance(text, str):
            continue
        if text == "0.0.0.0":  # noqa: S104 - what is looked for
            yield Finding(BIND_ALL, constant.lineno)
        elif text.startswith("/tmp/"):  # noqa: S108 - what is looked for
            yield Finding(TMP_PATH, constant.lineno)
        elif _KEY_TEXT.search(text[:4096]):
            yield Finding(SECRET, constant.lineno, detail="it has the form of a key")
        elif text.startswith(("http://", "ftp://")) and not text[:18].startswith(("http://localhost", "http://127.")):
            yield Finding(CLEARTEXT, constant.lineno)


def _name(node: ast.AST | None) -> str:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return node.attr
    if isinstance(node, ast.Subscript):
        return text_constant(node.slice) or ""
    return ""


def _is_secret(name: str, value: ast.expr | None) -> bool:
    text = text_constant(value)
    return (
        text is not None
        and _SECRET_NAME.search(name) is not None
        and not _PLACEHOLDER.search(text)
        and not _KEY_TEXT.search(text[:4096])
        and not (text.isupper() and "_" in text)
        and text.lower() != name.lower()
        and " " not in text
    )


def _secrets(program: Program) -> Iterator[Finding]:
    named: list[tuple[str, ast.expr | None]] = []
    for assign, _ in program.of(ast.Assign):
        named += [(_name(target), assign.value) for target in assign.targets]
    named += [(_name(annotated.target), annotated.value) for annotated, _ in program.of(ast.AnnAssign)]
    named += [(keyword.arg or "", keyword.value) for keyword, _ in program.of(ast.keyword)]
    for table, _ in program.of(ast.Dict):
        named += [(text_constant(key) or "", value) for key, value in zip(table.keys, table.values, strict=True)]
    for arguments, _ in program.of(ast.arguments):
        positional = [*arguments.posonlyargs, *arguments.args]
        defaults = arguments.defaults
        named += [(a.arg, d) for a, d in zip(positional[len(positional) - len(defaults) :], defaults, strict=True)]
        named += [(a.arg, d) for a, d in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)]
    for compare, _ in program.of(ast.Compare):
        if isinstance(compare.ops[0], ast.Eq):
            named.append((_name(compare.left), compare.comparators[0]))
    for name, value in named:
        if value is not None and _is_secret(name, value):
            yield Finding(SECRET, value.lineno, detail=name)
    for assign, _ in program.of(ast.Assign):
        for target in assign.targets:
            value = assign.value
            is_true = isinstance(value, ast.Constant) and value.value is True
            is_false = isinstance(value, ast.Constant) and value.value is False
            if _name(target).lower() == "debug" and is_true:
                yield Finding(DEBUG, assign.lineno)
            elif isinstance(target, ast.Attribute) and target.attr in ("check_hostname", "verify") and is_false:
                yield Finding(TLS_OFF, assign.lineno)


def _random_secrets(program: Program) -> Iterator[Finding]:
    flagged: set[int] = set()
    for assign, _ in program.of(ast.Assign):
        if any(_RANDOM_NAME.search(_name(target)) for target in assign.targets):
            flagged |= {id(part) for part in contents(assign.value)}
    for call in program.calls:
        function = call.context.scope.function
        inside = function is not None and _RANDOM_NAME.search(function.name)
        if call.name in _PREDICTABLE and (inside or id(call.node) in flagged):
            yield Finding(WEAK_RANDOM, call.node.lineno, detail=call.name)


def _comparisons(program: Program) -> Iterator[Finding]:
    for compare, _ in program.of(ast.Compare):
        if len(compare.ops) == 1 and isinstance(compare.ops[0], ast.Eq | ast.NotEq):
            left, right = compare.left, compare.comparators[0]
            if is_constant(left) or is_constant(right) or isinstance(right, ast.Constant):
                continue
            named = _COMPARED_NAME.search(_name(left)) and _COMPARED_NAME.search(_name(right))
            if named or not {"digest", "hexdigest"}.isdisjoint((_called(left), _called(right))):
                yield Finding(TIMING, compare.lineno)


def _called(node: ast.expr) -> str:
    return _name(node.func) if isinstance(node, ast.Call) else ""
