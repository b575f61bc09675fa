//! The filter box: an address, a network, or part of a name or URI; as SQL with placeholders.

use std::net::IpAddr;

use analytics::sql::Param;

use super::types::Source;
use crate::problem::ApiError;

/// Characters a filter may have.
const MAX: usize = 512;

/// A condition on the columns of a scores table, and the values of its placeholders.
#[derive(Debug, PartialEq)]
pub(super) struct Condition {
    /// `true` where there is no filter.
    pub(super) sql: String,
    pub(super) params: Vec<Param>,
}

/// Reads a filter. Placeholders are numbered from `first`.
pub(super) fn condition(source: Source, text: Option<&str>, first: usize) -> Result<Condition, ApiError> {
    let text = text.unwrap_or_default().trim();
    if text.is_empty() {
        return Ok(Condition { sql: "true".to_owned(), params: Vec::new() });
    }
    if text.chars().count() > MAX {
        return Err(ApiError::Bad(format!("`filter` may have {MAX} characters")));
    }
    let (addresses, texts): (&[&str], &[&str]) = match source {
        Source::Flow => (&["src_ip", "dst_ip"], &["src_ip", "dst_ip", "service"]),
        Source::Dns => (&["client_ip", "server_ip"], &["qname", "client_ip"]),
        Source::Proxy => (&["client_ip", "server_ip"], &["full_uri", "host", "user_agent", "client_ip"]),
    };
    let any = |columns: &[&str], test: &dyn Fn(&str) -> String| {
        let tests: Vec<String> = columns.iter().map(|column| test(column)).collect();
        format!("({})", tests.join(" OR "))
    };
    if let Ok(ip) = text.parse::<IpAddr>() {
        let sql = any(addresses, &|column| format!("{column} = ${first}"));
        return Ok(Condition { sql, params: vec![ip.to_string().into()] });
    }
    if let Some((address, length)) = text.split_once('/')
        && let Ok(ip) = address.parse::<IpAddr>()
    {
        let most = if ip.is_ipv4() { 32 } else { 128 };
        let length = length.parse::<u8>().ok().filter(|length| *length <= most);
        let Some(length) = length else {
            return Err(ApiError::Bad(format!(
                "`filter`: {text:?} is no network; write it like 10.0.0.0/8 or 2001:db8::/32"
            )));
        };
        // in_cidr takes its network as a constant. It is written from parsed numbers, never from the text.
        let sql = any(addresses, &|column| format!("in_cidr({column}, '{ip}/{length}')"));
        return Ok(Condition { sql, params: Vec::new() });
    }
    let sql = any(texts, &|column| format!("strpos(lower({column}), ${first}) > 0"));
    Ok(Condition { sql, params: vec![text.to_lowercase().into()] })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(source: Source, text: &str) -> Condition {
        condition(source, Some(text), 3).unwrap()
    }

    #[test]
    fn addresses_networks_and_text_are_told_apart() {
        assert_eq!(
            of(Source::Flow, " 10.0.0.5 "),
            Condition { sql: "(src_ip = $3 OR dst_ip = $3)".into(), params: vec!["10.0.0.5".into()] }
        );
        // The lake has the canonical text.
        assert_eq!(of(Source::Flow, "2001:DB8:0:0::1").params, vec![Param::from("2001:db8::1")]);
        let net = of(Source::Dns, "10.0.0.0/8");
        assert_eq!(net.sql, "(in_cidr(client_ip, '10.0.0.0/8') OR in_cidr(server_ip, '10.0.0.0/8'))");
        assert!(condition(Source::Flow, Some("10.0.0.0/33"), 1).is_err());
        assert!(condition(Source::Flow, Some("10.0.0.0/x"), 1).is_err());
        assert_eq!(of(Source::Proxy, "a/b").params, vec![Param::from("a/b")]);
        assert_eq!(condition(Source::Flow, None, 1).unwrap().sql, "true");
    }

    #[test]
    fn text_from_outside_never_becomes_sql() {
        for text in ["' OR 1=1 --", "10.0.0.1/8'); DROP TABLE flow; --", "$1", "%_"] {
            for source in Source::ALL {
                let Ok(condition) = condition(source, Some(text), 1) else { continue };
                assert!(!condition.sql.contains("DROP") && !condition.sql.contains("1=1"), "{}", condition.sql);
                assert_eq!(condition.params, vec![Param::from(text.to_lowercase())]);
            }
        }
    }
}
