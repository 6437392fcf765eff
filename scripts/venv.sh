# shellcheck shell=sh
# Read by the scripts beside it, which set $root, the checkout.
python=${root:?}/.venv/bin/python

# Whether .venv is ready to "run" or to "test"; set_up.py leaves a copy of pyproject.toml as its stamp.
is_ready_to() {
    [ -x "$python" ] && cmp -s "$root/pyproject.toml" "$root/.venv/ready-to-$1"
}

# Run a command in place of this shell, once .venv is ready: run_ready_to test COMMAND...
run_ready_to() {
    if is_ready_to "$1"; then
        shift
        exec "$@"
    fi
    found=$(find_python) || exit
    exec "$found" -I "$root/scripts/set_up.py" "$@"
}

find_python() {
    for name in python3 python3.14 python3.13 python3.12 python3.11; do
        if "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$name"
            return
        fi
    done
    echo "luci needs Python 3.11 or newer, and there is none in PATH. Install it, then run this again." >&2
    return 1
}
