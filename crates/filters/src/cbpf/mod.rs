//! The toolkit `cbpf`: filters as classic BPF for a socket, generated from their specification; guards too ([`service`]).
//!
//! Classic BPF has no maps: it neither counts nor keeps a copy, and its parameters are constants.

mod insn;
pub mod service;
#[cfg(test)]
mod tests;

use weir_wire::{Command, udp};

use crate::{Binding, Filter, FilterName, Gap, Parameter};
use insn::{ClassicCode, ClassicLabel};
pub use insn::{ClassicInsn, JUMP_IF_EQUAL, LOAD_BYTE, LOAD_HALF, LOAD_WORD, RETURN};

/// How many bytes to keep of a packet that goes on: more than any has (net/core/filter.c, sk_filter_trim_cap).
const ACCEPT: u32 = u32::MAX;
const DROP: u32 = 0;

/// The filter's program for a socket, of which the kernel shows it each packet from the UDP header on.
///
/// # Errors
/// The filter needs a map, or has no program here.
pub fn program(filter: Filter) -> Result<Vec<ClassicInsn>, Gap> {
    if filter.is_dynamic() {
        return Err(NO_MAPS);
    }
    let mut code = ClassicCode::default();
    match filter.name {
        FilterName::Simple => code.push(RETURN, ACCEPT),
        FilterName::Reject => code.push(RETURN, DROP),
        FilterName::ValidCommand => valid(&mut code),
        FilterName::RobustValidCommand => robust(&mut code),
        FilterName::Parameterized if filter.binding == Binding::Constant => {
            let is_accept = filter.parameter == Parameter::Accept;
            code.push(RETURN, if is_accept { ACCEPT } else { DROP });
        }
        // A map beside that of verdicts.
        name if name.entry().maps.len() > 1 => return Err(NO_MAPS),
        _ => return Err(NOT_WRITTEN),
    }
    Ok(code.finish())
}

/// Why a filter can't be written so.
const NO_MAPS: Gap =
    Gap("classic BPF has no maps; of the parameterized filter the constant can be written (--bind constant)");

const NOT_WRITTEN: Gap = Gap("nobody has written it in classic BPF");

/// Shorter words come first: where the payload ends within a word, the load that ends the program is right, since no word
/// that is left is shorter.
fn valid(code: &mut ClassicCode) {
    for command in by_length() {
        let next = code.label();
        accept(code, command, next);
        code.place(next);
    }
    code.push(RETURN, DROP);
}

fn robust(code: &mut ClassicCode) {
    for command in by_length() {
        let next = code.label();
        code.push(LOAD_HALF, udp::LENGTH_OFFSET as u32);
        code.jump_unless(udp::length_field(command.request_len()).into(), next);
        accept(code, command, next);
        code.place(next);
    }
    code.push(RETURN, DROP);
}

fn by_length() -> [Command; 4] {
    let mut commands = Command::ALL;
    commands.sort_by_key(|command| command.word().len());
    commands
}

/// Accepts a payload that begins with the command's word, and goes on at `other` where it doesn't.
fn accept(code: &mut ClassicCode, command: Command, other: ClassicLabel) {
    let mut offset = udp::PAYLOAD_OFFSET as u32;
    let mut word = command.word();
    while !word.is_empty() {
        let (load, len) = match word.len() {
            4.. => (LOAD_WORD, 4),
            2.. => (LOAD_HALF, 2),
            _ => (LOAD_BYTE, 1),
        };
        let (bytes, rest) = word.split_at(len);
        let value = bytes.iter().fold(0, |value, byte| value << 8 | u32::from(*byte));
        code.push(load, offset);
        code.jump_unless(value, other);
        offset += len as u32;
        word = rest;
    }
    code.push(RETURN, ACCEPT);
}
