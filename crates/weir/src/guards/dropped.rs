//! Frames that a guard drops, written as a capture.

use std::{
    fs::{self, OpenOptions},
    io::{BufWriter, Write},
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use tempfile::NamedTempFile;
use weir_output::Visible;
use weir_verify::CapturedFrame;

/// A pcap file with nanoseconds (draft-ietf-opsawg-pcap, section 4) that is whole or not there.
pub(super) struct DroppedFrames {
    path: PathBuf,
    file: BufWriter<Box<dyn Write>>,
    /// What takes the place of the path at the end, unless that is a pipe or a device.
    whole: Option<NamedTempFile>,
    link: Option<u32>,
    not_written: u64,
}

impl DroppedFrames {
    pub(super) fn to(path: &Path) -> anyhow::Result<Self> {
        let cannot = || format!("writing {}", Visible(path.display()));
        // A link stays one: what it leads to is replaced.
        let path = &fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let is_special = fs::metadata(path).is_ok_and(|found| !found.is_file());
        let (file, whole): (Box<dyn Write>, _) = if is_special {
            (Box::new(OpenOptions::new().append(true).open(path).with_context(cannot)?), None)
        } else {
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
            // Others' packets: the private mode of a temporary file stays.
            let whole = NamedTempFile::with_prefix_in(".weir-", folder.unwrap_or(Path::new(".")));
            let whole = whole.with_context(cannot)?;
            (Box::new(whole.reopen().with_context(cannot)?), Some(whole))
        };
        let file = BufWriter::with_capacity(1 << 16, file);
        Ok(Self { path: path.to_owned(), file, whole, link: None, not_written: 0 })
    }

    pub(super) fn write(&mut self, frame: &CapturedFrame<'_>) -> anyhow::Result<()> {
        if self.link.is_none() {
            self.begin(frame.link)?;
        }
        if self.link != Some(frame.link) {
            self.not_written += 1;
            return Ok(());
        }
        const NANOSECONDS: u64 = 1_000_000_000;
        let at = frame.at.unwrap_or(0);
        let seconds = u32::try_from(at / NANOSECONDS).unwrap_or(u32::MAX);
        self.words([seconds, (at % NANOSECONDS) as u32, frame.raw.len() as u32, frame.original_len])?;
        self.file.write_all(frame.raw).with_context(|| self.cannot())
    }

    fn begin(&mut self, link: u32) -> anyhow::Result<()> {
        const MOST: u32 = 1 << 18;
        self.link = Some(link);
        self.words([0xa1b2_3c4d, 0x0004_0002, 0, 0, MOST, link])
    }

    fn words<const N: usize>(&mut self, words: [u32; N]) -> anyhow::Result<()> {
        for word in words {
            self.file.write_all(&word.to_le_bytes()).with_context(|| self.cannot())?;
        }
        Ok(())
    }

    fn cannot(&self) -> String {
        format!("writing {}", Visible(self.path.display()))
    }

    /// How many frames it can't hold.
    pub(super) fn end(mut self) -> anyhow::Result<u64> {
        const ETHERNET: u32 = 1;
        if self.link.is_none() {
            self.begin(ETHERNET)?;
        }
        self.file.flush().with_context(|| self.cannot())?;
        if let Some(whole) = self.whole.take() {
            whole.persist(&self.path).with_context(|| self.cannot())?;
        }
        Ok(self.not_written)
    }
}
