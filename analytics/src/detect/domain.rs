//! The registered domain of a name: what somebody rented.

/// The registered domain by the public suffix list: what follows the suffix, one label more. The name itself where it has no more labels
/// than its suffix, or is not made of labels.
pub fn registered(name: &str) -> &str {
    let name = name.trim_end_matches('.');
    match psl::domain_str(name) {
        Some(domain) if name.ends_with(domain) => domain,
        _ => name,
    }
}

/// The name is the domain or ends in a dot and the domain.
pub fn is_under(name: &str, domain: &str) -> bool {
    name.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

/// A name of reverse lookup, or one that only means something in the local network.
pub fn is_special(name: &str) -> bool {
    ["in-addr.arpa", "ip6.arpa", "local", "localhost"].iter().any(|zone| is_under(name, zone))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registered_domains() {
        for (name, domain) in [
            ("www.bbc.co.uk", "bbc.co.uk"),
            ("a.b.example.com", "example.com"),
            ("x.info", "x.info"),
            ("com", "com"),
            ("co.uk", "co.uk"),
            ("", ""),
            ("a..b", ".b"),
            ("x.y.cloudfront.net", "y.cloudfront.net"),
            ("t.example", "t.example"),
        ] {
            assert_eq!(registered(name), domain, "{name}");
        }
        assert!(is_under("a.b.c", "b.c") && is_under("b.c", "b.c") && !is_under("ab.c", "b.c"));
        assert!(is_special("4.3.2.1.in-addr.arpa") && !is_special("arpa.example"));
    }
}
