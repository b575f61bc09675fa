//! nfdump files, IPFIX files and dnstap: every record is counted, whatever the packing; what is refused has a reason.
#![no_main]

use capture::collect::file::ExportFile;
use capture::collect::{ExportSink, ExportedFlow};
use capture::{DecoderConfig, Message};

#[derive(Default)]
struct Count {
    flows: u64,
    messages: u64,
}

impl ExportSink for Count {
    fn flow(&mut self, flow: &ExportedFlow) {
        assert!(flow.first <= flow.last && flow.sampling >= 1);
        self.flows += 1;
    }
    fn message(&mut self, _: Message) {
        self.messages += 1;
    }
    fn refused(&mut self, _: u64, reason: &'static str, _: &[u8]) {
        assert!(!reason.is_empty());
    }
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let data = Box::new(std::io::Cursor::new(data.to_vec()));
    let Ok(Some(mut file)) = ExportFile::from_reader(data, &DecoderConfig::default()) else { return };
    let mut sink = Count::default();
    while let Ok(true) = file.read(&mut sink) {}
    file.finish(&mut sink);
    assert_eq!(file.imbalance(), None);
    for (name, value) in file.counters() {
        match name {
            "export.flows" => assert_eq!(value, sink.flows),
            "export.messages" => assert_eq!(value, sink.messages),
            _ => {}
        }
    }
});
