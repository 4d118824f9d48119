-- Long, random-looking DNS names
--
-- Malware and tunnels write data into names. A name looks so if a label of it has at least `length` letters with many digits
-- or few vowels among them; a domain, if many different names below it are looked up. Reverse lookups are left out.
-- Counts the lookups that processes here sent, and those of imported traffic.
--
-- @from -24h
-- @param length integer = 20
--     Least length of such a label.
-- @check 8..63
-- @param names integer = 50
--     Least number of different names below one domain.
-- @check 2..
-- @param rows integer = 100
--     Most rows of each table.
-- @check 1..10000

-- @result Names
WITH names AS (
    SELECT qname, coalesce(service, workload, process, client_ip) AS asker, count(*) AS lookups,
           max(coalesce(rcode, outcome)) AS answer, max(time) AS last
    FROM dns_events
    WHERE $__timeFilter(time) AND (role IS NULL OR role <> 'server') AND NOT ends_with(qname, '.arpa')
    GROUP BY 1, 2
), labels AS (
    SELECT qname, asker, lookups, answer, last, unnest(string_to_array(qname, '.')) AS label
    FROM names
)
SELECT qname, asker, max(character_length(label)) AS longest_label, max(lookups) AS lookups, max(answer) AS answer,
       max(last) AS last
FROM labels
GROUP BY qname, asker
HAVING bool_or(character_length(label) >= $length
   AND (regexp_count(label, '[0-9]') * 5 >= character_length(label)
        OR regexp_count(label, '[aeiouy]') * 6 <= character_length(label)))
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
