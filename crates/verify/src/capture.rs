//! Captured frames out of a file: pcap or pcapng, which anyone may have written.

use std::{fs::File, path::Path};

use pcap_parser::{Block, Linktype, PcapBlockOwned, PcapError, create_reader};
use weir_filters::{Layer, corpus::Captured};
use weir_output::exit::UsageError;

/// Frames that are taken from a file; the rest isn't read.
const MAX_FRAMES: usize = 20_000;

/// The longest block that is read, bytes: as long as the longest frame of a capture and its header.
const BUFFER: usize = 1 << 19;

/// What is wrong with a file that has less than it says.
const CUT_OFF: &str = "ends in the middle of a packet, or has one that is too long";

/// The file's frames that begin with Ethernet or IP.
///
/// # Errors
/// The file can't be read, is no capture, is damaged, or has no such frame.
pub fn frames(path: &Path) -> anyhow::Result<Vec<Captured>> {
    let name = path.display();
    let file = File::open(path).map_err(|error| {
        UsageError(format!("opening the capture {name}: {error}; give the name of a file"))
    })?;
    let unfit =
        |what: String| UsageError(format!("the capture {name} {what}; it takes pcap and pcapng files"));
    let mut reader = create_reader(BUFFER, file).map_err(|error| unfit(describe(&error)))?;
    let mut frames = Vec::new();
    let mut links = Vec::new();
    let mut refilled_at = None;
    while frames.len() < MAX_FRAMES {
        match reader.next() {
            Ok((len, block)) => {
                frames.extend(frame(&block, &mut links));
                reader.consume(len);
            }
            Err(PcapError::Eof) => break,
            Err(PcapError::Incomplete(_)) => {
                // A block that says it is longer than the buffer would be waited for without end.
                let at = (reader.position(), reader.data().len());
                if refilled_at == Some(at) {
                    return Err(unfit(CUT_OFF.to_owned()).into());
                }
                refilled_at = Some(at);
                reader.refill().map_err(|error| unfit(describe(&error)))?;
            }
            Err(error) => return Err(unfit(describe(&error)).into()),
        }
    }
    if frames.is_empty() {
        let unread = links.iter().find(|link| !is_read(**link));
        let why = unread.map(|link| format!("; its link type is {link}")).unwrap_or_default();
        return Err(unfit(format!("has no frame that begins with Ethernet or IP{why}")).into());
    }
    Ok(frames)
}

/// The frame of a block that has one; `links` are the interfaces of the section so far.
fn frame(block: &PcapBlockOwned<'_>, links: &mut Vec<Linktype>) -> Option<Captured> {
    let (link, data) = match block {
        PcapBlockOwned::LegacyHeader(header) => {
            links.push(header.network);
            return None;
        }
        PcapBlockOwned::Legacy(packet) => (links.first()?, packet.data),
        PcapBlockOwned::NG(Block::SectionHeader(_)) => {
            links.clear();
            return None;
        }
        PcapBlockOwned::NG(Block::InterfaceDescription(interface)) => {
            links.push(interface.linktype);
            return None;
        }
        PcapBlockOwned::NG(Block::EnhancedPacket(packet)) => {
            let len = packet.data.len().min(packet.caplen as usize);
            (links.get(packet.if_id as usize)?, &packet.data[..len])
        }
        PcapBlockOwned::NG(Block::SimplePacket(packet)) => (links.first()?, packet.data),
        PcapBlockOwned::NG(_) => return None,
    };
    if data.is_empty() || !is_read(*link) {
        return None;
    }
    Some(match *link {
        Linktype::ETHERNET => Captured { layer: Layer::Ethernet, bytes: data.to_vec() },
        Linktype::LINUX_SLL => cooked(data.get(14..16)?, &data[16..]),
        Linktype::LINUX_SLL2 => cooked(data.get(..2)?, data.get(20..)?),
        _ => Captured { layer: Layer::Ip, bytes: data.to_vec() },
    })
}

/// Whether frames of that link type are read.
fn is_read(link: Linktype) -> bool {
    let cooked = matches!(link, Linktype::LINUX_SLL | Linktype::LINUX_SLL2);
    cooked || matches!(link, Linktype::ETHERNET | Linktype::RAW | Linktype::IPV4 | Linktype::IPV6)
}

/// A frame of a capture on every interface, which lost its Ethernet header but for the type
/// (<https://www.tcpdump.org/linktypes.html>, LINKTYPE_LINUX_SLL and SLL2): with addresses of zeros.
fn cooked(ethertype: &[u8], behind: &[u8]) -> Captured {
    Captured { layer: Layer::Ethernet, bytes: [&[0; 12], ethertype, behind].concat() }
}

fn describe<I>(error: &PcapError<I>) -> String {
    match error {
        PcapError::HeaderNotRecognized => "is no capture".to_owned(),
        PcapError::Eof => "ends before it has begun".to_owned(),
        PcapError::Incomplete(_) | PcapError::UnexpectedEof | PcapError::BufferTooSmall => CUT_OFF.to_owned(),
        PcapError::ReadError => "can't be read".to_owned(),
        _ => "is damaged".to_owned(),
    }
}
