"""The policies of an agent, and the data that it trains on."""

from collections.abc import Sequence
from typing import Any

from tf_agents.trajectories import time_step as ts
from tf_agents.typing import types

from maml_tf.collection import adapted_policy
from maml_tf.core import action_distributions
from maml_tf.core import meta_batch
from maml_tf.core import observation_normalizer
from maml_tf.core import parameters


class AgentPolicies:
  """Creates policies that share an agent's networks and normaliser."""

  def __init__(
    self,
    time_step_spec: ts.TimeStep,
    action_spec: types.NestedTensorSpec,
    network: parameters.ParameterizedNetwork,
    distributions: action_distributions.ActionDistributions,
    normalizer: observation_normalizer.ObservationNormalizer | None,
  ):
    """Stores the parts, see `AdaptedPolicy`."""
    self._parts = (time_step_spec, action_spec, network, distributions)
    self._network = network
    self._normalizer = normalizer

  def create(
    self, initial_parameters: Sequence[types.Tensor], **options: Any
  ) -> adapted_policy.AdaptedPolicy:
    """Creates a policy.

    Args:
      initial_parameters: Its initial state, without the leading B.
      **options: The optional arguments of `AdaptedPolicy`.
    """
    return adapted_policy.AdaptedPolicy(
      *self._parts,
      initial_parameters,
      observation_normalizer=self._normalizer,
      **options,
    )

  def arguments(self, num_adaptation_steps: int) -> dict[str, Any]:
    """Returns the arguments of `TFAgent` for policies and data, by name.

    Args:
      num_adaptation_steps: X.
    """
    policy, collect_policy = (
      self.create(self._network.variables_tuple, emit_behaviour=emit_behaviour)
      for emit_behaviour in (False, True)
    )
    stage_spec = collect_policy.collect_data_spec
    return {
      'policy': policy,
      'collect_policy': collect_policy,
      'train_sequence_length': None,
      'training_data_spec': meta_batch.MetaBatch(
        (stage_spec,) * num_adaptation_steps, stage_spec
      ),
    }
