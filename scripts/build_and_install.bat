@echo off
rem Builds the wheel into dist\ and installs it into the current Python or virtual environment.
setlocal
cd /d "%~dp0.."
if not defined PYTHON set PYTHON=python

if exist dist\fast_graph-*.whl del /q dist\fast_graph-*.whl
%PYTHON% -c "import sys; sys.exit(sys.version_info < (3, 11))" || (echo FastGraph needs Python 3.11 or newer. & exit /b 1)
%PYTHON% -m pip wheel --quiet --no-deps --wheel-dir dist . || exit /b 1
for %%w in (dist\fast_graph-*.whl) do (
  %PYTHON% -m pip install --quiet "%%w" || exit /b 1
  %PYTHON% -m pip install --quiet --force-reinstall --no-deps "%%w" || exit /b 1
  echo Installed %%w.
)
echo Next: import it with "from fast_graph import fastGraph", or start the demo with "%PYTHON% server.py".
