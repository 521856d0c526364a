"""The door for providers, scorers and policies, with packages installed for real."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from support.plugins import installed
from trimtab import plugins as door
from trimtab.control.registry import make_policy, read_policy
from trimtab.errors import InputError
from trimtab.plugins import GROUPS, POLICIES, PROVIDERS, SCORERS, plugin, plugins
from trimtab.providers.registry import get_provider, provider_label
from trimtab.scoring.registry import get_scorer


def test_what_comes_with_the_package_goes_through_the_door() -> None:
    for group in GROUPS:
        own = [one for one in plugins(group).values() if one.distribution == "trimtab"]
        assert own
        for one in own:
            assert one.says
            assert not one.clash
    assert provider_label("rewriter") == "rewriter (Embedded stand-in for an LLM, not an LLM)"


def test_listing_imports_none_of_them() -> None:
    code = (
        "import sys; from trimtab.plugins import GROUPS, plugins; [plugins(g) for g in GROUPS]; "
        "print(*[m for m in sys.modules if m.startswith('trimtab.')])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(ran.stdout.split()) == {"trimtab.errors", "trimtab.plugins"}


def test_a_plugin_is_found_under_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = '''
        class Length:
            """Rewards length.

            More is better.
            """
            name = "length"
            from trimtab.core.objectives import Objective
            objectives = (Objective("length"),)
            def score(self, artefact, context): ...
    '''
    installed(monkeypatch, tmp_path, {SCORERS: {"length": "example_plugin:Length"}}, code)
    assert get_scorer("length").name == "length"
    one = plugin(SCORERS, "length")
    assert (one.says, one.origin, one.kind) == ("Rewards length", "example 1.0", "scorer")
    assert get_scorer("python-static").name == "python-static"


def test_an_unknown_name_is_answered_with_the_closest() -> None:
    with pytest.raises(InputError, match=r"no provider is called 'rewritter'; .*; did you mean rewriter"):
        get_provider("rewritter")


def test_a_plugin_that_cannot_be_imported_stands_in_nobody_elses_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    points = {
        PROVIDERS: {"lacking": "example_plugin:made", "gone": "nowhere:x"},
        SCORERS: {"nameless": "trimtab.errors:nothing", "constant": "trimtab.plugins:POLICIES"},
    }
    installed(monkeypatch, tmp_path, points, "import a_module_that_is_not_there")
    with pytest.raises(InputError, match=r"'lacking' of example 1.0 cannot be imported: ModuleNotFoundError: .*a_modu"):
        get_provider("lacking")
    with pytest.raises(InputError, match=r"the provider 'gone' of example 1.0 cannot be imported"):
        get_provider("gone")
    with pytest.raises(InputError, match=r"the scorer 'nameless' of example 1.0 cannot be imported: AttributeError"):
        get_scorer("nameless")
    with pytest.raises(InputError, match=r"should be something to call, but trimtab.plugins:POLICIES is of type str"):
        get_scorer("constant")
    assert get_provider("rewriter").name == "rewriter"


def test_a_module_that_ends_the_process_when_imported_does_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed(monkeypatch, tmp_path, {PROVIDERS: {"ending": "example_plugin:x"}}, "import sys; sys.exit(3)")
    with pytest.raises(InputError, match="cannot be imported: SystemExit: 3"):
        get_provider("ending")


def test_a_name_that_two_packages_claim_is_refused_with_both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed(monkeypatch, tmp_path, {PROVIDERS: {"rewriter": "example_plugin:made"}}, "def made(settings): ...")
    with pytest.raises(InputError, match=r"'rewriter' is claimed by (example 1.0|trimtab \S+) and \S+ \S+: uninstall"):
        get_provider("rewriter")
    assert "openai" in plugins(PROVIDERS)
    assert get_scorer("python-static")


def test_a_package_that_hides_trimtabs_own_is_told_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "entry_points", lambda group: ())
    door._found.cache_clear()
    try:
        with pytest.raises(InputError, match="trimtab must be installed, for example by pip install"):
            get_provider("rewriter")
    finally:
        door._found.cache_clear()


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("def made(settings): raise KeyError('tone')", "cannot be made: KeyError: 'tone'"),
        ("def made(): ...", "cannot be made: TypeError"),
        ("def made(settings): return 7", "makes a int, which has no name and no complete and no aclose"),
    ],
)
def test_a_provider_that_cannot_be_made_is_a_sentence(
    code: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed(monkeypatch, tmp_path, {PROVIDERS: {"odd": "example_plugin:made"}}, code)
    with pytest.raises(InputError, match=said):
        get_provider("odd")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("name, objectives = 'other', ()", "calls itself 'other': both should be the same"),
        ("name, objectives = 'odd', ('quality',)", "should have a tuple of objectives"),
        ("name, objectives = 'odd', ()", "should have a tuple of objectives, at least one"),
    ],
)
def test_a_scorer_that_is_none_is_refused(
    body: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = f"class Odd:\n    {body}\n    def score(self, artefact, context): ...\n"
    installed(monkeypatch, tmp_path, {SCORERS: {"odd": "example_plugin:Odd"}}, code)
    with pytest.raises(InputError, match=said):
        get_scorer("odd")


def test_options_of_a_policy_are_read_as_its_parameters_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = """
        from __future__ import annotations
        from typing import TYPE_CHECKING
        if TYPE_CHECKING:
            from trimtab.control.situation import Policy

        class Odd:
            name = "odd"
            def __init__(self, n: int, x: float | None = None, on: bool = False, said: str | int = "", more=None):
                self.given = n, x, on, said, more
            def choose(self, now): ...

        def free(**options) -> Policy:
            return Odd(0, more=options)
    """
    points = {POLICIES: {"odd": "example_plugin:Odd", "free": "example_plugin:free"}}
    installed(monkeypatch, tmp_path, points, code)
    assert read_policy("odd:n=3,x=.5,on=yes,said=7,more=2").given == (3, 0.5, True, "7", "2")  # type: ignore[attr-defined]
    assert make_policy("odd", n=3, x=None).given == (3, None, False, "", None)  # type: ignore[attr-defined]
    assert read_policy("free:a=1").given[-1] == {"a": "1"}  # type: ignore[attr-defined]
    with pytest.raises(InputError, match="the option 'on' of 'odd' is true or false, but got 'maybe'"):
        read_policy("odd:n=1,on=maybe")
    with pytest.raises(InputError, match="'odd' needs the option 'n', as in odd:n=VALUE"):
        read_policy("odd")
    with pytest.raises(InputError, match="has no option 'm'; its options are: n, x, on, said, more"):
        read_policy("odd:n=1,m=2")
