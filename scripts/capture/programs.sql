-- The eBPF programs and what became of them
--
-- The newest word on each in the range: attached, refused or not needed, why, and what stays unknown without it.
--
-- @from -30days

-- @result Programs
SELECT program, hook, outcome, reason, costs, time
FROM (
    SELECT *, row_number() OVER (PARTITION BY node, program ORDER BY time DESC) AS place
    FROM capture_programs WHERE $__timeFilter(time)
)
WHERE place = 1
ORDER BY CASE outcome WHEN 'refused' THEN 0 WHEN 'attached' THEN 1 ELSE 2 END, program;
