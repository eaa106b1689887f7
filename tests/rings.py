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
  'core',
  'environments/gymnasium_bridge/gymnasium_spaces_test.py',
  'environments/gymnasium_bridge/returned_values_test.py',
  'environments/classic_control_test.py',
  'environments/locomotion_test.py',
  'environments/mujoco_body_test.py',
  'environments/observed_task_test.py',
  'environments/point_navigation_test.py',
  'environments/task_environment_test.py',
  'environments/tasks_test.py',
  'evaluation/random_actions_test.py',
  'evaluation/report_test.py',
  'evaluation/statistics_test.py',
  'fuzzing/task_values_test.py',
  'layering_test.py',
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
  'learning/surrogates_test.py',
  'learning/tabular_exploration_test.py',
  'learning/tabular_proof_test.py',
  'learning/task_map_test.py',
  'learning/trust_region_test.py',
  'run/config_arguments_test.py',
  'run/config_test.py',
  'run/csv_file_test.py',
  'run/keras_optimizers_test.py',
  'run/loggers_test.py',
  'run/metrics_test.py',
  'run/run_folder_test.py',
