#!/usr/bin/env bash
# Sets this machine up, builds weir, and shows what it does: real programs in a cgroup of their own, their traffic
# captured by eBPF, and SQL about it. Takes everything down at the end, also when something fails.
#
# On a terminal (or with DEMO_HOLD=1) it goes on until Ctrl-C, so that you can ask for yourself.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(dirname "$here")
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$HOME/.cache/weir-target}
weir=$CARGO_TARGET_DIR/debug/weir

say() { printf '%s\n' "$*"; }
title() { printf '\n\033[1m%s\033[0m\n' "$*"; }
fail() { printf 'demo: %s\n' "$*" >&2; exit 1; }

if [[ ${1:-} != --built ]]; then
    "$here/setup.sh" demo
    "$here/build.sh" dev
    if ((EUID != 0)); then
        say "loading eBPF programs and making a cgroup takes root's rights; going on with sudo."
        exec sudo env "CARGO_TARGET_DIR=$CARGO_TARGET_DIR" "HOME=$HOME" "DEMO_HOLD=${DEMO_HOLD:-}" "$0" --built
    fi
fi
PATH=$PATH:/usr/sbin:/sbin

mount=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts)
[[ -n $mount ]] || fail "no cgroup v2 hierarchy is mounted; try: mount -t cgroup2 none /sys/fs/cgroup"
cgroup=$mount/weir-demo-$$
scratch=$(mktemp -d)
weir_pid=

clean_up() {
    local outcome=$? tries pid
    trap - EXIT INT TERM
    if [[ -n $weir_pid ]]; then
        kill -TERM "$weir_pid" 2>/dev/null || true
        wait "$weir_pid" 2>/dev/null || true
    fi
    # Everything in the cgroup was started here.
    for tries in {1..40}; do
        [[ -d $cgroup ]] || break
        while read -r pid; do
            kill -KILL "$pid" 2>/dev/null || true
        done <"$cgroup/cgroup.procs"
        rmdir "$cgroup" 2>/dev/null && break
        sleep 0.05
    done
    if ((outcome != 0)) && [[ -s $scratch/weir.err ]]; then
        printf '\nweir wrote:\n' >&2
        tail -n 20 "$scratch/weir.err" >&2
    fi
    rm -rf "$scratch"
    exit "$outcome"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# Runs a program in the cgroup, which it enters before it opens a socket.
inside() { sh -c 'echo $$ >"$0" && exec "$@"' "$cgroup/cgroup.procs" "$@"; }
# The same in the background, quietly.
start() { inside "$@" >"$scratch/${1##*/}.log" 2>&1 </dev/null & }
# Free local ports; held together while they are chosen, so that they differ.
free_ports() {
    python3 -c '
import socket, sys
held = [socket.create_server(("127.0.0.1", 0)) for _ in range(int(sys.argv[1]))]
print(*(one.getsockname()[1] for one in held))' "$1"
}
# Waits until something is on a local port (told by the kernel: a connection made to find out would be traffic).
wait_for_port() {
    local hex tries
    hex=$(printf ':%04X ' "$2")
    for tries in {1..200}; do
        grep -q "$hex" "/proc/net/$1" && return
        sleep 0.05
    done
    fail "nothing came up on $1 port $2; see: $(tail -n 3 "$scratch"/*.log)"
}

mkdir "$cgroup"
title "weir on a cgroup of its own: $cgroup"
"$weir" serve --cgroup "$cgroup" --data "$scratch/data" --listen 127.0.0.1:0 --flow-interval 1s --dns-timeout 2s \
    >"$scratch/weir.out" 2>"$scratch/weir.err" </dev/null &
weir_pid=$!
for _ in {1..600}; do
    url=$(grep -o -m 1 'http://127.0.0.1:[0-9]*' "$scratch/weir.out" || true)
    [[ -n $url ]] && break
    kill -0 "$weir_pid" 2>/dev/null || fail "weir did not start"
    sleep 0.1
done
[[ -n $url ]] || fail "weir did not get ready within a minute"
say "it answers at $url"

title "nginx with a Python app behind it, and dnsmasq, in that cgroup; then curl and dig"
read -r web app dns silent closed <<<"$(free_ports 5)"
mkdir -p "$scratch/root"
chmod 755 "$scratch"
echo '<h1>the shop</h1>' >"$scratch/root/index.html"
head -c 5000000 /dev/zero >"$scratch/root/catalogue.pdf"
cat >"$scratch/nginx.conf" <<CONF
user root;
daemon off;
worker_processes 1;
pid nginx.pid;
events { worker_connections 256; }
http {
    access_log off;
    client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;
    server {
        listen 127.0.0.1:$web;
        root root;
        location /api/ { proxy_pass http://127.0.0.1:$app; proxy_http_version 1.1; proxy_set_header Connection ""; }
    }
}
CONF
start python3 "$here/demo_app.py" "$app"
start nginx -p "$scratch" -c nginx.conf -e error.log
start dnsmasq --keep-in-foreground --conf-file=/dev/null --no-hosts --no-resolv --pid-file --user=root --log-facility=- \
    --listen-address=127.0.0.1 --bind-interfaces --port="$dns" --local=/shop.test/ \
    --host-record=www.shop.test,192.0.2.10,2001:db8::10 --host-record=api.shop.test,192.0.2.20 \
    --mx-host=shop.test,mail.shop.test,10 --server="/partner.test/127.0.0.1#$silent"
# A name server that never answers.
start python3 "$root/tests/peers/udp.py" silent "$silent"
wait_for_port tcp "$app"
wait_for_port tcp "$web"
wait_for_port udp "$dns"
wait_for_port udp "$silent"

shop=http://127.0.0.1:$web
get() { inside curl -s -o /dev/null --max-time 20 "$@" || true; }
ask() { inside dig @127.0.0.1 -p "$dns" +tries=1 +time=1 "$@" >/dev/null || true; }
get "$shop/api/users/[1-40]"
get "$shop/api/orders/[1-30]"
get "$shop/api/reports/[2025-2028]"
get "$shop/api/payments/[1-12]"
get --data '{"item": "dam"}' "$shop/api/orders"
get "$shop/index.html#[1-20]"
get "$shop/catalogue.pdf#[1-5]"
get "$shop/favicon.ico"
get "http://127.0.0.1:$closed/"
for name in www.shop.test api.shop.test www.shop.test old.shop.test; do
    ask "$name" A
done
ask www.shop.test AAAA
ask shop.test MX
ask api.partner.test A
say "done; weir waits two seconds for the answer to api.partner.test, so this does too."
sleep 3.5

show() {
    title "$1"
    say "$2"
    "$weir" sql --server "$url" "$2" || fail "the query failed"
}

show "The slowest requests by route, as nginx served them" \
"SELECT method, route, count(*) AS requests, sum(CASE WHEN status >= 500 THEN 1 ELSE 0 END) AS failed,
       CAST(avg(latency_ns) / 1000000.0 AS DECIMAL(12, 2)) AS avg_ms,
       CAST(max(latency_ns) / 1000000.0 AS DECIMAL(12, 2)) AS max_ms
FROM http_events WHERE role = 'server' AND process = 'nginx'
GROUP BY method, route ORDER BY max_ms DESC LIMIT 8"

show "DNS lookups by name, with their time" \
"SELECT qname, qtype, coalesce(rcode, outcome) AS result, count(*) AS lookups,
       CAST(avg(latency_ns) / 1000000.0 AS DECIMAL(12, 2)) AS avg_ms
FROM dns_events WHERE role = 'client' AND exe LIKE '%/dig'
GROUP BY qname, qtype, result ORDER BY qname, qtype"

show "Who talks most" \
"SELECT process, role, protocol, count(DISTINCT conn_id) AS connections,
       sum(bytes_sent + bytes_received) AS bytes
FROM flows GROUP BY process, role, protocol ORDER BY bytes DESC LIMIT 8"

show "Connections that were refused" \
"SELECT time, process, pid, dst_ip, dst_port, state FROM flows WHERE state = 'refused'"

title "What weir could not see"
say "$("$weir" sql --server "$url" --format csv 'SELECT coalesce(sum(events), 0) FROM capture_loss' | tail -n 1) events lost"

if [[ -t 1 || ${DEMO_HOLD:-} == 1 ]]; then
    title "Now you"
    say "weir goes on until Ctrl-C. In another terminal:

    curl -s '$url/api/v1/sql?format=csv' --json '{\"sql\": \"SELECT time, process, method, path, status FROM http_events ORDER BY time DESC LIMIT 10\"}'

More traffic, from a shell whose programs weir sees from then on:

    sudo sh -c 'echo \$\$ >$cgroup/cgroup.procs && exec sh'
    curl $shop/api/reports/2031

The tables and what their columns mean: curl -s $url/api/v1/tables"
    trap 'exit 0' INT
    while kill -0 "$weir_pid" 2>/dev/null; do
        sleep 1
    done
    fail "weir ended by itself"
fi
title "That was weir. To keep it running and ask it yourself: DEMO_HOLD=1 make demo"
