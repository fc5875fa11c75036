#!/usr/bin/env bash
# Makes the Python environment that the autograder runs in, and does nothing when it is already there.
#
#   ./setup.sh            what grading needs (this is also what Gradescope runs at image build, as root)
#   ./setup.sh --dev      and what training the reference, the tests and the linters need
#   ./setup.sh --python   make it if need be, then print the path of its interpreter on stdout
#
# Where: as root below /opt, readable by the unprivileged user that students' code runs as;
# as anyone else in .venv beside this file. The folder's name carries a digest of the pins.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)"
umask 022 # the worker's user must be able to read what root installs

group=grade print_python=no
for argument in "$@"; do
  case "$argument" in
    --dev) group=dev ;;
    --python) print_python=yes ;;
    -h | --help) sed -n '2,9s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) echo "setup.sh: '$argument' is not an option; try --help" >&2; exit 2 ;;
  esac
done

say() { echo "setup: $*" >&2; }
as_root() { [ "$(id -u)" = 0 ]; }

pins=("$here/autograder/requirements.txt")
[ "$group" = dev ] && pins+=("$here/tests/requirements.txt")
digest() { cat "$@" | cksum | tr -d ' '; }

if as_root && mkdir -p /opt/autograder 2>/dev/null; then
  venv="/opt/autograder/venv-$(digest "$here/autograder/requirements.txt")"
else
  venv="$here/.venv"
fi
stamp="$venv/.$group-$(digest "${pins[@]}")"

finish() {
  if [ "$print_python" = yes ]; then echo "$venv/bin/python"; else say "ready: $venv"; fi
  exit 0
}
[ -e "$stamp" ] && finish

# One installer at a time; the second finds the work done.
if command -v flock >/dev/null; then
  exec 9>"$(dirname "$venv")/.autograder-setup.lock"
  flock -w 1800 9 || { say "another setup has been running for half an hour; giving up"; exit 1; }
  [ -e "$stamp" ] && finish
fi

# ---------------------------------------------------------------- an interpreter
usable() { # 3.11 or later, able to make a virtual environment
  command -v "$1" >/dev/null 2>&1 &&
    "$1" -c 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))' 2>/dev/null
}
public() { # readable by other users: not below a home that is closed to them
  as_root || return 0
  local path; path="$(readlink -f "$("$1" -c 'import sys; print(sys.base_prefix)')")"
  while [ "$path" != / ]; do
    [ "$(($(stat -c %a "$path") % 10 % 2))" = 1 ] || return 1
    path="$(dirname "$path")"
  done
}
find_python() {
  local candidate
  for candidate in /usr/bin/python3.{11,12,13,14} /usr/bin/python3 python3.{11,12,13,14} python3; do
    if usable "$candidate" && public "$candidate"; then python="$candidate"; return 0; fi
  done
  return 1
}
if ! find_python && as_root && command -v apt-get >/dev/null; then
  say "installing python3.11 from the distribution's archive"
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq >&2
  apt-get install -y -qq --no-install-recommends python3.11 python3.11-venv libseccomp2 ca-certificates >&2 ||
    apt-get install -y -qq --no-install-recommends python3 python3-venv libseccomp2 ca-certificates >&2
  find_python || true
fi
if [ -z "${python:-}" ]; then # better a weaker sandbox than none: the canary will say what is missing
  for candidate in python3.{11,12,13,14} python3; do
    if usable "$candidate"; then python="$candidate"; break; fi
  done
fi
[ -n "${python:-}" ] || { say "Python 3.11 or later with its venv module is needed; please install it."; exit 1; }

# ---------------------------------------------------------------- the environment
say "making $venv (a few minutes the first time)"
[ -x "$venv/bin/python" ] && "$venv/bin/python" -c '' 2>/dev/null || "$python" -m venv --clear "$venv"
pip() { "$venv/bin/python" -m pip --disable-pip-version-check --no-input -qq "$@" >&2; }

# torch and torchvision: their CPU builds carry the local version "+cpu" and live in PyTorch's own index.
# Where that index is out of reach pip goes on with what else it has (--retries 0 --timeout 5), and only
# when no CPU build can be found at all is the registry's build taken, which is gigabytes larger on Linux.
cpu_build() {
  local name="$1" version="$2"
  [ "$("$venv/bin/python" -c "import importlib.metadata as m; print(m.version('$name').split('+')[0])" 2>/dev/null)" = "$version" ] && return 0
  pip install --no-deps --retries 0 --timeout 5 --extra-index-url https://download.pytorch.org/whl/cpu \
    "$name==$version+cpu" 2>/dev/null || pip install --no-deps "$name==$version"
}
pinned() { sed -n "s/^# $1==\([^ ]*\).*/\1/p" "${pins[@]}"; }

pip install -r "$here/autograder/requirements.txt"
cpu_build torch "$(pinned torch)"
if [ "$group" = dev ]; then
  pip install -r "$here/tests/requirements.txt"
  cpu_build torchvision "$(pinned torchvision)"
fi
"$venv/bin/python" -m compileall -q "$here/autograder" >/dev/null 2>&1 || true
rm -f "$venv"/."$group"-*
touch "$stamp"
[ "$group" = dev ] && touch "$venv/.grade-$(digest "$here/autograder/requirements.txt")"
finish
