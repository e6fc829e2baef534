//! The lists' prefixes as programs search them.
//!
//! Where prefixes begin and end, the addresses are cut into intervals, all of whose addresses are in the same lists. An address's first
//! bits choose a part of a table, and where many intervals begin in that, the next ones a part of another table, up to three. What is
//! left is mostly one line: of 15 starts that differ in 15 bits, as those of IPv4 do, or of 5 others, with what holds behind each. More of
//! them are a B-tree, so that no lists make a search long. Nothing is a pointer, which a verifier would ask about.

use std::{collections::HashMap, iter, mem, net::IpAddr};

use weir_asm::maps::{MapSpec, MappedArray};
use weir_guard::meaning::Service;

use super::lists;

/// As much as memory is read at once.
pub type ListLine = [u64; 8];

/// Lines, of which each half has the same number: other lists are written beside those that are searched. The loader gives it its room.
pub const LIST_NODES: MapSpec<MappedArray<ListLine>> = MapSpec::new("list_nodes", 1);

/// First the [`ListIndex::root`] of what is searched, then both halves.
pub const LIST_WORDS: MapSpec<MappedArray<u64>> = MapSpec::new("list_words", 1);

/// Tables that an address goes through at most.
pub(super) const TABLES: usize = 3;

/// A part of a table is a table itself, or a short line, where it has one of these bits; else a tree.
pub(super) const TABLE: u32 = 1 << 31;
const SHORT: u32 = 1 << 30;

/// Keys of a short line, of which the first is 0.
pub(super) const SHORT_KEYS: usize = 16;

/// Keys of a tree's node.
pub(super) const KEYS: usize = 5;
/// Children of a tree's node: node `n` has those from `n * WAYS + 1` on.
pub(super) const WAYS: usize = KEYS + 1;

/// A value with this bit is the number of a word that says where a tree is, for the address's other bits; else of a mask's.
const TREE: u32 = 1 << 31;

/// A part of so many starts, a tree of two levels, gets no table of its own.
const MOST_WITHOUT_TABLE: usize = KEYS * (WAYS + 1);

/// There is room for so many lines in any case: for some thousand prefixes, and trees of four levels.
const LEAST_LINES: usize = 1555;
const LEAST_WORDS: usize = 2048;

/// A service's lists for a half of the maps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListIndex {
    /// Where the half begins in [`LIST_NODES`] and in [`LIST_WORDS`].
    pub begins: [usize; 2],
    /// Short lines: 16 keys of 15 bits, and for each what it changes in the value. Nodes of trees: 5 keys of 63 bits, the value in front
    /// of them, and for each what it changes in that.
    pub lines: Vec<ListLine>,
    /// Where IPv6's table is, and IPv4's; then masks, a bit a list, tables, and where trees are. The upper 32 bits say which entry is
    /// the first; the lower ones how many bits choose in a table, or how many nodes a tree has. Where those are none, the upper ones are
    /// the value.
    pub words: Vec<u64>,
    /// Nodes of the largest tree.
    largest: usize,
    /// By how many bits tables are smaller than they would be with more room.
    bits_less: u32,
}

/// A start of an interval, and the number of the word with its mask.
type Start = (u128, u32);

impl ListIndex {
    /// Of the service's lists as they are now, for the half 0 or 1 of maps with so many entries: one that has room there, if that can be.
    /// A program of this service has each list's bit where it was when it was made: prefixes may change, rules may not.
    pub fn of(service: &Service, half: usize, entries: [usize; 2]) -> Self {
        let room = Self::room(entries);
        let begins = [half * room[0], 1 + half * room[1]];
        let starts = [false, true].map(|is_v4| starts(service, is_v4));
        let fits = |index: &Self| index.needed().iter().zip(room).all(|(needed, room)| *needed <= room);
        let smaller = iter::successors(Some(Self::new(begins, &starts, 0)), |larger| {
            (!fits(larger) && larger.bits_less < 2).then(|| Self::new(begins, &starts, larger.bits_less + 1))
        });
        smaller.last().expect("there is a first")
    }

    fn new(begins: [usize; 2], starts: &[Vec<(u128, u64)>; 2], bits_less: u32) -> Self {
        let mut index = Self { begins, lines: Vec::new(), words: vec![0; 2], largest: 0, bits_less };
        let mut masks = HashMap::new();
        let mut word = |mask| *masks.entry(mask).or_insert_with(|| index.word(mask));
        let outside = word(0);
        let starts = starts
            .each_ref()
            .map(|starts| -> Vec<Start> { starts.iter().map(|(at, mask)| (*at, word(*mask))).collect() });
        for (version, starts) in starts.into_iter().enumerate() {
            index.words[version] = index.table(outside, &starts, 0, 1);
        }
        index
    }

    /// What [`LIST_WORDS`]' first word is where this half is searched; 0 where none is.
    pub fn root(&self) -> u64 {
        self.begins[1] as u64
    }

    /// The half, 0 or 1, that isn't searched where the first word is this.
    pub fn half_beside(root: u64) -> usize {
        usize::from(root == 1)
    }

    /// Lines and words that a half needs: of all lines a sixth may be one tree, which decides how many levels programs follow.
    pub fn needed(&self) -> [usize; 2] {
        [self.lines.len().max(WAYS * self.largest), self.words.len()]
    }

    /// Lines and words of each half, of maps with so many entries.
    pub fn room(entries: [usize; 2]) -> [usize; 2] {
        [entries[0] / 2, entries[1].saturating_sub(1) / 2]
    }

    /// Adds a table of starts, in front of which a value holds, and of which so many first bits are known. It is the `number`th that an
    /// address comes to.
    fn table(&mut self, mut value: u32, mut starts: &[Start], known: u32, number: usize) -> u64 {
        let bits = self.table_bits(starts, known);
        let first = self.words.len();
        self.words.resize(first + (1 << bits), 0);
        for part in 0..1 << bits {
            let is_here = |(at, _): &&Start| at << known >> (128 - bits) == part;
            let (here, behind) = starts.split_at(starts.iter().take_while(is_here).count());
            self.words[first + part as usize] = self.part(value, here, known + bits, number);
            value = here.last().map_or(value, |(_, value)| *value);
            starts = behind;
        }
        leading_to(self.begins[1] + first, TABLE | bits)
    }

    /// Bits that choose in a table: a few starts are in each part, if they lie evenly.
    fn table_bits(&self, starts: &[Start], known: u32) -> u32 {
        let bits =
            |each: usize| ((starts.len() / each).max(1).ilog2()).saturating_sub(self.bits_less).clamp(2, 18);
        let [few, more] = [SHORT_KEYS / 4, KEYS / 2].map(bits);
        if are_short(starts, known + few) { few } else { more }
    }

    /// Adds a part of a table.
    fn part(&mut self, before: u32, starts: &[Start], known: u32, number: usize) -> u64 {
        if starts.is_empty() {
            leading_to(before as usize, 0)
        } else if let Some(line) = self.short_line(before, starts, known) {
            self.lines.push(line);
            leading_to(self.begins[0] + self.lines.len() - 1, SHORT)
        } else if starts.len() > MOST_WITHOUT_TABLE && number < TABLES {
            self.table(before, starts, known, number + 1)
        } else {
            self.trees(before, starts, known)
        }
    }

    /// These starts as a short line, whose values count from the half's first word on.
    fn short_line(&self, before: u32, starts: &[Start], known: u32) -> Option<ListLine> {
        if starts.len() >= SHORT_KEYS || !are_short(starts, known) {
            return None;
        }
        let short = |value: u32| u16::try_from(value as usize - self.begins[1]).ok();
        let (mut keys, mut changes) = ([u16::MAX >> 1; SHORT_KEYS], [0; SHORT_KEYS]);
        let mut last = short(before)?;
        (keys[0], changes[0]) = (0, last);
        for (way, (at, value)) in (1..).zip(starts) {
            let value = short(*value)?;
            keys[way] = (at << known >> 113) as u16;
            changes[way] = value ^ mem::replace(&mut last, value);
        }
        Some(zerocopy::transmute!([keys, changes]))
    }

    /// Adds a tree of these starts, and those below it, where addresses have the same first key.
    fn trees(&mut self, before: u32, starts: &[Start], known: u32) -> u64 {
        let mut value = before;
        let mut keys = Vec::<(u64, u32)>::with_capacity(starts.len());
        for same in starts.chunk_by(|(one, _), (next, _)| keys_of(*one, known)[0] == keys_of(*next, known)[0])
        {
            let [key, rest] = keys_of(same[0].0, known);
            let inside = mem::replace(&mut value, same[same.len() - 1].1);
            if same.len() == 1 && rest == 0 {
                keys.push((key, value));
            } else {
                let below = same.iter().map(|(at, value)| (keys_of(*at, known)[1], *value));
                let below = self.tree(inside, &below.collect::<Vec<_>>());
                keys.push((key, TREE | self.word(below)));
                keys.push((key + 1, value));
            }
        }
        self.tree(before, &keys)
    }

    /// Adds a tree of these keys, in front of which a value holds.
    fn tree(&mut self, before: u32, keys: &[(u64, u32)]) -> u64 {
        let (first, nodes) = (self.lines.len(), keys.len().div_ceil(KEYS));
        self.lines.resize(first + nodes, [0; 8]);
        self.largest = self.largest.max(nodes);
        InOrder { keys, value: before }.write(0, &mut self.lines[first..]);
        leading_to(self.begins[0] + first, nodes as u32)
    }

    /// Adds a word, and says its number.
    fn word(&mut self, word: u64) -> u32 {
        self.words.push(word);
        (self.begins[1] + self.words.len() - 1) as u32
    }
}

fn leading_to(first: usize, what: u32) -> u64 {
    (first as u64) << 32 | u64::from(what)
}

/// Whether starts differ in 15 bits alone behind those that are known.
fn are_short(starts: &[Start], known: u32) -> bool {
    starts.iter().all(|(at, _)| at << known << 15 == 0)
}

/// An address behind so many bits, which are two at least: its next 63, and the others in front of zeros. So the sign of a
/// difference says which key is less.
fn keys_of(at: u128, known: u32) -> [u64; 2] {
    [known, known + 63].map(|from| (at << from >> 65) as u64)
}

/// Keys of a tree that are yet to be written, and what holds in front of them.
struct InOrder<'a> {
    keys: &'a [(u64, u32)],
    value: u32,
}

impl InOrder<'_> {
    /// Writes a node, and those below it between its keys. Behind the last key nodes are filled up with keys that change nothing.
    fn write(&mut self, node: usize, lines: &mut [ListLine]) {
        if node >= lines.len() {
            return;
        }
        let mut last = self.value;
        let mut values = [last; WAYS];
        for way in 0..WAYS {
            self.write(node * WAYS + 1 + way, lines);
            if way < KEYS {
                let (key, value) =
                    self.keys.split_off_first().copied().unwrap_or((u64::MAX >> 1, self.value));
                lines[node][way] = key;
                values[way + 1] = value ^ mem::replace(&mut last, value);
                self.value = value;
            }
        }
        let values: [u64; WAYS / 2] = zerocopy::transmute!(values);
        lines[node][KEYS..].copy_from_slice(&values);
    }
}

/// Entries of [`LIST_NODES`] and of [`LIST_WORDS`]: for what there is and a quarter more.
pub(in super::super) fn entries(service: &Service) -> [usize; 2] {
    let [lines, words] = ListIndex::of(service, 0, [usize::MAX; 2]).needed();
    let room = |needed: usize, least: usize| (needed + needed / 4).max(least);
    [2 * room(lines, LEAST_LINES), 1 + 2 * room(words, LEAST_WORDS)]
}

/// Levels of the largest tree that there may be in maps with so many entries.
pub(in super::super) fn most_levels(entries: [usize; 2]) -> i32 {
    let [lines, _] = ListIndex::room(entries);
    let whole = iter::successors(Some(1), |nodes| Some(nodes * WAYS + 1));
    1 + whole.take_while(|nodes| *nodes < lines / WAYS).count() as i32
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

/// An address in front of zeros.
fn place(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(address.to_bits()) * V4_STEP,
        IpAddr::V6(address) => address.to_bits(),
    }
}
