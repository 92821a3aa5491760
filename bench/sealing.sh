#!/bin/bash
# What encryption costs: PUT and GET of 4 KiB and 1 MiB, plain, in a bucket that encrypts (SSE-S3) and with a customer's
# key (SSE-C).   bench/sealing.sh BINARY OUTPUT-DIRECTORY
set -euo pipefail
bin=${1:?binary} out=${2:?directory for the output}
peers=()
. "${BASH_SOURCE[0]%/*}/servers.sh"
export AWS_ACCESS_KEY_ID=$WEFT_ROOT_ACCESS_KEY AWS_SECRET_ACCESS_KEY=$WEFT_ROOT_SECRET_KEY AWS_DEFAULT_REGION=us-east-1
WEFT_BENCH_SSE_C_CUSTOMER_KEY=$(head -c 32 /dev/urandom | base64)
export WEFT_BENCH_SSE_C_CUSTOMER_KEY

port=29231
for name in sse-c sse-s3 plain; do
  serve $name "$bin" $port
  api=(.venv/sdk/bin/aws --endpoint-url "http://127.0.0.1:$port" s3api)
  "${api[@]}" create-bucket --bucket weft-bench >/dev/null
  [ $name != sse-s3 ] || "${api[@]}" put-bucket-encryption --bucket weft-bench --server-side-encryption-configuration \
    '{"Rules":[{"ApplyServerSideEncryptionByDefault":{"SSEAlgorithm":"AES256"}}]}'
  peers+=(--endpoint "$name=http://127.0.0.1:$port" --pid "$name=${pid[$name]}")
  port=$((port + 1))
done

mkdir -p "$out"
for op in get put; do
  for size in 4KiB 1MiB; do
    "$bin" bench s3 "$op" --size "$size" --concurrency 8 --objects 64 --duration "${DURATION:-1s}" --rounds "${ROUNDS:-9}" --quiet --procs 1 \
      --note "plain, a bucket that encrypts (SSE-S3), a customer's key (SSE-C)" "${peers[@]}" --json "$out/$op-$size.json" | tee "$out/$op-$size.txt"
  done
done

# The ratios of requests per CPU second of the server, within rounds.
python3 - "$out" <<'P' | tee "$out/summary.txt"
import json, statistics, sys
print("requests per second of server CPU, as many times those of plain objects: median of the rounds (least to greatest)")
for op in "get", "put":
    for size in "4KiB", "1MiB":
        ends = json.load(open(f"{sys.argv[1]}/{op}-{size}.json"))["cases"][0]["endpoints"]
        cost = {e["name"]: [r["server_cpu_us_per_op"] for r in e["rounds"]] for e in ends}
        for name in "sse-s3", "sse-c":
            r = [p / c for p, c in zip(cost["plain"], cost[name])]
            print(f"{op} {size} {name}: {statistics.median(r):.2f} ({min(r):.2f} to {max(r):.2f})")
P
