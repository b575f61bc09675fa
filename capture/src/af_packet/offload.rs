//! Offloads that make other packets of the wire's: turned off while an interface is captured, and put back.

use std::io;

use super::sys::Control;
use crate::live::Policy;

/// `ETH_SS_FEATURES`: the set of feature names.
const FEATURE_NAMES: u32 = 4;
const GET_STRING_COUNT: u32 = 0x37;
const GET_STRINGS: u32 = 0x1b;
const GET_FEATURES: u32 = 0x3a;
const SET_FEATURES: u32 = 0x3b;

/// Bytes of a feature's name.
const NAME: usize = 32;

/// Features there may be, at most: bounds what the kernel is asked for.
const MOST: usize = 1_024;

/// What puts packets together, or takes some away, before capture sees them.
const MERGING: [&str; 5] = ["rx-gro", "rx-lro", "rx-gro-hw", "rx-gro-list", "rx-udp-gro-forwarding"];
/// On a tap every VLAN is wanted.
const FILTERING: [&str; 1] = ["rx-vlan-filter"];

/// A feature of an interface, as `ethtool -k` lists it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Feature {
    /// Its name in the kernel.
    pub(crate) name: String,
    /// It is on.
    pub(crate) active: bool,
    /// It can be changed.
    pub(crate) changeable: bool,
}

/// The features of an interface, in the kernel's order.
pub(crate) fn features(control: &Control, interface: &str) -> io::Result<Vec<Feature>> {
    let mut count = [GET_STRING_COUNT, 0, 1 << FEATURE_NAMES, 0, 0];
    control.ethtool(interface, &mut count, 5)?;
    let count = count[4] as usize;
    if count == 0 || count > MOST {
        return Ok(Vec::new());
    }
    let mut strings = vec![0; 3 + MOST * NAME / 4];
    strings[..3].copy_from_slice(&[GET_STRINGS, FEATURE_NAMES, count as u32]);
    control.ethtool(interface, &mut strings, 3 + count * NAME / 4)?;
    let words = count.div_ceil(32);
    let mut bits = vec![0; 2 + words * 4];
    bits[..2].copy_from_slice(&[GET_FEATURES, words as u32]);
    let limit = bits.len();
    control.ethtool(interface, &mut bits, limit)?;
    let names = strings[3..].chunks_exact(NAME / 4).take(count).map(name);
    let features = names.enumerate().map(|(at, name)| {
        // available, requested, active, never changed
        let bit = |which: usize| bits.get(2 + at / 32 * 4 + which).is_some_and(|word| word >> (at % 32) & 1 != 0);
        Feature { name, active: bit(2), changeable: bit(0) && !bit(3) }
    });
    Ok(features.collect())
}

fn name(words: &[u32]) -> String {
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).take_while(|byte| *byte != 0).collect();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Sets the features at these places of the list.
fn set(control: &Control, interface: &str, count: usize, places: &[usize], on: bool) -> io::Result<()> {
    let words = count.div_ceil(32);
    let mut request = vec![0; 2 + words * 2];
    request[..2].copy_from_slice(&[SET_FEATURES, words as u32]);
    for at in places {
        // valid, requested
        let pair = 2 + at / 32 * 2;
        if let Some([valid, requested]) = request.get_mut(pair..).and_then(|rest| rest.first_chunk_mut()) {
            *valid |= 1 << (at % 32);
            *requested |= u32::from(on) << (at % 32);
        }
    }
    let limit = request.len();
    control.ethtool(interface, &mut request, limit)
}

/// What was turned off; put back when dropped.
#[derive(Debug)]
pub(crate) struct Offloads {
    interface: String,
    count: usize,
    places: Vec<usize>,
}

impl Offloads {
    pub(crate) fn turn_off(control: &Control, interface: &str, policy: Policy) -> io::Result<Self> {
        let features = features(control, interface)?;
        let unwanted = |feature: &Feature| {
            MERGING.contains(&feature.name.as_str())
                || policy == Policy::Tap && FILTERING.contains(&feature.name.as_str())
        };
        let places: Vec<usize> = features
            .iter()
            .enumerate()
            .filter(|(_, feature)| feature.active && feature.changeable && unwanted(feature))
            .map(|(at, _)| at)
            .collect();
        if !places.is_empty() {
            set(control, interface, features.len(), &places, false)?;
            let names: Vec<_> = places.iter().filter_map(|at| features.get(*at)).map(|f| f.name.as_str()).collect();
            tracing::info!(interface, "turned off while capturing: {}", names.join(", "));
        }
        Ok(Self { interface: interface.to_owned(), count: features.len(), places })
    }

    /// The interface is gone, and its settings with it.
    pub(crate) fn forget(mut self) {
        self.places.clear();
    }
}

impl Drop for Offloads {
    fn drop(&mut self) {
        if self.places.is_empty() {
            return;
        }
        let put_back =
            Control::new().and_then(|control| set(&control, &self.interface, self.count, &self.places, true));
        if let Err(error) = put_back {
            tracing::warn!(interface = self.interface, %error, "offloads could not be put back: see `ethtool -k`");
        }
    }
}
