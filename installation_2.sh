#!/usr/bin/env bash
# Installs the pinned requirements into the active virtual environment, or into vir_env where none is active.
#
#   ./installation_2.sh           what the scripts and the site need
#   ./installation_2.sh --tests   the same, and what the tests need
#
# TensorFlow is the CUDA build where nvidia-smi answers, else the CPU build. uv does the work where it can be
# had, because it is several times faster; otherwise pip does. Both ask the index that pip is set up for.
# Where nothing has changed since the last run there is nothing to do; a run that was broken off is done again.
set -eu
cd "$(dirname "$0")"

leave() { # leave CODE SENTENCE
    echo "installation_2.sh: $2" >&2
    exit "$1"
}

case $# in
0) tests= ;;
*) [ "$*" = --tests ] || leave 2 "$* is unknown; the only option is --tests."
   tests=yes ;;
esac

environment=${VIRTUAL_ENV:-vir_env}
python=$environment/bin/python
[ -x "$python" ] || leave 2 "There is no Python in $environment: run ./installation_1.sh first."
"$python" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 14))' ||
    leave 2 "$environment has $("$python" --version), and 3.10 to 3.13 is needed: deactivate it, and run ./installation_1.sh"

# Which packages. Of each pair below, both write the same folder, so only one of them may be there.
if [ "$(uname -sm)" = "Linux x86_64" ] && nvidia-smi -L 2>/dev/null | grep -q '^GPU'; then
    requirements=(-r requirements-gpu.txt)
    in_the_way=(tensorflow-cpu opencv-python)
    echo "nvidia-smi answers: TensorFlow for CUDA."
else
    requirements=(-r requirements.txt)
    in_the_way=(opencv-python)
    [ "$(uname -sm)" != "Linux x86_64" ] || in_the_way+=(tensorflow)
fi
[ -z "$tests" ] || requirements+=(-r requirements-test.txt)

# The stamp says what the last complete run installed; `unfinished` is there while a run is under way.
stamp=$environment/.installed${tests:+-with-tests}
unfinished=$environment/.unfinished
state="$("$python" -VV) ${requirements[*]} $(cat requirements*.txt | cksum)"
if [ ! -e "$unfinished" ] && [ "$state" = "$(cat "$stamp" 2>/dev/null)" ]; then
    echo "The requirements are installed."
    exit
fi

"$python" -m pip --version >/dev/null 2>&1 || "$python" -m ensurepip >/dev/null
again=
[ ! -e "$unfinished" ] || again=yes
touch "$unfinished"
for package in "${in_the_way[@]}"; do
    if "$python" -m pip show --quiet "$package" 2>/dev/null; then
        echo "$package makes way: it writes the same folder as a package that is needed."
        "$python" -m pip uninstall --quiet --yes "$package"
        again=yes
    fi
done

hand_on() { # hand_on SETTING VARIABLE [SEPARATOR]: tells uv what pip is told by its files or variables
    local value
    value=$(sed -n "s/^[^=]*\.$1='\(.*\)'$/\1/p" <<<"$pip_settings" | head -n 1 | sed 's/\\n/ /g; s/^ *//')
    if [ -n "$value" ] && [ -z "${!2:-}" ]; then
        export "$2=${value// /${3:- }}"
    fi
}

with_uv() {
    "$python" -m pip install --quiet --disable-pip-version-check uv || return
    local pip_settings
    pip_settings=$("$python" -m pip config list)
    hand_on index-url UV_DEFAULT_INDEX
    hand_on extra-index-url UV_INDEX
    hand_on find-links UV_FIND_LINKS ,
    hand_on no-index UV_NO_INDEX
    hand_on cert SSL_CERT_FILE
    export UV_INDEX_STRATEGY="${UV_INDEX_STRATEGY:-unsafe-best-match}" # all indexes are equal, as they are for pip
    # Compiled at once: otherwise the first import of TensorFlow does it, one file after the other.
    "$python" -m uv pip install --python "$python" --compile-bytecode ${again:+--reinstall} "${requirements[@]}"
}

with_pip() {
    "$python" -m pip install --disable-pip-version-check --no-input --use-pep517 \
        ${again:+--ignore-installed} "${requirements[@]}"
}

with_uv || {
    echo "uv could not do it; pip tries."
    with_pip
} || leave 1 "The requirements could not be installed; the lines above say why. Repeat the command to continue."

rm "$unfinished"
echo "$state" >"$stamp"
echo "The requirements are installed."
