"""MuJoCo models: loaded from a file, and varied from task to task."""

from collections.abc import Callable
from collections.abc import Sequence
import copy
import os
from typing import Any

import mujoco

from maml_tf.environments import mujoco_process


def load_model(source: str) -> mujoco.MjModel:
  """Returns the `MjModel` of an XML file or text. Warnings go to absl's log.

  Args:
    source: The path of an XML file, or the XML itself, which begins with `<`.

  Raises:
    ValueError: If the file does not exist, or MuJoCo refuses the XML.
  """
  mujoco_process.route_warnings()
  if source.lstrip().startswith('<'):
    return mujoco.MjModel.from_xml_string(source)
  if not os.path.isfile(source):
    raise ValueError(f'{source} does not exist: give an XML file, or XML')
  return mujoco.MjModel.from_xml_path(source)


def vary_model(
  model: mujoco.MjModel,
  tasks: Sequence[Any],
  change_model: Callable[[mujoco.MjModel, Any], None],
) -> list[mujoco.MjModel]:
  """Returns a changed copy of a model for each of B tasks.

  After the change, `mj_setConst` computes the numbers that depend on others,
  such as the total mass below a body. It does not compute what the XML compiler
  derives: whoever changes a mass also scales `body_inertia`. Nor do old
  versions derive `geom_rbound`, the radius of contacts, from a changed size.

  Args:
    model: The model, which stays as it is.
    tasks: B tasks.
    change_model: A function `(model, task)` that writes the task's numbers into
      the copy: masses, sizes, gains, friction. It returns None.

  Raises:
    ValueError: If the function returns anything else.
  """
  data = mujoco.MjData(model)
  models = []
  for task in tasks:
    varied = copy.copy(model)
    returned: Any = change_model(varied, task)
    if returned is not None:
      raise ValueError(
        f'change_model returned a {type(returned).__name__}: let it change the'
        ' model that it gets, and return None'
      )
    mujoco.mj_setConst(varied, data)
    models.append(varied)
  return models


def check_structures(
  models: Sequence[mujoco.MjModel], first: mujoco.MjModel
) -> None:
  """Checks that models differ in numbers only.

  Raises:
    ValueError: If one has other sizes than `first`.
  """
  for row, other in enumerate(models):
    if _sizes(other) != _sizes(first):
      raise ValueError(
        f"model {row} has sizes (nq, nv, na, nu) {_sizes(other)}, model 0's "
        f'are {_sizes(first)}: give models of one structure'
      )


def _sizes(model):
  return model.nq, model.nv, model.na, model.nu
