"""Gymnasium families keep the contract, in one process and in several."""

import warnings

import pytest

import maml_tf
from maml_tf.environments.gymnasium_bridge import gymnasium_tasks
from tests.environments.gymnasium_bridge import families
from tests.testing import broken_corridors


@pytest.mark.parametrize(
  'make, num_processes',
  [
    (families.Counter, 1),
    (families.Doors, 1),
    (families.Doors, 2),
    (broken_corridors.DoorCorridor, 1),
  ],
)
def test_a_family_keeps_the_contract(make, num_processes):
  environment = gymnasium_tasks.GymnasiumTasks(
    num_tasks=2,
    environments_per_task=2,
    horizon=4,
    make_environment=make,
    num_processes=num_processes,
  )
  with warnings.catch_warnings():
    warnings.simplefilter('error', UserWarning)
    maml_tf.testing.check_task_environment(environment)
  environment.close()
