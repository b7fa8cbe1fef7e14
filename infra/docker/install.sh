#!/bin/sh
# The packages of the project, without those that only its developers need, into a new environment:
#   install.sh FOLDER
# Versions are requirements.lock's; torch's, which the lock leaves out, is requirements.in's.
# UV_TORCH_BACKEND chooses torch's build (cpu, cu130, auto). Runs beside these files: requirements.in,
# requirements.lock, pyproject.toml.
set -eu
target=$1
uv_version=0.13.9 # as the Makefile's; tests/unit/test_infra.py holds them together

python3 -m venv "$target"
"$target/bin/python" -m pip install --quiet --disable-pip-version-check "uv==$uv_version"
# uv does not read pip's configuration, which is where a machine says that it keeps its own wheels.
set --
for link in $(python3 -m pip config get global.find-links 2>/dev/null || true); do
  set -- "$@" --find-links "$link"
done
torch=$(grep '^torch==' requirements.in)
"$target/bin/uv" pip install --quiet --compile-bytecode --python "$target/bin/python" "$@" \
  "$torch" --requirements pyproject.toml psycopg2-binary setuptools --constraints requirements.lock
