"""Security, part three: exceptions, checks of input, and the other habits that keep a program safe."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from trimtab.scoring.evidence import Finding, Rule
from trimtab.scoring.expressions import depends_on, string_parts, text_constant
from trimtab.scoring.injection import is_sql
from trimtab.scoring.program import Call, Context, Program

__all__ = ["RULES", "find_handling"]

BARE_EXCEPT = Rule("bare-except", -0.5, "a bare except catches everything, even Ctrl-C")
BROAD_EXCEPT = Rule("broad-except", -0.3, "an except catches every Exception and does not raise again")
SWALLOWED = Rule("except-pass", -0.5, "an exception is swallowed without a trace")
ASSERT = Rule("assert-validation", -0.3, "an argument is checked by assert, which -O removes")
UNCHECKED = Rule("unchecked-arguments", -0.8, "share of the functions with arguments that check none of them")
UNGUARDED = Rule("unguarded-io", -0.2, "input is opened or decoded outside any try or with")

SPECIFIC = Rule("specific-except", 0.4, "an except names the errors it expects and does something about them")
CHAINED = Rule("chained-raise", 0.2, "an error is raised from its cause")
CLEANUP = Rule("finally", 0.2, "a finally clause cleans up")
VALIDATION = Rule("input-validation", 0.5, "an argument is checked and refused by raise")
GUARD = Rule("argument-guard", 0.15, "an argument is checked and sent back by an early return")
TYPE_CHECK = Rule("type-check", 0.25, "the check is of a type (isinstance)")
BOUND_CHECK = Rule("bound-check", 0.25, "the check is of a length or a range")
ALLOW_LIST = Rule("allow-list", 0.3, "the check is against a set of allowed values")
PATTERN_CHECK = Rule("pattern-check", 0.25, "text is matched as a whole against a pattern (fullmatch)")
PARAMETERS = Rule("sql-parameters", 0.6, "an SQL statement is given its values as parameters")
SAFE_PARSER = Rule("safe-parser", 0.5, "data are read by a safe parser (literal_eval, safe_load, defusedxml)")
ESCAPED = Rule("escaped-output", 0.4, "values are escaped or quoted for HTML or a shell")
ARGUMENT_LIST = Rule("argument-list", 0.4, "a subprocess is given a list of arguments and no shell")
PATH_CHECK = Rule("path-check", 0.4, "a path is resolved or held inside its folder")
MANAGED = Rule("managed-resource", 0.2, "a resource is held by a with statement")

RULES = (
    *(BARE_EXCEPT, BROAD_EXCEPT, SWALLOWED, ASSERT, UNCHECKED, UNGUARDED),
    *(SPECIFIC, CHAINED, CLEANUP, VALIDATION, GUARD, TYPE_CHECK, BOUND_CHECK, ALLOW_LIST, PATTERN_CHECK),
    *(PARAMETERS, SAFE_PARSER, ESCAPED, ARGUMENT_LIST, PATH_CHECK, MANAGED),
)

_BROAD = frozenset({"Exception", "BaseException"})
_EXECUTE = frozenset({"execute", "executemany", "query", "raw"})
_SAFE_PARSERS = frozenset({"ast.literal_eval", "yaml.safe_load", "yaml.safe_load_all", "tomllib.load", "tomllib.loads"})
_ESCAPES = frozenset(
    {"html.escape", "cgi.escape", "markupsafe.escape", "flask.escape", "bleach.clean", "shlex.quote", "shlex.join"}
    | {"urllib.parse.quote", "xml.sax.saxutils.escape", "xml.sax.saxutils.quoteattr", "django.utils.html.escape"}
)
_PATH_CHECKS = frozenset({"is_relative_to", "commonpath", "secure_filename", "safe_join"})
_PROCESS = frozenset({"Popen", "call", "check_call", "check_output", "run"})
_GUARD_WANTED = frozenset({"open", "io.open", "json.load", "json.loads", "urllib.request.urlopen", "pickle.load"})


def find_handling(program: Program) -> Iterator[Finding]:
    """Yield every finding of this module's rules."""
    yield from _handlers(program)
    yield from _checks(program)
    managed = _managed(program)
    for call in program.calls:
        yield from _calls(call, managed)
    for manager, _ in program.managers():
        yield Finding(MANAGED, manager.lineno)


def _handlers(program: Program) -> Iterator[Finding]:
    for handler, _ in program.of(ast.ExceptHandler):
        names = _caught(handler, program)
        trivial = all(_does_nothing(statement) for statement in handler.body)
        raises = any(isinstance(statement, ast.Raise) for statement in handler.body)
        if trivial:
            yield Finding(SWALLOWED, handler.lineno)
        if handler.type is None:
            if not raises:
                yield Finding(BARE_EXCEPT, handler.lineno)
        elif not _BROAD.isdisjoint(names):
            if not raises:
                yield Finding(BROAD_EXCEPT, handler.lineno)
        elif not trivial:
            yield Finding(SPECIFIC, handler.lineno, detail=", ".join(names[:3]))
    for attempt, _ in program.attempts():
        if attempt.finalbody:
            yield Finding(CLEANUP, attempt.finalbody[0].lineno)
    for refusal, _ in program.of(ast.Raise):
        if refusal.cause is not None and not (isinstance(refusal.cause, ast.Constant) and refusal.cause.value is None):
            yield Finding(CHAINED, refusal.lineno)


def _caught(handler: ast.ExceptHandler, program: Program) -> list[str]:
    types = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type] if handler.type else []
    return [program.resolve(kind) or getattr(kind, "attr", getattr(kind, "id", "")) for kind in types]


def _does_nothing(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Pass | ast.Continue) or (
        isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
    )


def _checks(program: Program) -> Iterator[Finding]:
    checking: set[int] = set()
    for condition, context in program.of(ast.If):
        refuses = any(isinstance(statement, ast.Raise) for statement in condition.body)
        returns = isinstance(condition.body[-1], ast.Return) and context.depth == 0
        function = context.scope.function
        if context.handler or function is None or not (refuses or returns):
            continue
        if not depends_on(condition.test, function.params, context.scope):
            continue
        checking.add(id(function))
        yield Finding(VALIDATION if refuses else GUARD, condition.lineno)
        if refuses:
            yield from _kinds_of_check(condition.test)
    taking = [scope for scope in program.scopes if scope.kind == "function" and scope.params]
    unchecked = [scope for scope in taking if id(scope) not in checking]
    if unchecked:
        detail = f"{len(unchecked)} of {len(taking)}"
        yield Finding(UNCHECKED, getattr(unchecked[0].node, "lineno", None), len(unchecked) / len(taking), detail)
    for assertion, context in program.of(ast.Assert):
        function = context.scope.function
        if function is None or function.name.startswith("test"):
            continue
        if depends_on(assertion.test, function.params, context.scope):
            yield Finding(ASSERT, assertion.lineno)


def _kinds_of_check(test: ast.expr) -> Iterator[Finding]:
    """Yield at most one finding of each kind for one condition."""
    kinds: dict[str, Rule] = {}
    waiting: list[ast.expr] = [test]
    for node in waiting:
        if isinstance(node, ast.BoolOp):
            waiting += node.values[:16]
        elif isinstance(node, ast.UnaryOp):
            waiting.append(node.operand)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "isinstance":
            kinds.setdefault(TYPE_CHECK.id, TYPE_CHECK)
        elif isinstance(node, ast.Compare):
            for operator in node.ops:
                if isinstance(operator, ast.Lt | ast.LtE | ast.Gt | ast.GtE):
                    kinds.setdefault(BOUND_CHECK.id, BOUND_CHECK)
                elif isinstance(operator, ast.NotIn):
                    kinds.setdefault(ALLOW_LIST.id, ALLOW_LIST)
    for rule in kinds.values():
        yield Finding(rule, test.lineno)


def _managed(program: Program) -> set[int]:
    return {id(item.context_expr) for manager, _ in program.managers() for item in manager.items}


def _calls(call: Call, managed: set[int]) -> Iterator[Finding]:
    line = call.node.lineno
    context = call.context
    if call.attr in _EXECUTE and len(call.node.args) > 1 and _is_plain_sql(call, context):
        yield Finding(PARAMETERS, line)
    elif call.name in _SAFE_PARSERS or call.name.startswith("defusedxml."):
        yield Finding(SAFE_PARSER, line, detail=call.name)
    elif call.name in _ESCAPES:
        yield Finding(ESCAPED, line, detail=call.name)
    elif call.attr in _PATH_CHECKS:
        yield Finding(PATH_CHECK, line, detail=call.attr)
    elif call.attr == "fullmatch":
        yield Finding(PATTERN_CHECK, line)
    elif call.name.startswith("subprocess.") and call.attr in _PROCESS and _is_list(call):
        shell = call.keyword("shell")
        if not (isinstance(shell, ast.Constant) and shell.value):
            yield Finding(ARGUMENT_LIST, line)
    elif call.name in _GUARD_WANTED and not context.guarded and not context.handler and id(call.node) not in managed:
        yield Finding(UNGUARDED, line, detail=call.name)


def _is_plain_sql(call: Call, context: Context) -> bool:
    first = call.node.args[0]
    text = text_constant(first)
    if text is None:
        parts = string_parts(first, context.scope) if isinstance(first, ast.Name) else None
        if parts is None or parts.dynamic:
            return False
        text = parts.text
    return is_sql(text)


def _is_list(call: Call) -> bool:
    first = call.first
    if isinstance(first, ast.Name):
        return any(isinstance(value, ast.List) for value in call.context.scope.values(first.id))
    return isinstance(first, ast.List)
