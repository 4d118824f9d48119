-- Long, random-looking DNS names
--
-- Malware and tunnels write data into names. A name looks so if its longest label has at least `length` letters with many
-- digits or few vowels among them; a domain, if many different names below it are looked up. Reverse lookups are left out.
-- Counts the lookups that processes here sent, and those of imported traffic.
--
-- @from -24h
-- @param length integer = 20
--     Least length of the longest label.
-- @check 8..63
-- @param names integer = 50
--     Least number of different names below one domain.
-- @check 2..
-- @param rows integer = 100
--     Most rows of each table.
-- @check 1..10000

-- @result Names
WITH labels AS (
    SELECT qname, coalesce(service, workload, process, client_ip) AS asker, time, outcome, rcode,
           unnest(string_to_array(qname, '.')) AS label
    FROM dns_events
    WHERE $__timeFilter(time) AND (role IS NULL OR role <> 'server') AND NOT ends_with(qname, '.arpa')
)
SELECT qname, asker, max(character_length(label)) AS longest_label, count(DISTINCT time) AS lookups,
       max(coalesce(rcode, outcome)) AS answer, max(time) AS last
FROM labels
WHERE character_length(label) >= $length
  AND (regexp_count(label, '[0-9]') * 5 >= character_length(label) OR regexp_count(label, '[aeiouy]') * 6 <= character_length(label))
GROUP BY qname, asker
ORDER BY longest_label DESC, qname, asker
LIMIT $rows;

-- @result Domains with many names
-- @draw bar x=domain y=names
SELECT split_part(qname, '.', -2) || '.' || split_part(qname, '.', -1) AS domain, count(DISTINCT qname) AS names,
       count(*) AS lookups, round(avg(character_length(qname)), 1) AS mean_length,
       min(coalesce(service, workload, process, client_ip)) AS one_asker
FROM dns_events
WHERE $__timeFilter(time) AND (role IS NULL OR role <> 'server') AND NOT ends_with(qname, '.arpa')
  AND strpos(qname, '.') > 0 AND qname <> '.'
GROUP BY 1
HAVING count(DISTINCT qname) >= $names
ORDER BY names DESC, domain
LIMIT $rows;
