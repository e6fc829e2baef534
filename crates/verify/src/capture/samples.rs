//! Sampled packets as a capture that has a bounded size, and that others can't read.

use std::{
    borrow::Cow,
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use pcap_parser::{
    EnhancedPacketBlock, InterfaceDescriptionBlock, Linktype, OptionCode, PcapNGOption, SectionHeaderBlock,
    ToVec as _,
};
use thiserror::Error;
use weir_filters::Layer;
use weir_output::Visible;

/// Files that are kept beside the one that is written, `FILE.1` the youngest of them.
const OLDER: usize = 3;

/// Bytes of a comment that are written.
const MOST_COMMENT: usize = 1000;

/// A pcapng file (draft-ietf-opsawg-pcapng) of packets, each with a comment. What stands at its path already becomes an older file, of which
/// there are three; so does the file itself where it has become too long.
#[derive(Debug)]
pub struct SampleFile {
    path: PathBuf,
    layer: Layer,
    most: u64,
    file: File,
    len: u64,
}

/// Why a packet isn't in a [`SampleFile`].
#[derive(Debug, Error)]
#[error(
    "{doing} the capture {}: {error}; samples want a regular file in a folder that this process may write to",
    Visible(path.display())
)]
pub struct SampleFileError {
    doing: &'static str,
    path: PathBuf,
    error: io::Error,
}

impl SampleFile {
    /// A file without packets, whose mode is 0600, for packets that begin with the header of that layer. It has at most `most` bytes, or
    /// one packet.
    ///
    /// # Errors
    /// What stands at the path is no regular file, and stays; or it can't be written.
    pub fn create(path: &Path, layer: Layer, most: u64) -> Result<Self, SampleFileError> {
        let (file, len) = create(path, layer)?;
        Ok(Self { path: path.to_owned(), layer, most, file, len })
    }

    /// Adds a packet, of which `begin` is there of `len` bytes, and that came `at` nanoseconds since 1970.
    ///
    /// # Errors
    /// It can't be written; then nothing of it is in the file.
    pub fn write(&mut self, at: u64, begin: &[u8], len: u32, comment: &str) -> Result<(), SampleFileError> {
        let block = packet(self.layer, at, begin, len, comment);
        let block_len = block.len() as u64;
        if self.len + block_len > self.most {
            (self.file, self.len) = create(&self.path, self.layer)?;
        }
        self.file.write_all(&block).map_err(|error| {
            // Half a block would hide those behind it. Where this fails too, nothing more can be done.
            let _ = self.file.set_len(self.len);
            SampleFileError { doing: "writing", path: self.path.clone(), error }
        })?;
        self.len += block_len;
        Ok(())
    }
}

/// The new file with its header, and the header's length.
fn create(path: &Path, layer: Layer) -> Result<(File, u64), SampleFileError> {
    let failed = |doing| move |error| SampleFileError { doing, path: path.to_owned(), error };
    keep_older(path).map_err(failed("keeping what was"))?;
    let file = OpenOptions::new().append(true).create_new(true).mode(0o600).open(path);
    let mut file = file.map_err(failed("creating"))?;
    let header = header(layer);
    file.write_all(&header).map_err(|error| {
        // Otherwise every other try would push an older file out.
        let _ = fs::remove_file(path);
        failed("beginning")(error)
    })?;
    Ok((file, header.len() as u64))
}

/// Makes room at the path.
fn keep_older(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
        Ok(found) if !found.is_file() => return Err(io::Error::other("it is no regular file")),
        Ok(_) => {}
    }
    let older = |number: usize| match number {
        0 => path.to_owned(),
        _ => path.with_added_extension(number.to_string()),
    };
    for number in (0..OLDER).rev() {
        match fs::rename(older(number), older(number + 1)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// What frames of a layer are called, and what stands before each (<https://www.tcpdump.org/linktypes.html>): UDP has no number of its own,
/// and is told by the name of Wireshark's dissector (tag 12 of LINKTYPE_WIRESHARK_UPPER_PDU, then the end of tags).
const fn link(layer: Layer) -> (Linktype, &'static [u8]) {
    match layer {
        Layer::Ethernet => (Linktype::ETHERNET, b""),
        Layer::Ip => (Linktype::RAW, b""),
        Layer::Udp => (Linktype::WIRESHARK_UPPER_PDU, b"\0\x0c\0\x04udp\0\0\0\0\0"),
    }
}

/// The section's header, and its interface, whose clock counts nanoseconds.
fn header(layer: Layer) -> Vec<u8> {
    let mut section = SectionHeaderBlock {
        block_type: 0,
        block_len1: 0,
        bom: 0,
        major_version: 0,
        minor_version: 0,
        section_len: -1,
        options: Vec::new(),
        block_len2: 0,
    };
    let mut interface = InterfaceDescriptionBlock {
        block_type: 0,
        block_len1: 0,
        linktype: link(layer).0,
        reserved: 0,
        snaplen: 0,
        options: Vec::new(),
        block_len2: 0,
        if_tsresol: 9,
        if_tsoffset: 0,
    };
    [section.to_vec(), interface.to_vec()].map(|block| block.expect("a vector grows")).concat()
}

fn packet(layer: Layer, at: u64, begin: &[u8], len: u32, comment: &str) -> Vec<u8> {
    let before = link(layer).1;
    let data = [before, begin].concat();
    let comment = &comment.as_bytes()[..comment.floor_char_boundary(MOST_COMMENT)];
    let mut block = EnhancedPacketBlock {
        block_type: 0,
        block_len1: 0,
        if_id: 0,
        ts_high: (at >> 32) as u32,
        ts_low: at as u32,
        caplen: data.len() as u32,
        origlen: len.saturating_add(before.len() as u32),
        data: &data,
        options: vec![PcapNGOption {
            code: OptionCode::Comment,
            len: comment.len() as u16,
            value: Cow::Borrowed(comment),
        }],
        block_len2: 0,
    };
    block.to_vec().expect("a vector grows")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use pcap_parser::{Block, PcapBlockOwned, create_reader};
    use tempfile::TempDir;

    use super::*;
    use crate::Capture;

    const AT: u64 = 1_700_000_000_123_456_789;

    fn folder() -> (TempDir, PathBuf) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("dns.pcapng");
        (folder, path)
    }

    /// The comments of a capture, read without weir's reader.
    fn comments(path: &Path) -> Vec<String> {
        let mut reader = create_reader(1 << 16, File::open(path).expect("it is there")).expect("a capture");
        let mut comments = Vec::new();
        while let Ok((len, block)) = reader.next() {
            if let PcapBlockOwned::NG(Block::EnhancedPacket(packet)) = &block {
                let found = packet.options.iter().find(|option| option.code == OptionCode::Comment);
                let text = found.and_then(|option| option.as_str().ok()).expect("it has a comment");
                comments.push(text.to_owned());
            }
            reader.consume(len);
        }
        comments
    }

    #[test]
    fn what_is_written_is_read_with_its_comment() {
        for (layer, number, before) in [(Layer::Ethernet, 1, 0), (Layer::Ip, 101, 0), (Layer::Udp, 252, 12)] {
            let (_folder, path) = folder();
            let mut file = SampleFile::create(&path, layer, 1 << 20).expect("it is created");
            let said = ["dropped: no message of the protocol", "", "dropped: a b c d é"];
            for (packet, comment) in (1..).zip(said) {
                let begin = vec![packet; packet.into()];
                file.write(AT + u64::from(packet), &begin, 1000, comment).expect("it is written");
            }
            let mode = fs::metadata(&path).expect("it is there").permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
            let mut capture = Capture::open(&path).expect("it is a capture");
            for packet in 1..=said.len() as u8 {
                let frame = capture.next_frame().expect("it is read").expect("it is there");
                assert_eq!(
                    (frame.at, frame.link, frame.original_len),
                    (Some(AT + u64::from(packet)), number, 1000 + before as u32)
                );
                assert_eq!(frame.raw[before..], vec![packet; packet.into()]);
            }
            assert!(capture.next_frame().expect("it is read").is_none());
            assert_eq!(comments(&path), said);
        }
    }

    #[test]
    fn a_file_that_is_full_becomes_an_older_one_and_the_oldest_goes() {
        const MOST: u64 = 1000;
        let (folder, path) = folder();
        let mut file = SampleFile::create(&path, Layer::Ip, MOST).expect("it is created");
        for number in 0..100 {
            file.write(AT, &[number; 100], 100, &number.to_string()).expect("it is written");
        }
        let paths = ["dns.pcapng.3", "dns.pcapng.2", "dns.pcapng.1", "dns.pcapng"]
            .map(|name| folder.path().join(name));
        assert_eq!(fs::read_dir(folder.path()).expect("it is there").count(), paths.len());
        assert!(paths.iter().all(|path| fs::metadata(path).expect("it is there").len() <= MOST));
        let kept: Vec<_> = paths.iter().flat_map(|path| comments(path)).collect();
        let last: Vec<_> = (100 - kept.len()..100).map(|number| number.to_string()).collect();
        assert!(kept.len() >= 4 * 5, "{kept:?}");
        assert_eq!(kept, last);
    }

    #[test]
    fn what_was_there_is_kept_and_a_folder_stays_one() {
        let (folder, path) = folder();
        fs::write(&path, "mine").expect("it is written");
        SampleFile::create(&path, Layer::Ip, 1000).expect("it is created");
        assert_eq!(fs::read_to_string(folder.path().join("dns.pcapng.1")).expect("it is there"), "mine");
        let error =
            SampleFile::create(folder.path(), Layer::Ip, 1000).expect_err("it is a folder").to_string();
        assert!(error.contains("it is no regular file"), "{error}");
        assert!(path.is_file());
    }
}
