//! Lists of prefixes: one search says of every list whether the source is in it.
//!
//! Where prefixes begin and end, the addresses are cut into intervals, all of whose addresses are in the same lists. Their starts are
//! the keys of a B-tree for each IP version, whose nodes lie in an array one behind the other, each in a line of memory: a search
//! reads few of them, and there are no pointers that a verifier would ask about. What lists the intervals are in stands in another
//! array. Both have room for all of it twice: other lists are written beside those that are searched, and take their place with one
//! word.

use std::{iter, net::IpAddr};

use weir_asm::{
    Code, Label, Mem, Reg,
    maps::{MapSpec, MappedArray},
};
use weir_asm_macros::ebpf;
use weir_guard::meaning::{PrefixList, Senders, Service};

use super::{
    Compiler, Refusal,
    integer::constant,
    source::{ADDRESS, VERSION},
    stack,
    walk::forget,
};

/// As much as memory is read at once.
pub type ListLine = [u64; 8];

/// The trees' nodes. The first two lines are the [`ListHead`]s of both halves. The loader gives it its room.
pub const LIST_NODES: MapSpec<MappedArray<ListLine>> = MapSpec::new("list_nodes", 1);

/// The lists that each interval is in, a bit a list. The first one says which half is searched, 0 or 1.
pub const LIST_MASKS: MapSpec<MappedArray<u64>> = MapSpec::new("list_masks", 1);

/// Lines, and masks, in front of both halves.
pub const BEFORE_LISTS: [usize; 2] = [2, 1];

/// Where the trees of IPv6 and of IPv4 stand: the first line, in front of 32 bits for the number of nodes; and the first mask. Zeros
/// behind them.
pub type ListHead = [[u64; 2]; 2];

/// Lists that a mask has bits for.
const MOST_LISTS: usize = u64::BITS as usize;

/// There is room for so many nodes in any case: some thousand prefixes, in 256 KiB.
const LEAST_ROOM: usize = 512;

/// A service's lists as programs search them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListTrees {
    /// IPv6's, and IPv4's.
    pub trees: [ListTree; 2],
}

/// The intervals of an IP version.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListTree {
    /// How many nodes there are. The children of node `n` are those from `n * (ways + 1) + 1` on, one more than it has ways.
    pub nodes: usize,
    /// A node's starts: of IPv4 16 addresses. Of IPv6 the upper halves of 8, with the lower ones behind those of all
    /// nodes.
    pub lines: Vec<ListLine>,
    /// Of each start the lists that addresses from there on are in.
    pub masks: Vec<u64>,
}

const WAYS_V4: usize = 16;
const WAYS_V6: usize = 8;

impl ListTrees {
    /// Of the service's lists as they are now. A program of this service has each list's bit where it was when it was made:
    /// prefixes may change, rules may not.
    pub fn of(service: &Service) -> Self {
        Self { trees: [ListTree::v6(&starts(service, false)), ListTree::v4(&starts(service, true))] }
    }

    /// Where the trees stand in a half of the maps, 0 or 1, one behind the other; `room` is how many lines and masks a half has.
    pub fn placed(&self, half: usize, room: [usize; 2]) -> ListHead {
        let [mut line, mut mask] = [0, 1].map(|map| BEFORE_LISTS[map] + half * room[map]);
        self.trees.each_ref().map(|tree| {
            let place = [(line as u64) << 32 | tree.nodes as u64, mask as u64];
            line += tree.lines.len();
            mask += tree.masks.len();
            place
        })
    }
}

impl ListTree {
    fn v4(starts: &[(u128, u64)]) -> Self {
        let nodes = starts.len().div_ceil(WAYS_V4);
        let (mut keys, mut masks) = (vec![[0; WAYS_V4]; nodes], vec![0; nodes * WAYS_V4]);
        in_order(starts, [nodes, WAYS_V4], |node, way, start, mask| {
            keys[node][way] = (start / V4_STEP) as u32;
            masks[node * WAYS_V4 + way] = mask;
        });
        Self { nodes, lines: keys.into_iter().map(|keys| zerocopy::transmute!(keys)).collect(), masks }
    }

    fn v6(starts: &[(u128, u64)]) -> Self {
        let nodes = starts.len().div_ceil(WAYS_V6);
        let (mut lines, mut masks) = (vec![[0; WAYS_V6]; 2 * nodes], vec![0; nodes * WAYS_V6]);
        in_order(starts, [nodes, WAYS_V6], |node, way, start, mask| {
            lines[node][way] = (start >> 64) as u64;
            lines[nodes + node][way] = start as u64;
            masks[node * WAYS_V6 + way] = mask;
        });
        Self { nodes, lines, masks }
    }
}

/// Where each start goes. Behind the last one, nodes are filled up with the last address, which is in that interval.
fn in_order(starts: &[(u128, u64)], shape: [usize; 2], mut put: impl FnMut(usize, usize, u128, u64)) {
    let last = starts.last().map_or(0, |(_, mask)| *mask);
    let mut starts = starts.iter().copied().chain(iter::repeat((u128::MAX, last)));
    visit(0, shape, &mut |node, way| {
        let (start, mask) = starts.next().expect("there is no end of them");
        put(node, way, start, mask);
    });
}

/// Visits the starts of a node, and those between them.
fn visit(node: usize, shape: [usize; 2], at: &mut impl FnMut(usize, usize)) {
    let [nodes, ways] = shape;
    if node < nodes {
        for way in 0..=ways {
            visit(node * (ways + 1) + 1 + way, shape, at);
            if way < ways {
                at(node, way);
            }
        }
    }
}

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

/// Lines and masks in each half: for what there is and a quarter more.
fn room(service: &Service) -> [usize; 2] {
    let mut ends = [0; 2];
    for range in lists(service).flat_map(PrefixList::ranges) {
        ends[usize::from(range.start().is_ipv4())] += 2;
    }
    // The last node of each may not be full.
    let [v6, v4] = [ends[0] / WAYS_V6 + 1, ends[1] / WAYS_V4 + 1];
    let and_more = |needed: usize| needed + needed / 4;
    [
        and_more(2 * v6 + v4).max(2 * LEAST_ROOM),
        and_more(v6 * WAYS_V6 + v4 * WAYS_V4).max(LEAST_ROOM * WAYS_V4),
    ]
}

/// Entries of [`LIST_NODES`] and of [`LIST_MASKS`].
pub(super) fn entries(service: &Service) -> [usize; 2] {
    let room = room(service);
    [0, 1].map(|map| BEFORE_LISTS[map] + 2 * room[map])
}

/// The starts of intervals, and their masks.
fn starts(service: &Service, is_v4: bool) -> Vec<(u128, u64)> {
    let mut ends = Vec::new();
    for (number, list) in lists(service).enumerate() {
        let of_version = list.ranges().iter().filter(|range| range.start().is_ipv4() == is_v4);
        for (start, end) in of_version.map(|range| (*range.start(), *range.end())) {
            ends.push((place(start), 1 << number));
            // Behind the last address is nothing.
            let step = if is_v4 { V4_STEP } else { 1 };
            ends.extend(place(end).checked_add(step).map(|behind| (behind, 1 << number)));
        }
    }
    // Each list's are sorted, which this sort makes use of.
    ends.sort();
    let (mut mask, mut starts) = (0, Vec::<(u128, u64)>::new());
    for (at, list) in ends {
        mask ^= list;
        match starts.last_mut() {
            Some((last, lists)) if *last == at => *lists = mask,
            _ => starts.push((at, mask)),
        }
    }
    starts.dedup_by_key(|(_, mask)| *mask);
    starts
}

/// From an IPv4 address to the next.
const V4_STEP: u128 = 1 << 96;

/// An address as keys are compared.
fn place(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(address.to_bits()) * V4_STEP,
        IpAddr::V6(address) => address.to_bits(),
    }
}

/// The lists that the source is in.
const MASK: Mem = stack(-168);
/// The source's halves as integers, or an IPv4 source and 1.
const HALVES: [Mem; 2] = [stack(-112), stack(-120)];
/// The node of its tree where a search is, how many the tree has, and where its first line is.
const NODE: Mem = stack(-128);
const COUNT: Mem = stack(-136);
const FIRST: Mem = stack(-176);
/// Where its first mask is, and one more than the number of the last start that isn't behind the source, 0 for none.
const MASKS: Mem = stack(-184);
const FOUND: Mem = stack(-192);
/// A line that is looked at again.
const LINE: Mem = stack(-200);
const INDEX: i16 = -16;

/// A word of what r0 points to.
const fn word(number: usize) -> Mem {
    Mem { base: Reg::R0, off: 8 * number as i16 }
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

impl Compiler<'_> {
    /// [`MASK`] from the source; on at `unfilled` where the maps hold no lists yet.
    pub(super) fn search_lists(&self, code: &mut Code, unfilled: Label) -> Result<(), Refusal> {
        let count = lists(self.service).count();
        if count > MOST_LISTS {
            return Err(Refusal::TooManyLists(count));
        }
        let [done, found, version_6] = [(); 3].map(|()| code.fresh_label());
        ebpf! { in code;
            mov r1, 0
            stxdw [$MASK], r1
            stxdw [$FOUND], r1
            stxdw [$NODE], r1
            stxw [{stack(INDEX)}], r1
        }
        entry(code, LIST_MASKS.name(), done);
        ebpf! { in code;
            ldxdw r1, [r0]
            stxw [{stack(INDEX)}], r1
        }
        entry(code, LIST_NODES.name(), done);
        ebpf! { in code;
            ldxdw r1, [r0]
            jeq r1, 0, $unfilled
            ldxw r1, [$VERSION]
            jeq r1, 0, $version_6
        }
        let [lines, _] = room(self.service);
        self.search_v4(code, lines, found);
        ebpf! { in code; $version_6: }
        self.search_v6(code, lines / 2, found);
        ebpf! { in code;
        $found:
            ldxdw r1, [$FOUND]
            jeq r1, 0, $done
            ldxdw r2, [$MASKS]
            add r1, r2
            sub r1, 1
            stxw [{stack(INDEX)}], r1
        }
        entry(code, LIST_MASKS.name(), done);
        ebpf! { in code;
            ldxdw r1, [r0]
            stxdw [$MASK], r1
        $done:
        }
        Ok(())
    }

    /// What the head that r0 points to says of a tree.
    fn read_head(&self, code: &mut Code, tree: usize) {
        ebpf! { in code;
            ldxdw r1, [{word(2 * tree)}]
            mov r2, r1
            rsh r2, 32
            stxdw [$FIRST], r2
            lsh r1, 32
            rsh r1, 32
            stxdw [$COUNT], r1
            ldxdw r1, [{word(2 * tree + 1)}]
            stxdw [$MASKS], r1
        }
    }

    /// Of each level one node, which r0 points to, until there are no more; `choose` leaves in r3 the child's number, from 1 on. There
    /// are at most so many nodes.
    fn descend(&self, code: &mut Code, most: usize, ways: usize, end: Label, choose: impl Fn(&mut Code)) {
        let mut reached = 0;
        while reached < most {
            let none = code.fresh_label();
            ebpf! { in code;
                ldxdw r1, [$NODE]
                ldxdw r2, [$COUNT]
                jge r1, r2, $end
                ldxdw r2, [$FIRST]
                add r1, r2
                stxw [{stack(INDEX)}], r1
            }
            entry(code, LIST_NODES.name(), end);
            choose(code);
            ebpf! { in code;
                ldxdw r1, [$NODE]
                jeq r3, 1, $none
                mov r2, r1
                mul r2, {ways as i32}
                add r2, r3
                sub r2, 1
            }
            forget(code, FOUND, Reg::R2);
            ebpf! { in code;
            $none:
                mul r1, {ways as i32 + 1}
                add r3, r1
            }
            forget(code, NODE, Reg::R3);
            reached = reached * (ways + 1) + 1;
        }
        ebpf! { in code; ja $end }
    }

    /// Without a branch: how many starts are less than the source and 1 is added up.
    fn search_v4(&self, code: &mut Code, most: usize, end: Label) {
        self.read_head(code, 1);
        ebpf! { in code;
            ldxw r1, [$ADDRESS]
            be32 r1
            add r1, 1
            stxdw [{HALVES[0]}], r1
        }
        self.descend(code, most, WAYS_V4, end, |code| {
            ebpf! { in code;
                ldxdw r1, [{HALVES[0]}]
                mov r3, 1
            }
            for way in 0..WAYS_V4 {
                ebpf! { in code;
                    ldxw r2, [{Mem { base: Reg::R0, off: (way * size_of::<u32>()) as i16 }}]
                    sub r2, r1
                    rsh r2, 63
                    add r3, r2
                }
            }
        });
    }

    /// Without a branch where it can be: of upper halves without their last bit, which leave the difference's sign right, how many are
    /// at most the source's, and how many less. Where both are the same, that is the child.
    fn search_v6(&self, code: &mut Code, most: usize, end: Label) {
        self.read_head(code, 0);
        for (number, half) in HALVES.into_iter().enumerate() {
            ebpf! { in code;
                ldxdw r1, [{stack(ADDRESS.off + 8 * number as i16)}]
                be64 r1
                stxdw [$half], r1
            }
        }
        self.descend(code, most, WAYS_V6, end, |code| {
            let chosen = code.fresh_label();
            ebpf! { in code;
                ldxdw r1, [{HALVES[0]}]
                rsh r1, 1
                mov r3, 1
                mov r4, 1
            }
            for way in 0..WAYS_V6 {
                ebpf! { in code;
                    ldxdw r2, [{word(way)}]
                    rsh r2, 1
                    sub r2, r1
                    mov r5, r2
                    rsh r5, 63
                    add r4, r5
                    sub r2, 1
                    rsh r2, 63
                    add r3, r2
                }
            }
            ebpf! { in code;
                jeq r3, r4, $chosen
                stxdw [$LINE], r0
                ldxw r1, [{stack(INDEX)}]
                ldxdw r2, [$COUNT]
                add r1, r2
                stxw [{stack(INDEX)}], r1
            }
            entry(code, LIST_NODES.name(), end);
            ebpf! { in code;
                ldxdw r1, [{HALVES[0]}]
                ldxdw r4, [{HALVES[1]}]
                ldxdw r5, [$LINE]
                mov r3, 1
            }
            for way in 0..WAYS_V6 {
                let less = code.fresh_label();
                ebpf! { in code;
                    ldxdw r2, [{Mem { base: Reg::R5, ..word(way) }}]
                    jgt r2, r1, $chosen
                    jne r2, r1, $less
                    ldxdw r2, [{word(way)}]
                    jgt r2, r4, $chosen
                $less:
                    add r3, 1
                }
            }
            ebpf! { in code; $chosen: }
        });
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
