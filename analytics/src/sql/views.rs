//! The views with Apache Spot's columns, names, order and types, for what was written for Spot; and one with those of Zeek's
//! dhcp.log, for what was written for Zeek.
//!
//! After Spot's columns come its partition columns `y`, `m`, `d`, `h` (UTC), which prune files. A value that
//! was not observed is null. Numbers that do not fit Spot's type stand at its largest value (sizes, times) or
//! are null (interface and AS numbers, where another number would name another thing); the tables have
//! them whole.

use std::sync::Arc;

use datafusion::datasource::ViewTable;
use datafusion::error::Result;
use datafusion::execution::context::SessionContext;

/// Name and definition of each view.
const VIEWS: [(&str, &str); 4] = [("spot_flow", FLOW), ("spot_dns", DNS), ("spot_proxy", PROXY), ("zeek_dhcp", DHCP)];

/// Direction of the row: `sip` is the initiator; `ipkt`, `ibyt`, `flag`, `stos` are what it sent, `opkt`, `obyt`,
/// `dtos` what came back. `dir` (nfdump: 1 for egress) is not kept by Spotter and null.
const FLOW: &str = "
SELECT
    spot_time(first_seen) AS treceived,
    unix_seconds(first_seen) AS unix_tstamp,
    CAST(date_part('year', first_seen) AS INT) AS tryear,
    CAST(date_part('month', first_seen) AS INT) AS trmonth,
    CAST(date_part('day', first_seen) AS INT) AS trday,
    CAST(date_part('hour', first_seen) AS INT) AS trhour,
    CAST(date_part('minute', first_seen) AS INT) AS trminute,
    CAST(date_part('second', first_seen) AS INT) AS trsec,
    CAST((CAST(last_seen AS BIGINT) - CAST(first_seen AS BIGINT)) / 1e6 AS FLOAT) AS tdur,
    src_ip AS sip,
    dst_ip AS dip,
    CAST(src_port AS INT) AS sport,
    CAST(dst_port AS INT) AS dport,
    proto_name(proto) AS proto,
    tcp_flags(coalesce(src_tcp_flags, CAST(0 AS TINYINT UNSIGNED))) AS flag,
    CAST(fwd_status AS INT) AS fwd,
    CAST(src_tos AS INT) AS stos,
    CASE WHEN src_packets > 9223372036854775807 THEN 9223372036854775807 ELSE CAST(src_packets AS BIGINT) END AS ipkt,
    CASE WHEN src_bytes > 9223372036854775807 THEN 9223372036854775807 ELSE CAST(src_bytes AS BIGINT) END AS ibyt,
    CASE WHEN dst_packets > 9223372036854775807 THEN 9223372036854775807 ELSE CAST(dst_packets AS BIGINT) END AS opkt,
    CASE WHEN dst_bytes > 9223372036854775807 THEN 9223372036854775807 ELSE CAST(dst_bytes AS BIGINT) END AS obyt,
    TRY_CAST(input_if AS INT) AS input,
    TRY_CAST(output_if AS INT) AS output,
    TRY_CAST(src_as AS INT) AS sas,
    TRY_CAST(dst_as AS INT) AS das,
    CAST(dst_tos AS INT) AS dtos,
    CAST(NULL AS INT) AS dir,
    exporter_ip AS rip,
    CAST(date_part('year', date) AS SMALLINT) AS y,
    CAST(date_part('month', date) AS TINYINT) AS m,
    CAST(date_part('day', date) AS TINYINT) AS d,
    CAST(hour AS TINYINT) AS h
FROM flow";

/// Spot kept answers only, and so does this view; unlike Spot it keeps those without an answer section
/// (NXDOMAIN), and the addresses of all answers, of both families. The moment is the answer's, the name as
/// it was on the wire; the partition columns are those of the file (the query's hour).
const DNS: &str = "
SELECT
    to_char(last_seen, '%b %e %Y %H:%M:%S.%6f000 UTC') AS frame_time,
    unix_seconds(last_seen) AS unix_tstamp,
    CAST(CASE WHEN response_frame_len > 2147483647 THEN 2147483647 ELSE response_frame_len END AS INT) AS frame_len,
    client_ip AS ip_dst,
    server_ip AS ip_src,
    qname_wire AS dns_qry_name,
    concat('0x', lpad(to_hex(qclass), 8, '0')) AS dns_qry_class,
    CAST(qtype AS INT) AS dns_qry_type,
    CAST(rcode AS INT) AS dns_qry_rcode,
    dns_addresses(answers) AS dns_a,
    CAST(date_part('year', date) AS SMALLINT) AS y,
    CAST(date_part('month', date) AS TINYINT) AS m,
    CAST(date_part('day', date) AS TINYINT) AS d,
    CAST(hour AS TINYINT) AS h
FROM dns
WHERE rcode IS NOT NULL";

/// `duration` is milliseconds, as Blue Coat's time-taken. `fulluri` is Spot's: host, path and query without
/// the scheme; the table's `full_uri` has all of it.
const PROXY: &str = "
SELECT
    to_char(first_seen, '%Y-%m-%d') AS p_date,
    to_char(first_seen, '%H:%M:%S') AS p_time,
    client_ip AS clientip,
    host,
    method AS reqmethod,
    user_agent AS useragent,
    content_type AS resconttype,
    CAST(CASE WHEN duration_us / 1000 > 2147483647 THEN 2147483647 ELSE duration_us / 1000 END AS INT) AS duration,
    username,
    auth_group AS authgroup,
    exception_id AS exceptionid,
    filter_result AS filterresult,
    category AS webcat,
    referer,
    CAST(status AS VARCHAR) AS respcode,
    action,
    scheme AS urischeme,
    CAST(server_port AS VARCHAR) AS uriport,
    uri_path AS uripath,
    uri_query AS uriquery,
    uri_extension AS uriextension,
    server_ip AS serverip,
    CAST(CASE WHEN response_bytes > 2147483647 THEN 2147483647 ELSE response_bytes END AS INT) AS scbytes,
    CAST(CASE WHEN request_bytes > 2147483647 THEN 2147483647 ELSE request_bytes END AS INT) AS csbytes,
    virus_id AS virusid,
    app_name AS bcappname,
    app_operation AS bcappoper,
    concat(
        host,
        CASE WHEN character_length(uri_path) > 1 THEN uri_path END,
        CASE WHEN character_length(uri_query) > 1 THEN uri_query END
    ) AS fulluri,
    to_char(date, '%Y') AS y,
    to_char(date, '%m') AS m,
    to_char(date, '%d') AS d,
    lpad(CAST(hour AS VARCHAR), 2, '0') AS h
FROM proxy";

/// Zeek's columns but `uids`: `community_id` of the table leads to the flow. Intervals are seconds.
const DHCP: &str = "
SELECT
    first_seen AS ts,
    client_addr,
    server_addr,
    client_port,
    server_port,
    mac,
    host_name,
    client_fqdn,
    domain,
    requested_addr,
    assigned_addr,
    CAST(lease_time AS DOUBLE) AS lease_time,
    client_message,
    server_message,
    msg_types,
    CAST(duration_us AS DOUBLE) / 1e6 AS duration
FROM dhcp";

/// Makes the views known to a session.
pub(super) async fn register(context: &SessionContext) -> Result<()> {
    for (name, definition) in VIEWS {
        let plan = context.sql(definition).await?.into_unoptimized_plan();
        context.register_table(name, Arc::new(ViewTable::new(plan, Some(definition.trim().to_owned()))))?;
    }
    Ok(())
}
