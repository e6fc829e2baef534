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
    let key = match command {
        Command::Delete => key_of::<H, { offset(Command::Delete) }>(packet),
        _ => key_of::<H, { offset(Command::Get) }>(packet),
    };
    let Some(key) = key else { return true };
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

/// Where the key of a request stands, from the UDP header on; PUT's word is as long as GET's.
const fn offset(command: Command) -> usize {
    udp::PAYLOAD_OFFSET + command.word().len()
}

#[inline(always)]
fn key_of<H: Hook, const AT: usize>(packet: &Packet<'_, H>) -> Option<u32> {
    let mut beginning = MaybeUninit::<[u8; offset(Command::Delete) + size_of::<u32>()]>::uninit();
    // SAFETY: DELETE's word is the longest, so that there is room, and what is read was written.
    unsafe {
        if !packet.copy(beginning.as_mut_ptr().cast(), (AT + size_of::<u32>()) as u32) {
            return None;
        }
        let key = beginning.as_ptr().cast::<u8>().add(AT);
        Some(u32::from_le_bytes([*key, *key.add(1), *key.add(2), *key.add(3)]))
    }
}
