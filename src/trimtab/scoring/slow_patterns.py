"""Efficiency, part two: constructs that are known to be slow, mostly because of the loop they stand in."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from trimtab.scoring.evidence import Finding, Rule
from trimtab.scoring.expressions import contents, text_constant
from trimtab.scoring.program import Call, Context, Program, Scope

__all__ = ["RULES", "find_slow_patterns", "is_hashed"]

LIST_MEMBERSHIP = Rule("list-membership", -0.5, "membership is tested in a list inside a loop")
STRING_CONCAT = Rule("string-concat", -0.6, "a string grows by + inside a loop")
LIST_CONCAT = Rule("list-concat", -0.6, "a list is copied by + inside a loop")
REGEX = Rule("regex-in-loop", -0.35, "a regular expression is compiled or looked up inside a loop")
SORT = Rule("sort-in-loop", -0.7, "sorting inside a loop")
AGGREGATE = Rule("aggregate-in-loop", -0.5, "a whole collection is summed, measured or copied inside a loop")
SCAN = Rule("scan-in-loop", -0.5, "list.count, index or remove scans inside a loop")
RANGE_LEN = Rule("range-len", -0.25, "a loop counts indices with range(len())")
APPEND_LOOP = Rule("append-loop", -0.25, "a loop does nothing but append")
INSERT_FRONT = Rule("insert-front", -0.5, "list.insert(0, ...) moves the whole list")
POP_FRONT = Rule("pop-front", -0.5, "list.pop(0) moves the whole list")
WHOLE_FILE = Rule("whole-file", -0.3, "a whole file is read into a list of lines")
DEEPCOPY = Rule("deepcopy-in-loop", -0.6, "deepcopy inside a loop")
TREE_RECURSION = Rule("tree-recursion", -0.8, "a function calls itself more than once and remembers nothing")
TRY_INNER = Rule("try-in-inner-loop", -0.3, "a try statement is entered in an inner loop")
GLOBAL = Rule("global-state", -0.2, "a function works on a global variable")
ROWWISE = Rule("row-by-row", -0.8, "a dataframe is walked row by row")
IO_LOOP = Rule("io-in-loop", -0.6, "files, network, database or processes are used one by one inside a loop")
PRINT_LOOP = Rule("print-in-loop", -0.15, "printing inside a loop")
DOUBLE_LOOKUP = Rule("double-lookup", -0.2, "a key is looked up after testing that it is there")
KEYS = Rule("keys-call", -0.2, "membership or iteration goes through dict.keys()")
MATERIALISED = Rule("materialised", -0.2, "a list is built only to be reduced at once")
SLEEP = Rule("sleep", -0.4, "the program sleeps inside a loop")
SLICE = Rule("slice-in-loop", -0.2, "a slice is copied inside a loop or for a recursive call")
EXCHANGE = Rule("exchange-sort", -0.5, "elements are swapped in nested loops")
COMBINATORIAL = Rule("combinatorial", -0.5, "permutations, combinations or products are enumerated")
LATE_IMPORT = Rule("import-in-loop", -0.3, "an import inside a loop")

RULES = (
    *(LIST_MEMBERSHIP, STRING_CONCAT, LIST_CONCAT, REGEX, SORT, AGGREGATE, SCAN, RANGE_LEN, APPEND_LOOP, INSERT_FRONT),
    *(POP_FRONT, WHOLE_FILE, DEEPCOPY, TREE_RECURSION, TRY_INNER, GLOBAL, ROWWISE, IO_LOOP, PRINT_LOOP, DOUBLE_LOOKUP),
    *(KEYS, MATERIALISED, SLEEP, SLICE, EXCHANGE, COMBINATORIAL, LATE_IMPORT),
)

_REGEX = frozenset({f"re.{name}" for name in ("compile", "match", "search", "sub", "findall", "split", "fullmatch")})
_AGGREGATES = frozenset({"sum", "max", "min", "list", "set", "tuple", "dict", "reversed", "len"})
_REDUCERS = frozenset({"sum", "any", "all", "max", "min", "set", "frozenset", "tuple", "sorted"})
_SCANS = frozenset({"count", "index", "remove"})
_IO = frozenset({"open", "urllib.request.urlopen", "os.system", "os.popen", "sqlite3.connect"})
_IO_MODULES = ("requests.", "subprocess.", "httpx.")
_COMBINATORIAL = frozenset(
    {f"itertools.{n}" for n in ("permutations", "combinations", "product", "combinations_with_replacement")}
)
_CACHES = frozenset({"cache", "lru_cache", "cached", "memoize", "memoise", "cached_property"})
_HASHED_CALLS = frozenset({"set", "frozenset", "dict", "defaultdict", "Counter", "OrderedDict"})
_LIST_CALLS = frozenset({"list", "sorted"})


def is_hashed(node: ast.expr, scope: Scope) -> bool:
    """Tell whether an expression is a set or dict, by its form or by what its variable was assigned."""
    return _is_kind(node, scope, (ast.Set, ast.SetComp, ast.Dict, ast.DictComp), _HASHED_CALLS)


def _is_list(node: ast.expr, scope: Scope) -> bool:
    return _is_kind(node, scope, (ast.List, ast.ListComp), _LIST_CALLS)


def _is_kind(node: ast.expr, scope: Scope, kinds: tuple[type[ast.expr], ...], calls: frozenset[str]) -> bool:
    values = scope.values(node.id) if isinstance(node, ast.Name) else [node]
    for value in values:
        if isinstance(value, kinds):
            return True
        if isinstance(value, ast.Call) and getattr(value.func, "id", getattr(value.func, "attr", "")) in calls:
            return True
        if isinstance(value, ast.BinOp) and isinstance(value.op, ast.Mult) and isinstance(value.left, kinds):
            return True
    return False


def find_slow_patterns(program: Program) -> Iterator[Finding]:
    """Yield every finding of this module's rules."""
    for call in program.calls:
        yield from _calls_anywhere(call)
        if call.context.loop:
            yield from _calls_in_loops(call)
    yield from _membership(program)
    yield from _growth(program)
    yield from _loops(program)
    yield from _recursion(program)
    yield from _statements(program)


def _calls_anywhere(call: Call) -> Iterator[Finding]:
    line, first = call.node.lineno, call.first
    is_zero = isinstance(first, ast.Constant) and type(first.value) is int and first.value == 0
    if call.attr == "insert" and is_zero and len(call.node.args) == 2:
        yield Finding(INSERT_FRONT, line)
    elif call.attr == "pop" and is_zero and len(call.node.args) == 1:
        yield Finding(POP_FRONT, line)
    elif call.attr == "readlines":
        yield Finding(WHOLE_FILE, line)
    elif call.attr in ("iterrows", "itertuples"):
        yield Finding(ROWWISE, line)
    elif call.name in _COMBINATORIAL:
        yield Finding(COMBINATORIAL, line, detail=call.attr)
    elif call.name in _REDUCERS and isinstance(first, ast.ListComp):
        yield Finding(MATERIALISED, line, detail=call.name)


def _calls_in_loops(call: Call) -> Iterator[Finding]:
    line, name, first = call.node.lineno, call.name, call.first
    if name in _REGEX:
        yield Finding(REGEX, line)
    elif name == "sorted" or (call.attr == "sort" and not name):
        yield Finding(SORT, line)
    elif name == "copy.deepcopy":
        yield Finding(DEEPCOPY, line)
    elif name == "time.sleep":
        yield Finding(SLEEP, line)
    elif name in _IO or name.startswith(_IO_MODULES) or call.attr in ("execute", "commit"):
        yield Finding(IO_LOOP, line, detail=name or call.attr)
    elif name == "print":
        yield Finding(PRINT_LOOP, line)
    elif not name and call.attr in _SCANS and first is not None:
        yield Finding(SCAN, line, detail=call.attr)
    elif name in _AGGREGATES and name != "len" and isinstance(first, ast.Name) and len(call.node.args) == 1:
        yield Finding(AGGREGATE, line, detail=name)
    elif name in _AGGREGATES and isinstance(first, ast.Subscript) and isinstance(first.slice, ast.Slice):
        yield Finding(AGGREGATE, line, detail=f"{name} of a slice")


def _membership(program: Program) -> Iterator[Finding]:
    for compare, context in program.of(ast.Compare):
        for operator, right in zip(compare.ops, compare.comparators, strict=True):
            if not isinstance(operator, ast.In | ast.NotIn):
                continue
            if isinstance(right, ast.Call) and getattr(right.func, "attr", "") == "keys":
                yield Finding(KEYS, compare.lineno)
            elif context.loop and _is_long_list(right, context.scope):
                yield Finding(LIST_MEMBERSHIP, compare.lineno)


def _is_long_list(node: ast.expr, scope: Scope) -> bool:
    # A few items written out are found as fast in a list as in a set.
    few = isinstance(node, ast.List) and len(node.elts) <= 4
    return not few and _is_list(node, scope) and not is_hashed(node, scope)


def _growth(program: Program) -> Iterator[Finding]:
    for augmented, context in program.of(ast.AugAssign):
        if not (context.loop and isinstance(augmented.op, ast.Add) and isinstance(augmented.target, ast.Name)):
            continue
        if _is_string(augmented.value) or _starts_as_string(augmented.target.id, context):
            yield Finding(STRING_CONCAT, augmented.lineno)
    for assign, context in program.of(ast.Assign):
        value, target = assign.value, assign.targets[0]
        if not (context.loop and isinstance(value, ast.BinOp) and isinstance(value.op, ast.Add)):
            continue
        if isinstance(target, ast.Name) and isinstance(value.left, ast.Name) and value.left.id == target.id:
            if isinstance(value.right, ast.List) or _is_list(target, context.scope):
                yield Finding(LIST_CONCAT, assign.lineno)
            elif _is_string(value.right) or _starts_as_string(target.id, context):
                yield Finding(STRING_CONCAT, assign.lineno)


def _is_string(node: ast.expr) -> bool:
    return text_constant(node) is not None or isinstance(node, ast.JoinedStr)


def _starts_as_string(name: str, context: Context) -> bool:
    values = context.scope.values(name)
    return bool(values) and _is_string(values[0])


def _loops(program: Program) -> Iterator[Finding]:
    for loop, context in program.for_loops():
        source = loop.iter
        if isinstance(source, ast.Call):
            inner = source.args[0] if len(source.args) == 1 else None
            if getattr(source.func, "id", "") == "range" and isinstance(inner, ast.Call):
                if getattr(inner.func, "id", "") == "len":
                    yield Finding(RANGE_LEN, loop.lineno)
            elif getattr(source.func, "attr", "") == "keys":
                yield Finding(KEYS, loop.lineno)
        if _only_appends(loop.body):
            yield Finding(APPEND_LOOP, loop.lineno)
        if context.loop:
            yield from _swaps(loop)
    for attempt, context in program.attempts():
        if context.loop >= 2:
            yield Finding(TRY_INNER, attempt.lineno)


def _only_appends(body: list[ast.stmt]) -> bool:
    for _ in range(3):
        if len(body) != 1 or not isinstance(body[0], ast.If) or body[0].orelse:
            break
        body = body[0].body
    if len(body) != 1 or not isinstance(body[0], ast.Expr) or not isinstance(body[0].value, ast.Call):
        return False
    return getattr(body[0].value.func, "attr", "") == "append"


def _swaps(loop: ast.For | ast.AsyncFor) -> Iterator[Finding]:
    for part in contents(loop):
        if (
            isinstance(part, ast.Assign)
            and isinstance(part.value, ast.Tuple)
            and isinstance(part.targets[0], ast.Tuple)
        ):
            items = [*part.value.elts, *part.targets[0].elts]
            if len(items) == 4 and all(isinstance(item, ast.Subscript) for item in items):
                yield Finding(EXCHANGE, part.lineno)
                return


def _recursion(program: Program) -> Iterator[Finding]:
    calls: dict[int, int] = {}
    for call in program.calls:
        function = call.context.scope.function
        if function is None or call.attr != function.name or not _is_own(call.node.func):
            continue
        calls[id(function)] = calls.get(id(function), 0) + 1
        if any(isinstance(a, ast.Subscript) and isinstance(a.slice, ast.Slice) for a in call.node.args):
            yield Finding(SLICE, call.node.lineno, detail="recursion")
    for node, scope in program.functions():
        remembered = any(name.startswith(("memo", "cache", "seen")) for name in (*scope.params, *scope.assigned))
        if calls.get(id(scope), 0) > 1 and not remembered and not _is_cached(node.decorator_list):
            yield Finding(TREE_RECURSION, node.lineno, detail=node.name)


def _is_own(callee: ast.expr) -> bool:
    # A method of the same name on another object is no recursion.
    owner = callee.value if isinstance(callee, ast.Attribute) else callee
    return isinstance(owner, ast.Name) and (owner is callee or owner.id in ("self", "cls"))


def _is_cached(decorators: list[ast.expr]) -> bool:
    for decorator in decorators:
        target = decorator.func if isinstance(decorator, ast.Call) else decorator
        if getattr(target, "attr", getattr(target, "id", "")) in _CACHES:
            return True
    return False


def _statements(program: Program) -> Iterator[Finding]:
    for shared, context in program.of(ast.Global):
        if context.scope.kind == "function":
            yield Finding(GLOBAL, shared.lineno)
    for condition, _ in program.of(ast.If):
        test = condition.test
        if not (isinstance(test, ast.Compare) and isinstance(test.ops[0], ast.In) and isinstance(test.left, ast.Name)):
            continue
        if _looks_up(condition.body, test.left.id, test.comparators[0]):
            yield Finding(DOUBLE_LOOKUP, condition.lineno)
    for subscript, context in program.of(ast.Subscript):
        if context.loop and isinstance(subscript.slice, ast.Slice) and isinstance(subscript.ctx, ast.Load):
            yield Finding(SLICE, subscript.lineno)
    for statement, context in program.imports():
        if context.loop:
            yield Finding(LATE_IMPORT, statement.lineno)


def _looks_up(body: list[ast.stmt], key: str, table: ast.expr) -> bool:
    if not isinstance(table, ast.Name):
        return False
    return any(
        isinstance(part, ast.Subscript)
        and isinstance(part.ctx, ast.Load)
        and getattr(part.slice, "id", "") == key
        and getattr(part.value, "id", "") == table.id
        for part in contents(body[0])
    )
