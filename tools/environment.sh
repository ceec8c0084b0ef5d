# The Python environment of all tools: .venv, made when it is missing, with shmstore built from the sources as they are.
#
# To be sourced. Sets $root and $python, and leaves the function `needs GROUP`, which installs a dependency group of
# pyproject.toml once. shmstore is installed editable: a changed Python file needs no build, a changed C file or
# pyproject.toml starts one here. Quiet unless something fails.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
python=$root/.venv/bin/python
made=$root/.venv/made   # holds the path for which .venv was made
built=$root/.venv/built # as old as the last build

fail() {
    echo "$(basename "$0"): $*" >&2
    exit 1
}

quietly() { # quietly WHAT COMMAND...: run it, show its output only if it fails
    local what=$1 log
    log=$(mktemp)
    shift
    "$@" </dev/null >"$log" 2>&1 || { cat "$log" >&2; rm -f "$log"; fail "could not $what; the output is above."; }
    rm -f "$log"
}

lacks() { # lacks PYTHON: what that interpreter lacks for a build, in words; nothing when all is there
    "$1" - <<'PYTHON'
import importlib.util, os, shlex, shutil, sysconfig
compiler = shlex.split(os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc")[0]
include = sysconfig.get_path("include")
if not shutil.which(compiler):
    print(f"a C compiler ({compiler} is not found; on Debian: apt-get install gcc libc6-dev)")
elif not os.path.exists(os.path.join(include, "Python.h")):
    print(f"Python.h (it is not in {include}; on Debian: apt-get install python3-dev)")
elif not importlib.util.find_spec("ensurepip"):
    print("the module ensurepip (on Debian: apt-get install python3-venv)")
PYTHON
}

find_python() { # the first Python that can build; else one sentence that says what is missing
    local candidate lack first=
    for candidate in python3 python3.13 python3.12 python3.11; do
        "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue
        lack=$(lacks "$candidate")
        [ -n "$lack" ] || { echo "$candidate"; return; }
        first=${first:-"$candidate needs $lack."}
    done
    fail "${first:-Python 3.11 or newer is needed, and none of python3, python3.13, python3.12, python3.11 is one.}"
}

is_made() {
    [ "$(cat "$made" 2>/dev/null)" = "$root" ] && "$python" -c '' 2>/dev/null
}

make() {
    local base
    base=$(find_python) || exit 1
    quietly "make .venv" "$base" -m venv --clear "$root/.venv"
    quietly "install setuptools" "$python" -m pip install --upgrade pip setuptools
    echo "$root" >"$made"
}

is_built() {
    [ -e "$built" ] && compgen -G "$root/shmstore/_core*.so" >/dev/null &&
        [ -z "$(find "$root/pyproject.toml" "$root"/shmstore/{core,binding} -newer "$built" -print -quit)" ]
}

build() { # the stamp is dated before the build, so that the next run sees an edit made meanwhile
    touch "$built.new"
    quietly "build shmstore" "$python" -m pip install --no-build-isolation --editable "$root"
    mv "$built.new" "$built"
}

install() { # install GROUP, unless that was done since pyproject.toml changed
    local installed=$root/.venv/installed-$1
    if [ ! "$installed" -nt "$root/pyproject.toml" ]; then
        quietly "install the group $1" "$python" -m pip install --group "$root/pyproject.toml:$1"
        touch "$installed"
    fi
}

alone() { # alone FUNCTION...: several tools may be started at once
    (flock 9 && "$@") 9<"$root/pyproject.toml" || exit 1
}

refresh() {
    is_made || make
    is_built || build
}

needs() { alone install "$1"; }

alone refresh
