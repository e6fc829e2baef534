//! A program as it comes: text, raw instructions or an ELF object, from a file or standard input.

use std::{
    fs::File,
    io::{self, Read as _},
    path::PathBuf,
};

use anyhow::{Context as _, anyhow};
use clap::ValueEnum;
use weir_asm::{Code, Diagnostics, ElfFile, Endian, Object, Program, decode, read_elf, text};

use super::problems::Findings;

/// What a program is read from; arguments that every command on programs has.
#[derive(Debug, clap::Args)]
pub(crate) struct ProgramInput {
    /// The program: text in weir's syntax, or an ELF object, known by its first bytes; `-` is standard input.
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,

    /// Print JSON instead: each result and each error one object a line.
    #[arg(long)]
    pub(crate) json: bool,
}

/// How to read what is neither text nor ELF; arguments of the commands that take it.
#[derive(Debug, clap::Args)]
pub(crate) struct InputForm {
    /// FILE holds raw instructions, 8 bytes a slot.
    #[arg(long)]
    pub(crate) raw: bool,

    /// The byte order of raw instructions; an ELF object says its own.
    #[arg(long, value_name = "ORDER", default_value_t, value_enum)]
    pub(crate) endian: ByteOrder,
}

/// The byte order of instructions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum ByteOrder {
    /// The least significant byte first: x86-64, arm64 and most others.
    #[cfg_attr(target_endian = "little", default)]
    Little,
    /// The most significant byte first: s390x.
    #[cfg_attr(target_endian = "big", default)]
    Big,
}

impl From<ByteOrder> for Endian {
    fn from(order: ByteOrder) -> Self {
        match order {
            ByteOrder::Little => Self::Little,
            ByteOrder::Big => Self::Big,
        }
    }
}

/// A program that could be read.
#[derive(Debug)]
pub(crate) enum Input {
    /// Text, assembled and checked.
    Text(Object),
    /// Raw instructions, decoded.
    Raw(Code),
    /// An ELF object: its bytes, and what is in it.
    Elf(Vec<u8>, ElfFile),
}

impl ProgramInput {
    /// How the file is called in messages.
    pub(crate) fn name(&self) -> String {
        if self.is_stdin() { "<stdin>".to_owned() } else { self.file.display().to_string() }
    }

    /// All bytes of the file.
    ///
    /// # Errors
    /// Says which file could not be read, and why.
    pub(crate) fn bytes(&self) -> anyhow::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let read = if self.is_stdin() {
            io::stdin().lock().read_to_end(&mut bytes)
        } else {
            File::open(&self.file).and_then(|mut file| file.read_to_end(&mut bytes))
        };
        read.map_err(|error| {
            let remedy = match error.kind() {
                io::ErrorKind::IsADirectory => "; name a file in it",
                io::ErrorKind::NotFound => "; check the path, `-` reads standard input",
                _ => "",
            };
            anyhow!("reading {}: {error}{remedy}", self.name())
        })?;
        Ok(bytes)
    }

    /// Assembles text, after which the kernel would be asked.
    ///
    /// # Errors
    /// Everything that is wrong with it, shown in its lines.
    pub(crate) fn assemble(&self, bytes: &[u8]) -> anyhow::Result<Object> {
        Ok(text::assemble(&self.name(), bytes).map_err(|found| self.report(bytes, &found))?)
    }

    /// Assembles the text of a part of a program.
    ///
    /// # Errors
    /// As for [`ProgramInput::assemble`].
    pub(crate) fn assemble_fragment(&self, bytes: &[u8]) -> anyhow::Result<Code> {
        Ok(text::assemble_fragment(bytes).map_err(|found| self.report(bytes, &found))?)
    }

    fn report(&self, bytes: &[u8], diagnostics: &Diagnostics) -> Findings {
        let mut findings = Findings::in_text(&self.name(), bytes, diagnostics);
        if std::str::from_utf8(bytes).is_err() {
            findings.help("--raw reads raw instructions; ELF objects are known by their first bytes");
        }
        findings
    }

    /// Reads a program, whatever its form.
    ///
    /// # Errors
    /// The file can't be read, or holds no program.
    pub(crate) fn input(&self, form: &InputForm) -> anyhow::Result<Input> {
        Input::read(self, form, self.bytes()?)
    }

    fn is_stdin(&self) -> bool {
        self.file.as_os_str() == "-"
    }
}

impl Input {
    /// Takes the bytes of a file as what they are, or as `form` says.
    ///
    /// # Errors
    /// They hold no program.
    pub(crate) fn read(reading: &ProgramInput, form: &InputForm, bytes: Vec<u8>) -> anyhow::Result<Self> {
        if form.raw {
            let code = decode(&bytes, form.endian.into())
                .with_context(|| format!("decoding {} as raw instructions", reading.name()))?;
            anyhow::ensure!(!code.is_empty(), "{} is empty: there is no instruction in it", reading.name());
            return Ok(Self::Raw(code));
        }
        if is_elf(&bytes) {
            let file = read_elf(&bytes).with_context(|| reading.name())?;
            return Ok(Self::Elf(bytes, file));
        }
        reading.assemble(&bytes).map(Self::Text)
    }

    /// Its programs and maps; raw instructions are a program `main` for a socket.
    ///
    /// # Errors
    /// An ELF object whose references lead nowhere.
    pub(crate) fn object(&self) -> anyhow::Result<Object> {
        match self {
            Self::Text(object) => Ok(object.clone()),
            Self::Raw(code) => Ok(Object { programs: vec![nameless(code.clone())], ..Object::default() }),
            Self::Elf(_, file) => Ok(file.object()?),
        }
    }
}

/// Whether the bytes begin as an ELF file does.
pub(crate) fn is_elf(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\x7fELF")
}

fn nameless(code: Code) -> Program {
    Program { name: "main".to_owned(), section: "socket".to_owned(), code, ..Program::default() }
}
