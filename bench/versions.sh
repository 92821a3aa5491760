#!/bin/bash
# What a change does to speed: an older binary and this one, side by side.
#   bench/versions.sh OLD-BINARY BINARY OUTPUT-DIRECTORY [OPERATION SIZE]...      default: get 4KiB put 4KiB get 1MiB put 1MiB
set -euo pipefail
old=${1:?older binary} new=${2:?binary} out=${3:?directory for the output}
shift 3
[ $# -gt 0 ] || set -- get 4KiB put 4KiB get 1MiB put 1MiB
. "${BASH_SOURCE[0]%/*}/servers.sh"
serve old "$old" 29241
serve new "$new" 29242
for name in OLD NEW; do
  export "WEFT_BENCH_${name}_ACCESS_KEY=$WEFT_ROOT_ACCESS_KEY" "WEFT_BENCH_${name}_SECRET_KEY=$WEFT_ROOT_SECRET_KEY"
done
mkdir -p "$out"
while [ $# -gt 1 ]; do
  "$new" bench s3 "$1" --size "$2" --concurrency 16 --objects 64 --duration "${DURATION:-2s}" --rounds "${ROUNDS:-9}" --quiet --procs 1 \
    --note "old: $("$old" --version); new: $("$new" --version)" --endpoint new=http://127.0.0.1:29242 --endpoint old=http://127.0.0.1:29241 \
    --pid new="${pid[new]}" --pid old="${pid[old]}" --json "$out/$1-$2.json" | tee "$out/$1-$2.txt"
  shift 2
done
