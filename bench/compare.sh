#!/bin/sh
# Runs every comparison of bench/README.md against endpoints that are already running.
#
#   bench/compare.sh [flags of `weft bench s3`: --endpoint, --pid, --access-key, ...]
#
# The first --endpoint is the one that the ratios are about. Credentials come from the environment or from
# flags, see `weft bench s3 --help`. Settings, by environment:
#   WEFT       the binary (default: bin/weft of this tree)
#   OUT        directory for the results (default: bench/results/DATE-COMMIT)
#   ROUNDS     rounds (5)        DURATION  of a slice (5s)
#   LIST_KEYS  keys to list (100000)       RANGE_OF  size of the objects that ranges are read of (1GiB)
# Per comparison NAME.json (raw), NAME.txt, NAME.svg and NAME.log are written, and `command` says what ran.
# The status is 1 when any comparison failed; the others run all the same.
set -u
here=$(cd "$(dirname "$0")" && pwd)
commit=$(git -C "$here" rev-parse --short=12 HEAD 2>/dev/null || echo unknown)
[ -z "$(git -C "$here" status --porcelain --untracked-files=no 2>/dev/null)" ] || commit="$commit+changes"
WEFT=${WEFT:-$here/../bin/weft}
OUT=${OUT:-$here/results/$(date -u +%Y%m%d)-$commit}
ROUNDS=${ROUNDS:-5}
DURATION=${DURATION:-5s}
LIST_KEYS=${LIST_KEYS:-100000}
RANGE_OF=${RANGE_OF:-1GiB}

if [ $# -eq 0 ]; then
	sed -n '2,/^set/s/^# \{0,1\}//p' "$0" >&2
	exit 2
fi
mkdir -p "$OUT" || exit 2
status=0

# run NAME OPERATION FLAGS...
run() {
	name=$1
	shift
	echo "== $name" >&2
	if "$WEFT" bench s3 "$@" --bucket weft-compare --rounds "$ROUNDS" --duration "$DURATION" --commit "$commit" \
		--json "$OUT/$name.json" --plot "$OUT/$name.svg" >"$OUT/$name.txt" 2>"$OUT/$name.log"; then
		cat "$OUT/$name.txt"
	else
		status=1
		echo "$name failed:" >&2
		tail -5 "$OUT/$name.log" >&2
	fi
}

# The file names the endpoints and processes but no keys.
{
	date -u
	uname -srm
	printf 'ROUNDS=%s DURATION=%s LIST_KEYS=%s RANGE_OF=%s\n' "$ROUNDS" "$DURATION" "$LIST_KEYS" "$RANGE_OF"
	hide=
	for arg; do
		[ -z "$hide" ] || arg='***'
		hide=
		case $arg in
		--access-key | --secret-key) hide=1 ;;
		--access-key=* | --secret-key=*) arg="${arg%%=*}=***" ;;
		esac
		printf '%s ' "$arg"
	done
	echo
} >"$OUT/command"

run get-1m get --size 1MiB --concurrency 8 --objects 64 --keep "$@"
run get-4k get --size 4KiB --concurrency 16 --objects 256 --keep "$@"
run put-4k put --size 4KiB --concurrency 16 --keep "$@"
run put-1m put --size 1MiB --concurrency 8 --keep "$@"
run range-64k range --size "$RANGE_OF" --range-size 64KiB --objects 4 --concurrency 8 --keep "$@"
run list list --keys "$LIST_KEYS" --concurrency 1 --keep "$@"
# The last one is without --keep and removes everything.
run list-beside list --keys "$LIST_KEYS" --elsewhere "$LIST_KEYS" --concurrency 1 "$@"
exit $status
