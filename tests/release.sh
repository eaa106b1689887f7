#!/usr/bin/env bash
# Builds the sdist and the wheel, and tries each far from the checkout.
#
# Usage: tests/release.sh [--stack=FOLDER] [PYTHON]      Default: python3.13
#
# Builds what git has committed. Fails at any warning of the build or of twine.
# Then, for the sdist and the wheel, in a new environment and a foreign folder:
# all files of the package are installed, one iteration of training runs, its
# policy is evaluated and exported. --stack=FOLDER takes TensorFlow and the
# other libraries from that site-packages instead of downloading them. The files
# end in dist/. It takes a few minutes, and ten more without --stack.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source tests/pythons.sh
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_PROGRESS_BAR=off PIP_NO_INPUT=1
unset PYTHONPATH PYTHONDONTWRITEBYTECODE
root=$PWD
stack=
if [[ ${1:-} == --stack=* ]]; then
  stack=$(realpath "${1#--stack=}")
  shift
fi
python=${1:-python3.13}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

build() {
  "$python" -m venv "$scratch/tools"
  "$scratch/tools/bin/pip" install -q build twine
  git clone -q . "$scratch/clone"
  PYTHONWARNINGS=default "$scratch/tools/bin/python" -m build \
    --outdir "$scratch/dist" "$scratch/clone" >"$scratch/build.txt" 2>&1 || {
    cat "$scratch/build.txt"
    return 1
  }
  ! grep -iE 'warning|deprecat' "$scratch/build.txt"
  "$scratch/tools/bin/twine" check --strict "$scratch"/dist/*
}

# Installs a file into an environment of its own.
install() {
  local environment=$1 file=$2
  "$python" -m venv "$environment"
  if [[ -n $stack ]]; then
    local packages
    packages=$("$environment/bin/python" -c \
      'import sysconfig; print(sysconfig.get_path("purelib"))')
    # The stack's own .pth files count as well.
    echo "import site; site.addsitedir('$stack')" >"$packages/stack.pth"
    "$environment/bin/pip" install -q --no-deps "$file"
  else
    "$environment/bin/pip" install -q "$file"
    [[ $("$environment/bin/python" -V) == *3.1[01].* ]] ||
      "$environment/bin/pip" install -q --no-deps tf-agents==0.19.0
  fi
}

# Prints the files of the package that are not installed.
missing() {
  local package=$1
  git -C "$scratch/clone" ls-files maml_tf gin_configs |
    sed 's#^gin_configs/#maml_tf/gin_configs/#' |
    while read -r file; do
      [[ -e $package/$file ]] || echo "$file is not installed"
    done
}

# Tries an environment in a folder that has nothing to do with the checkout.
try() {
  local environment=$1
  mkdir "$environment/foreign"
  cd "$environment/foreign"
  local maml_tf=$environment/bin/maml_tf package absent
  package=$("$environment/bin/python" -c 'import maml_tf
print(maml_tf.__path__[0])')
  [[ $package == "$environment"/* ]] || {
    echo "$package is not the installed package"
    return 1
  }
  absent=$(missing "$(dirname "$package")")
  [[ -z $absent ]] || { echo "$absent"; return 1; }
  "$maml_tf" --version
  "$maml_tf" adapt --policy=point
  "$maml_tf" train --gin_file=point.gin --root_dir=run \
    --gin_bindings='train_eval.num_iterations = 1' \
    --gin_bindings='train_eval.num_tasks = 2' \
    --gin_bindings='train_eval.horizon = 10'
  "$maml_tf" evaluate --root_dir=run --num_tasks=4
  "$maml_tf" export --root_dir=run --export_dir=models --model_version=next
  [[ -f models/1/saved_model.pb ]]
  cd "$root"
}

build
for file in "$scratch"/dist/*; do
  echo "# $(basename "$file")"
  install "$scratch/environment" "$file"
  try "$scratch/environment"
  rm -rf "$scratch/environment"
done
mkdir -p dist
cp "$scratch"/dist/* dist/
ls -l dist
