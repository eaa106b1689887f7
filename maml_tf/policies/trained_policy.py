"""`maml_tf.load_policy`: a trained policy that acts, and adapts to a task."""

import contextlib
from typing import Any
from typing import NamedTuple

from maml_tf.adaptation import task_adaptation
from maml_tf.core import shipped_policies
from maml_tf.environments import task_environment
from maml_tf.learning import maml_agent
from maml_tf.run import trained_run


class TrainedPolicy(NamedTuple):
  """A trained policy of the package.

      policy = maml_tf.load_policy('cheetah_direction')
      adaptation = policy.adapt(task=-1)
      print(adaptation.returns.mean(axis=1))

  `adaptation.policy` then acts, an ordinary TFPolicy. `agent.policy` acts
  without adaptation. To adapt to an environment of your own, such as a real
  machine, call `maml_tf.adapt(policy, environment)`.

  Attributes:
    name: Its name.
    root_dir: The folder of its run, which is only read.
    facts: What is known of it: task, returns, the commit that trained it.
    run: The run: its agent, tasks and sizes.
  """

  name: str
  root_dir: str
  facts: shipped_policies.Facts
  run: trained_run.TrainedRun

  @property
  def agent(self) -> maml_agent.MamlAgent:
    """The trained agent."""
    return self.run.agent

  def create_environment(
    self, task: Any, num_environments: int = 1
  ) -> task_environment.TaskEnvironment:
    """Creates the environment that the policy was trained in, with one task.

    Args:
      task: The task, such as -1 or (0.3, -0.2).
      num_environments: E, how many of it play side by side.

    Raises:
      ValueError: The family has no such task.
    """
    environment = self.run.create_environment(1, num_environments)
    environment.set_tasks([task])
    return environment

  def adapt(
    self,
    task: Any,
    num_steps: int | None = None,
    seed: int = 0,
    **settings: Any,
  ) -> task_adaptation.Adaptation:
    """Adapts to a task in the environment that the policy was trained in.

    Args:
      task: As for `create_environment`.
      num_steps: How many adaptation steps. None: as in training.
      seed: Seeds the actions' noise and the environment's resets.
      **settings: Other arguments of `maml_tf.adapt`, such as `step_size`.

    Returns:
      The `Adaptation`: its policy, its parameters and the returns [k + 1, E].

    Raises:
      ValueError: The family has no such task, or an argument is impossible.
    """
    settings = {'episodes_per_step': self.run.episodes_per_task, **settings}
    with contextlib.closing(
      self.create_environment(task, settings['episodes_per_step'])
    ) as environment:
      return task_adaptation.adapt(
        self.agent, environment, num_steps, seed=seed, **settings
      )


def load_policy(name: str) -> TrainedPolicy:
  """Loads a trained policy of the package.

  Args:
    name: Its name; `maml_tf list` and `docs/commands.md` list them.

  Raises:
    ValueError: There is none of this name; the message has the closest.
  """
  folder = shipped_policies.folder(name)
  return TrainedPolicy(
    name, folder, shipped_policies.facts(name), trained_run.load(folder)
  )
