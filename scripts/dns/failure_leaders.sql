-- Who has the most failing lookups, by workload and rcode
--
-- Any answer but NOERROR, none at all (`timeout`, `unanswered`), and what is no valid DNS (`error`), with the share it has
-- of all lookups of the workload. Counts the lookups that processes here sent, and those of imported traffic.
--
-- @param rows integer = 50
--     Most rows shown.
-- @check 1..10000

-- @result Leaders
-- @draw bar x=workload y=failed
WITH asked AS (
    SELECT namespace, coalesce(workload, service, process, client_ip) AS workload,
           CASE WHEN rcode = 'NOERROR' AND outcome = 'error' THEN outcome ELSE coalesce(rcode, outcome) END AS rcode, qname
    FROM dns_events
    WHERE $__timeFilter(time) AND (role IS NULL OR role <> 'server')
), answers AS (
    SELECT namespace, workload, rcode, count(*) AS failed, count(DISTINCT qname) AS names,
           sum(count(*)) OVER (PARTITION BY namespace, workload) AS lookups
    FROM asked
    GROUP BY namespace, workload, rcode
)
SELECT namespace, workload, rcode, failed, lookups, round(100.0 * failed / lookups, 2) AS failed_percent, names
FROM answers
WHERE rcode <> 'NOERROR'
ORDER BY failed DESC, namespace, workload, rcode
LIMIT $rows;
