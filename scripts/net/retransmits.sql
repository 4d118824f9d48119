-- Retransmits and round trip times by peer
--
-- TCP only. Retransmits are those of the processes here, beside the packets that they sent; of imported traffic those of
-- both ends, beside all packets. Round trip times are those that the kernel measured towards the peer.
--
-- @param process text = ''
--     Only this service, workload or process; empty for all.
-- @param rows integer = 50
--     Most peers shown.
-- @check 1..10000

-- @result Peers
WITH seen AS (
    SELECT *, CASE WHEN role = 'server' THEN src_ip ELSE dst_ip END AS peer,
           CASE WHEN role IS NULL THEN packets_sent + packets_received
                WHEN role = 'server' THEN packets_received ELSE packets_sent END AS sent
    FROM flows
    WHERE $__timeFilter(time) AND protocol = 'tcp' AND ($process = '' OR coalesce(service, workload, process) = $process)
)
SELECT peer, max(CASE WHEN role = 'server' THEN NULL ELSE dst_name END) AS name,
       count(DISTINCT conn_id) AS connections, sum(sent) AS packets_sent, sum(retransmits) AS retransmits,
       CASE WHEN sum(sent) > 0 THEN round(100.0 * sum(retransmits) / sum(sent), 3) END AS retransmitted_percent,
       round(min(rtt_min_ns) / 1e6, 3) AS rtt_min_ms,
       round(quantile(rtt_ns, 0.5) / 1e6, 3) AS rtt_p50_ms,
       round(quantile(rtt_ns, 0.99) / 1e6, 3) AS rtt_p99_ms
FROM seen
GROUP BY peer
ORDER BY retransmits DESC NULLS LAST, rtt_p99_ms DESC NULLS LAST, peer
LIMIT $rows;

-- @result Over time
-- @draw timeseries x=time y=retransmits,rtt_p50_ms,rtt_p99_ms
SELECT time_bucket($__interval, time) AS time, sum(retransmits) AS retransmits,
       round(quantile(rtt_ns, 0.5) / 1e6, 3) AS rtt_p50_ms,
       round(quantile(rtt_ns, 0.99) / 1e6, 3) AS rtt_p99_ms
FROM flows
WHERE $__timeFilter(time) AND protocol = 'tcp' AND ($process = '' OR coalesce(service, workload, process) = $process)
GROUP BY 1
ORDER BY 1;
