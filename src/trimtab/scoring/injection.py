"""Security, part one: data that reaches an interpreter (Python, SQL, a shell, HTML) or the file system."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from trimtab.scoring.evidence import Finding, Rule
from trimtab.scoring.expressions import (
    StringParts,
    contents,
    depends_on,
    from_outside,
    is_constant,
    string_parts,
    text_constant,
)
from trimtab.scoring.program import Call, Context, Program, Scope

__all__ = ["RULES", "find_injection", "is_sql"]

EVAL = Rule("eval", -2.0, "eval() runs whatever the text says")
EXEC = Rule("exec", -2.0, "exec() runs whatever the text says")
COMPILE = Rule("compile", -0.75, "compile() of source text at run time")
DYNAMIC_IMPORT = Rule("dynamic-import", -0.5, "a module is imported by a computed name")
SQL_STRING = Rule("sql-string", -2.0, "an SQL statement is built from values instead of being given parameters")
SHELL_CALL = Rule("shell-call", -1.25, "a command goes through a shell (os.system, os.popen, getoutput)")
SHELL_TRUE = Rule("shell-true", -1.5, "a subprocess is started with shell=True")
COMMAND_STRING = Rule("command-string", -1.0, "a command line is built from values")
UNSAFE_LOAD = Rule("unsafe-deserialization", -1.5, "pickle, marshal, shelve, dill and the like run code while loading")
YAML_LOAD = Rule("yaml-load", -1.5, "yaml.load without a safe loader builds arbitrary objects")
XML_PARSER = Rule("xml-entities", -0.75, "an XML parser that may resolve entities reads untrusted text")
ARCHIVE = Rule("archive-extract", -1.0, "an archive is unpacked without checking its member names")
PATH = Rule("unchecked-path", -0.75, "a path is built from input and used without a check")
INPUT_SINK = Rule("input-to-sink", -1.0, "user input goes straight into a dangerous call")
AUTOESCAPE = Rule("autoescape-off", -1.0, "templates are rendered without escaping")
HTML_STRING = Rule("html-string", -0.75, "HTML is built from values that are not escaped")

RULES = (
    *(EVAL, EXEC, COMPILE, DYNAMIC_IMPORT, SQL_STRING, SHELL_CALL, SHELL_TRUE, COMMAND_STRING, UNSAFE_LOAD),
    *(YAML_LOAD, XML_PARSER, ARCHIVE, PATH, INPUT_SINK, AUTOESCAPE, HTML_STRING),
)

# Prose such as "Select one from the list" is not SQL: a statement is written in capitals or in small letters.
_SQL = re.compile(
    r"\b(?:SELECT\b.{1,300}?\bFROM|INSERT\s+(?:OR\s+\w+\s+)?INTO|REPLACE\s+INTO|UPDATE\b.{1,100}?\bSET|DELETE\s+FROM"
    r"|DROP\s+(?:TABLE|DATABASE|INDEX|VIEW)|(?:CREATE|ALTER|TRUNCATE)\s+(?:TABLE|DATABASE)"
    r"|select\b.{1,300}?\bfrom|insert\s+(?:or\s+\w+\s+)?into|update\b.{1,100}?\bset|delete\s+from"
    r"|drop\s+(?:table|database|index|view)|(?:create|alter|truncate)\s+(?:table|database))\b",
    re.DOTALL,
)
_HTML = re.compile(
    r"(?i)<(?:a|b|body|button|div|form|h[1-6]|html|i|iframe|img|input|li|option|p|script|span|table|td|th|title|tr|ul)"
    r"[\s>{]"
)
_COMMAND_NAME = re.compile(r"(?i)(?:^|_)(?:cmd|command|cmd_?line|command_?line)\d*$")
_EXECUTE = frozenset(
    {"execute", "executemany", "executescript", "raw", "query", "mogrify", "read_sql", "read_sql_query"}
)
_SHELL_CALLS = frozenset(
    {"os.system", "os.popen", "subprocess.getoutput", "subprocess.getstatusoutput", "commands.getoutput"}
    | {"commands.getstatusoutput", "asyncio.create_subprocess_shell"}
)
_PROCESS = frozenset({"Popen", "call", "check_call", "check_output", "run"})
_REMOTE = frozenset({"exec_command"})
_UNSAFE_LOADS = frozenset(
    {
        f"{module}.{name}"
        for module in ("pickle", "cPickle", "_pickle", "dill", "cloudpickle")
        for name in ("load", "loads")
    }
    | {"pickle.Unpickler", "dill.Unpickler", "marshal.load", "marshal.loads", "shelve.open", "shelve.DbfilenameShelf"}
    | {"jsonpickle.decode", "joblib.load", "pandas.read_pickle"}
)
_YAML_LOADS = frozenset({"yaml.load", "yaml.load_all", "yaml.unsafe_load", "yaml.unsafe_load_all", "yaml.full_load"})
_SAFE_LOADERS = ("SafeLoader", "CSafeLoader", "BaseLoader")
_XML = frozenset(
    {f"xml.etree.ElementTree.{name}" for name in ("parse", "fromstring", "iterparse", "XML", "XMLParser")}
    | {f"xml.etree.cElementTree.{name}" for name in ("parse", "fromstring", "iterparse")}
    | {"xml.dom.minidom.parse", "xml.dom.minidom.parseString", "xml.dom.pulldom.parse", "xml.dom.pulldom.parseString"}
    | {"xml.sax.parse", "xml.sax.parseString", "xml.sax.make_parser", "lxml.etree.parse", "lxml.etree.fromstring"}
    | {"lxml.etree.XMLParser"}
)
_FILE_CALLS = frozenset(
    {"open", "io.open", "os.open", "os.remove", "os.unlink", "os.rmdir", "shutil.rmtree", "shutil.copy", "shutil.move"}
    | {"flask.send_file", "send_file", "pathlib.Path", "os.listdir", "os.makedirs"}
)
_PATH_CHECKS = frozenset(
    {"is_relative_to", "commonpath", "commonprefix", "secure_filename", "safe_join", "realpath", "resolve", "basename"}
)
_ESCAPES = frozenset({"escape", "quote", "quoteattr", "clean", "int", "float", "len", "str.isdigit", "urlencode"})
_MARKS_SAFE = frozenset({"mark_safe", "Markup", "render_template_string"})


def is_sql(text: str) -> bool:
    """Tell whether a text looks like an SQL statement."""
    return _SQL.search(text[:4096]) is not None


def find_injection(program: Program) -> Iterator[Finding]:
    """Yield every finding of this module's rules."""
    built = _built_strings(program)
    flagged: set[int] = set()
    commands = _command_variables(program)
    for node, context, parts in built:
        if is_sql(parts.text) and not all(_is_harmless(value) for value in parts.dynamic):
            flagged.add(id(node))
            yield Finding(SQL_STRING, node.lineno)
        elif _HTML.search(parts.text) and not all(_is_escaped(value, program, context) for value in parts.dynamic):
            yield Finding(HTML_STRING, node.lineno)
        elif id(node) in commands and not all(is_constant(v) or _is_escape(v) for v in parts.dynamic):
            flagged.add(id(node))
            yield Finding(COMMAND_STRING, node.lineno)
    checked = _scopes_with_path_checks(program)
    for call in program.calls:
        yield from _interpreters(call, program)
        yield from _executed_sql(call, flagged)
        yield from _commands(call, program, flagged)
        yield from _loaders(call)
        yield from _markup(call)
        yield from _files(call, program, checked)


def _built_strings(program: Program) -> Iterator[tuple[ast.expr, Context, StringParts]]:
    for node, context in program.of(ast.JoinedStr):
        yield from _parts(node, context)
    for operation, context in program.of(ast.BinOp):
        if isinstance(operation.op, ast.Add | ast.Mod) and id(operation) not in program.inner:
            yield from _parts(operation, context)
    for call in program.calls:
        if call.attr == "format":
            yield from _parts(call.node, call.context)


def _parts(node: ast.expr, context: Context) -> Iterator[tuple[ast.expr, Context, StringParts]]:
    parts = string_parts(node, context.scope)
    if parts is not None and parts.dynamic:
        yield node, context, parts


def _is_harmless(node: ast.expr) -> bool:
    """Tell whether a value put into SQL is a constant, a number, or a row of placeholders."""
    if is_constant(node):
        return True
    if not isinstance(node, ast.Call):
        return False
    if isinstance(node.func, ast.Name):
        return node.func.id in ("int", "float", "len")
    is_join = isinstance(node.func, ast.Attribute) and node.func.attr == "join"
    return is_join and any(text_constant(part) in ("?", "%s") for part in contents(node) if isinstance(part, ast.expr))


def _is_escaped(node: ast.expr, program: Program, context: Context) -> bool:
    if is_constant(node):
        return True
    if isinstance(node, ast.Name):
        values = context.scope.values(node.id)
        return bool(values) and all(is_constant(value) or _is_escape(value) for value in values)
    return _is_escape(node)


def _is_escape(node: ast.expr) -> bool:
    if not isinstance(node, ast.Call):
        return False
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    return name in _ESCAPES


def _interpreters(call: Call, program: Program) -> Iterator[Finding]:
    line, first, scope = call.node.lineno, call.first, call.context.scope
    match call.name:
        case "eval" | "exec":
            yield Finding(EVAL if call.name == "eval" else EXEC, line)
            if first is not None and from_outside(first, program, scope):
                yield Finding(INPUT_SINK, line, detail=call.name)
        case "compile":
            yield Finding(COMPILE, line)
        case "__import__" | "importlib.import_module" if first is not None and not is_constant(first):
            yield Finding(DYNAMIC_IMPORT, line)


def _executed_sql(call: Call, flagged: set[int]) -> Iterator[Finding]:
    first = call.first
    if call.attr not in _EXECUTE or not isinstance(first, ast.Name):
        return
    scope = call.context.scope
    if any(id(value) in flagged for value in scope.values(first.id)):
        return
    parts = string_parts(first, scope)
    if parts is not None and is_sql(parts.text) and not all(_is_harmless(value) for value in parts.dynamic):
        yield Finding(SQL_STRING, call.node.lineno)


def _command_variables(program: Program) -> set[int]:
    """Return the values assigned to variables that are called a command."""
    return {
        id(assign.value)
        for assign, _ in program.of(ast.Assign)
        for target in assign.targets
        if _COMMAND_NAME.search(target.id if isinstance(target, ast.Name) else getattr(target, "attr", ""))
    }


def _commands(call: Call, program: Program, flagged: set[int]) -> Iterator[Finding]:
    module, _, function = call.name.rpartition(".")
    starts = function in _PROCESS and module in ("subprocess", "sp", "") and (module or function in ("Popen",))
    shell = call.keyword("shell")
    line = call.node.lineno
    if call.name in _SHELL_CALLS:
        yield Finding(SHELL_CALL, line)
    elif isinstance(shell, ast.Constant) and shell.value:
        yield Finding(SHELL_TRUE, line)
    elif not (starts or call.attr in _REMOTE or call.attr == "check_output"):
        return
    if call.first is None:
        return
    scope = call.context.scope
    parts = string_parts(call.first, scope)
    known = isinstance(call.first, ast.Name) and any(id(v) in flagged for v in scope.values(call.first.id))
    if (
        not known
        and parts is not None
        and parts.dynamic
        and not all(is_constant(v) or _is_escape(v) for v in parts.dynamic)
    ):
        yield Finding(COMMAND_STRING, line)
    if from_outside(call.first, program, scope):
        yield Finding(INPUT_SINK, line, detail=call.attr)


def _loaders(call: Call) -> Iterator[Finding]:
    line = call.node.lineno
    if call.name in _UNSAFE_LOADS:
        yield Finding(UNSAFE_LOAD, line, detail=call.name)
    elif call.name in ("numpy.load", "np.load"):
        allowed = call.keyword("allow_pickle")
        if isinstance(allowed, ast.Constant) and allowed.value:
            yield Finding(UNSAFE_LOAD, line, detail="allow_pickle")
    elif call.name in _YAML_LOADS:
        loader = call.keyword("Loader") or (call.node.args[1] if len(call.node.args) > 1 else None)
        name = getattr(loader, "attr", getattr(loader, "id", ""))
        if name not in _SAFE_LOADERS:
            yield Finding(YAML_LOAD, line)
    elif call.name in _XML:
        resolves = call.keyword("resolve_entities")
        if not (isinstance(resolves, ast.Constant) and resolves.value is False):
            yield Finding(XML_PARSER, line, detail=call.name)
    elif (call.attr == "extractall" and call.keyword("filter") is None) or call.name == "shutil.unpack_archive":
        yield Finding(ARCHIVE, line)


def _markup(call: Call) -> Iterator[Finding]:
    if call.name in ("jinja2.Environment", "jinja2.Template") or (call.name == "Environment"):
        escape = call.keyword("autoescape")
        if escape is None or (isinstance(escape, ast.Constant) and not escape.value):
            if any(keyword.arg is None for keyword in call.node.keywords) and escape is None:
                return
            yield Finding(AUTOESCAPE, call.node.lineno)
    elif call.attr in _MARKS_SAFE and call.first is not None and not is_constant(call.first):
        yield Finding(AUTOESCAPE, call.node.lineno, detail=call.attr)


def _scopes_with_path_checks(program: Program) -> set[int]:
    checked = set()
    for call in program.calls:
        if call.attr in _PATH_CHECKS:
            checked.add(id(call.context.scope))
    for compare, context in program.of(ast.Compare):
        if text_constant(compare.left) in ("..", "/", "../"):
            checked.add(id(context.scope))
    return checked


def _files(call: Call, program: Program, checked: set[int]) -> Iterator[Finding]:
    scope = call.context.scope
    if call.name not in _FILE_CALLS or call.first is None or id(scope) in checked:
        return
    path = _built_path(call.first, program, scope)
    outside = from_outside(call.first, program, scope)
    if outside or (path is not None and scope.params and depends_on(path, scope.params, scope)):
        yield Finding(PATH, call.node.lineno, detail="user input" if outside else "")


def _built_path(node: ast.expr, program: Program, scope: Scope) -> ast.expr | None:
    """Return the expression that puts a path together, directly or in a variable; None for a path taken whole."""
    candidates = [node, *(scope.assigned.get(node.id, []) if isinstance(node, ast.Name) else [])]
    for candidate in candidates:
        if isinstance(candidate, ast.JoinedStr):
            return candidate
        if isinstance(candidate, ast.BinOp) and isinstance(candidate.op, ast.Add | ast.Div | ast.Mod):
            return candidate
        if isinstance(candidate, ast.Call):
            name = program.resolve(candidate.func)
            if name in ("os.path.join", "posixpath.join") or getattr(candidate.func, "attr", "") == "format":
                return candidate
    return None
