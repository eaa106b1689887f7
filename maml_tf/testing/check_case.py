"""What the checks of one environment share."""

from typing import Any
from typing import NamedTuple

from tf_agents.trajectories import time_step as ts

from maml_tf.environments import task_environment

FIRST, MID, LAST = (
  int(step_type)
  for step_type in (ts.StepType.FIRST, ts.StepType.MID, ts.StepType.LAST)
)


class Case(NamedTuple):
  """What all checks share.

  Attributes:
    environment: N = B*E rows.
    name: The name of its class.
    tasks: B sampled tasks.
    keys: B keys of random streams.
    actions: T nests of random actions [N, ...].
    other_actions: T others.
  """

  environment: task_environment.TaskEnvironment
  name: str
  tasks: Any
  keys: list[tuple[int, ...]]
  actions: list[Any]
  other_actions: list[Any]
