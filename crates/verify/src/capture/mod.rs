//! Captured frames out of a file: pcap or pcapng, packed by gzip or not, which anyone may have written.

mod interface;
mod samples;

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

use flate2::read::MultiGzDecoder;
use pcap_parser::{Block, Linktype, PcapBlockOwned, PcapError, create_reader, traits::PcapReaderIterator};
use weir_filters::{Layer, corpus::Captured};
use weir_output::exit::UsageError;

use interface::Interface;
pub use samples::{SampleFile, SampleFileError};

/// Frames that [`frames`] takes from a file; the rest isn't read.
const MAX_FRAMES: usize = 20_000;

/// The longest block that is read, bytes: as long as the longest frame of a capture and its header.
const BUFFER: usize = 1 << 19;

/// Interfaces that a capture may have; frames of others are passed over.
const MOST_INTERFACES: usize = 1 << 16;

/// What is wrong with a file that has less than it says.
const CUT_OFF: &str = "ends in the middle of a packet, or has one that is too long";

/// The file's frames that begin with Ethernet or IP.
///
/// # Errors
/// The file can't be read, is no capture, is damaged, or has no such frame.
pub fn frames(path: &Path) -> anyhow::Result<Vec<Captured>> {
    let mut capture = Capture::open(path)?;
    let mut frames = Vec::new();
    while frames.len() < MAX_FRAMES
        && let Some(frame) = capture.next_frame()?
    {
        frames.extend(frame.contents.map(|(layer, bytes)| Captured { layer, bytes: bytes.to_vec() }));
    }
    if frames.is_empty() { Err(capture.without_frames().into()) } else { Ok(frames) }
}

/// A capture that is read frame by frame.
pub struct Capture {
    name: String,
    reader: Box<dyn PcapReaderIterator + Send>,
    is_packed: bool,
    /// Those of the section so far.
    interfaces: Vec<Interface>,
    /// Where the reader was when it was last given more bytes.
    refilled_at: Option<(usize, usize)>,
    raw: Vec<u8>,
    /// The frame with an Ethernet header, where it had another that says as much.
    remade: Vec<u8>,
}

/// A frame, whole or cut by the capture.
#[derive(Clone, Copy, Debug)]
pub struct CapturedFrame<'a> {
    /// When it came, nanoseconds since 1970; nothing where the capture doesn't say.
    pub at: Option<u64>,
    /// The number of its link type (<https://www.tcpdump.org/linktypes.html>).
    pub link: u32,
    /// What the capture has of it.
    pub raw: &'a [u8],
    /// How many bytes it had.
    pub original_len: u32,
    /// Which header it begins with and the bytes from there on; nothing where that is neither Ethernet nor IP, or cut off.
    pub contents: Option<(Layer, &'a [u8])>,
}

impl CapturedFrame<'_> {
    /// How many bytes the capture left out, at the frame's end.
    pub fn missing(&self) -> usize {
        (self.original_len as usize).saturating_sub(self.raw.len())
    }
}

/// What a block says of the frame in it.
struct Seen {
    at: Option<u64>,
    link: Linktype,
    original_len: u32,
}

impl Capture {
    /// Begins to read a file.
    ///
    /// # Errors
    /// It can't be read, or is no capture.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        let name = path.display().to_string();
        let file = File::open(path).map_err(|error| {
            UsageError(format!("opening the capture {name}: {error}; give the name of a file"))
        })?;
        let (file, is_packed) =
            unpacked(file).map_err(|_| unfit(&name, &describe(&PcapError::<()>::ReadError, false)))?;
        let reader =
            create_reader(BUFFER, file).map_err(|error| unfit(&name, &describe(&error, is_packed)))?;
        Ok(Self {
            name,
            reader,
            is_packed,
            interfaces: Vec::new(),
            refilled_at: None,
            raw: Vec::new(),
            remade: Vec::new(),
        })
    }

    /// The next frame, or nothing behind the last.
    ///
    /// # Errors
    /// The file can't be read on, or is damaged.
    pub fn next_frame(&mut self) -> anyhow::Result<Option<CapturedFrame<'_>>> {
        loop {
            match self.reader.next() {
                Ok((len, block)) => {
                    let seen = take_block(&block, &mut self.interfaces, &mut self.raw);
                    self.reader.consume(len);
                    if let Some(seen) = seen {
                        return Ok(Some(self.frame(&seen)));
                    }
                }
                Err(PcapError::Eof) => return Ok(None),
                Err(PcapError::Incomplete(_)) => self.refill()?,
                Err(error) => {
                    let what = describe(&error, self.is_packed);
                    return Err(unfit(&self.name, &what).into());
                }
            }
        }
    }

    /// What is wrong with a capture in which no frame begins with Ethernet or IP.
    pub fn without_frames(&self) -> UsageError {
        let unread = self.interfaces.iter().find(|interface| !is_read(interface.link));
        let why =
            unread.map(|interface| format!("; its link type is {}", interface.link)).unwrap_or_default();
        unfit(&self.name, &format!("has no frame that begins with Ethernet or IP{why}"))
    }

    fn refill(&mut self) -> anyhow::Result<()> {
        // A block that says it is longer than the buffer would be waited for without end.
        let at = (self.reader.position(), self.reader.data().len());
        if self.refilled_at == Some(at) {
            return Err(unfit(&self.name, CUT_OFF).into());
        }
        self.refilled_at = Some(at);
        let refilled = self.reader.refill().map_err(|error| describe(&error, self.is_packed));
        refilled.map_err(|what| unfit(&self.name, &what).into())
    }

    fn frame(&mut self, seen: &Seen) -> CapturedFrame<'_> {
        let raw = &self.raw;
        let contents = match seen.link {
            Linktype::ETHERNET => Some((Layer::Ethernet, raw.as_slice())),
            Linktype::LINUX_SLL => remade(&mut self.remade, raw.get(14..16), raw.get(16..)),
            Linktype::LINUX_SLL2 => remade(&mut self.remade, raw.get(..2), raw.get(20..)),
            // The number of an address family, which IP's first byte says again.
            Linktype::NULL | Linktype::LOOP => raw.get(4..).map(|ip| (Layer::Ip, ip)),
            Linktype::RAW | Linktype::IPV4 | Linktype::IPV6 => Some((Layer::Ip, raw.as_slice())),
            _ => None,
        };
        CapturedFrame {
            at: seen.at,
            link: seen.link.0 as u32,
            raw,
            original_len: seen.original_len,
            contents: contents.filter(|(_, bytes)| !bytes.is_empty()),
        }
    }
}

/// Takes note of an interface, or puts the frame into `raw`.
fn take_block(
    block: &PcapBlockOwned<'_>,
    interfaces: &mut Vec<Interface>,
    raw: &mut Vec<u8>,
) -> Option<Seen> {
    let (interface, ticks, original_len, data) = match block {
        PcapBlockOwned::LegacyHeader(header) => {
            interfaces.push(Interface::of_file(header));
            return None;
        }
        PcapBlockOwned::Legacy(packet) => {
            let interface = interfaces.first()?;
            let ticks = interface.ticks(packet.ts_sec, packet.ts_usec);
            (interface, ticks, packet.origlen, packet.data)
        }
        PcapBlockOwned::NG(Block::SectionHeader(_)) => {
            interfaces.clear();
            return None;
        }
        PcapBlockOwned::NG(Block::InterfaceDescription(interface)) => {
            if interfaces.len() < MOST_INTERFACES {
                interfaces.push(Interface::described(interface));
            }
            return None;
        }
        PcapBlockOwned::NG(Block::EnhancedPacket(packet)) => {
            let len = packet.data.len().min(packet.caplen as usize);
            let ticks = u64::from(packet.ts_high) << 32 | u64::from(packet.ts_low);
            (interfaces.get(packet.if_id as usize)?, Some(ticks), packet.origlen, &packet.data[..len])
        }
        PcapBlockOwned::NG(Block::SimplePacket(packet)) => {
            let len = packet.data.len().min(packet.origlen as usize);
            (interfaces.first()?, None, packet.origlen, &packet.data[..len])
        }
        PcapBlockOwned::NG(_) => return None,
    };
    raw.clear();
    raw.extend_from_slice(data);
    let at = ticks.and_then(|ticks| interface.nanoseconds(ticks));
    Some(Seen { at, link: interface.link, original_len })
}

/// Whether frames of that link type are read.
fn is_read(link: Linktype) -> bool {
    let is_remade = matches!(link, Linktype::LINUX_SLL | Linktype::LINUX_SLL2);
    let is_loopback = matches!(link, Linktype::NULL | Linktype::LOOP);
    let is_ip = matches!(link, Linktype::RAW | Linktype::IPV4 | Linktype::IPV6);
    link == Linktype::ETHERNET || is_remade || is_loopback || is_ip
}

/// A frame of a capture on every interface, which lost its Ethernet header but for the type
/// (<https://www.tcpdump.org/linktypes.html>, LINKTYPE_LINUX_SLL and SLL2): with addresses of zeros.
fn remade<'a>(
    frame: &'a mut Vec<u8>,
    ethertype: Option<&[u8]>,
    behind: Option<&[u8]>,
) -> Option<(Layer, &'a [u8])> {
    frame.clear();
    for part in [&[0; 12], ethertype?, behind?] {
        frame.extend_from_slice(part);
    }
    Some((Layer::Ethernet, frame))
}

/// The file's bytes, and whether they were packed (RFC 1952).
fn unpacked(mut file: File) -> io::Result<(Box<dyn Read + Send>, bool)> {
    let mut begin = Vec::new();
    file.by_ref().take(2).read_to_end(&mut begin)?;
    let is_packed = begin == [0x1f, 0x8b];
    let whole = io::Cursor::new(begin).chain(file);
    Ok(if is_packed {
        (Box::new(Filling(MultiGzDecoder::new(io::BufReader::new(whole)))), true)
    } else {
        (Box::new(Filling(whole)), false)
    })
}

/// A reader that gives less than was asked for at the end alone: the first bytes decide what a file is.
struct Filling<R>(R);

impl<R: Read> Read for Filling<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.0.read(&mut buffer[filled..]) {
                Ok(0) => break,
                Ok(len) => filled += len,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // What was read before it comes first.
                Err(_) if filled > 0 => break,
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }
}

fn unfit(name: &str, what: &str) -> UsageError {
    UsageError(format!("the capture {name} {what}; it takes pcap and pcapng files"))
}

fn describe<I>(error: &PcapError<I>, is_packed: bool) -> String {
    match error {
        PcapError::HeaderNotRecognized => "is no capture".to_owned(),
        PcapError::Eof => "ends before it has begun".to_owned(),
        PcapError::Incomplete(_) | PcapError::UnexpectedEof | PcapError::BufferTooSmall => CUT_OFF.to_owned(),
        PcapError::ReadError if is_packed => "can't be unpacked".to_owned(),
        PcapError::ReadError => "can't be read".to_owned(),
        _ => "is damaged".to_owned(),
    }
}
