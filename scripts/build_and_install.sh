#!/usr/bin/env bash
# Builds the wheel into dist/ and installs it into the current Python or virtual environment.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/_env.sh

python=$(find_python)
rm -f dist/fast_graph-*.whl
if "$python" -m pip --version >/dev/null 2>&1; then
  "$python" -m pip wheel --quiet --no-deps --wheel-dir dist .
  pip_install() { "$python" -m pip install --quiet "$@"; }
else
  uv build --quiet --wheel --out-dir dist .
  pip_install() { uv pip install --quiet --python "$python" "$@"; }
fi
wheel=$(echo dist/fast_graph-*.whl)
pip_install "$wheel"
pip_install --force-reinstall --no-deps "$wheel" # the same version may be there already, with older code

echo "Installed $wheel into $("$python" -c 'import sys; print(sys.prefix)')."
echo "Next: import it with 'from fast_graph import fastGraph', or start the demo with '$python server.py'."
