#!/bin/bash
# What one tenant's flood leaves another: GETs or PUTs of 4 KiB by two accounts at one server, one with many clients and one
# with few, with the gate of the gateway and without.   bench/tenants.sh BINARY OUTPUT-DIRECTORY [get|put]
set -euo pipefail
bin=${1:?binary} out=${2:?directory for the output} op=${3:-get}
flood=${FLOOD:-256} few=${FEW:-16} seconds=${SECONDS_EACH:-10}
. "${BASH_SOURCE[0]%/*}/servers.sh"
mkdir -p "$out"

load() { # NAME CLIENTS FILE
  local n=${1^^}
  env "WEFT_BENCH_${n}_ACCESS_KEY=$(key aws_access_key_id "$work/$1.key")" "WEFT_BENCH_${n}_SECRET_KEY=$(key aws_secret_access_key "$work/$1.key")" \
    "$bin" bench s3 "$op" --size 4KiB --concurrency "$2" --duration "${seconds}s" --rounds 1 --quiet --procs 1 --bucket "tenant-$1" \
    --note "$4" --endpoint "$1=http://127.0.0.1:$port" --json "$out/$3.json" >"$out/$3.txt"
}
rate() { python3 -c 'import json,sys; print(json.load(open(sys.argv[1]))["cases"][0]["endpoints"][0]["rounds"][0]["ops_per_s"])' "$out/$1.json"; }

for gate in ${GATES:-with without}; do
  [ $gate = with ] && port=29211 || port=29212
  places=(--places "${PLACES:-0}"); [ $gate = with ] || places=(--places 4096)
  serve "$gate" "$bin" "$port" --memory 512MiB "${places[@]}"
  for t in flood few; do
    "$bin" admin --state "$work/$gate/s" account create $t >/dev/null
    "$bin" admin --state "$work/$gate/s" key create --account $t >"$work/$t.key"
  done
  load few "$few" "$op-$gate-alone" "$few clients of one tenant, $gate the gate"
  for round in 1 2 3; do
    load flood "$flood" "$op-$gate-flood-$round" "$flood clients, beside $few of another tenant, $gate the gate" &
    other=$!
    load few "$few" "$op-$gate-few-$round" "$few clients, beside $flood of another tenant, $gate the gate"
    wait $other
    echo "$gate the gate, round $round: few $(rate "$op-$gate-few-$round")/s, flood $(rate "$op-$gate-flood-$round")/s, few alone $(rate "$op-$gate-alone")/s"
  done
  stop "$gate"
done > >(tee "$out/$op-summary.txt")
