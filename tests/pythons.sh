# Sourced by scripts: makes each Python that pyenv has a command, e.g.
# python3.13.
if command -v pyenv >/dev/null; then
  PYENV_VERSION=$(
    pyenv versions --bare | { grep -E '^3\.[0-9]+\.[0-9]+$' || true; } |
      sort -rV | paste -sd :
  )
  [[ -z $PYENV_VERSION ]] || export PYENV_VERSION
fi

# Prints those of the given versions, such as 3.13, that are present.
present() {
  local version
  for version; do
    ! "python$version" -c '' 2>/dev/null || echo "$version"
  done
}
