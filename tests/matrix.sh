#!/usr/bin/env bash
# Tries the README's commands and all tests on every Python, before a release.
#
# Usage: tests/matrix.sh [VERSION...]      Default: 3.10 3.11 3.12 3.13
#
# For each version that is present, in a clean clone: the README's two commands
# as written, but with this Python, and one iteration of training. The output
# goes to results/matrix/pythonVERSION.txt, the versions of all libraries to
# constraints/pythonVERSION.txt. It takes about an hour on 2 cores.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source tests/pythons.sh
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_PROGRESS_BAR=off PIP_NO_INPUT=1

# The README's command that ends so, with another Python.
readme_command() {
  grep -E "^python3.*$2\$" README.md | sed "s/^python3\.[0-9]*/python$1/"
}

# Runs a command as a newcomer's shell would; prints it and its seconds.
timed() {
  local start=$SECONDS
  echo "\$ $1"
  bash -euo pipefail -c "$1" </dev/null
  echo "# $((SECONDS - start)) s"
}

# Tries one version in a folder.
try_version() {
  local version=$1 folder=$2 install train test
  "python$version" -VV
  git clone --quiet . "$folder"
  cd "$folder"
  echo "# maml_tf at commit $(git rev-parse --short HEAD)"
  install=$(readme_command "$version" tf-agents==0.19.0)
  test=$(readme_command "$version" '-m pytest')
  train='.venv/bin/python -m maml_tf.train --gin_file=cheetah.gin'
  # Otherwise pip names a hundred packages.
  timed "${install//pip install/pip install -qq}"
  du -sh .venv
  .venv/bin/python -m pip check || true
  .venv/bin/python -m maml_tf --version
  timed "$train --gin_bindings='train_eval.num_iterations = 1' 2>&1"
  rm -r .venv
  timed "${test//pip install/pip install -qq} -q -rs -p no:cacheprovider"
  .venv/bin/python -m pip freeze --all --exclude pip --exclude-editable >.venv/freeze.txt
}

if [[ ${1:-} == --one ]]; then
  try_version "$2" "$3"
  exit
fi

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
mkdir -p results/matrix constraints
[[ $# -gt 0 ]] || set -- 3.10 3.11 3.12 3.13
failed=0
for version; do
  if [[ -z $(present "$version") ]]; then
    echo "python$version is not present"
    continue
  fi
  output=$scratch/python$version.txt
  if tests/matrix.sh --one "$version" "$scratch/$version" >"$output" 2>&1; then
    {
      echo "# What pip chose for Python $version when tests/matrix.sh ran."
      echo "# Use: pip install -c constraints/python$version.txt ."
      cat "$scratch/$version/.venv/freeze.txt"
    } >"constraints/python$version.txt"
  else
    failed=1
  fi
  tail -n 3 "$output"
  mv "$output" results/matrix/
  rm -rf "${scratch:?}/$version"
done
exit $failed
