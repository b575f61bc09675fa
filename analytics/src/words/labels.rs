//! Labels that end a name: country codes and Spot's seven generic domains. Data, from ISO 3166-1 and IANA's root zone.

/// Generic top-level domains Spot strips.
const GENERIC: [&str; 7] = ["com", "edu", "gov", "int", "mil", "net", "org"];

/// Country-code top-level domains, sorted: the delegated two-letter ASCII labels, those reserved or assigned by ISO 3166-1 but not
/// delegated (bl, bq, eh, mf, um), and the retired ones still seen in old data (an, cs, dd, tp, yu, zr).
#[rustfmt::skip]
const COUNTRY: [&str; 261] = [
    "", "ac", "ad", "ae", "af", "ag", "ai", "al", "am", "an", "ao", "aq", "ar", "as", "at", "au", "aw", "ax", "az", "ba",
    "bb", "bd", "be", "bf", "bg", "bh", "bi", "bj", "bl", "bm", "bn", "bo", "bq", "br", "bs", "bt", "bv", "bw", "by", "bz",
    "ca", "cc", "cd", "cf", "cg", "ch", "ci", "ck", "cl", "cm", "cn", "co", "cr", "cs", "cu", "cv", "cw", "cx", "cy", "cz",
    "dd", "de", "dj", "dk", "dm", "do", "dz", "ec", "ee", "eg", "eh", "er", "es", "et", "eu", "fi", "fj", "fk", "fm", "fo",
    "fr", "ga", "gb", "gd", "ge", "gf", "gg", "gh", "gi", "gl", "gm", "gn", "gp", "gq", "gr", "gs", "gt", "gu", "gw", "gy",
    "hk", "hm", "hn", "hr", "ht", "hu", "id", "ie", "il", "im", "in", "io", "iq", "ir", "is", "it", "je", "jm", "jo", "jp",
    "ke", "kg", "kh", "ki", "km", "kn", "kp", "kr", "krd", "kw", "ky", "kz", "la", "lb", "lc", "li", "lk", "lr", "ls", "lt",
    "lu", "lv", "ly", "ma", "mc", "md", "me", "mf", "mg", "mh", "mk", "ml", "mm", "mn", "mo", "mp", "mq", "mr", "ms", "mt",
    "mu", "mv", "mw", "mx", "my", "mz", "na", "nc", "ne", "nf", "ng", "ni", "nl", "no", "np", "nr", "nu", "nz", "om", "pa",
    "pe", "pf", "pg", "ph", "pk", "pl", "pm", "pn", "pr", "ps", "pt", "pw", "py", "qa", "re", "ro", "rs", "ru", "rw", "sa",
    "sb", "sc", "sd", "se", "sg", "sh", "si", "sj", "sk", "sl", "sm", "sn", "so", "sr", "ss", "st", "su", "sv", "sx", "sy",
    "sz", "tc", "td", "tf", "tg", "th", "tj", "tk", "tl", "tm", "tn", "to", "tp", "tr", "tt", "tv", "tw", "tz", "ua", "ug",
    "uk", "um", "us", "uy", "uz", "va", "vc", "ve", "vg", "vi", "vn", "vu", "wf", "ws", "ye", "yt", "yu", "za", "zm", "zr",
    "zw",
];

/// The label is a country code. Case matters, as in Spot.
pub fn is_country(label: &str) -> bool {
    COUNTRY.binary_search(&label).is_ok()
}

/// The label is one of com, edu, gov, int, mil, net, org. Case matters, as in Spot.
pub fn is_generic(label: &str) -> bool {
    GENERIC.binary_search(&label).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_sorted_for_binary_search() {
        assert!(COUNTRY.is_sorted_by(|a, b| a < b));
        assert!(GENERIC.is_sorted_by(|a, b| a < b));
        assert!(is_country("") && is_country("krd") && is_country("mx") && !is_country("com") && !is_country("JP"));
    }
}
