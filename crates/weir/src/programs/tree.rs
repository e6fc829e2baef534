//! The tree of a program as plain data: what `weir dump` prints, for people and as JSON.
//!
//! Instructions become data one at a time: as data they take a hundred times what they take as instructions.

use std::fmt::{self, Debug, Display};

use serde::{Serialize, Serializer};
use serde_json::{Map, Value, json};
use weir_asm::{
    Atomic, Call, Code, Imm64, Insn, Label, Layout, MapDef, Mem, Object, Program, Src, Target, Width,
};

/// An object's tree.
#[derive(Debug, Serialize)]
pub(crate) struct Tree<'a> {
    license: Option<&'a str>,
    maps: Vec<MapNode>,
    programs: Vec<ProgramNode<'a>>,
}

#[derive(Debug, Serialize)]
struct MapNode {
    name: String,
    kind: &'static str,
    key: Value,
    value: Value,
    max_entries: u32,
    flags: u32,
}

#[derive(Debug, Serialize)]
struct ProgramNode<'a> {
    name: &'a str,
    section: &'a str,
    instructions: Instructions<'a>,
    /// Labels behind the last instruction.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    labels_at_end: Vec<String>,
}

#[derive(Debug)]
struct Instructions<'a> {
    code: &'a Code,
    /// The labels that have a place, in the order of their places.
    labels: Vec<(usize, Label)>,
}

/// An instruction; a jump goes to a label, or so many slots from the next instruction.
#[derive(Debug, Serialize)]
struct Node {
    /// Its first 8-byte slot, from 0.
    index: usize,
    /// Its source line, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<u32>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    labels: Vec<String>,
    kind: &'static str,
    #[serde(flatten)]
    fields: Map<String, Value>,
}

impl<'a> From<&'a Object> for Tree<'a> {
    fn from(object: &'a Object) -> Self {
        Self {
            license: object.license.as_deref(),
            maps: object.maps.iter().map(MapNode::from).collect(),
            programs: object.programs.iter().map(ProgramNode::from).collect(),
        }
    }
}

impl From<&MapDef> for MapNode {
    fn from(map: &MapDef) -> Self {
        Self {
            name: map.name.clone(),
            kind: map.kind.as_str(),
            key: layout(&map.key),
            value: layout(&map.value),
            max_entries: map.max_entries,
            flags: map.flags,
        }
    }
}

fn layout(of: &Layout) -> Value {
    match of {
        Layout::None => Value::Null,
        Layout::Unsigned(bytes) => json!(format!("u{}", 8 * u32::from(*bytes))),
        Layout::Signed(bytes) => json!(format!("i{}", 8 * u32::from(*bytes))),
        Layout::Array(element, count) => json!({"array": layout(element), "count": count}),
        Layout::Struct(name, fields) => {
            let fields: Vec<_> =
                fields.iter().map(|(name, field)| json!({"name": name, "type": layout(field)})).collect();
            json!({"struct": name, "fields": fields})
        }
    }
}

impl<'a> From<&'a Program> for ProgramNode<'a> {
    fn from(program: &'a Program) -> Self {
        let code = &program.code;
        let placed = |(label, place): (Label, Option<usize>)| place.map(|place| (place, label));
        let mut labels: Vec<_> = code.labels().filter_map(placed).collect();
        labels.sort_by_key(|(place, _)| *place);
        let end = labels.partition_point(|(place, _)| *place < code.len());
        let labels_at_end = labels.split_off(end).into_iter().map(|(_, label)| label_name(code, label));
        Self {
            name: &program.name,
            section: &program.section,
            labels_at_end: labels_at_end.collect(),
            instructions: Instructions { code, labels },
        }
    }
}

impl Instructions<'_> {
    fn nodes(&self) -> impl Iterator<Item = Node> {
        let (mut index, mut labels) = (0, self.labels.iter().peekable());
        self.code.insns().iter().enumerate().map(move |(number, insn)| {
            let (kind, fields) = parts(self.code, insn);
            let Value::Object(fields) = fields else { unreachable!("parts are fields") };
            let line = self.code.line(number).map(|line| line.number);
            let here = std::iter::from_fn(|| labels.next_if(|(place, _)| *place == number));
            let labels = here.map(|(_, label)| label_name(self.code, *label)).collect();
            let node = Node { index, line, labels, kind, fields };
            index += insn.slots();
            node
        })
    }
}

impl Serialize for Instructions<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.nodes())
    }
}

fn parts(code: &Code, insn: &Insn) -> (&'static str, Value) {
    match *insn {
        Insn::Alu { width, op, dst, src } => {
            ("alu", json!({"width": bits(width), "op": low(op), "dst": low(dst), "src": operand(src)}))
        }
        Insn::MovSx { width, from, dst, src } => {
            ("movsx", json!({"width": bits(width), "from": from as u8, "dst": low(dst), "src": low(src)}))
        }
        Insn::Neg { width, dst } => ("neg", json!({"width": bits(width), "dst": low(dst)})),
        Insn::End { op, bits, dst } => ("end", json!({"op": low(op), "bits": bits as u8, "dst": low(dst)})),
        Insn::LoadImm { dst, imm } => ("load_imm", json!({"dst": low(dst), "imm": wide(code, imm)})),
        Insn::Load { size, dst, mem } => {
            ("load", json!({"size": size.bytes(), "dst": low(dst), "mem": memory(mem)}))
        }
        Insn::LoadSx { size, dst, mem } => {
            ("load_sx", json!({"size": size.size().bytes(), "dst": low(dst), "mem": memory(mem)}))
        }
        Insn::Store { size, mem, src } => {
            ("store", json!({"size": size.bytes(), "mem": memory(mem), "src": operand(src)}))
        }
        Insn::LoadAbs { size, off } => ("load_abs", json!({"size": size.bytes(), "off": off})),
        Insn::LoadInd { size, src, off } => {
            ("load_ind", json!({"size": size.bytes(), "src": low(src), "off": off}))
        }
        Insn::Atomic(Atomic { width, op, mem, src }) => {
            let name = low(op);
            let name = name.split_whitespace().next().unwrap_or_default();
            let fields = json!({"width": bits(width), "op": name, "returns_old": op.returns_old(), "mem": memory(mem), "src": low(src)});
            ("atomic", fields)
        }
        Insn::Ja(to) => ("ja", json!({"target": target(code, to)})),
        Insn::Jal(to) => ("jal", json!({"target": target(code, to)})),
        Insn::Jump { width, cond, dst, src, target: to } => {
            let fields = json!({"width": bits(width), "cond": low(cond), "dst": low(dst), "src": operand(src), "target": target(code, to)});
            ("jump", fields)
        }
        Insn::Call(Call::Helper(number)) => {
            ("call", json!({"helper": number, "name": weir_asm::helpers::name(number)}))
        }
        Insn::Call(Call::Local(to)) => ("call", json!({"local": target(code, to)})),
        Insn::Call(Call::Kfunc(id)) => ("call", json!({"kfunc": id})),
        Insn::Call(Call::Reg(reg)) => ("call", json!({"register": low(reg)})),
        Insn::Exit => ("exit", json!({})),
        Insn::Raw(slot) => ("raw", json!({"slot": format!("{slot:#018x}")})),
    }
}

fn wide(code: &Code, imm: Imm64) -> Value {
    match imm {
        Imm64::Value(value) => json!({"value": value}),
        Imm64::MapFd(fd) => json!({"map_fd": fd}),
        Imm64::MapFdValue { fd, off } => json!({"map_fd_value": fd, "off": off}),
        Imm64::Var(id) => json!({"variable": id}),
        Imm64::Func(to) => json!({"function": target(code, to)}),
        Imm64::MapIndex(index) => json!({"map_index": index}),
        Imm64::MapIndexValue { index, off } => json!({"map_index_value": index, "off": off}),
        Imm64::Map(map) => json!({"map": code.map_name(map)}),
        Imm64::MapValue { map, off } => json!({"map_value": code.map_name(map), "off": off}),
    }
}

/// A register by its name, a number as it is.
fn operand(src: Src) -> Value {
    match src {
        Src::Reg(reg) => json!(low(reg)),
        Src::Imm(imm) => json!(imm),
    }
}

fn memory(mem: Mem) -> Value {
    json!({"base": low(mem.base), "off": mem.off})
}

fn target(code: &Code, target: Target) -> Value {
    match target {
        Target::Off(off) => json!(off),
        Target::Label(label) => json!(label_name(code, label)),
    }
}

fn label_name(code: &Code, label: Label) -> String {
    code.name_of(label).map_or_else(|| format!("L{}", label.number()), str::to_owned)
}

fn bits(width: Width) -> u8 {
    match width {
        Width::W32 => 32,
        Width::W64 => 64,
    }
}

/// The name of a variant in lower case.
fn low(variant: impl Debug) -> String {
    format!("{variant:?}").to_lowercase()
}

impl Display for Tree<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(license) = &self.license {
            writeln!(f, "license {license:?}")?;
        }
        for MapNode { name, kind, key, value, max_entries, flags } in &self.maps {
            writeln!(
                f,
                "map {name} kind={kind} key={key} value={value} max_entries={max_entries} flags={flags}"
            )?;
        }
        for program in &self.programs {
            writeln!(f, "program {} section={:?}", program.name, program.section)?;
            for node in program.instructions.nodes() {
                node.labels.iter().try_for_each(|label| writeln!(f, "  {label}:"))?;
                writeln!(f, "    {}: {}{}", node.index, node.kind, NodeFields(&node.fields))?;
            }
            program.labels_at_end.iter().try_for_each(|label| writeln!(f, "  {label}:"))?;
        }
        Ok(())
    }
}

struct NodeFields<'a>(&'a Map<String, Value>);

impl Display for NodeFields<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in self.0 {
            write!(f, " {name}=")?;
            match value {
                Value::String(text) => f.write_str(text)?,
                Value::Object(fields) => {
                    let inner = NodeFields(fields).to_string();
                    write!(f, "({})", inner.trim_start())?;
                }
                value => write!(f, "{value}")?,
            }
        }
        Ok(())
    }
}
