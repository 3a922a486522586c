#!/usr/bin/env bash
# Sets up what is missing, checks format, style and types, and runs the test suite. Arguments go to pytest.
#
#   ./test.sh                        everything
#   ./test.sh -k whitening -x        the tests with "whitening" in their name, up to the first failure
#
# Two files are tested at a time; one where DATABASE_URL names a database, which all tests would share.
set -eu
cd "$(dirname "$0")"

./installation_1.sh
VIRTUAL_ENV='' ./installation_2.sh --tests

vir_env/bin/python -m ruff format --check .
vir_env/bin/python -m ruff check .
vir_env/bin/python -m mypy
processes=2
[ -z "${DATABASE_URL:-}" ] || processes=0
exec vir_env/bin/python -m pytest --numprocesses "$processes" --dist loadfile "$@"
