"""The settings of a run: where they come from, which source wins, and what is said of mistakes."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import pytest

from trimtab.cli.run import run as run_command
from trimtab.errors import InputError
from trimtab.sessions.config import RunConfig, load_config, option_of, settings_table, variable_of

DOCS = Path(__file__).parents[2] / "docs" / "configuration.md"


@pytest.fixture(autouse=True)
def _clean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        if name.upper().startswith("TRIMTAB_"):
            monkeypatch.delenv(name)


def file(text: str, name: str = "trimtab.toml") -> Path:
    path = Path(name)
    path.write_text(text)
    return path


def test_the_defaults() -> None:
    config = load_config()
    assert (config.provider, config.sessions, config.iterations, config.seed) == ("rewriter", 100, 10, 0)
    assert config.strategies == ("EF", "SF", "FF", "AI")
    assert config.store_url == "sqlite:///trimtab-out/trimtab.db"


def test_options_win_over_variables_over_the_file_over_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    file("sessions = 1\niterations = 1\nseed = 1\n")
    monkeypatch.setenv("TRIMTAB_SESSIONS", "2")
    monkeypatch.setenv("TRIMTAB_ITERATIONS", "2")
    config = load_config({"sessions": 3, "iterations": None})
    assert (config.sessions, config.iterations, config.seed, config.concurrency) == (3, 2, 1, 16)


def test_a_named_file_takes_the_place_of_the_one_in_the_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    file("seed = 1\nsessions = 1\n")
    other = file("seed = 2\n", "other.toml")
    assert load_config(file=other).model_dump(include={"seed", "sessions"}) == {"seed": 2, "sessions": 100}
    monkeypatch.setenv("TRIMTAB_CONFIG", "other.toml")
    assert load_config().seed == 2


def test_lists_are_separated_by_commas_outside_of_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    file('strategies = ["EF", "AI"]\nstrategy_files = ["a.toml"]\n')
    assert load_config().strategies == ("EF", "AI")
    assert load_config().strategy_files == (Path("a.toml"),)
    monkeypatch.setenv("TRIMTAB_STRATEGIES", "SF, FF,")
    assert load_config().strategies == ("SF", "FF")
    assert load_config({"strategies": "AI"}).strategies == ("AI",)


def test_an_empty_variable_counts_as_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIMTAB_SESSIONS", "")
    monkeypatch.setenv("TRIMTAB_SESIONS", "")
    assert load_config().sessions == 100


def test_the_file_defines_strategies_and_runs_them_with_the_paper_s() -> None:
    file('[strategies.calm]\ninstruction = "Simplify."\n')
    config = load_config()
    assert config.strategies == ("EF", "SF", "FF", "AI", "calm")
    assert config.strategy_tables == {"calm": {"instruction": "Simplify."}}


def test_the_file_says_which_strategies_to_use(monkeypatch: pytest.MonkeyPatch) -> None:
    file('[strategies]\nuse = ["calm", "EF"]\n[strategies.calm]\ninstruction = "Simplify."\n')
    assert load_config().strategies == ("calm", "EF")
    monkeypatch.setenv("TRIMTAB_STRATEGIES", "calm")
    config = load_config()
    assert config.strategies == ("calm",)
    assert list(config.strategy_tables) == ["calm"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("sessions = 'many'", r"^trimtab.toml: sessions should be a valid integer, .*but is 'many'$"),
        ("sessions = 0", r"^trimtab.toml: sessions should be greater than or equal to 1, but is 0$"),
        ("sessions = true", r"^trimtab.toml: sessions should be a number, but is True$"),
        ("iterations = 2.5", r"^trimtab.toml: iterations should be a valid integer, .*but is 2.5$"),
        ("temperature = nan", r"^trimtab.toml: temperature should be"),
        ("timeout = inf", r"^trimtab.toml: timeout should be a finite number, but is inf$"),
        ("strategies = 5", r"^trimtab.toml: strategies should be"),
        ("strategies = [1]", r"^trimtab.toml: strategies should be a valid string, but is 1$"),
        ("model = ['x']", r"^trimtab.toml: model should be a valid string"),
        ("sesions = 5", r"^trimtab.toml: 'sesions' is no setting of trimtab; did you mean sessions\?$"),
        ("[go]\nsessions = 5", r"^trimtab.toml: 'go' is no setting of trimtab$"),
        ("sessions = ", r"^the configuration file trimtab.toml is not valid TOML: "),
        ("provider = 'oracle'", r"^trimtab.toml: provider should be one of .*openai, .*rewriter, but is 'oracle'$"),
        ("provider_options = 'fast'", "^provider_options should be NAME=VALUE,..., but one has no name and value$"),
        (
            "[provider_options]\nApiKey = 'x1'",
            "^provider_options should hold no ApiKey, because they are stored [^1]*$",
        ),
        ("provider = 'openai'\nmodel = 'm'\nbase_url = 'host'", "^base_url should look like http://host:port/v1"),
        ("provider = 'openai'\nmodel = 'm'\nbase_url = 'http://u:p@h/v1'", "base_url should hold no user, password"),
        ("scorers = []", "^scorers should name at least one"),
        ("store = 'memory://'", "^store should be a URL that lasts"),
        ("[strategies]\ncalm = 'Simplify.'", "^trimtab.toml: strategies.calm should be a table"),
        ("strategy_tables = {}", r"defined in tables \[strategies.NAME\]"),
    ],
)
def test_mistakes_in_the_file_are_one_sentence_each(text: str, said: str) -> None:
    file(text)
    with pytest.raises(InputError, match=said) as caught:
        load_config()
    assert "pydantic" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_several_mistakes_are_all_named(monkeypatch: pytest.MonkeyPatch) -> None:
    file("sessions = 'many'\niterations = 0\n")
    monkeypatch.setenv("TRIMTAB_SEED", "-1")
    with pytest.raises(InputError) as caught:
        load_config({"concurrency": 0, "iterations": None})
    assert str(caught.value).splitlines() == [
        "trimtab.toml: sessions should be a valid integer, unable to parse string as an integer, but is 'many'",
        "trimtab.toml: iterations should be greater than or equal to 1, but is 0",
        "--concurrency should be greater than or equal to 1, but is 0",
        "the environment variable TRIMTAB_SEED should be greater than or equal to 0, but is '-1'",
    ]


def test_an_unknown_variable_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIMTAB_SESIONS", "5")
    with pytest.raises(InputError, match="TRIMTAB_SESIONS is no setting of trimtab; did you mean TRIMTAB_SESSIONS"):
        load_config()


def test_a_long_value_is_cut_in_the_message() -> None:
    with pytest.raises(InputError) as caught:
        load_config({"sessions": "9" * 5000})
    assert len(str(caught.value)) < 300


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"there is no configuration file nowhere\.toml"):
        load_config(file=Path("nowhere.toml"))
    with pytest.raises(InputError, match="cannot be read: Is a directory"):
        load_config(file=tmp_path)
    Path("latin.toml").write_bytes("model = 'é'".encode("latin-1"))
    with pytest.raises(InputError, match="must be UTF-8, but byte 9 is not"):
        load_config(file=Path("latin.toml"))


def test_no_setting_can_hold_a_key() -> None:
    assert not [name for name in RunConfig.model_fields if re.search("key|secret|password", name)]


def documented() -> list[list[str]]:
    rows = [line for line in DOCS.read_text().splitlines() if line.startswith("| `")]
    return [[cell.strip() for cell in row.strip("|").split(" | ")] for row in rows]


def test_the_documentation_lists_every_setting_as_it_is() -> None:
    expected = [[f"`{s.name}`", f"`{s.option}`", f"`{s.variable}`", s.default, s.description] for s in settings_table()]
    assert documented() == expected
    assert len(expected) == len(RunConfig.model_fields) - 3  # tables of the file alone


def test_the_command_has_every_setting_as_an_option_with_the_same_words() -> None:
    parameters = inspect.signature(run_command, eval_str=True).parameters
    options: dict[str, Any] = {
        name: parameter.annotation.__metadata__[0].help for name, parameter in parameters.items() if name != "config"
    }
    assert options == {s.name: s.description for s in settings_table()}
    assert option_of("max_tokens") == "--max-tokens"
    assert variable_of("max_tokens") == "TRIMTAB_MAX_TOKENS"


def test_an_address_that_may_be_secret_is_not_shown_whatever_is_wrong_with_it() -> None:
    with pytest.raises(InputError) as caught:
        load_config(file=file('webhook = ["http://h/SECRET"]\n'))
    assert str(caught.value) == "trimtab.toml: webhook should be a valid string, but is something else (not shown)"


def test_a_misspelt_setting_of_a_table_is_taken_for_one_of_that_table() -> None:
    with pytest.raises(InputError, match=r"judge\.repeat is no setting of trimtab; did you mean repeats\?"):
        load_config(file=file('scorers = ["judge"]\n[judge]\nrepeat = 3\n'))
    with pytest.raises(InputError, match=r"prices\.m\.inputs is no setting of trimtab; did you mean input\?"):
        load_config(file=file("[prices.m]\ninputs = 1\noutput = 1\n"))


@pytest.mark.parametrize("name", ["authorization", "Auth", "bearer", "cookie", "pwd", "access_token"])
def test_no_option_of_a_provider_holds_what_lets_in(name: str) -> None:
    with pytest.raises(InputError, match=f"should hold no {name}, because they are stored"):
        load_config({"provider_options": f"{name}=x"})
    assert load_config({"provider_options": "author=x"}).provider_options == ("author=x",)
