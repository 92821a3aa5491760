#!/bin/bash
# What policies and metrics cost: GETs of 4 KiB by the root keys of an older binary, by those of this one, and by a user with
# policies in a bucket with one, at a server with metrics.   bench/authorize.sh OLD-BINARY BINARY OUTPUT-DIRECTORY
set -euo pipefail
old=${1:?old binary} new=${2:?binary} out=${3:?directory for the output}
. "${BASH_SOURCE[0]%/*}/servers.sh"

serve before "$old" 29201
serve root "$new" 29202
serve user "$new" 29203 --metrics 127.0.0.1:29204

admin() { "$new" admin --state "$work/user/s" "$@"; }
admin account create tenant >/dev/null
admin user create --account tenant user >/dev/null
cat >"$work/own.json" <<'P'
{"Version":"2012-10-17","Statement":[
 {"Effect":"Allow","Action":"s3:ListAllMyBuckets","Resource":"*"},
 {"Effect":"Allow","Action":["s3:PutObject","s3:GetObject"],"Resource":"arn:aws:s3:::home/${aws:username}/*"},
 {"Effect":"Deny","Action":"s3:DeleteBucketPolicy","Resource":"*"}]}
P
cat >"$work/bucket.json" <<'P'
{"Version":"2012-10-17","Statement":[
 {"Effect":"Deny","Principal":"*","Action":"s3:*","Resource":["arn:aws:s3:::weft-bench","arn:aws:s3:::weft-bench/*"],"Condition":{"NotIpAddress":{"aws:SourceIp":"127.0.0.0/8"}}},
 {"Effect":"Deny","Principal":"*","Action":"s3:PutObject","Resource":"arn:aws:s3:::weft-bench/*","Condition":{"StringEquals":{"s3:x-amz-acl":"public-read"}}}]}
P
admin policy set --account tenant own "$work/own.json"
admin policy attach --account tenant own --user user
admin policy attach --account tenant AmazonS3FullAccess --user user
admin key create --account tenant --user user >"$work/key"
access=$(key aws_access_key_id "$work/key") secret=$(key aws_secret_access_key "$work/key")
export AWS_ACCESS_KEY_ID=$access AWS_SECRET_ACCESS_KEY=$secret AWS_DEFAULT_REGION=us-east-1
.venv/sdk/bin/aws --endpoint-url http://127.0.0.1:29203 s3api create-bucket --bucket weft-bench >/dev/null
.venv/sdk/bin/aws --endpoint-url http://127.0.0.1:29203 s3api put-bucket-policy --bucket weft-bench --policy "file://$work/bucket.json"

mkdir -p "$out"
export WEFT_BENCH_USER_ACCESS_KEY=$access WEFT_BENCH_USER_SECRET_KEY=$secret
for name in BEFORE ROOT; do
  export "WEFT_BENCH_${name}_ACCESS_KEY=$WEFT_ROOT_ACCESS_KEY" "WEFT_BENCH_${name}_SECRET_KEY=$WEFT_ROOT_SECRET_KEY"
done
"$new" bench s3 get --size 4KiB --concurrency 8 --duration "${DURATION:-2s}" --rounds "${ROUNDS:-9}" --quiet --procs 1 \
  --note "before: root keys of the older binary; root: those of this one; user: a user with policies, in a bucket with one, and metrics" \
  --endpoint user=http://127.0.0.1:29203 --endpoint root=http://127.0.0.1:29202 --endpoint before=http://127.0.0.1:29201 \
  --pid user="${pid[user]}" --pid root="${pid[root]}" --pid before="${pid[before]}" --json "$out/get-4KiB.json" | tee "$out/get-4KiB.txt"
