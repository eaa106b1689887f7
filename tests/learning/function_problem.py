"""A meta-problem made of given functions."""

from collections.abc import Callable
from typing import NamedTuple


class FunctionProblem(NamedTuple):
  """The methods of `meta_problem.MetaProblem` that an update calls."""

  gradient: Callable | None = None
  objective_gradient: Callable | None = None
  loss_and_kl: Callable | None = None
  objective_and_kl: Callable | None = None
  kl_hvp: Callable | None = None
  reptile_direction: Callable | None = None
