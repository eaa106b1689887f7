"""Points in the plane that are moved by float64 actions."""

import numpy as np
from tf_agents.specs import array_spec

from maml_tf.environments import point_navigation


class DoublePrecisionPoints(point_navigation.PointNavigation):
  """PointNavigation for policies that compute in float64."""

  def action_spec(self):
    spec = super().action_spec()
    return array_spec.BoundedArraySpec(
      spec.shape, np.float64, spec.minimum, spec.maximum, spec.name
    )
