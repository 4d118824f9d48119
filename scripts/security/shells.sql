-- What shells did on the network
--
-- A shell that connects or listens by itself (a reverse shell, /dev/tcp) is rare on a server; so are the tools that are
-- used by hand. Programs that a shell starts are rows of their own.
--
-- @from -24h
-- @param names text = 'sh,bash,dash,zsh,ksh,ash,fish,csh,tcsh,busybox,pwsh,nc,ncat,netcat,socat,telnet'
--     The names of processes that count, with commas between.
-- @check matches .+
-- @param rows integer = 100
--     Most rows of each table.
-- @check 1..10000

-- @result Connections
SELECT process, exe, pid, coalesce(role, 'unknown') AS role,
       CASE WHEN role = 'server' THEN src_ip ELSE dst_ip END AS peer,
       max(CASE WHEN role = 'server' THEN NULL ELSE dst_name END) AS name, dst_port AS port, protocol,
       count(DISTINCT conn_id) AS connections, sum(bytes_sent + bytes_received) AS bytes,
       min(coalesce(start_time, time)) AS first, max(time) AS last
FROM flows
WHERE $__timeFilter(time) AND array_has(string_to_array(replace($names, ' ', ''), ','), CAST(process AS VARCHAR))
GROUP BY 1, 2, 3, 4, 5, 7, 8
ORDER BY first, pid, peer, port
LIMIT $rows;

-- @result Lookups
SELECT process, exe, pid, qname, qtype, coalesce(rcode, outcome) AS answer, count(*) AS lookups, min(time) AS first
FROM dns_events
WHERE $__timeFilter(time) AND role = 'client' AND array_has(string_to_array(replace($names, ' ', ''), ','), CAST(process AS VARCHAR))
GROUP BY 1, 2, 3, 4, 5, 6
ORDER BY first, pid, qname
LIMIT $rows;
