#!/bin/sh
# Makes the virtual environment and installs the locked packages into it. Called by the Makefile only.
#   setup.sh venv DIR            a venv from what this machine has: python3-venv, else uv, else virtualenv from pip
#   setup.sh install DIR LOCK    the packages of LOCK, each checked against its hash, and Santral itself
set -eu

python=${PYTHON:-python3}
say() { printf '  %s\n' "$*" >&2; }
stop() { printf '\n  %s\n\n' "$*" >&2; exit 1; }

make_venv() {
    command -v "$python" >/dev/null 2>&1 || stop "Santral needs Python 3.11 or later, and '$python' is not here. Install it, or run: make PYTHON=/path/to/python3 ..."
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
        stop "Santral needs Python 3.11 or later; '$python' is $("$python" -V 2>&1). Run: make PYTHON=/path/to/python3.11 ..."
    say "Setting up $1 with $("$python" -V 2>&1)"
    "$python" -m venv "$1" >/dev/null 2>&1 && return
    rm -rf "$1"
    if command -v uv >/dev/null 2>&1; then
        uv venv --quiet --seed --python "$python" "$1" && return
    fi
    rm -rf "$1" .cache/virtualenv
    "$python" -m pip install --quiet --target .cache/virtualenv virtualenv 2>/dev/null &&
        PYTHONPATH=.cache/virtualenv "$python" -m virtualenv --quiet "$1" && return
    stop "This Python can make no virtual environment. On Debian or Ubuntu: apt-get install python3-venv (or python3-pip, or uv), then again."
}

install() {
    say "Installing the packages of $2 (checked against their hashes)"
    if command -v uv >/dev/null 2>&1; then
        uv pip install --quiet --python "$1/bin/python" --require-hashes -r "$2" || pip_install "$@"
        uv pip install --quiet --python "$1/bin/python" --no-deps -e . && return
    else
        pip_install "$@"
    fi
    "$1/bin/python" -m pip install --quiet --no-deps --progress-bar off -e .
}

pip_install() {
    "$1/bin/python" -m pip install -qq --progress-bar off --require-hashes -r "$2"
}

case ${1:-} in
    venv) make_venv "$2" ;;
    install) install "$2" "$3" ;;
    *) stop "setup.sh venv DIR | install DIR LOCK" ;;
esac
