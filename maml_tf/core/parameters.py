"""A network evaluated with given parameter tensors instead of its variables."""

import contextlib
import threading
from typing import Any

import tensorflow as tf
from tf_agents.networks import network as network_lib
from tf_agents.typing import types

# One task's parameters, or of B tasks with a leading B: a policy state.
Parameters = tuple[types.Tensor, ...]

# Held while tensors stand in the layers. It is one for all networks, because
# two of them may share layers. A compiled function takes it only when traced.
_SWAP_LOCK = threading.RLock()


class ParameterizedNetwork(tf.Module):
  """Calls a network as a function of its trainable parameters.

  During a call, the given tensors replace the trainable variables as attributes
  of the network's layers. The variables are restored afterwards. A variable is
  identified by object identity, never by name or order. A shared variable is
  replaced in every place.

  The replacement is not visible outside the call. Calls from several threads
  wait for each other, also those of networks that share layers.
  """

  def __init__(
    self,
    network: network_lib.Network,
    value_network: network_lib.Network | None = None,
  ):
    """Locates the networks' trainable variables.

    Args:
      network: The policy network. Its variables are created if necessary.
      value_network: An optional value network, whose parameters are adapted
        together with the policy's. It may share layers with `network`.

    Raises:
      ValueError: If a trainable variable is not an attribute of any layer, for
        example because a layer keeps it in a list or dict. Calls would silently
        use the variable instead of the given tensor. The message names it.
    """
    super().__init__(name=network.name)
    self._network = network
    self._value_network = value_network
    networks = [network] if value_network is None else [network, value_network]
    for each in networks:
      each.create_variables()
    variables = [v for each in networks for v in each.trainable_variables]
    # The variables of a shared layer occur in both networks.
    self._variables_tuple = tuple({id(v): v for v in variables}.values())
    self._slots = _find_slots(networks, self._variables_tuple)

  @property
  def network(self) -> network_lib.Network:
    """The policy network."""
    return self._network

  @property
  def variables_tuple(self) -> tuple[tf.Variable, ...]:
    """The trainable variables, whose structure the parameters have."""
    return self._variables_tuple

  @property
  def spec(self) -> tuple[tf.TensorSpec, ...]:
    """Shapes, dtypes and names of the parameters of one task."""
    return tuple(
      tf.TensorSpec(
        v.shape, v.dtype, name=v.name.split(':')[0].replace('/', '.')
      )
      for v in self.variables_tuple
    )

  def __call__(
    self, parameters: tuple[types.Tensor, ...], *args: Any, **kwargs: Any
  ) -> Any:
    """Evaluates the policy network.

    Args:
      parameters: One tensor for each of `variables_tuple`, of the same shape.
      *args: Positional arguments of the network.
      **kwargs: Keyword arguments of the network.

    Returns:
      The network's output and its next state.

    Raises:
      ValueError: If there are not as many parameters as variables.
    """
    return self._call(self._network, parameters, *args, **kwargs)

  def value(
    self, parameters: tuple[types.Tensor, ...], *args: Any, **kwargs: Any
  ) -> types.Tensor:
    """Evaluates the value network.

    Args:
      parameters: As in `__call__`.
      *args: Positional arguments of the network.
      **kwargs: Keyword arguments of the network.

    Returns:
      The values, a tensor with the outer axes of the observations.

    Raises:
      ValueError: If there are not as many parameters as variables.
    """
    return self._call(self._value_network, parameters, *args, **kwargs)[0]

  def _call(self, network, parameters, *args, **kwargs):
    if len(parameters) != len(self._slots):
      raise ValueError(
        f'{self._network.name} has {len(self._slots)} parameters, got '
        f'{len(parameters)}.'
      )
    with _SWAP_LOCK, self._swapped(parameters):
      return network(*args, **kwargs)

  @contextlib.contextmanager
  def _swapped(self, parameters):
    variables = self.variables_tuple
    try:
      for slots, parameter in zip(self._slots, parameters):
        for layer, attribute in slots:
          vars(layer)[attribute] = parameter
      yield
    finally:
      for slots, variable in zip(self._slots, variables):
        for layer, attribute in slots:
          vars(layer)[attribute] = variable


def _find_slots(
  networks: list[network_lib.Network], variables: tuple[tf.Variable, ...]
) -> list[list[tuple[tf.Module, str]]]:
  """Returns the (layer, attribute) pairs that hold each trainable variable."""
  slots = {id(v): {} for v in variables}
  for network in networks:
    for layer in (network, *network.submodules):
      for attribute, value in vars(layer).items():
        if id(value) in slots:
          slots[id(value)][id(layer), attribute] = (layer, attribute)
  unreachable = [v.name for v in variables if not slots[id(v)]]
  if unreachable:
    names = ', '.join(network.name for network in networks)
    raise ValueError(
      f'Network {names} keeps {", ".join(unreachable)} in a place where adapted'
      ' parameters cannot replace it: make each variable an attribute of its'
      ' layer (not an item of a list or dict).'
    )
  return [list(slots[id(v)].values()) for v in variables]
