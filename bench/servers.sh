# Sourced by the comparisons here: servers in one process each, on directories of their own, which end with the script.
work=$(mktemp -d)
declare -A pid=() # by the server's name
trap 'kill "${pid[@]}" 2>/dev/null || true; wait; rm -rf "$work"' EXIT
export WEFT_ROOT_ACCESS_KEY=bench-root WEFT_ROOT_SECRET_KEY=bench-root-secret

serve() { # NAME BINARY PORT FLAG...
  mkdir -p "$work/$1"/{s,1,2,3,4}
  "$2" server --address "127.0.0.1:$3" --state "$work/$1/s" --memory 256MiB "${@:4}" "$work/$1"/{1,2,3,4} >"$work/$1.log" 2>&1 &
  pid[$1]=$!
  until (exec 3<>"/dev/tcp/127.0.0.1/$3") 2>/dev/null; do
    kill -0 "${pid[$1]}" 2>/dev/null || { cat "$work/$1.log" >&2; exit 1; }
    sleep 0.1
  done
}

stop() { # NAME
  kill "${pid[$1]}"
  wait "${pid[$1]}" || true
  unset "pid[$1]"
}

key() { sed -n "s/^$1 = //p" "$2"; } # NAME FILE, as `weft admin key create` prints it
