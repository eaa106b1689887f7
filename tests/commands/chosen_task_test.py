"""--task names tasks by their numbers, or by their place in an evaluation."""

import contextlib

import numpy as np
import pytest

from maml_tf import evaluation
from maml_tf.commands import chosen_task
from maml_tf.core import shipped_policies
from maml_tf.environments import tasks as tasks_lib
from maml_tf.run import trained_run
from tests import command_lines


def test_a_place_in_an_evaluation_names_tasks_of_numbers():
  run = trained_run.load(shipped_policies.folder('point'))
  evaluator = evaluation.Evaluator(
    run.agent,
    run.create_environment,
    seed=5,
    num_tasks=3,
    episodes_per_task=1,
    num_adaptation_steps=0,
  )
  with contextlib.closing(evaluator):
    tasks = evaluator.evaluate().tasks
  for place, task in enumerate(tasks):
    np.testing.assert_array_equal(
      chosen_task.find(run, f'held_out:{place}', 5), task
    )
  np.testing.assert_array_equal(chosen_task.find(run, None, 5), tasks[0])
  with pytest.raises(ValueError, match='numbers with commas between them, or'):
    chosen_task.find(run, '1', 5)


def test_the_evaluation_is_that_of_the_run_by_default(capfd):
  run = trained_run.load(shipped_policies.folder('ant_goal'))
  assert run.seed == 1
  for text in ('held_out:2', None):
    own, same, other = (
      chosen_task.find(run, text, seed) for seed in (None, 1, 0)
    )
    np.testing.assert_array_equal(own, same)
    assert (own != other).any()
  command_lines.call(
    'adapt',
    policy='ant_goal',
    task='held_out:2',
    episodes=1,
    num_adaptation_steps=0,
  )
  goal = tasks_lib.name(chosen_task.find(run, 'held_out:2', 1))
  assert capfd.readouterr().err.startswith(f'adapt: task {goal}; ')


def test_a_list_without_held_out_tasks_has_no_such_place():
  run = trained_run.load(shipped_policies.folder('cheetah_direction'))
  with pytest.raises(ValueError, match='2 tasks to train on and 0 held out'):
    chosen_task.find(run, 'held_out:0', 0)
  assert chosen_task.find(run, 'train:1', 0) == 1
