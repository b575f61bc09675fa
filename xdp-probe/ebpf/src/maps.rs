//! The maps, and the part of them that belongs to the packet at hand.

use aya_ebpf::bindings::BPF_F_MMAPABLE;
use aya_ebpf::btf_maps::{Array, ArrayOfMaps, LpmTrie, RingBuf, XskMap};
use aya_ebpf::macros::btf_map;
use probe_common::layout::{
    Books, Control, MAX_RULES, PORTS, PROTOCOLS, Quotas, RingEnds, RuleSets, Settings, Slot4, Slot6,
};

use crate::packet::Packet;

const MMAPABLE: usize = BPF_F_MMAPABLE as usize;
/// Areas at most; the loader creates as many as there are queues or CPUs.
const MAX_AREAS: usize = 512;

#[unsafe(no_mangle)]
static SETTINGS: Settings = Settings {
    seeds: [1, 2],
    multipliers: [3, 5],
    key_mask: 0,
    slots4_shift: 4,
    slots6_shift: 4,
    areas: 1,
    area_is_cpu: 0,
    policy: 0,
    sample: 1,
    clock_is_metadata: 0,
    first_egress: 0,
    enters_vxlan: 0,
    displaced_shift: 6,
    stores_in_order: 0,
    reserved: 0,
};

/// The settings. Each field is a constant for the verifier, which drops the code that it switches off.
#[derive(Clone, Copy)]
pub struct Fixed;

/// See [`Fixed`].
#[inline(always)]
pub const fn settings() -> Fixed {
    Fixed
}

macro_rules! fields {
    ($($field:ident: $of:ty,)+) => {
        impl Fixed {
            $(
                #[inline(always)]
                pub fn $field(self) -> $of {
                    // SAFETY: a valid static; volatile, because the loader writes other values into the object.
                    unsafe { (&raw const SETTINGS.$field).read_volatile() }
                }
            )+
        }
    };
}

fields! {
    key_mask: u64,
    slots4_shift: u32,
    slots6_shift: u32,
    areas: u32,
    area_is_cpu: u32,
    policy: u32,
    sample: u32,
    clock_is_metadata: u32,
    first_egress: u32,
    enters_vxlan: u32,
    displaced_shift: u32,
    stores_in_order: u32,
}

impl Fixed {
    #[inline(always)]
    pub fn seeds(self, round: usize) -> u64 {
        // SAFETY: as above.
        unsafe { (&raw const SETTINGS.seeds[round]).read_volatile() }
    }

    #[inline(always)]
    pub fn multipliers(self, round: usize) -> u64 {
        // SAFETY: as above.
        unsafe { (&raw const SETTINGS.multipliers[round]).read_volatile() }
    }
}

// The loader sets the number of entries of these: by `slots_in_all`, areas × those of a ring, areas × 2, areas.
#[btf_map]
pub static SLOTS4: Array<Slot4, 32, MMAPABLE> = Array::new();
#[btf_map]
pub static SLOTS6: Array<Slot6, 32, MMAPABLE> = Array::new();
/// Slots that left early, a ring of each IP version for each area.
#[btf_map]
pub static DISPLACED4: Array<Slot4, 32, MMAPABLE> = Array::new();
#[btf_map]
pub static DISPLACED6: Array<Slot6, 32, MMAPABLE> = Array::new();
#[btf_map]
pub static RING_ENDS: Array<RingEnds, 2, MMAPABLE> = Array::new();
#[btf_map]
static BOOKS: Array<Books, 2, MMAPABLE> = Array::new();
/// Of connections that have just begun.
#[btf_map]
pub static QUOTAS: Array<Quotas, 1> = Array::new();
#[btf_map]
static CONTROL: Array<Control, 1, MMAPABLE> = Array::new();
/// The filter; see `filter.rs`.
#[btf_map]
pub static RULE_SETS: Array<RuleSets, 1, MMAPABLE> = Array::new();
#[btf_map]
pub static RULES_OF_PROTOCOL: Array<u64, PROTOCOLS, MMAPABLE> = Array::new();
#[btf_map]
pub static RULES_OF_PORT: Array<u64, PORTS, MMAPABLE> = Array::new();
/// By the longest prefix, IPv4 as `::ffff:`: the rules of it and of all that contain it.
#[btf_map]
pub static RULES_OF_NET: LpmTrie<[u32; 4], u64, MAX_RULES> = LpmTrie::new();
/// Frames of the slow path, a ring for each area.
#[btf_map]
pub static COPIES: ArrayOfMaps<RingBuf<u64, 4096>, MAX_AREAS> = ArrayOfMaps::new();
/// AF_XDP sockets, by receive queue.
#[btf_map]
pub static SOCKETS: XskMap<MAX_AREAS> = XskMap::new();
/// Never looked at: user space sets it to wait until no program runs that began before.
#[btf_map]
static GRACE: ArrayOfMaps<Array<u32, 1>, 1> = ArrayOfMaps::new();
/// What is put into it.
#[btf_map]
static GRACE_INNER: Array<u32, 1> = Array::new();

/// Where the packet at hand is counted.
pub struct Area {
    /// Number of the area.
    pub index: u32,
    /// Generation that is written.
    pub generation: u32,
    /// Filter rules in use.
    pub rules: u32,
    /// Tick at which the generation began.
    pub base: u64,
    /// See [`Control::unused_shift`].
    unused_shift: u32,
    books: *mut Books,
}

impl Area {
    #[inline(always)]
    pub fn of(packet: &impl Packet) -> Option<Self> {
        let control = CONTROL.get_ptr(0)?;
        // SAFETY: the array's only entry. User space writes it while programs run: volatile, each field once.
        let (generation, rules) = unsafe {
            ((&raw const (*control).generation).read_volatile() & 1, (&raw const (*control).rules).read_volatile())
        };
        // SAFETY: as above.
        let base = unsafe { (&raw const (*control).base[generation as usize]).read_volatile() };
        // SAFETY: as above.
        let unused_shift = unsafe { (&raw const (*control).unused_shift[generation as usize]).read_volatile() };
        let index = packet.area();
        if index >= settings().areas() {
            return None;
        }
        let books = BOOKS.get_ptr_mut(generation * settings().areas() + index)?;
        Some(Self { index, generation, rules, base, unused_shift, books })
    }

    /// An area, without its filter, its clock and its slots' places: for what is counted in it by and by.
    #[inline(always)]
    pub fn numbered(generation: u32, index: u32) -> Option<Self> {
        if generation > 1 || index >= settings().areas() {
            return None;
        }
        let books = BOOKS.get_ptr_mut(generation * settings().areas() + index)?;
        Some(Self { index, generation, rules: 0, base: 0, unused_shift: 0, books })
    }

    /// The area's books. One program at a time runs in an area.
    #[inline(always)]
    #[expect(clippy::mut_from_ref, reason = "a map's entry; one program at a time runs in an area")]
    pub fn books(&self) -> &mut Books {
        // SAFETY: an entry of the array; see above.
        unsafe { &mut *self.books }
    }

    /// Index of one of the area's `1 << shift` slots, in an array of slots.
    #[inline(always)]
    pub fn slot(&self, hash: u64, shift: u32) -> u32 {
        let place = (hash >> ((64 - shift + self.unused_shift) & 63)) as u32 & ((1 << shift) - 1);
        ((self.generation * settings().areas() + self.index) << shift) + place
    }
}
