-- Who contacted the cloud's metadata service
--
-- Its address gives credentials to whoever asks. Shown are connections to the addresses that clouds use for it, requests to
-- them with their paths, and lookups of its names.
--
-- @from -24h
-- @param addresses text = '169.254.169.254,169.254.170.2,169.254.170.23,fd00:ec2::254,fd00:ec2::23,100.100.100.200,168.63.129.16,192.0.0.192'
--     The addresses, with commas between.
-- @check matches .+
-- @param rows integer = 100
--     Most rows of each table.
-- @check 1..10000

-- @result Connections
-- @draw bar x=process y=connections
SELECT coalesce(service, workload, process, src_ip) AS process, exe, pid, dst_ip AS address, dst_port AS port,
       count(DISTINCT conn_id) AS connections, sum(bytes_received) AS bytes_received, min(time) AS first, max(time) AS last
FROM flows
WHERE $__timeFilter(time) AND array_has(string_to_array(replace($addresses, ' ', ''), ','), CAST(dst_ip AS VARCHAR))
GROUP BY 1, 2, 3, 4, 5
ORDER BY connections DESC, process, pid, address, port, exe
LIMIT $rows;

-- @result Requests
SELECT coalesce(service, workload, process, client_ip) AS process, pid, method, server_ip AS address, path, status,
       count(*) AS requests, max(time) AS last
FROM http_events
WHERE $__timeFilter(time)
  AND (array_has(string_to_array(replace($addresses, ' ', ''), ','), CAST(server_ip AS VARCHAR))
    OR array_has(string_to_array(replace($addresses, ' ', ''), ','), split_part(host, ':', 1)) OR host LIKE 'metadata.google.internal%')
GROUP BY 1, 2, 3, 4, 5, 6
ORDER BY requests DESC, process, path, pid, method, address, status
LIMIT $rows;

-- @result Lookups
SELECT coalesce(service, workload, process, client_ip) AS process, qname, count(*) AS lookups, max(time) AS last
FROM dns_events
WHERE $__timeFilter(time) AND qname IN ('metadata.google.internal', 'metadata', 'instance-data', 'instance-data.ec2.internal',
                                        'metadata.azure.internal', 'metadata.platformequinix.com')
GROUP BY 1, 2
ORDER BY lookups DESC, process, qname
LIMIT $rows;
