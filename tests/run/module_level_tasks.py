"""Functions that a program may give to a run."""

from maml_tf.environments import point_navigation


class OwnNavigation(point_navigation.PointNavigation):
  """A class that gin does not know."""


def create_navigation(num_tasks, environments_per_task, horizon):
  """A function that gin does not know."""
  return OwnNavigation(num_tasks, environments_per_task, horizon)


def create_logger(root_dir, first_iteration):
  """Another one."""
  raise NotImplementedError
