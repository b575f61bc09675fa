//! `proto_name`: protocol numbers as nfdump prints them, which is what Apache Spot's words are made of.

use std::sync::Arc;

use arrow::array::StringBuilder;
use arrow::datatypes::DataType;
use datafusion::common::cast::as_uint8_array;
use datafusion::common::exec_err;
use datafusion::error::Result;
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};

/// By number, as nfdump 1.7 prints them: IANA's keywords, cut to five characters. Empty where it prints
/// the number.
#[rustfmt::skip]
const NAMES: [&str; 138] = [
    "ICMP", "ICMP", "IGMP", "GGP", "IPIP", "ST", "TCP", "CBT", "EGP", "IGP", "BBN", "NVPII", "PUP", "ARGUS",
    "ENCOM", "XNET", "CHAOS", "UDP", "MUX", "DCN", "HMP", "PRM", "XNS", "Trnk1", "Trnk2", "Leaf1", "Leaf2",
    "RDP", "IRTP", "ISO-4", "NETBK", "MFESP", "MEINP", "DCCP", "3PC", "IDPR", "XTP", "DDP", "IDPR", "TP++",
    "IL", "IPv6", "SDRP", "Rte6", "Frag6", "IDRP", "RSVP", "GRE", "MHRP", "BNA", "ESP", "AH", "INLSP", "SWIPE",
    "NARP", "MOBIL", "TLSP", "SKIP", "ICMP6", "NOHE6", "OPTS6", "HOST", "CFTP", "NET", "SATNT", "KLAN", "RVD",
    "IPPC", "FS", "SATM", "VISA", "IPCV", "CPNX", "CPHB", "WSN", "PVP", "BSATM", "SUNND", "WBMON", "WBEXP",
    "ISOIP", "VMTP", "SVMTP", "VINES", "TTP", "NSIGP", "DGP", "TCF", "EIGRP", "OSPF", "S-RPC", "LARP", "MTP",
    "AX.25", "OS", "MICP", "SCCSP", "ETHIP", "ENCAP", "", "GMTP", "IFMP", "PNNI", "PIM", "ARIS", "SCPS", "QNX",
    "A/N", "IPcmp", "SNP", "CpqPP", "IPXIP", "VRRP", "PGM", "0hop", "L2TP", "DDX", "IATP", "STP", "SRP", "UTI",
    "SMP", "SM", "PTP", "ISIS4", "FIRE", "CRTP", "CRUDP", "", "IPLT", "SPS", "PIPE", "SCTP", "FC", "", "MHEAD",
    "UDP-L", "MPLS",
];

/// The protocol's name, `None` where it has none.
fn name(proto: u8) -> Option<&'static str> {
    NAMES.get(usize::from(proto)).copied().filter(|name| !name.is_empty())
}

/// `proto_name(proto)`.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct ProtoName {
    signature: Signature,
}

impl ProtoName {
    pub(super) fn new() -> Self {
        Self { signature: Signature::exact(vec![DataType::UInt8], Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for ProtoName {
    fn name(&self) -> &str {
        "proto_name"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [proto] = args.args.as_slice() else {
            return exec_err!("proto_name needs one number");
        };
        let proto = proto.to_array(args.number_rows)?;
        let proto = as_uint8_array(&proto)?;
        let mut out = StringBuilder::with_capacity(proto.len(), proto.len() * 4);
        for proto in proto.iter() {
            match proto.map(|proto| (proto, name(proto))) {
                Some((_, Some(name))) => out.append_value(name),
                Some((proto, None)) => out.append_value(proto.to_string()),
                None => out.append_null(),
            }
        }
        Ok(ColumnarValue::Array(Arc::new(out.finish())))
    }
}
