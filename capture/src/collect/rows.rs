//! Decoding the rows of a data set, a column at a time: what a field is, is asked once for many rows.

use super::bytes::Bytes;
use super::fields::{ADDRS, Addr, INTS, Int, Target};
use super::template::{Template, VARIABLE};

/// Rows decoded at once: they stay in the first-level cache, and a set of tiny rows takes no more memory than this.
pub(super) const CHUNK: usize = 32;

/// The values of one row. Only what the template names is meant; the rest is left over from other rows.
#[derive(Clone, Debug)]
pub(super) struct Row<'a> {
    ints: [u64; INTS],
    addrs: [[u8; 16]; ADDRS],
    pub(super) frame: &'a [u8],
    /// Whether the frame begins with the IP header.
    pub(super) frame_is_ip: bool,
}

impl Row<'_> {
    const EMPTY: Self = Self { ints: [0; INTS], addrs: [[0; 16]; ADDRS], frame: &[], frame_is_ip: false };

    /// The value, where the template has it.
    #[inline]
    pub(super) fn get(&self, template: &Template, int: Int) -> Option<u64> {
        if template.has(int) { self.ints.get(int as usize).copied() } else { None }
    }

    /// The address's bytes (IPv4 in the first four), where the template has it.
    #[inline]
    pub(super) fn addr(&self, template: &Template, addr: Addr) -> Option<[u8; 16]> {
        if template.has_addr(addr) { self.addrs.get(addr as usize).copied() } else { None }
    }

    #[inline]
    fn set(&mut self, target: Target, bytes: &[u8]) {
        match target {
            Target::Int(int) => {
                if let Some(slot) = self.ints.get_mut(int as usize) {
                    *slot = number(bytes);
                }
            }
            Target::Addr(addr) => {
                if let Some(to) = self.addrs.get_mut(addr as usize).and_then(|slot| slot.get_mut(..bytes.len())) {
                    to.copy_from_slice(bytes);
                }
            }
            Target::Frame | Target::Packet | Target::Skip => {}
        }
    }
}

fn number(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |n, b| n << 8 | u64::from(*b))
}

/// What is left of a data set, and room for its rows.
pub(super) struct Rows<'t, 'a> {
    template: &'t Template,
    left: &'a [u8],
    rows: Vec<Row<'a>>,
}

impl<'t, 'a> Rows<'t, 'a> {
    pub(super) fn new(template: &'t Template, set: &'a [u8]) -> Self {
        Self { template, left: set, rows: Vec::new() }
    }

    /// The next rows; none at the end. What is left then is padding, or a row that is cut.
    pub(super) fn next(&mut self) -> &[Row<'a>] {
        let template = self.template;
        if template.variable {
            self.rows.clear();
            while self.rows.len() < CHUNK {
                let Some((row, left)) = variable_row(template, self.left) else { break };
                self.left = left;
                self.rows.push(row);
            }
            return &self.rows;
        }
        let count = (self.left.len() / template.row_len.max(1)).min(CHUNK);
        self.rows.resize(count, Row::EMPTY);
        let (these, left) = self.left.split_at_checked(count * template.row_len).unwrap_or((&[], &[]));
        self.left = left;
        for column in &template.columns {
            let (from, to) = (column.offset, column.offset + usize::from(column.len));
            let fields = these.chunks_exact(template.row_len.max(1)).map(|row| row.get(from..to).unwrap_or_default());
            let rows = self.rows.iter_mut().zip(fields);
            match (column.target, column.len) {
                (Target::Int(int), 1) => rows.for_each(|(row, b)| put(row, int, fixed::<1>(b))),
                (Target::Int(int), 2) => rows.for_each(|(row, b)| put(row, int, fixed::<2>(b))),
                (Target::Int(int), 4) => rows.for_each(|(row, b)| put(row, int, fixed::<4>(b))),
                (Target::Int(int), 8) => rows.for_each(|(row, b)| put(row, int, fixed::<8>(b))),
                (Target::Frame, _) => rows.for_each(|(row, b)| (row.frame, row.frame_is_ip) = (b, false)),
                (Target::Packet, _) => rows.for_each(|(row, b)| (row.frame, row.frame_is_ip) = (b, true)),
                (target, _) => rows.for_each(|(row, b)| row.set(target, b)),
            }
        }
        &self.rows
    }

    /// Bytes after the last whole row.
    pub(super) const fn left(&self) -> &'a [u8] {
        self.left
    }
}

#[inline(always)]
fn put(row: &mut Row<'_>, int: Int, value: u64) {
    row.ints[int as usize] = value;
}

#[inline(always)]
fn fixed<const N: usize>(bytes: &[u8]) -> u64 {
    let mut wide = [0; 8];
    if let (Some(to), Some(from)) = (wide.get_mut(8 - N..), bytes.first_chunk::<N>()) {
        to.copy_from_slice(from);
    }
    u64::from_be_bytes(wide)
}

/// A row whose fields may say their own lengths; `None` if it does not end within the set.
fn variable_row<'a>(template: &Template, set: &'a [u8]) -> Option<(Row<'a>, &'a [u8])> {
    if set.len() < template.row_len {
        return None;
    }
    let (mut row, mut bytes) = (Row::EMPTY, Bytes(set));
    for column in &template.columns {
        let len = match column.len {
            VARIABLE => match bytes.u8()? {
                255 => usize::from(bytes.u16()?),
                short => usize::from(short),
            },
            len => usize::from(len),
        };
        let field = bytes.take(len)?;
        match column.target {
            Target::Frame => (row.frame, row.frame_is_ip) = (field, false),
            Target::Packet => (row.frame, row.frame_is_ip) = (field, true),
            target => row.set(target, field),
        }
    }
    Some((row, bytes.0))
}
