"""How the folder of a run is known, without TensorFlow or gin."""

CONFIG_FILE = 'config.gin'
# What `--allow_config_change` changed.
CHANGES_FILE = 'config_changes.txt'
METRICS_FILE = 'metrics.csv'
# Of `maml_tf evaluate`.
EVALUATION_FILE = 'evaluation.csv'
