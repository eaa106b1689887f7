"""The policies of an agent, and the data that it trains on."""

from collections.abc import Callable
from typing import Any

from maml_tf.collection import adapted_policy
from maml_tf.core import meta_batch
from maml_tf.core import parameters


def create(
  create_policy: Callable[..., adapted_policy.AdaptedPolicy],
  network: parameters.ParameterizedNetwork,
  num_adaptation_steps: int,
) -> dict[str, Any]:
  """Returns arguments of `TFAgent`, by name.

  Args:
    create_policy: (initial parameters, emit_behaviour=) -> policy.
    network: The networks; their variables are the initial parameters.
    num_adaptation_steps: X.
  """
  policy, collect_policy = (
    create_policy(network.variables_tuple, emit_behaviour=emit_behaviour)
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
