//! The registered domain of a name: what somebody rented.

/// Second-level labels under which countries register names (`example.co.uk`).
const SECOND: [&str; 14] =
    ["ac", "co", "com", "edu", "gov", "go", "mil", "ne", "net", "nom", "or", "org", "sch", "gob"];

/// The registered domain: the last two labels, or three under a country's second level. The name itself where it has fewer.
pub fn registered(name: &str) -> &str {
    let name = name.trim_end_matches('.');
    let mut dots = name.rmatch_indices('.').map(|(at, _)| at);
    let (Some(last), Some(second)) = (dots.next(), dots.next()) else { return name };
    let (top, middle) = (&name[last + 1..], &name[second + 1..last]);
    if top.len() == 2 && SECOND.contains(&middle) {
        return dots.next().map_or(name, |third| &name[third + 1..]);
    }
    &name[second + 1..]
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
        ] {
            assert_eq!(registered(name), domain, "{name}");
        }
        assert!(is_under("a.b.c", "b.c") && is_under("b.c", "b.c") && !is_under("ab.c", "b.c"));
        assert!(is_special("4.3.2.1.in-addr.arpa") && !is_special("arpa.example"));
    }
}
