# GlusterFS for scripts/parfs/volume: three bricks that replicate, with the translators that a new volume has. The
# volume files are written here, so that no glusterd with its fixed port is needed.

glusterfs_up() {
  local s
  for s in 1 2 3; do
    free_port >"$dir/run/s$s.port"
    mkdir -p "$dir/store/$s/brick/.glusterfs" # the index translator looks for it before posix makes it
    cat >"$dir/etc/s$s.vol" <<END
volume posix
  type storage/posix
  option directory $dir/store/$s/brick
  option volume-id 5f1b0c52-7d0e-4a55-9f34-6c1f0a6f3b1$s
end-volume
volume access-control
  type features/access-control
  subvolumes posix
end-volume
volume locks
  type features/locks
  subvolumes access-control
end-volume
volume upcall
  type features/upcall
  subvolumes locks
end-volume
volume io-threads
  type performance/io-threads
  subvolumes upcall
end-volume
volume index
  type features/index
  option index-base $dir/store/$s/brick/.glusterfs/indices
  option xattrop-dirty-watchlist trusted.afr.dirty
  option xattrop-pending-watchlist trusted.afr.weft-
  subvolumes io-threads
end-volume
volume brick
  type debug/io-stats
  subvolumes index
end-volume
volume server
  type protocol/server
  option transport-type tcp
  option transport.socket.bind-address 127.0.0.1
  option transport.socket.listen-port $(port s$s)
  option auth.addr.brick.allow 127.0.0.1
  subvolumes brick
end-volume
END
    setfattr -n trusted.glusterfs.volume-id -v "0x5f1b0c527d0e4a559f346c1f0a6f3b1$s" "$dir/store/$s/brick" ||
      fail "$dir/store/$s cannot keep trusted extended attributes: choose another file system"
    start_part "s$s"
  done
  glusterfs_graph >"$dir/etc/client.vol"
}

glusterfs_graph() {
  local s
  for s in 1 2 3; do
    cat <<END
volume weft-client-$s
  type protocol/client
  option transport-type tcp
  option remote-host 127.0.0.1
  option remote-port $(port s$s)
  option remote-subvolume brick
  option ping-timeout 5
end-volume
END
  done
  cat <<END
volume weft-replicate
  type cluster/replicate
  option quorum-type auto
  subvolumes weft-client-1 weft-client-2 weft-client-3
end-volume
volume weft-dht
  type cluster/distribute
  subvolumes weft-replicate
end-volume
volume write-behind
  type performance/write-behind
  subvolumes weft-dht
end-volume
volume open-behind
  type performance/open-behind
  subvolumes write-behind
end-volume
volume quick-read
  type performance/quick-read
  subvolumes open-behind
end-volume
volume md-cache
  type performance/md-cache
  subvolumes quick-read
end-volume
volume weft
  type debug/io-stats
  subvolumes md-cache
end-volume
END
}

glusterfs_daemon() {
  spawn "$1" glusterfsd -N -f "$dir/etc/$1.vol" -l "$dir/log/$1.log"
}

glusterfs_client() {
  spawn "$1" glusterfs -N -f "$dir/etc/client.vol" -l "$dir/log/$1.log" "$dir/$1"
}
