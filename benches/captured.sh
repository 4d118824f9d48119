#!/usr/bin/env bash
# What captured traffic takes in files: wrk against nginx, and dig against dnsmasq, in a cgroup of their own that weir
# watches. Takes everything down at the end, also when something fails.
#
# usage: benches/captured.sh WEIR [SECONDS]     as root; WEIR is the binary, such as ~/.cache/weir-target/release/weir
set -euo pipefail

weir=$1
seconds=${2:-20}
PATH=$PATH:/usr/sbin:/sbin
mount=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts)
[[ -n $mount ]] || { echo "no cgroup v2 hierarchy is mounted" >&2; exit 1; }
cgroup=$mount/weir-captured-$$
scratch=$(mktemp -d)
weir_pid=

clean_up() {
    trap - EXIT
    [[ -z $weir_pid ]] || kill -TERM "$weir_pid" 2>/dev/null || true
    # Everything in the cgroup was started here.
    while [[ -d $cgroup ]] && ! rmdir "$cgroup" 2>/dev/null; do
        while read -r pid; do kill -KILL "$pid" 2>/dev/null || true; done <"$cgroup/cgroup.procs"
        sleep 0.05
    done
    [[ -z $weir_pid ]] || wait "$weir_pid" || true
    rm -rf "$scratch"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
mkdir "$cgroup"

# Runs a program in the cgroup, which it enters before it opens a socket.
watched() {
    (
        echo "$BASHPID" >"$cgroup/cgroup.procs"
        exec "$@"
    )
}

cat >"$scratch/nginx.conf" <<CONF
daemon off; master_process off; pid $scratch/nginx.pid; error_log $scratch/nginx.log;
events { worker_connections 256; }
http {
    access_log off;
    client_body_temp_path $scratch/1; proxy_temp_path $scratch/2; fastcgi_temp_path $scratch/3;
    uwsgi_temp_path $scratch/4; scgi_temp_path $scratch/5;
    server {
        listen 127.0.0.1:18080;
        location /missing/ { return 404 "no"; }
        location /broken/ { return 503 "down"; }
        location / { default_type application/json; return 200 '{"path":"\$uri"}'; }
    }
}
CONF
cat >"$scratch/mix.lua" <<'LUA'
local count, kinds = 0, { "users", "orders", "items", "carts" }
request = function()
    count = count + 1
    local n = math.random(3000)
    local path = "/api/v1/" .. kinds[math.random(4)] .. "/" .. n .. (n % 3 == 0 and "/detail" or "")
    if count % 50 == 0 then path = "/missing/" .. n elseif count % 200 == 1 then path = "/broken/" .. n end
    return wrk.format(n % 7 == 0 and "POST" or "GET", path, {
        ["User-Agent"] = "wrk/4", ["Accept"] = "application/json",
        ["X-Request-Id"] = string.format("%08x%08x", math.random(0, 2 ^ 31 - 1), math.random(0, 2 ^ 31 - 1)),
    })
end
LUA

"$weir" serve --cgroup "$cgroup" --data "$scratch/data" --listen 127.0.0.1:17171 2>"$scratch/weir.log" &
weir_pid=$!
curl -sf --retry 40 --retry-delay 1 --retry-connrefused -o /dev/null http://127.0.0.1:17171/readyz
watched nginx -c "$scratch/nginx.conf" 2>/dev/null &
watched dnsmasq -k -p 15353 -a 127.0.0.1 --bind-interfaces --no-resolv --no-hosts -A /example.test/192.0.2.7 &
curl -sf --retry 40 --retry-delay 1 --retry-connrefused -o /dev/null http://127.0.0.1:18080/
watched wrk -t1 -c8 -d"${seconds}s" -s "$scratch/mix.lua" http://127.0.0.1:18080/ | grep 'requests in'
for number in {1..300}; do
    watched dig +tries=1 +time=1 @127.0.0.1 -p 15353 "host-$((number % 40)).example.test" >/dev/null
done
sleep 1
kill -TERM "$weir_pid"
wait "$weir_pid"
weir_pid=
for table in http_events dns_events flows; do
    rows=$("$weir" sql --data "$scratch/data" --format csv "SELECT count(*) FROM $table" 2>/dev/null | tail -n 1)
    find "$scratch/data/$table" -name '*.parquet' -printf '%s\n' |
        awk -v table="$table" -v rows="$rows" '{ bytes += $1 } END { printf "%-12s %8d rows in %2d files, %5.1f bytes a row\n", table, rows, NR, bytes / rows }'
done
