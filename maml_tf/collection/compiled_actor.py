"""The actor of a rollout: a policy's compiled step, with given noise."""

from collections.abc import Callable

import tensorflow as tf
from tf_agents.trajectories import policy_step
from tf_agents.trajectories import time_step as ts

from maml_tf.collection import adapted_policy
from maml_tf.collection import rollout


class CompiledActor:
  """Acts with the same bits however many tasks act together.

  One compiled step serves all episodes of the same shapes. Several threads may
  act at the same time.
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
    # The nest of observation, step type and noise, whose leaves `_act` gets.
    self._structure = None
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
    captures = []

    def act(time_step: ts.TimeStep, t: int) -> policy_step.PolicyStep:
      nonlocal step, captures
      inputs = (time_step.observation, time_step.step_type, noise(t))
      arguments = [tf.constant(array) for array in tf.nest.flatten(inputs)]
      arguments += policy_state
      if step is None:
        self._structure = inputs
        # One look-up an episode, not one a step.
        step = self._step.get_concrete_function(*arguments)
        captures = step.captured_inputs
      # Calling the concrete function itself would take half as long again: it
      # matches each argument to its signature.
      outputs = step.inference_fn.call_flat(*arguments, *captures)
      return tf.nest.pack_sequence_as(
        step.structured_outputs, [output.numpy() for output in outputs]
      )

    return act

  def _act(self, *tensors):
    num_inputs = len(tf.nest.flatten(self._structure))
    observation, step_type, noise = tf.nest.pack_sequence_as(
      self._structure, tensors[:num_inputs]
    )
    return adapted_policy.act_batch_invariant(
      self._policy,
      ts.TimeStep(step_type, (), (), observation),
      tensors[num_inputs:],
      noise,
    )
