//! The arithmetic of Spot's words: logarithm bins, entropy, cuts. Exact, and total.

/// Spot's twenty entropy cuts, shared by DNS and proxy; the last one is +∞.
pub const ENTROPY_CUTS: [f64; 20] =
    [0.0, 0.3, 0.6, 0.9, 1.2, 1.5, 1.8, 2.1, 2.4, 2.7, 3.0, 3.3, 3.6, 3.9, 4.2, 4.5, 4.8, 5.1, 5.4, f64::INFINITY];

/// ⌊log2 x⌋, and 0 at 0. Equal to Spot's truncated log10(x)/log10(2) for every u64 below 2^53; an integer computation, so exact above it too.
pub const fn floor_log2(x: u64) -> u32 {
    match x.checked_ilog2() {
        Some(log) => log,
        None => 0,
    }
}

/// ⌈log2 x⌉ for x ≥ 1, and 0 at 0 (which Spot never asks: it adds 1 first).
pub const fn ceil_log2(x: u64) -> u32 {
    if x <= 1 { 0 } else { (x - 1).ilog2() + 1 }
}

/// Bin of a counter as the flow word has it: ⌈log2(x + 1)⌉, so 0 stays apart from 1.
pub const fn counter_bin(x: u64) -> u32 {
    ceil_log2(x.saturating_add(1))
}

/// ⌊log_base x⌋ truncated toward zero; 0 for x ≤ 0, for a base ≤ 1, and for NaN.
pub fn floor_log(x: f64, base: f64) -> u32 {
    if !(x > 0.0 && base > 1.0) {
        return 0;
    }
    let log = (x.log10() / base.log10()).trunc();
    // `as` saturates; negative logs truncate toward zero or clamp there.
    log.max(0.0) as u32
}

/// Index of the first cut that is not below the value; `None` past the last cut and for NaN.
pub fn bin(value: f64, cuts: &[f64]) -> Option<usize> {
    cuts.iter().position(|cut| value <= *cut)
}

/// Bin of an entropy in [`ENTROPY_CUTS`]. Total: an entropy is a number, and the last cut is +∞.
pub fn entropy_bin(text: &str) -> u32 {
    bin(entropy(text), &ENTROPY_CUTS).unwrap_or(ENTROPY_CUTS.len() - 1) as u32
}

/// Shannon entropy of a string in bits per character; 0 for the empty string.
///
/// Characters are UTF-16 units, as Spot's (JVM) strings count them. ASCII, which is what names and
/// URIs are, goes through a table on the stack; other text through a sorted copy.
pub fn entropy(text: &str) -> f64 {
    if text.is_ascii() {
        let mut counts = [0_u32; 128];
        for byte in text.bytes() {
            counts[usize::from(byte & 0x7f)] += 1;
        }
        return entropy_of(counts.iter().copied().filter(|count| *count > 0), text.len());
    }
    let mut units: Vec<u16> = text.encode_utf16().collect();
    units.sort_unstable();
    entropy_of(units.chunk_by(|a, b| a == b).map(|run| run.len() as u32), units.len())
}

fn entropy_of(counts: impl Iterator<Item = u32>, total: usize) -> f64 {
    let total = total as f64;
    let sum: f64 = counts
        .map(|count| {
            let p = f64::from(count) / total;
            p * p.log2()
        })
        .sum();
    // −0 and the last bit below 0 of a one-letter string become 0.
    if sum < 0.0 { -sum } else { 0.0 }
}

/// Length in UTF-16 units, as Spot's strings count.
pub fn utf16_len(text: &str) -> usize {
    if text.is_ascii() { text.len() } else { text.encode_utf16().count() }
}

/// Hour of `HH:MM:SS[.frac]`: the integer before the first colon, 0–23.
pub fn hour_of_clock(text: &str) -> Option<u8> {
    let hour: u8 = text.split(':').next()?.trim().parse().ok()?;
    (hour < 24 && text.contains(':')).then_some(hour)
}

/// Seconds since midnight of `HH:MM:SS[.frac]`.
pub fn seconds_of_clock(text: &str) -> Option<u32> {
    let mut fields = text.trim().split(':');
    let hour = u32::from(hour_of_clock(text)?);
    let minute: u32 = fields.nth(1)?.parse().ok().filter(|m| *m < 60)?;
    let second: u32 = fields.next()?.split('.').next()?.parse().ok().filter(|s| *s < 60)?;
    fields.next().is_none().then_some(hour * 3600 + minute * 60 + second)
}

/// Raw values of bin ⌈log2(x + 1)⌉: `0`, `1`, `2 to 3`, `4 to 7` …
pub fn counter_bin_range(bin: u32) -> (u64, u64) {
    match bin {
        0 => (0, 0),
        1..=63 => (1 << (bin - 1), (1 << bin) - 1),
        _ => (1 << 63, u64::MAX),
    }
}

/// Raw values of bin ⌊log2 x⌋ (0 at 0): `0 to 1`, `2 to 3`, `4 to 7` …
pub fn floor_bin_range(bin: u32) -> (u64, u64) {
    match bin {
        0 => (0, 1),
        1..=62 => (1 << bin, (1 << (bin + 1)) - 1),
        _ => (1 << 63, u64::MAX),
    }
}
