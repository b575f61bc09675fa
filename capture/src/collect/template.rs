//! A template, compiled once: which bytes of a row go where.

use super::bytes::Bytes;
use super::fields::{Addr, Int, Target, target};

/// Length of a field that each row says itself (RFC 7011, 7).
pub(super) const VARIABLE: u16 = 0xffff;

/// What a template says of one field.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Field {
    pub(super) id: u16,
    pub(super) len: u16,
    pub(super) enterprise: u32,
}

/// What the rows of a template are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Data,
    /// The first fields are the scope.
    Options,
}

/// One column: the same bytes of each row.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Column {
    pub(super) offset: usize,
    pub(super) len: u16,
    pub(super) target: Target,
}

/// A template, ready to decode rows.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Template {
    pub(super) kind: Kind,
    pub(super) fields: Vec<Field>,
    /// What is read. With variable lengths: every field, offsets unused.
    pub(super) columns: Vec<Column>,
    /// Bytes of a row; with variable lengths the fewest it can have.
    pub(super) row_len: usize,
    pub(super) variable: bool,
    ints: u128,
    addrs: u16,
}

impl Template {
    /// `None` where a row would have no byte.
    pub(super) fn new(kind: Kind, fields: Vec<Field>) -> Option<Self> {
        let variable = fields.iter().any(|field| field.len == VARIABLE);
        let (mut columns, mut offset, mut ints, mut addrs) = (Vec::new(), 0_usize, 0_u128, 0_u16);
        for field in &fields {
            let mut target = target(field.enterprise, field.id, field.len);
            // A field that stands twice: the first counts.
            match target {
                Target::Int(int) if ints & bit(int) != 0 => target = Target::Skip,
                Target::Int(int) => ints |= bit(int),
                Target::Addr(addr) if addrs & addr_bit(addr) != 0 => target = Target::Skip,
                Target::Addr(addr) => addrs |= addr_bit(addr),
                Target::Frame | Target::Packet | Target::Skip => {}
            }
            if variable || target != Target::Skip {
                columns.push(Column { offset, len: field.len, target });
            }
            offset += if field.len == VARIABLE { 1 } else { usize::from(field.len) };
        }
        (offset > 0).then_some(Self { kind, fields, columns, row_len: offset, variable, ints, addrs })
    }

    /// Whether rows have this integer.
    pub(super) const fn has(&self, int: Int) -> bool {
        self.ints & bit(int) != 0
    }

    /// Whether rows have this address.
    pub(super) const fn has_addr(&self, addr: Addr) -> bool {
        self.addrs & addr_bit(addr) != 0
    }

    /// Whether rows carry a sampled frame.
    pub(super) fn has_frame(&self) -> bool {
        self.columns.iter().any(|column| matches!(column.target, Target::Frame | Target::Packet))
    }

    /// Whether rows name two ends, or carry a frame that does.
    pub(super) fn names_a_flow(&self) -> bool {
        self.has_addr(Addr::Src4) && self.has_addr(Addr::Dst4)
            || self.has_addr(Addr::Src6) && self.has_addr(Addr::Dst6)
            || self.has_frame()
    }

    /// Memory it takes, roughly.
    pub(super) fn bytes(&self) -> usize {
        size_of::<Self>() + self.fields.len() * size_of::<Field>() + self.columns.len() * size_of::<Column>()
    }
}

const fn bit(int: Int) -> u128 {
    1 << int as u32
}

const fn addr_bit(addr: Addr) -> u16 {
    1 << addr as u16
}

/// Why a template was refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Refused {
    /// It goes beyond its set.
    Cut,
    /// More fields than allowed.
    TooManyFields,
    /// Its rows would have no byte, or its id is one of sets.
    Senseless,
}

/// A template record: its id and, unless it is withdrawn, its fields.
#[derive(Debug)]
pub(super) struct Announced {
    pub(super) id: u16,
    pub(super) template: Option<Template>,
}

/// Reads the next template record of IPFIX (RFC 7011, 3.4) or, with `enterprises` false, of NetFlow v9 (RFC 3954, 5.2).
pub(super) fn data_template(bytes: &mut Bytes<'_>, enterprises: bool, max_fields: usize) -> Result<Announced, Refused> {
    let id = bytes.u16().ok_or(Refused::Cut)?;
    let count = usize::from(bytes.u16().ok_or(Refused::Cut)?);
    if enterprises && count == 0 {
        return Ok(Announced { id, template: None });
    }
    announced(id, Kind::Data, fields(bytes, count, enterprises, max_fields)?)
}

/// The next options template record of IPFIX (RFC 7011, 3.4.2.2).
pub(super) fn ipfix_options_template(bytes: &mut Bytes<'_>, max_fields: usize) -> Result<Announced, Refused> {
    let id = bytes.u16().ok_or(Refused::Cut)?;
    let count = usize::from(bytes.u16().ok_or(Refused::Cut)?);
    if count == 0 {
        return Ok(Announced { id, template: None });
    }
    let scopes = usize::from(bytes.u16().ok_or(Refused::Cut)?);
    let fields = fields(bytes, count, true, max_fields)?;
    if scopes == 0 || scopes > count {
        return Err(Refused::Senseless);
    }
    announced(id, Kind::Options, fields)
}

/// The next options template record of NetFlow v9 (RFC 3954, 6.1). Scope fields have numbers of their own (1 system,
/// 2 interface, 3 line card, 4 cache, 5 template), which are none of the elements read here.
pub(super) fn v9_options_template(bytes: &mut Bytes<'_>, max_fields: usize) -> Result<Announced, Refused> {
    let id = bytes.u16().ok_or(Refused::Cut)?;
    let scope_len = usize::from(bytes.u16().ok_or(Refused::Cut)?);
    let option_len = usize::from(bytes.u16().ok_or(Refused::Cut)?);
    if !scope_len.is_multiple_of(4) || !option_len.is_multiple_of(4) {
        return Err(Refused::Senseless);
    }
    let mut all = fields(bytes, scope_len / 4, false, max_fields)?;
    for scope in &mut all {
        // Not an element: it is only to be stepped over. Never a number that is one.
        scope.enterprise = u32::MAX;
    }
    all.extend(fields(bytes, option_len / 4, false, max_fields.saturating_sub(scope_len / 4))?);
    announced(id, Kind::Options, all)
}

fn announced(id: u16, kind: Kind, fields: Vec<Field>) -> Result<Announced, Refused> {
    if id < 256 {
        return Err(Refused::Senseless);
    }
    let template = Template::new(kind, fields).ok_or(Refused::Senseless)?;
    Ok(Announced { id, template: Some(template) })
}

fn fields(bytes: &mut Bytes<'_>, count: usize, enterprises: bool, max: usize) -> Result<Vec<Field>, Refused> {
    if count > bytes.len() / 4 {
        return Err(Refused::Cut);
    }
    if count > max {
        return Err(Refused::TooManyFields);
    }
    let mut fields = Vec::with_capacity(count);
    for _ in 0..count {
        let (Some(id), Some(len)) = (bytes.u16(), bytes.u16()) else { return Err(Refused::Cut) };
        let enterprise = match enterprises && id & 0x8000 != 0 {
            true => bytes.u32().ok_or(Refused::Cut)?,
            false => 0,
        };
        let id = if enterprises { id & 0x7fff } else { id };
        fields.push(Field { id, len, enterprise });
    }
    Ok(fields)
}
