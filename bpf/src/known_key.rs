//! A GET or DELETE passes where the map has its key; a PUT that passes puts its key there.

use core::mem::MaybeUninit;

use aya_ebpf::btf_maps::HashMap;
use weir_wire::{Command, udp};

use crate::{command::whole_command, hook::Hook, packet::Packet};

/// Keys that are known, each with 1; the loader says how many there is room for.
pub type Keys = HashMap<u32, u8, 1>;

/// Whether the packet is a command of its length, and its key known where it asks for one.
#[inline(always)]
pub fn asks_for_a_known_key<H: Hook>(packet: &Packet<'_, H>, keys: &'static Keys) -> bool {
    let Some(command) = whole_command(packet) else { return false };
    if matches!(command, Command::Stop) {
        return true;
    }
    // A request whose key isn't in the packet, which a false length field can bring about, has no key to be asked for.
    let Some(key) = key_of(packet, command) else { return true };
    let is_known = keys.get_ptr(&key).is_some();
    match command {
        Command::Put => {
            if !is_known {
                // A map that is full learns nothing: the server makes room when it sees the PUT.
                let _ = keys.insert(&key, &1, 0);
            }
            true
        }
        _ => is_known,
    }
}

/// Loaded into a word of its own: a packet's words may lie anywhere, the stack's may not.
#[inline(always)]
pub(crate) fn key_of<H: Hook>(packet: &Packet<'_, H>, command: Command) -> Option<u32> {
    let at = udp::PAYLOAD_OFFSET + command.key_offset();
    let mut key = MaybeUninit::<u32>::uninit();
    // SAFETY: there is room, and what is read was written.
    unsafe {
        packet
            .copy_from(at as u32, key.as_mut_ptr().cast(), size_of::<u32>() as u32)
            .then(|| u32::from_le(key.assume_init()))
    }
}
