"""Which tests are quick, and which files take long.

`pytest -m unit` runs formulas and texts: no agent is made and hence none is
traced, no process is started. The default leaves out `slow`.
"""

import pathlib

_TESTS = pathlib.Path(__file__).parent

# Folders and files whose tests are all units.
_UNITS = (
  'collection/episode_buffer_test.py',
  'collection/regrouping_test.py',
  'comparison',
  'commands/chosen_run_test.py',
  'commands/documented_commands_test.py',
  'commands/typed_command_test.py',
  'constraints_test.py',
  'core',
  'environments/ant_test.py',
  'environments/company_test.py',
  'environments/directions_test.py',
  'environments/gymnasium_bridge/gymnasium_spaces_test.py',
  'environments/gymnasium_bridge/returned_values_test.py',
  'environments/classic_control_test.py',
  'environments/half_cheetah_bodies_test.py',
  'environments/humanoid_test.py',
  'environments/in_graph/families_test.py',
  'environments/in_graph/tensor_environment_test.py',
  'environments/listed_tasks_test.py',
  'environments/locomotion_test.py',
  'environments/mujoco_body_test.py',
  'environments/mujoco_stepping_test.py',
  'environments/observed_task_test.py',
  'environments/point_navigation_test.py',
  'environments/random_dynamics_test.py',
  'environments/sparse_point_test.py',
  'environments/swimmer_test.py',
  'environments/task_environment_test.py',
  'environments/tasks_test.py',
  'environments/walkers_test.py',
  'evaluation/random_actions_test.py',
  'evaluation/report_test.py',
  'evaluation/statistics_test.py',
  'evaluation/task_panel_test.py',
  'fuzzing/task_values_test.py',
  'layering_test.py',
  'pages_test.py',
  'rings_test.py',
  'learning/actor_networks_test.py',
  'learning/advantages_test.py',
  'learning/inner_loop_test.py',
  'learning/meta_objectives_test.py',
  'learning/meta_updates_test.py',
  'learning/network_checks_test.py',
  'learning/observation_encoders_test.py',
  'learning/recorded_gradients_test.py',
  'learning/scans_test.py',
  'learning/float32_baselines_test.py',
  'learning/surrogates_test.py',
  'learning/task_memory_test.py',
  'learning/tabular_exploration_test.py',
  'learning/tabular_proof_test.py',
  'learning/task_map_test.py',
  'learning/trust_region_test.py',
  'run/config_arguments_test.py',
  'run/config_test.py',
  'run/config_values_test.py',
  'run/unused_settings_test.py',
  'run/csv_file_test.py',
  'run/device_report_test.py',
  'run/keras_optimizers_test.py',
  'run/loggers_test.py',
  'run/metrics_test.py',
  'run/older_runs_test.py',
  'run/run_folder_test.py',
  'run/tensorboard_summaries_test.py',
  'run/workers_test.py',
  'serving/versions_test.py',
  'sweeping/axes_test.py',
  'sweeping/plan_test.py',
  'sweeping/record_test.py',
  'sweeping/table_test.py',
  'testing/task_environment_check_test.py',
  'video/video_file_test.py',
)
_NO_UNITS = (
  # They start processes.
  'core/quiet_imports_test.py',
  'core/terminal_test.py',
  'core/scratch_folders_test.py',
  'core/xla_cache_test.py',
)

# The files that take longest, the longest first, so that no worker begins one
# when the others are done. Nothing but speed depends on it.
_LONGEST = (
  'run/experiment_test.py',
  'gin_config_test.py',
  'learning/networks_test.py',
  'compatibility_test.py',
  'learning/meta_learner_test.py',
  'learning/inner_loop_gradient_test.py',
  'serving/serving_test.py',
  'learning/algorithms_test.py',
  'adaptation/task_adaptation_test.py',
  'learning/maml_agent_test.py',
  'train_test.py',
  'references_test.py',
  'examples/learner_pipeline_test.py',
  'environments/gymnasium_bridge/supervised_environments_test.py',
  'run/strategies_test.py',
  'object_tasks_test.py',
  'render_test.py',
  'evaluation/evaluator_test.py',
  'learning/trust_region_test.py',
  'learning/maml_agent_gradient_test.py',
  'export_test.py',
  'xla_test.py',
  'readme_test.py',
  'examples/serve_rest_test.py',
)

NAMES = (*_UNITS, *_NO_UNITS, *_LONGEST)


def _is_among(path: pathlib.Path, names: tuple[str, ...]) -> bool:
  return any(path.is_relative_to(_TESTS / name) for name in names)


def is_unit(path: pathlib.Path) -> bool:
  """Whether a file's tests make no agent and start no process."""
  return _is_among(path, _UNITS) and not _is_among(path, _NO_UNITS)


def position(path: pathlib.Path) -> int:
  """The position of a file in the order of a run."""
  names = [_TESTS / name for name in _LONGEST]
  return names.index(path) if path in names else len(names)


def selects_slow(mark_expression: str) -> bool:
  """Whether `-m` selects the slow tests."""
  return 'slow' in mark_expression.replace('not slow', '')
