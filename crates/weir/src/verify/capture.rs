//! Captured frames out of a file: pcap or pcapng, which anyone may have written.

use std::{fs::File, path::Path};

use pcap_parser::{Block, Linktype, PcapBlockOwned, PcapError, create_reader};
use weir_filters::{Layer, corpus::Captured};

use crate::exit::UsageError;

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
        return Err(unfit("has no frame that begins with Ethernet or IP".into()).into());
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
    let layer = match *link {
        Linktype::ETHERNET => Layer::Ethernet,
        Linktype::RAW | Linktype::IPV4 | Linktype::IPV6 => Layer::Ip,
        _ => return None,
    };
    (!data.is_empty()).then(|| Captured { layer, bytes: data.to_vec() })
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
