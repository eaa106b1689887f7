"""A meta-problem made of given functions."""

from collections.abc import Callable
from typing import NamedTuple


class FunctionProblem(NamedTuple):
  """What an update uses of a `meta_problem.MetaProblem`."""

  gradient: Callable | None = None
  objective_gradient: Callable | None = None
  loss_and_kl: Callable | None = None
  objective_and_kl: Callable | None = None
  kl_hvp: Callable | None = None
  reptile_direction: Callable | None = None
  in_loop: bool = False
