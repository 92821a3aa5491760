#!/bin/bash
# Bytes of metadata of an object in bbolt and in etcd.   bench/metadata.sh BINARY OUTPUT-FILE [OBJECTS [FLAG...]]
# The member of etcd does not sync, which changes no size. Flags are for weft bench metadata, such as --group --clients 500.
set -euo pipefail
weft=${1:?binary} out=${2:?file for the output} objects=${3:-1000000}
flags=("${@:4}")
work=$(mktemp -d)
trap 'kill "$pid" 2>/dev/null || true; wait; rm -rf "$work"' EXIT
etcd --data-dir "$work/etcd" --listen-client-urls http://127.0.0.1:29379 --advertise-client-urls http://127.0.0.1:29379 \
  --listen-peer-urls http://127.0.0.1:29380 --initial-advertise-peer-urls http://127.0.0.1:29380 \
  --initial-cluster default=http://127.0.0.1:29380 --quota-backend-bytes 17179869184 --unsafe-no-fsync 2>"$work/log" &
pid=$!
until (exec 3<>/dev/tcp/127.0.0.1/29379) 2>/dev/null; do sleep 0.1; done
{
  echo "# bench/metadata.sh, $("$weft" --version), $(etcd --version | head -n 1), $(date -u +%FT%TZ)"
  TMPDIR=$work "$weft" bench metadata --objects "$objects" "${flags[@]}"
  "$weft" bench metadata --objects "$objects" "${flags[@]}" --metadata etcd://127.0.0.1:29379/bench
} | tee "$out"
