# SPDX-License-Identifier: Apache-2.0
# lib.sh: what the scripts share. Sourced, never run.

set -euo pipefail

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
cd "$root"

say() { printf '%s\n' "-- $*"; }
die() {
  printf '%s: %s\n' "$(basename "$0")" "$2" >&2
  exit "$1"
}

# The header comment of a script is its help: everything after the SPDX line up to the first blank.
help_of() { sed -n '3,/^$/s/^# \{0,1\}//p' "$1"; }

jobs="${TCONV_JOBS:-$(nproc)}"

# The CUDA compiler: the one that was named, PATH's, the toolkit's in its usual place, or else NVIDIA's
# from PyPI, which scripts/setup fetches.
fetched_nvcc="$root/build/deps/cuda/bin/nvcc"
installed_nvcc() {
  local named="${CUDACXX:-nvcc}"
  [[ "$named" != "$fetched_nvcc" ]] || named=nvcc
  command -v "$named" || command -v "${CUDA_HOME:-/usr/local/cuda}/bin/nvcc"
}
find_nvcc() { installed_nvcc || command -v "$fetched_nvcc"; }
# CMake looks in PATH alone, unless it is told.
tell_cmake_nvcc() {
  [[ -n "${CUDACXX:-}" ]] || command -v nvcc >/dev/null || CUDACXX="$(find_nvcc)" || return 0
  [[ -z "${CUDACXX:-}" ]] || export CUDACXX
}
tell_cmake_nvcc

# Where ccache is present: what is compiled alike in two build folders is compiled once. (It would tell
# folders apart for the one in the debugging information, which nobody asks for, and copies of the
# project for the path in front of its own.)
export CCACHE_NOHASHDIR=1 CCACHE_BASEDIR="$root"

# Of the GPU that is here, as -DTCONV_CUDA_ARCHITECTURES wants it, e.g. 90a; nothing where there is none
# that the kernels run on.
gpu_architecture() {
  local capability
  capability="$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader 2>/dev/null | head -n 1)" || return 0
  [[ "$capability" =~ ^([0-9]+)\.([0-9])$ ]] && ((BASH_REMATCH[1] >= 8)) || return 0
  [[ "$capability" == 9.0 ]] && printf 90a || printf '%s' "${capability/./}"
}

# for_this_machine: sets `machine`, what to build of CUDA here: code for the GPU that there is; without
# one nothing, for nothing of it could run.
for_this_machine() {
  local architecture
  architecture="$(gpu_architecture)"
  machine=(-DTCONV_CUDA=OFF)
  if [[ -n "$architecture" ]]; then
    machine=("-DTCONV_CUDA_ARCHITECTURES=$architecture")
  fi
}

# for_all_machines: sets `machine` likewise: machine code for 80 and 90a and PTX, which run on every GPU since
# Ampere and build in a third of the time that the library's default takes. Without a GPU only the tests
# of the code itself see it: where it is proven for these very sources, one of the two.
for_all_machines() {
  local wanted='80;90a' nvcc
  if [[ -z "$(gpu_architecture)" ]] && nvcc="$(find_nvcc)"; then
    wanted="$(tests/static_gates/static_gates --to-build "$nvcc")"
  fi
  machine=("-DTCONV_CUDA_ARCHITECTURES=$wanted")
  [[ "$wanted" != 90a ]] || machine+=(-DTCONV_CUDA_PTX=OFF)  # nvcc would compile everything again for it
}

# configure PRESET ARGUMENT...: configures build/PRESET. Other arguments than last time, or another CUDA
# compiler, start from a fresh cache, so that an option given once does not stay. (Not by --fresh:
# objects that are compiled alike stay.)
configure() {
  local preset="$1" folder="build/$1"
  shift
  tell_cmake_nvcc  # scripts/setup may have fetched one by now
  local stamp="$folder/tconv_arguments" arguments="arguments: $*${CUDACXX:+ CUDACXX=$CUDACXX}"
  if [[ -f "$folder/CMakeCache.txt" && "$(cat "$stamp" 2>/dev/null)" != "$arguments" ]]; then
    rm -rf "$folder/CMakeCache.txt" "$folder"/CMakeFiles/[0-9]*
  fi
  mkdir -p "$folder"
  rm -f "$stamp"  # a configure that fails must not look like one that was done
  say "configure: cmake --preset $preset $*"
  cmake --preset "$preset" "$@" >"$folder/configure.log" 2>&1 || {
    cat "$folder/configure.log" >&2
    die 4 "cmake could not configure build/$preset"
  }
  grep '^-- tconv' "$folder/configure.log" || true
  printf '%s' "$arguments" >"$stamp"
}

# build PRESET TARGET...: builds quietly; everything is in build.log.
build() {
  local preset="$1" folder="build/$1"
  shift
  say "build: $folder ($*), $jobs at a time"
  cmake --build "$folder" --parallel "$jobs" --target "$@" >"$folder/build.log" 2>&1 || {
    tail -n 60 "$folder/build.log" >&2
    die 4 "the build of $folder failed (all of it: $folder/build.log)"
  }
}
