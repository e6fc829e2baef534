//! Lists of prefixes: one search says of every list whether the source is in it.

mod index;

use weir_asm::{Code, Label, Mem, Reg};
use weir_asm_macros::ebpf;
use weir_guard::meaning::{PrefixList, Senders, Service};

use super::{
    Compiler, Refusal,
    integer::constant,
    source::{ADDRESS, VERSION},
    stack,
};
use index::{KEYS, SHORT_KEYS, TABLES, WAYS};
pub use index::{LIST_NODES, LIST_WORDS, ListIndex, ListLine};
pub(super) use index::{entries, most_levels};

/// Lists that a mask has bits for.
const MOST_LISTS: usize = u64::BITS as usize;

/// Whether a program of the service searches lists. It does so for all of them, the empty ones too, or for none.
pub fn has_lists(service: &Service) -> bool {
    lists(service).any(|list| !list.is_empty())
}

/// The service's lists, in the order of their bits: those that are allowed, those that are blocked, those of acceptances and of limits.
pub(crate) fn lists(service: &Service) -> impl Iterator<Item = &PrefixList> {
    let senders =
        service.accept.iter().map(|each| &each.from).chain(service.limits.iter().map(|each| &each.from));
    let listed = senders.filter_map(|senders| match senders {
        Senders::Listed(list) => Some(list),
        Senders::Anyone | Senders::Known | Senders::Unknown => None,
    });
    [&service.allow, &service.block].into_iter().chain(listed)
}

/// The lists that the source is in.
const MASK: Mem = stack(-168);
/// The source's bits that are yet to be looked at; and then one more than each of its keys in trees.
const SOURCE: [Mem; 2] = [stack(-112), stack(-120)];
/// The first word of what is searched.
const ROOT: Mem = stack(-192);
/// The node of its tree where a search is, how many the tree has, and where its first line is.
const NODE: Mem = stack(-128);
const COUNT: Mem = stack(-136);
const FIRST: Mem = stack(-176);
/// What holds as far as it is known.
const VALUE: Mem = stack(-184);
const INDEX: i16 = -16;

/// What r0 points to.
const fn at(off: usize) -> Mem {
    Mem { base: Reg::R0, off: off as i16 }
}

/// r0 = the entry at [`INDEX`].
fn entry(code: &mut Code, map: &str, absent: Label) {
    ebpf! { in code;
        mov r2, r10
        add r2, {i32::from(INDEX)}
        lmap r1, $map
        call map_lookup_elem
        jeq r0, 0, $absent
    }
}

/// r1 = the word whose number is in r1.
fn word(code: &mut Code, absent: Label) {
    ebpf! { in code; stxw [{stack(INDEX)}], r1 }
    entry(code, LIST_WORDS.name(), absent);
    ebpf! { in code; ldxdw r1, [r0] }
}

/// r1 = the number of the source's word in the table of r1; the bits that choose are gone then. A register's lower six bits say by how many
/// another one is shifted (RFC 9669, 4.1).
fn choose(code: &mut Code) {
    let [first, second] = SOURCE;
    ebpf! { in code;
        ldxdw r3, [$first]
        ldxdw r4, [$second]
        mov r5, r1
        neg r5
        mov r2, r3
        rsh r2, r5
        lsh r3, r1
        mov r0, r4
        rsh r0, r5
        or r3, r0
        stxdw [$first], r3
        lsh r4, r1
        stxdw [$second], r4
        rsh r1, 32
        add r1, r2
    }
}

/// r1 = the value for the source in the short line of r1. Four keys at once: of each difference the bit above the key's 15 is left
/// where the key is at most the source's, and has what changes there counted.
fn short_line(code: &mut Code, absent: Label) {
    ebpf! { in code;
        rsh r1, 32
        stxw [{stack(INDEX)}], r1
    }
    entry(code, LIST_NODES.name(), absent);
    constant(code, Reg::R2, 0x0001_0001_0001_0001);
    ebpf! { in code;
        ldxdw r1, [{SOURCE[0]}]
        rsh r1, 49
        mul r1, r2
        lsh r2, 15
        or r1, r2
        mov r5, 0
    }
    for keys in (0..2 * SHORT_KEYS).step_by(8) {
        ebpf! { in code;
            ldxdw r4, [{at(keys)}]
            mov r3, r1
            sub r3, r4
            and r3, r2
            rsh r3, 15
            mul r3, 0xffff
            ldxdw r4, [{at(2 * SHORT_KEYS + keys)}]
            and r3, r4
            xor r5, r3
        }
    }
    ebpf! { in code;
        mov r1, r5
        rsh r1, 32
        xor r5, r1
        mov r1, r5
        rsh r1, 16
        xor r5, r1
        and r5, 0xffff
        ldxdw r1, [$ROOT]
        add r1, r5
    }
}

impl Compiler<'_> {
    /// [`MASK`] from the source; on at `unfilled` where the maps hold no lists yet, or anything else than what is written there.
    pub(super) fn search_lists(&self, code: &mut Code, unfilled: Label) -> Result<(), Refusal> {
        let count = lists(self.service).count();
        if count > MOST_LISTS {
            return Err(Refusal::TooManyLists(count));
        }
        let [part, trees, found] = [(); 3].map(|()| code.fresh_label());
        for (number, half) in SOURCE.into_iter().enumerate() {
            ebpf! { in code;
                ldxdw r1, [{stack(ADDRESS.off + 8 * number as i16)}]
                be64 r1
                stxdw [$half], r1
            }
        }
        ebpf! { in code; mov r1, 0 }
        word(code, unfilled);
        ebpf! { in code;
            jeq r1, 0, $unfilled
            stxdw [$ROOT], r1
            ldxw r2, [$VERSION]
            add r1, r2
        }
        word(code, unfilled);
        for _ in 0..TABLES {
            ebpf! { in code;
                mov r2, r1
                lsh r2, 32
                rsh r2, 63
                jeq r2, 0, $part
            }
            choose(code);
            word(code, unfilled);
        }
        ebpf! { in code;
        $part:
            mov r2, r1
            lsh r2, 33
            rsh r2, 63
            jeq r2, 0, $trees
        }
        short_line(code, unfilled);
        ebpf! { in code;
            ja $found
        $trees:
        }
        self.search_trees(code, found, unfilled);
        ebpf! { in code; $found: }
        word(code, unfilled);
        ebpf! { in code; stxdw [$MASK], r1 }
        Ok(())
    }

    /// r1 = the value for the source in the tree of r1, and in the one below, where there is one; on at `found` where there is none.
    fn search_trees(&self, code: &mut Code, found: Label, unfilled: Label) {
        let [first, second] = SOURCE;
        ebpf! { in code;
            ldxdw r3, [$first]
            ldxdw r4, [$second]
            mov r2, r3
            rsh r3, 1
            add r3, 1
            stxdw [$first], r3
            lsh r2, 63
            rsh r2, 1
            rsh r4, 2
            or r2, r4
            add r2, 1
            stxdw [$second], r2
        }
        self.descend(code, first, unfilled);
        ebpf! { in code;
            mov r2, r1
            rsh r2, 31
            jeq r2, 0, $found
            lsh r1, 33
            rsh r1, 33
        }
        word(code, unfilled);
        self.descend(code, second, unfilled);
    }

    /// r1 = the value for a key in the tree of r1. Without a branch in a node: whether a key is at most the source's, as a word of ones or
    /// zeros, counts for the child and for what changes in the value. Each level has instructions of its own: without CAP_PERFMON older
    /// verifiers follow a loop also where only speculation goes on, and don't see it end ("infinite loop detected", seen on Linux 5.10 and 6.1).
    fn descend(&self, code: &mut Code, source: Mem, unfilled: Label) {
        let end = code.fresh_label();
        ebpf! { in code;
            mov r2, r1
            rsh r2, 32
            stxdw [$FIRST], r2
            stxdw [$VALUE], r2
            lsh r1, 32
            rsh r1, 32
            stxdw [$COUNT], r1
            mov r1, 0
            stxdw [$NODE], r1
        }
        for _ in 0..self.list_levels {
            ebpf! { in code;
                ldxdw r1, [$NODE]
                ldxdw r2, [$COUNT]
                jge r1, r2, $end
                ldxdw r2, [$FIRST]
                add r1, r2
                stxw [{stack(INDEX)}], r1
            }
            entry(code, LIST_NODES.name(), unfilled);
            ebpf! { in code;
                ldxdw r1, [$source]
                mov r3, 1
                ldxw r5, [{at(8 * KEYS)}]
            }
            for key in 0..KEYS {
                ebpf! { in code;
                    ldxdw r2, [{at(8 * key)}]
                    sub r2, r1
                    arsh r2, 63
                    sub r3, r2
                    ldxw r4, [{at(8 * KEYS + 4 * (key + 1))}]
                    and r4, r2
                    xor r5, r4
                }
            }
            ebpf! { in code;
                stxdw [$VALUE], r5
                ldxdw r1, [$NODE]
                mul r1, {WAYS as i32}
                add r1, r3
                stxdw [$NODE], r1
            }
        }
        ebpf! { in code;
            ldxdw r1, [$NODE]
            ldxdw r2, [$COUNT]
            jlt r1, r2, $unfilled
        $end:
            ldxdw r1, [$VALUE]
        }
    }

    /// Falls through where the source is in the list, which is one of the service's.
    pub(super) fn require_list(&self, code: &mut Code, list: &PrefixList, otherwise: Label) {
        let number = lists(self.service).position(|each| std::ptr::eq(each, list));
        constant(code, Reg::R1, 1 << number.expect("it is one of the service's"));
        ebpf! { in code;
            ldxdw r2, [$MASK]
            and r1, r2
            jeq r1, 0, $otherwise
        }
    }
}
