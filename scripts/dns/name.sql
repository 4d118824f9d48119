-- One name: who asks for it, and what the answers were
--
-- Each side as it saw it: a lookup at a DNS server on this machine is there for its client and for its server.
--
-- @param name text
--     The name, in any case, with or without the final dot.
-- @check matches .+
-- @suggest SELECT qname, count(*) AS lookups FROM dns_events
--          WHERE $__timeFilter(time) AND qname IS NOT NULL GROUP BY qname ORDER BY lookups DESC, qname LIMIT 200

-- @result Who asks
SELECT coalesce(role, 'imported') AS role, coalesce(service, workload, process) AS process, client_ip, server_ip, qtype,
       coalesce(rcode, outcome) AS answer, count(*) AS lookups, max(time) AS last
FROM dns_events
WHERE $__timeFilter(time) AND qname = lower(CASE WHEN $name = '.' THEN '.' ELSE rtrim($name, '.') END)
GROUP BY 1, 2, 3, 4, 5, 6
ORDER BY lookups DESC, client_ip, qtype;

-- @result Addresses it was given
SELECT ip, count(*) AS answers, min(time) AS first, max(time) AS last
FROM (SELECT time, unnest(answer_ips) AS ip FROM dns_events
      WHERE $__timeFilter(time) AND qname = lower(CASE WHEN $name = '.' THEN '.' ELSE rtrim($name, '.') END))
GROUP BY ip
ORDER BY answers DESC, ip;
