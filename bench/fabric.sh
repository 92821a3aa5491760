#!/bin/bash
# Runs bench/fabric in the virtual machine with two RDMA devices and keeps what it measured:  bench/fabric.sh [flag of bench/fabric...]
#   OUT  directory for the results (default: bench/results/DATE-COMMIT/fabric)
# The status is 1 when a bar of bench/README.md is missed. Only ratios mean anything: the machine is emulated.
set -euo pipefail
cd "$(dirname "$0")/.."
commit=$(git rev-parse --short=12 HEAD)
[ -z "$(git status --porcelain --untracked-files=no)" ] || commit+=+changes
out=${OUT:-bench/results/$(date -u +%Y%m%d)-$commit/fabric}
scripts/tools vm verbs-dev
mkdir -p .cache/rdma
CGO_ENABLED=1 go build -o .cache/rdma/weft ./cmd/weft
go build -o .cache/rdma/bench-fabric ./bench/fabric
status=0
# The shell inside replaces the variables.
# shellcheck disable=SC2016
scripts/rdma/vm --name bench --devices 2 --timeout 3600 -- bash -c \
  'TMPDIR=$WEFT_VM_DISK exec .cache/rdma/bench-fabric --out "$WEFT_VM_OUT/results" --weft .cache/rdma/weft "$@"' bench "$@" || status=$?
rm -rf "$out"
mkdir -p "$out"
cp -r .cache/vm/out/bench/results/. "$out"
{
  date -u
  uname -srm
  grep -m1 'model name' /proc/cpuinfo
  qemu-system-x86_64 --version | head -n1
  echo "commit $commit"
  printf 'bench/fabric.sh'
  printf ' %q' "$@"
  echo
} >"$out/command"
exit "$status"
