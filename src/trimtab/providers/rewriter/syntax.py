"""The bridge to libcst: parse one expression or statement of a program, and write changed ones back in place."""

from __future__ import annotations

import ast
from collections.abc import Collection, Sequence

import libcst as cst

from trimtab.providers.rewriter.patch import Splice
from trimtab.providers.rewriter.program import Program

__all__ = [
    "block",
    "change_call",
    "expression",
    "negation",
    "operand",
    "render",
    "replace_statements",
    "statements",
    "template",
]

_EMPTY = cst.Module([])
_LOOSE = (ast.IfExp, ast.Lambda, ast.NamedExpr, ast.Yield, ast.YieldFrom, ast.Await, ast.Starred)
_INVERSE: dict[type[ast.cmpop], str] = {
    ast.Eq: "!=",
    ast.NotEq: "==",
    ast.Lt: ">=",
    ast.GtE: "<",
    ast.Gt: "<=",
    ast.LtE: ">",
    ast.Is: "is not",
    ast.IsNot: "is",
    ast.In: "not in",
    ast.NotIn: "in",
}


def expression(program: Program, node: ast.expr) -> cst.BaseExpression:
    """Return the libcst expression for `node`, with its comments and layout."""
    text = program.text(node)
    if "\n" not in text:
        return cst.parse_expression(text)
    # Without brackets a line end would end the expression.
    wrapped = cst.parse_expression(f"({text}\n)")
    return wrapped.with_changes(lpar=wrapped.lpar[1:], rpar=wrapped.rpar[:-1])


def code(node: cst.CSTNode) -> str:
    """Return the source of a libcst node."""
    return _EMPTY.code_for_node(node)


def statements(program: Program, first: ast.stmt, last: ast.stmt | None = None) -> list[cst.BaseStatement] | None:
    """Return the libcst statements on the lines from `first` to `last`, None where they share lines with others."""
    begin, finish = program.line_span(first), program.line_span(last or first)
    if begin is None or finish is None:
        return None
    text = program.source[begin[0] : finish[1]]
    config: cst.PartialParserConfig = cst.PartialParserConfig(default_indent=program.indent)
    if not first.col_offset:
        return list(cst.parse_module(text, config).body)
    # An enclosing block keeps the text as it stands, strings over several lines included.
    outer = cst.parse_module("if 1:\n" + text, config).body[0]
    if not isinstance(outer, cst.If) or not isinstance(outer.body, cst.IndentedBlock):
        return None
    return list(outer.body.body)


def render(program: Program, new: Sequence[cst.BaseStatement], margin: str) -> str:
    """Return the source of statements whose block is indented by `margin`."""
    if not margin:
        plain = [s for s in new if isinstance(s, cst.SimpleStatementLine | cst.BaseCompoundStatement)]
        return cst.Module(plain, default_indent=program.indent).code
    outer = cst.If(cst.Integer("1"), cst.IndentedBlock(new, indent=margin))
    return cst.Module([outer], default_indent=program.indent).code.split("\n", 1)[1]


def replace_statements(
    program: Program, first: ast.stmt, last: ast.stmt, new: Sequence[cst.BaseStatement]
) -> Splice | None:
    """Return the splice that puts `new` on the lines of the statements from `first` to `last`."""
    begin, finish = program.line_span(first), program.line_span(last)
    if begin is None or finish is None or not new:
        return None
    text = render(program, new, program.margin(first))
    return Splice(begin[0], finish[1], text)


def template(text: str) -> cst.BaseStatement:
    """Return the statement written in `text`, which must be indented by four spaces a level."""
    parsed = cst.parse_module(text).body[0]
    if isinstance(parsed, cst.SimpleStatementLine | cst.BaseCompoundStatement):
        return parsed
    raise TypeError(f"a template must hold a statement, but got {type(parsed).__name__}")


def block(node: cst.BaseSuite) -> list[cst.BaseStatement] | None:
    """Return the statements of an indented block, None for a block on its header's line."""
    return list(node.body) if isinstance(node, cst.IndentedBlock) else None


def operand(program: Program, node: ast.expr, *, tight: bool = False) -> str:
    """Return the source of `node`, bracketed where it would not stand as an operand.

    Parameters
    ----------
    tight
        Also bracket what binds less tightly than ``not``: and, or, not and comparisons keep their own, ``or`` does not.
    """
    text = program.text(node)
    bare = isinstance(node, ast.Tuple) and not text.startswith("(")
    loose = isinstance(node, _LOOSE) or (tight and isinstance(node, ast.BoolOp) and isinstance(node.op, ast.Or))
    return f"({text})" if bare or loose or "\n" in text else text


def negation(program: Program, test: ast.expr) -> str:
    """Return source for the opposite of `test`, without a ``not`` where an operator has an inverse."""
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        return operand(program, test.operand)
    if isinstance(test, ast.Compare) and len(test.ops) == 1:
        operator = _INVERSE[type(test.ops[0])]
        return f"{operand(program, test.left)} {operator} {operand(program, test.comparators[0])}"
    text = program.text(test)
    simple = isinstance(test, ast.Name | ast.Call | ast.Attribute | ast.Subscript | ast.Constant)
    return f"not {text}" if simple and "\n" not in text else f"not ({text})"


def change_call(
    program: Program,
    call: ast.Call,
    *,
    func: str | None = None,
    keep: int | None = None,
    drop: Collection[str] = (),
    add: Sequence[str] = (),
    wrap: str = "",
) -> Splice | None:
    """Return the splice that changes a call.

    Parameters
    ----------
    func
        New source of what is called.
    keep
        Number of leading arguments to keep; all where None.
    drop
        Keyword arguments to leave out.
    add
        New arguments, as source.
    wrap
        Function to put around the first argument.
    """
    tree = expression(program, call)
    if not isinstance(tree, cst.Call):
        return None
    arguments = [argument for argument in tree.args if argument.keyword is None or argument.keyword.value not in drop]
    arguments = arguments if keep is None else arguments[:keep]
    if wrap and arguments:
        inner = arguments[0].with_changes(comma=cst.MaybeSentinel.DEFAULT)
        wrapped = cst.Call(cst.parse_expression(wrap), [inner])
        arguments[0] = arguments[0].with_changes(value=wrapped)
    if add:
        calls = (cst.parse_expression(f"f({text})") for text in add)
        arguments.extend(argument for parsed in calls if isinstance(parsed, cst.Call) for argument in parsed.args)
    plain = len(arguments) != len(tree.args) or bool(add)
    if plain:
        for position, argument in enumerate(arguments):
            last = position == len(arguments) - 1
            if last and isinstance(argument.comma, cst.Comma) and "\n" not in code(argument.comma):
                arguments[position] = argument.with_changes(comma=cst.MaybeSentinel.DEFAULT)
    changed = tree.with_changes(
        func=cst.parse_expression(func) if func else tree.func,
        args=arguments,
    )
    return Splice(*program.span(call), code(changed))
