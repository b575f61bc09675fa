//! Entries of the lake's own in its ledger.

use crate::record::LedgerRow;
use crate::state::audit::Head;
use crate::state::now;

use super::{Lake, LakeError, SetKind, SetWriter, WriterOptions};

/// Source of the entries of [`Lake::write_audit_head`].
pub const AUDIT_SOURCE: &str = "audit";
/// Their counters begin with this; the hash follows, hexadecimal. The value is the number of the entry.
pub const AUDIT_HEAD: &str = "audit.head.";

impl Lake {
    /// Notes the newest entry of the audit log in the ledger, from where it cannot be taken without a trace in the lake's
    /// files: `spotter audit verify` compares. Gives `None` for an empty log.
    ///
    /// # Errors
    /// The lake may not be written, or the state database not be read.
    pub fn write_audit_head(&self) -> Result<Option<Head>, LakeError> {
        let Some(head) = self.state().audit_head()? else { return Ok(None) };
        let now = now();
        let row = LedgerRow {
            interval_start: now,
            interval_end: now,
            sensor: "lake".to_owned(),
            source: AUDIT_SOURCE.to_owned(),
            queue: None,
            clock: "system".to_owned(),
            counter: format!("{AUDIT_HEAD}{}", head.hash),
            value: u64::try_from(head.seq).unwrap_or_default(),
        };
        let mut writer = SetWriter::begin(self, SetKind::Books, WriterOptions::new("lake"))?;
        writer.ledger(std::slice::from_ref(&row))?;
        writer.commit()?;
        Ok(Some(head))
    }
}
