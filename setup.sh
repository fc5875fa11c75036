#!/usr/bin/env bash
# Makes the Python environment that the autograder runs in, and does nothing when it is already there.
#
#   ./setup.sh            what grading needs (this is also what Gradescope runs at image build, as root)
#   ./setup.sh --dev      and what training the reference, the tests and the linters need
#   ./setup.sh --python   make it if need be, then print the path of its interpreter on stdout
#   ./setup.sh --which    only print the interpreters that it could be made with, the one that is taken first
#
# Where: as root, or as the owner of /opt/autograder, below that, readable by the unprivileged user that students' code
# runs as; as anyone else in .venv beside this file. The folder's name carries a digest of the pins.
set -euo pipefail
# Nothing is installed where grading cannot work. autograder/front.py says the same to whoever calls Python.
case "$(uname)" in
  Linux) system="" ;;
  Darwin) system=macOS ;;
  MINGW* | MSYS* | CYGWIN* | Windows*) system=Windows ;;
  *) system="$(uname)" ;;
esac
if [ -n "$system" ]; then
  echo "Grading needs Linux, which isolates students' code; on $system use Docker:" \
    "\`docker build -t grader .\` once, then \`docker run --rm -v \"\${PWD}:/work\" -w /work grader" \
    "/autograder/run_autograder submission.zip\` (docs/machines.md has the other commands)." >&2
  exit 3
fi
unset CDPATH PYTHONHOME PYTHONPATH
here="$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")" && pwd -P)"
umask 022 # the worker's user must be able to read what root installs

group=grade print_python=no which=no
for argument in "$@"; do
  case "$argument" in
    --dev) group=dev ;;
    --python) print_python=yes ;;
    --which) which=yes ;;
    -h | --help) sed -n '2,10s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) echo "setup.sh: '$argument' is not an option; try --help" >&2; exit 2 ;;
  esac
done

say() { echo "setup: $*" >&2; }
as_root() { [ "$(id -u)" = 0 ]; }
digest() { cat "$@" | cksum | tr -d ' '; }

grade_pins=("$here/autograder/requirements-hashed.txt" "$here/autograder/requirements.txt")
dev_pins=("$here/tests/requirements.txt" "$here/autograder/requirements-cluster.txt"
  "$here/autograder/requirements-review.txt" "$here/tests/package-lock.json")
name="$(digest "${grade_pins[@]}")"
if mkdir -p /opt/autograder 2>/dev/null && { as_root || [ -w /opt/autograder ]; }; then
  home=/opt/autograder venv="/opt/autograder/venv-$name"
elif [ -w "$here" ] || [ -d "$here/.venv" ]; then
  home="$here" venv="$here/.venv"
else # a checkout that only others may write to
  home="${XDG_CACHE_HOME:-${HOME:?is not set, and $here cannot be written}/.cache}/autograder" venv="$home/venv-$name"
  mkdir -p "$home"
fi
# A stamp says that what it names was installed to the end.
stamp="$venv/.grade-$name"
[ "$group" = grade ] || stamp="$venv/.dev-$(digest "${grade_pins[@]}" "${dev_pins[@]}")"

# The key of all seeds, which nobody may guess: made once, readable by its owner only. Of two that are made at the same
# time, the first stays. In a Docker image "secret" is a link into a folder that outlives the container.
make_key() {
  local key new
  key="$(readlink -f "$venv/secret")" && new="$key.$$.$RANDOM$RANDOM" &&
    (umask 077 && set -o noclobber && head -c 32 /dev/urandom >"$new") || return 1
  ln "$new" "$key" 2>/dev/null || [ -s "$key" ] || mv "$new" "$key"
  rm -f "$new"
}
finish_if_ready() {
  [ "$which" = no ] || return 0
  [ -e "$stamp" ] && [ -x "$venv/bin/python" ] || return 0
  [ -s "$venv/secret" ] || make_key || { say "the key of the seeds cannot be written to $venv/secret"; exit 1; }
  if [ "$print_python" = yes ]; then echo "$venv/bin/python"; else say "ready: $venv"; fi
  exit 0
}
finish_if_ready

# One installer at a time; the second finds the work done. What an installer started holds the lock
# too, so that after a kill nobody begins before the last of it has ended.
if [ "$which" = no ] && command -v flock >/dev/null; then
  exec 9<"$home"
  flock -w 1800 9 || { say "another setup has been running for half an hour; giving up"; exit 1; }
  finish_if_ready
fi

# ---------------------------------------------------------------- an interpreter
# suits PYTHON public MINOR: it is 3.MINOR as released (Ubuntu 22.04's own 3.11 is a release candidate), has the lock
# that torch needs, can make a virtual environment, and other users may enter the folder that it lives in (root's own
# pyenv, say, is closed to the user that students' code runs as).
suits() {
  command -v "$1" >/dev/null && "$1" -I -c '
import ensurepip, pathlib, sys, sysconfig, venv
folder = pathlib.Path(sys.base_prefix).resolve()
closed = not all(path.stat().st_mode & 1 for path in (folder, *folder.parents))
early = sys.version_info.releaselevel in ("alpha", "beta") or sysconfig.get_config_var("Py_GIL_DISABLED")
other = sys.version_info[:2] != (3, int(sys.argv[2]))
sys.exit(bool(other or early or (closed and sys.argv[1] == "public")))' "$2" "$3" 2>/dev/null
}
# The versions that all pins have wheels for, the newest first: students have Python 3.12 (Colab) to 3.14.
minors="14 13 12 11"
find_pythons() { # find_pythons public|any: fills the array pythons, the newest first
  local minor candidate
  pythons=()
  for minor in $minors; do
    for candidate in "/usr/bin/python3.$minor" "python3.$minor" /usr/bin/python3 python3; do
      if suits "$candidate" "$1" "$minor"; then pythons+=("$(command -v "$candidate")"); break; fi
    done
  done
  [ "${#pythons[@]}" -gt 0 ]
}
may_install() { as_root && command -v apt-get >/dev/null; }
install() {
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends -o DPkg::Lock::Timeout=300 "$@" >&2
}
refresh() { apt-get update -qq -o Acquire::Retries=3 >&2 || say "the list of packages could not be refreshed"; }
install_python() { # Ubuntu 22.04's own python3 is 3.10, too old, but its archive has 3.11
  install python3.11 python3.11-venv ca-certificates 2>/dev/null || install python3 python3-venv ca-certificates
}
# Ubuntu 22.04, Gradescope's image, has no Python behind 3.11.0rc1 in its archive. The deadsnakes PPA keeps the newer
# ones for it: built and signed by Launchpad, mended with each release, installed by apt below /usr like any other.
is_jammy() { grep -qs '^ID=ubuntu' /etc/os-release && grep -qs '^VERSION_ID="22.04"' /etc/os-release; }
install_newer_python() {
  local minor
  say "adding a newer Python from the deadsnakes PPA"
  install software-properties-common gpg-agent ca-certificates 2>/dev/null || return 1
  timeout 120 add-apt-repository -y ppa:deadsnakes/ppa >&2 || { say "the PPA is out of reach"; return 1; }
  refresh
  for minor in $minors; do
    [ "$minor" -gt 11 ] || break
    install "python3.$minor" "python3.$minor-venv" 2>/dev/null && return 0
  done
  return 1
}
is_old() { case "${pythons[0]:-none}" in none | *python3.11) return 0 ;; *) return 1 ;; esac; }
enable_universe() { # Ubuntu keeps these packages in a component that a minimal image may leave out
  grep -qs '^ID=ubuntu' /etc/os-release || return 0
  say "enabling Ubuntu's component universe"
  sed -n 's/^deb \(.*\) main\b.*/deb \1 universe/p' /etc/apt/sources.list 2>/dev/null >/etc/apt/sources.list.d/universe.list
  sed -i '/universe/!s/^\(Components:.*\)/\1 universe/' /etc/apt/sources.list.d/ubuntu.sources 2>/dev/null || true
  refresh
}

if as_root; then need=public; else need=any; fi
find_pythons "$need" || true
if [ "$which" = no ] && is_old && may_install && is_jammy; then
  refresh
  install_newer_python || say "no newer Python than 3.11 could be had"
  find_pythons "$need" || true
fi
if [ "$which" = no ] && [ "${#pythons[@]}" = 0 ] && may_install; then
  say "installing Python from the distribution's archive"
  refresh
  { install_python && find_pythons public; } || { enable_universe; install_python; } || true
fi
# Better a weaker sandbox than none: the canary says what is missing.
find_pythons "$need" || find_pythons any || {
  say "Python 3.11 to 3.14 with its venv module is needed. On Debian and Ubuntu:"
  say "  sudo apt-get install python3.11 python3.11-venv libseccomp2    (or python3 python3-venv, where that is newer)"
  exit 1
}
if [ "$which" = yes ]; then printf '%s\n' "${pythons[@]}"; exit 0; fi

# ---------------------------------------------------------------- the environment
# PIP_USER: a setting of the user's that a virtual environment cannot follow.
pip() { PIP_USER=0 "$venv/bin/python" -I -m pip --disable-pip-version-check --no-input -qq "$@" >&2; }
pinned() { sed -n "s/^# $1==\([^ ]*\).*/\1/p" "${grade_pins[@]}" "${dev_pins[@]}"; }

# torch and torchvision: their CPU builds carry the local version "+cpu" and live in PyTorch's own index.
# That index is tried briefly (it may be out of reach where the wheel lies elsewhere), then with patience;
# only when no CPU build can be found is the registry's build taken, which is gigabytes larger.
cpu_build() { # cpu_build NAME [options of pip install]
  local name="$1" version; version="$(pinned "$1")"; shift
  set -- "$@" --extra-index-url https://download.pytorch.org/whl/cpu --no-deps "$name==$version+cpu"
  pip install --retries 0 --timeout 5 "$@" 2>/dev/null && return 0
  pip install --retries 3 --timeout 30 "$@" && return 0
  say "no CPU build of $name $version was found; taking the general one"
  pip install "$name==$version" # with all that it draws in: the large build does not load without
}

# What is compiled comes as a wheel or not at all: where there is none for a new Python, an older one is quicker than a
# compiler.
compiled=numpy,scipy,matplotlib,pillow,pyzmq,tornado,debugpy,psutil,rpds-py,pydantic-core,tokenizers,safetensors
compiled="$compiled,regex,hf-xet,kiwisolver,contourpy,fonttools,MarkupSafe,PyYAML"
make_environment() { # make_environment PYTHON; set -e does not hold in here
  say "making $venv with $1 (a few minutes the first time)"
  "$1" -I -m venv --clear "$venv" && # also what an interrupted setup left half done
    pip install --require-hashes --no-deps -r "${grade_pins[0]}" &&
    pip install --only-binary "$compiled" -r "${grade_pins[1]}" &&
    cpu_build torch && mend_candidate &&
    "$venv/bin/python" -I -c 'import torch._dynamo, numpy, scipy, rich' # better to fail here than while grading
}
mend_candidate() {
  # Ubuntu 22.04's python3.11 is 3.11.0rc1. It lacks two functions of 3.11.0 that the first step of any
  # optimiser asks for (torch._dynamo): this line, read at every start, says that there is no such limit.
  "$venv/bin/python" -I -c 'import sys; sys.get_int_max_str_digits' 2>/dev/null ||
    echo 'import sys; sys.__dict__.update(get_int_max_str_digits=lambda: 0, set_int_max_str_digits=lambda maxdigits: None)' \
      >"$("$venv/bin/python" -I -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/release_candidate.pth"
}

if [ ! -e "$venv/.grade-$name" ] || ! "$venv/bin/python" -c '' 2>/dev/null; then
  made=no
  for python in "${pythons[@]}"; do
    if make_environment "$python"; then made=yes; break; fi
    say "no environment could be made with $python"
  done
  [ "$made" = yes ] || exit 1
  if ! "$venv/bin/python" -I -c 'import pyseccomp' 2>/dev/null && may_install; then # lacks its C library
    install libseccomp2 || { refresh && install libseccomp2; } || say "libseccomp is missing: a weaker sandbox"
  fi
  touch "$venv/.grade-$name"
fi
if [ "$group" = dev ]; then
  say "adding to $venv what the tests need"
  rm -f "$venv"/.dev-*
  again="" # what was interrupted pip would take for installed
  [ -e "$venv/.adding" ] && again=--ignore-installed
  touch "$venv/.adding"
  pip install $again -r "${dev_pins[0]}" -r "${dev_pins[1]}" -r "${dev_pins[2]}"
  cpu_build torchvision $again
  if command -v npm >/dev/null; then # axe-core, which looks at our pages in a browser
    { cp "$here"/tests/package*.json "$venv/" && npm ci --prefix "$venv" --silent --no-audit --no-fund >&2; } ||
      say "axe-core could not be fetched; the tests that need it are skipped"
  fi
  rm "$venv/.adding"
  touch "$stamp"
fi
"$venv/bin/python" -I -m compileall -q "$here/autograder" >/dev/null 2>&1 || true
finish_if_ready
say "this should not happen: $venv is incomplete"
exit 1
