#!/usr/bin/env bash
# Makes the virtual environment vir_env, with nothing but pip in it.
#
#   ./installation_1.sh                     with python3
#   PYTHON=python3.12 ./installation_1.sh   with another Python, 3.10 to 3.13
#   source vir_env/bin/activate             then: uses it in this terminal
#   ./installation_2.sh                     and fills it
#
# A vir_env that works is left as it is; one that does not (broken off, or its Python is gone) is made anew.
set -eu
cd "$(dirname "$0")"

leave() {
    echo "installation_1.sh: $1" >&2
    exit 2
}

works() { # works PYTHON: whether it is of a version that all requirements support, and has pip
    "$1" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 14))' && "$1" -m pip --version
} >/dev/null 2>&1

[ $# -eq 0 ] || leave "it takes no arguments; see its first lines."
if works vir_env/bin/python; then
    echo "vir_env is there: $(vir_env/bin/python --version)."
    exit
fi

python=${PYTHON:-python3}
version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null) ||
    leave "There is no $python here: sudo apt-get install python3 python3-venv"
case $version in
3.10 | 3.11 | 3.12 | 3.13) ;;
*) leave "$python is Python $version, and 3.10 to 3.13 is needed: name another, as in PYTHON=python3.12 ./installation_1.sh" ;;
esac
"$python" -c 'import ensurepip, venv' 2>/dev/null ||
    leave "Python's venv module is missing or not whole: sudo apt-get install python$version-venv"

"$python" -m venv --clear vir_env
echo "vir_env is made: $(vir_env/bin/python --version). Next: source vir_env/bin/activate, then ./installation_2.sh"
