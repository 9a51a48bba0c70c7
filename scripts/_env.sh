# Sourced from the project's root. `ensure_env EXTRAS` makes .venv fit pyproject.toml and constraints.txt.

env_stamp=.venv/.fast-graph-env

ensure_env() {
  env_fits "$1" && return
  echo "Setting up .venv (first run takes about a minute) ..." >&2
  (
    if command -v flock >/dev/null 2>&1; then flock 9; fi # serve and test may start together
    env_fits "$1" || install_env "$1"
  ) 9>.venv.lock
}

# The stamp says which extras were installed, where, and from which files; [dev] contains everything.
env_fits() {
  [ -x .venv/bin/python ] && [ -f "$env_stamp" ] || return 1
  case "$(cat "$env_stamp")" in "$(env_print "$1")" | "$(env_print "[dev]")") return 0 ;; esac
  return 1
}

env_print() {
  echo "fast-graph$1 $PWD $(cat pyproject.toml constraints.txt | cksum)"
}

install_env() {
  if command -v uv >/dev/null 2>&1; then
    [ -x .venv/bin/python ] || UV_VENV_CLEAR=1 uv venv --quiet --python '>=3.11' .venv
    uv pip install --quiet --python .venv/bin/python -c constraints.txt -e ".$1"
  else
    [ -x .venv/bin/python ] || make_venv
    .venv/bin/python -m pip --version >/dev/null 2>&1 || .venv/bin/python -m ensurepip >/dev/null # made by uv
    .venv/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".$1"
  fi
  env_print "$1" >"$env_stamp"
}

make_venv() {
  local python
  python=$(find_python)
  "$python" -m venv --clear .venv
}

find_python() {
  local name
  for name in "${PYTHON:-}" python3 python3.13 python3.12 python3.11 python; do
    # Run it: a shim may exist for a version that is not active.
    if [ -n "$name" ] && "$name" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      echo "$name"
      return
    fi
  done
  echo "FastGraph needs Python 3.11 or newer with venv (Debian, Ubuntu: apt-get install python3-venv;" \
    "macOS: brew install python), or uv. Set PYTHON=/path/to/python3 to choose one." >&2
  return 1
}
