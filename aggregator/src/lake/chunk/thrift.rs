//! Page headers, in Thrift's compact protocol (parquet.thrift, `PageHeader`).

use super::hybrid::push_varint;

const I32: u8 = 5;
const STRUCT: u8 = 12;
const TRUE: u8 = 1;
const FALSE: u8 = 2;

/// Encodings by their number in the format.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(in crate::lake) enum Code {
    Plain = 0,
    Rle = 3,
    DeltaBinaryPacked = 5,
    DeltaByteArray = 7,
    RleDictionary = 8,
    ByteStreamSplit = 9,
}

/// Fields of one struct, in rising order of their ids.
struct Fields<'a> {
    out: &'a mut Vec<u8>,
    last: u8,
}

impl Fields<'_> {
    fn head(&mut self, id: u8, kind: u8) {
        self.out.push((id - self.last) << 4 | kind);
        self.last = id;
    }

    fn int(&mut self, id: u8, value: i32) {
        self.head(id, I32);
        push_varint(u64::from((value as u32) << 1 ^ (value >> 31) as u32), self.out);
    }

    fn bool(&mut self, id: u8, value: bool) {
        self.head(id, if value { TRUE } else { FALSE });
    }

    fn nested(&mut self, id: u8, write: impl FnOnce(&mut Fields<'_>)) {
        self.head(id, STRUCT);
        let mut inner = Fields { out: self.out, last: 0 };
        write(&mut inner);
        self.out.push(0);
    }
}

/// Appends the header of a data page (version 1). `values` counts the levels, nulls included.
pub(super) fn data_page(values: i32, encoding: Code, uncompressed: i32, compressed: i32, out: &mut Vec<u8>) {
    let mut fields = Fields { out, last: 0 };
    fields.int(1, 0);
    fields.int(2, uncompressed);
    fields.int(3, compressed);
    fields.nested(5, |page| {
        page.int(1, values);
        page.int(2, encoding as i32);
        page.int(3, Code::Rle as i32);
        page.int(4, Code::Rle as i32);
    });
    out.push(0);
}

/// Appends the header of a dictionary page.
pub(super) fn dictionary_page(values: i32, uncompressed: i32, compressed: i32, out: &mut Vec<u8>) {
    let mut fields = Fields { out, last: 0 };
    fields.int(1, 2);
    fields.int(2, uncompressed);
    fields.int(3, compressed);
    fields.nested(7, |page| {
        page.int(1, values);
        page.int(2, Code::Plain as i32);
        page.bool(3, false);
    });
    out.push(0);
}
