from __future__ import annotations

import ast
import threading
import warnings

import pytest

from trimtab.core.python_syntax import parse_python


def test_warnings_of_the_text_stay_with_the_text() -> None:
    text = "x = '\\d' is 1\n"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert isinstance(parse_python(text), ast.Module)


def test_threads_leave_the_filters_as_they_were() -> None:
    before = list(warnings.filters)
    failures = []

    def work() -> None:
        try:
            for _ in range(300):
                parse_python("x = '\\d' is 1\n")
        except Warning as warning:
            failures.append(warning)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert list(warnings.filters) == before


def test_what_is_no_program_raises() -> None:
    with pytest.raises(SyntaxError):
        parse_python("def (:")
