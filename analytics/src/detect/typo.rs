//! Typing errors: names that differ from one that exists by a letter left out, put in, exchanged or swapped with the next.
//!
//! By deletion: two names are that near if one of them, or one of them less a letter, is the other or the other less a letter. So a name
//! is looked up among as many numbers as it has letters, however many names exist.

use hashbrown::HashSet;

use super::stats::fingerprint;

/// Existing names that are compared with; of more, those with the smallest numbers.
const NAMES: usize = 200_000;

/// Shorter labels are near to anything.
const SHORTEST: usize = 5;

/// Existing domains and what is left of them without a letter. Memory: 8 bytes for each letter, about twice.
#[derive(Debug, Default)]
pub(super) struct Typos(HashSet<u64>);

impl Typos {
    /// What is near to one of these registered domains.
    pub(super) fn of<'a>(existing: impl Iterator<Item = &'a str>) -> Self {
        let mut names: Vec<(u64, &str)> =
            existing.filter(|name| is_long(name)).map(|name| (fingerprint(name), name)).collect();
        if names.len() > NAMES {
            names.sort_unstable();
            names.truncate(NAMES);
        }
        let mut near = HashSet::new();
        for (_, name) in names {
            each_variant(name, &mut |variant| {
                near.insert(fingerprint(variant));
            });
        }
        Self(near)
    }

    /// A registered domain that may be one of them, mistyped.
    pub(super) fn has(&self, domain: &str) -> bool {
        let mut found = false;
        if is_long(domain) {
            each_variant(domain, &mut |variant| found |= self.0.contains(&fingerprint(variant)));
        }
        found
    }
}

fn is_long(domain: &str) -> bool {
    domain.split('.').next().is_some_and(|label| label.len() >= SHORTEST)
}

/// The domain, and the domain less one letter of its first label.
fn each_variant(domain: &str, each: &mut dyn FnMut(&str)) {
    each(domain);
    let label = domain.split('.').next().unwrap_or("");
    let mut variant = String::with_capacity(domain.len());
    for (at, letter) in label.char_indices() {
        variant.clear();
        variant.push_str(domain.get(..at).unwrap_or(""));
        variant.push_str(domain.get(at + letter.len_utf8()..).unwrap_or(""));
        each(&variant);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_more_less_other_or_swapped_is_near_and_two_are_not() {
        let typos = Typos::of(["brighttimes.example", "ab.example"].into_iter());
        for near in ["brighttimes", "brigwhttimes", "brighttime", "brightXimes", "birghttimes"] {
            assert!(typos.has(&format!("{near}.example")), "{near}");
        }
        for far in ["brightti.example", "brighttimes.test", "xwrighttimesx.example", "abc.example", "qzkvjw.example"] {
            assert!(!typos.has(far), "{far}");
        }
    }
}
