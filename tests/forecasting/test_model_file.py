from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from trimtab.errors import InputError
from trimtab.forecasting.loops import Loops
from trimtab.forecasting.model_file import loops_of_model_file

WHOLE = """
dt = 0.5

[[objectives]]
name = "quality"

[[objectives]]
name = "cost"
low = 0
high = 5
direction = "min"

[start]
mean = [4, 3]
sd = [1, 0.5]

[strategies.plain]
A = [[-0.5, 0.1], [0, -0.8]]
b = [2.5, 1]
Q = [[0.3, 0.1], [0.1, 0.2]]

[strategies."by equilibrium"]
A = [[-0.5, 0.1], [0, -0.8]]
equilibrium = [6, 2]
sd = [0.5, 0.4]
score_noise_sd = [0.2, 0.1]
session_sd = [0.3, 0]
"""


def read(text: str, folder: Path) -> Loops:
    path = folder / "models.toml"
    path.write_text(text, encoding="utf-8")
    return loops_of_model_file(path)


def test_a_file_of_models_is_read(tmp_path: Path) -> None:
    found = read(WHOLE, tmp_path)
    assert [str(o) for o in found.space] == ["quality:0:10:max", "cost:0:5:min"]
    plain, other = found["plain"], found["by equilibrium"]
    assert plain.model.dt == 0.5
    np.testing.assert_array_equal(plain.model.A, [[-0.5, 0.1], [0, -0.8]])
    np.testing.assert_array_equal(plain.model.b, [2.5, 1])
    np.testing.assert_array_equal(plain.model.Q, [[0.3, 0.1], [0.1, 0.2]])
    np.testing.assert_allclose(other.model.A @ [6, 2] + other.model.b, 0, atol=1e-12)
    np.testing.assert_allclose(other.model.Q, np.diag([0.25, 0.16]))
    np.testing.assert_allclose(other.score_noise, [0.04, 0.01])
    np.testing.assert_array_equal(other.session_sd, [0.3, 0])
    np.testing.assert_array_equal(plain.starts.mean, [4, 3])
    np.testing.assert_array_equal(plain.starts.covariance, np.diag([1, 0.25]))
    assert plain.cautions == ()


def test_without_a_start_paths_begin_in_the_middle_of_the_scales(tmp_path: Path) -> None:
    without = WHOLE.replace("[start]\nmean = [4, 3]\nsd = [1, 0.5]\n", "")
    starts = read(without, tmp_path)["plain"].starts
    np.testing.assert_array_equal(starts.mean, [5, 2.5])
    assert "names no start" in starts.says


def test_a_loop_that_does_not_converge_is_warned_of(tmp_path: Path) -> None:
    found = read(WHOLE.replace("A = [[-0.5, 0.1], [0, -0.8]]\nb", "A = [[0.5, 0.1], [0, -0.8]]\nb"), tmp_path)
    assert "largest multiplier is 1.25" in found["plain"].cautions[0]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("dt = 0.5", "dt = 0", "dt should be greater than 0, but is 0"),
        ("dt = 0.5", "speed = 1", "'speed' is nothing that a file of models holds"),
        ("b = [2.5, 1]", "b = [2.5]", "strategies.plain.b needs 2 numbers, one for each objective, but has 1"),
        ("b = [2.5, 1]", "", "strategies.plain needs one of b and equilibrium, and only one"),
        ("b = [2.5, 1]", "b = [2.5, 1]\nequilibrium = [1, 2]", "needs one of b and equilibrium, and only one"),
        ("b = [2.5, 1]", 'b = ["high", 1]', "should be a valid number"),
        ("b = [2.5, 1]", "b = [nan, 1]", "should be a finite number"),
        ("b = [2.5, 1]", "b = [true, 1]", "should be a number"),
        ("A = [[-0.5, 0.1], [0, -0.8]]\nb", "A = [[-0.5], [0, -0.8]]\nb", "plain.A needs rows of equal length"),
        ("A = [[-0.5, 0.1], [0, -0.8]]\nb", "A = [[-0.5, 0.1]]\nb", "plain.A needs 2 by 2 numbers"),
        ("A = [[-0.5, 0.1], [0, -0.8]]\nb", "b", "needs 'strategies.plain.A', which it does not have"),
        ("Q = [[0.3, 0.1], [0.1, 0.2]]", "Q = [[0.3, 0.9], [0.9, 0.2]]", "positive semidefinite"),
        ("sd = [0.5, 0.4]", "sd = [-0.5, 0.4]", "greater than or equal to 0"),
        ("mean = [4, 3]", "mean = [4, 9]", "within the bounds, but that of cost does not"),
        ("mean = [4, 3]", "mean = [4]", "start.mean needs 2 numbers"),
        ('direction = "min"', 'direction = "down"', "'max' or 'min', but is 'down'"),
        ("high = 5", "high = -1", "needs low < high"),
        ('name = "cost"', 'name = "quality"', "distinct names"),
        ("[[objectives]]", "[[objectives", "is not valid TOML"),
    ],
)
def test_every_mistake_is_a_sentence_that_names_the_file(old: str, new: str, words: str, tmp_path: Path) -> None:
    assert old in WHOLE
    with pytest.raises(InputError) as error:
        read(WHOLE.replace(old, new), tmp_path)
    assert words in str(error.value)
    assert all(line.startswith(str(tmp_path / "models.toml")) for line in str(error.value).splitlines()), error.value


def test_an_entry_without_a_name_is_not_called_an_empty_list(tmp_path: Path) -> None:
    with pytest.raises(InputError) as error:
        read("[[objectives]]\nlow = 0\n[strategies.X]\nA = [[-1]]\nb = [0]\nsd = [1]\n", tmp_path)
    assert str(error.value) == f"{tmp_path / 'models.toml'} needs 'objectives.0.name', which it does not have"


def test_an_open_scale_needs_a_start(tmp_path: Path) -> None:
    text = '[[objectives]]\nname = "q"\nlow = -inf\nhigh = inf\n[strategies.X]\nA = [[-1]]\nb = [0]\nsd = [1]\n'
    with pytest.raises(InputError, match=r"needs a table \[start\]"):
        read(text, tmp_path)


def test_a_file_without_strategies_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="strategies needs at least one entry, but is empty"):
        read('strategies = {}\n[[objectives]]\nname = "q"\n', tmp_path)


def test_the_documented_example_is_read(tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "docs" / "simulate.md").read_text(encoding="utf-8")
    example = text.split("```toml\n")[1].split("```")[0]
    found = read(example, tmp_path)
    assert found.space.names == ("security", "cost")
    assert found["careful"].cautions == ()
