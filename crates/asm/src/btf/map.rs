//! Maps as types: the struct of pointers that libbpf's `__uint` and `__type` make (tools/lib/bpf/bpf_helpers.h).

use thiserror::Error;

use super::{Btf, Linkage, TypeId, c_name};
use crate::{Layout, MapDef, MapKind, RunConfig};

/// A layout that no type in BTF has.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum LayoutError {
    /// Integers have 1, 2, 4 or 8 bytes.
    #[error("an integer of {0} bytes; they have 1, 2, 4 or 8")]
    Integer(u8),
    /// An array of nothing, or a field of no type.
    #[error("an element or field of no type; give it one or leave it out")]
    Nothing,
    /// More bytes than a map takes.
    #[error("more than {MAX_BYTES} bytes")]
    TooLarge,
    /// Structs in structs without end.
    #[error("nested more than {MAX_DEPTH} deep, which is all that the kernel resolves")]
    TooDeep,
}

const MAX_BYTES: u32 = 1 << 30;
/// MAX_RESOLVE_DEPTH in kernel/bpf/btf.c.
const MAX_DEPTH: usize = 32;
/// The highest number of members that a struct's record has room for (BTF_MAX_VLEN).
const MAX_FIELDS: usize = 0xffff;

/// A map's variable in the section `.maps`, and its size in bytes.
pub(crate) fn map_fields(btf: &mut Btf, map: &MapDef) -> Result<(TypeId, u32), LayoutError> {
    let mut fields = vec![("type", number(btf, map.kind as u32))];
    let typed = takes_types(map);
    fields.extend(part(btf, ["key", "key_size"], &map.key, typed)?);
    fields.extend(part(btf, ["value", "value_size"], &map.value, typed)?);
    fields.push(("max_entries", number(btf, map.max_entries)));
    if map.flags != 0 {
        fields.push(("map_flags", number(btf, map.flags)));
    }
    let placed: Vec<_> =
        fields.iter().zip(0..).map(|(&(name, id), index)| (name, id, index * POINTER)).collect();
    let bytes = POINTER * fields.len() as u32;
    let definition = btf.structure("", bytes, &placed);
    Ok((btf.var(&map.name, definition, Linkage::Global), bytes))
}

/// A program's variable in the section `.xdp_run_config`, its name, and its size in bytes: a number for the priority, and one
/// for each action.
pub(crate) fn run_config(btf: &mut Btf, program: &str, config: &RunConfig) -> (TypeId, String, u32) {
    let actions = config.chain_call_actions.iter().map(|action| (*action, 1));
    let numbers = std::iter::once(("priority", config.priority)).chain(actions);
    let fields: Vec<_> =
        numbers.zip(0..).map(|((name, value), index)| (name, number(btf, value), index * POINTER)).collect();
    let (name, bytes) = (format!("_{}", c_name(program)), POINTER * fields.len() as u32);
    let definition = btf.structure("", bytes, &fields);
    (btf.var(&name, definition, Linkage::Global), name, bytes)
}

/// A variable of this layout, and its size in bytes.
pub(crate) fn variable(btf: &mut Btf, name: &str, layout: &Layout) -> Result<(TypeId, u32), LayoutError> {
    let (id, bytes) = layout_type(btf, layout, 0)?;
    Ok((btf.var(&c_name(name), id, Linkage::Static), bytes))
}

const POINTER: u32 = 8;

/// A key or value: a pointer to its type, or its size.
fn part(
    btf: &mut Btf,
    [of_type, of_size]: [&'static str; 2],
    layout: &Layout,
    typed: bool,
) -> Result<Option<(&'static str, TypeId)>, LayoutError> {
    if *layout == Layout::None {
        return Ok(None);
    }
    if typed {
        let (id, _) = layout_type(btf, layout, 0)?;
        return Ok(Some((of_type, btf.pointer(id))));
    }
    let (_, bytes) = layout_type(&mut Btf::new(), layout, 0)?;
    Ok(Some((of_size, number(btf, bytes))))
}

/// Whether the kernel lets a map have types: both of them or none. Maps of descriptors and ring buffers have none; an
/// array's key must be a plain 32-bit integer and a trie's a struct (`map_check_btf` in kernel/bpf).
fn takes_types(map: &MapDef) -> bool {
    match map.kind {
        MapKind::ProgArray | MapKind::PerfEventArray | MapKind::RingBuf => false,
        MapKind::Array | MapKind::PerCpuArray => {
            matches!(map.key, Layout::Unsigned(4) | Layout::Signed(4)) && map.value != Layout::None
        }
        MapKind::LpmTrie => matches!(map.key, Layout::Struct(..)) && map.value != Layout::None,
        _ => map.key != Layout::None && map.value != Layout::None,
    }
}

/// A number, as the length of an array that a pointer points to.
fn number(btf: &mut Btf, value: u32) -> TypeId {
    let int = btf.int(4, true);
    let array = btf.array(int, value);
    btf.pointer(array)
}

fn layout_type(btf: &mut Btf, layout: &Layout, depth: usize) -> Result<(TypeId, u32), LayoutError> {
    if depth > MAX_DEPTH {
        return Err(LayoutError::TooDeep);
    }
    match layout {
        Layout::None => Err(LayoutError::Nothing),
        Layout::Unsigned(bytes) | Layout::Signed(bytes) => {
            if !matches!(bytes, 1 | 2 | 4 | 8) {
                return Err(LayoutError::Integer(*bytes));
            }
            Ok((btf.int(*bytes, matches!(layout, Layout::Signed(_))), (*bytes).into()))
        }
        Layout::Array(element, count) => {
            let (element, bytes) = layout_type(btf, element, depth + 1)?;
            let bytes = bytes.checked_mul(*count).filter(|&bytes| bytes <= MAX_BYTES);
            Ok((btf.array(element, *count), bytes.ok_or(LayoutError::TooLarge)?))
        }
        Layout::Struct(name, fields) => structure(btf, name, fields, depth),
    }
}

fn structure(
    btf: &mut Btf,
    name: &str,
    fields: &[(String, Layout)],
    depth: usize,
) -> Result<(TypeId, u32), LayoutError> {
    if fields.len() > MAX_FIELDS {
        return Err(LayoutError::TooLarge);
    }
    let mut placed = Vec::with_capacity(fields.len());
    let mut end = 0_u32;
    let mut align = 1;
    for (name, layout) in fields {
        let (id, bytes) = layout_type(btf, layout, depth + 1)?;
        // A layout that has a type has small alignments.
        let field_align = layout.align() as u32;
        let at = end.next_multiple_of(field_align);
        placed.push((if name.is_empty() { String::new() } else { c_name(name) }, id, at));
        end = at.checked_add(bytes).filter(|&end| end <= MAX_BYTES).ok_or(LayoutError::TooLarge)?;
        align = align.max(field_align);
    }
    let placed: Vec<_> = placed.iter().map(|(name, id, at)| (name.as_str(), *id, *at)).collect();
    let bytes = end.next_multiple_of(align);
    let name = if name.is_empty() { String::new() } else { c_name(name) };
    Ok((btf.structure(&name, bytes, &placed), bytes))
}
