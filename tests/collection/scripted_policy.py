"""A policy whose actions are the given noise."""

import tensorflow as tf
from tf_agents.trajectories import policy_step


class ScriptedPolicy:
  """Stands for an `AdaptedPolicy`: the caller's noise is a script of actions.

  `policy_info` is the observation that the action was chosen for.
  """

  def act(self, time_step, policy_state, noise):
    del policy_state
    return policy_step.PolicyStep(
      tf.identity(noise[0]), (), tf.identity(time_step.observation)
    )
