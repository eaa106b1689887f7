"""The actor of a rollout: a policy's compiled step, with given noise."""

from collections.abc import Callable

import tensorflow as tf
from tf_agents.trajectories import policy_step
from tf_agents.trajectories import time_step as ts

from maml_tf.collection import adapted_policy
from maml_tf.collection import rollout


class CompiledActor:
  """Acts with the same bits however many tasks act together.

  One compiled step serves all episodes of the same shapes.
  """

  def __init__(
    self, policy: adapted_policy.AdaptedPolicy, jit_compile: bool = False
  ):
    """Prepares the policy's step, which the first episode traces.

    Args:
      policy: The policy.
      jit_compile: Whether XLA compiles the forward pass.
    """
    self._policy = policy
    self._step = tf.function(
      self._act, autograph=False, jit_compile=jit_compile
    )

  def for_episode(
    self,
    policy_state: adapted_policy.Parameters,
    noise: Callable[[int], adapted_policy.Noise],
  ) -> rollout.Actor:
    """Returns the actor of one rollout.

    Args:
      policy_state: The parameters, leaves [B, ...].
      noise: t -> the noise of step t's actions, one array [N, *shape] for each
        of the policy's noise specs.
    """
    step = None

    def act(time_step: ts.TimeStep, t: int) -> policy_step.PolicyStep:
      nonlocal step
      arguments = (
        *tf.nest.map_structure(
          tf.constant, (time_step.observation, time_step.step_type)
        ),
        policy_state,
        tf.nest.map_structure(tf.constant, noise(t)),
      )
      if step is None:
        # One look-up an episode, not one a step.
        step = self._step.get_concrete_function(*arguments)
      return tf.nest.map_structure(lambda a: a.numpy(), step(*arguments))

    return act

  def _act(self, observation, step_type, policy_state, noise):
    time_step = ts.TimeStep(step_type, (), (), observation)
    return adapted_policy.act_batch_invariant(
      self._policy, time_step, policy_state, noise
    )
