-- Names outside: what is looked up in the public DNS
--
-- Leaves out names of one label, reverse lookups and the private ends (.local, .internal, .lan, .home, .localdomain,
-- .test). Counts the lookups that processes here sent, and those of imported traffic.
--
-- @param own text = ''
--     The end of your own names, such as example.org, to leave those out too; empty leaves out none.
-- @param rows integer = 100
--     Most names shown.
-- @check 1..10000

-- @result Names
SELECT split_part(qname, '.', -2) || '.' || split_part(qname, '.', -1) AS domain,
       count(DISTINCT qname) AS names, count(*) AS lookups,
       count(DISTINCT coalesce(service, workload, process, client_ip)) AS askers,
       min(coalesce(service, workload, process, client_ip)) AS one_asker, max(time) AS last
FROM dns_events
WHERE $__timeFilter(time) AND (role IS NULL OR role <> 'server') AND strpos(qname, '.') > 0 AND qname <> '.'
  AND NOT regexp_like(qname, '\.(arpa|local|internal|lan|home|localdomain|test)$')
  AND ($own = '' OR (qname <> $own AND NOT ends_with(qname, '.' || $own)))
GROUP BY 1
ORDER BY lookups DESC, domain
LIMIT $rows;
