//! Making keys ready for the questions of a load: each key's count becomes the key itself.

use std::time::Duration;

use weir_wire::Request;

use super::{
    ClientConfig, ClientError,
    ask::{self, Answer},
    payload::PayloadKind,
    record::{Record, SendPurpose},
    replies::SocketKeys,
    sender::{Run, Sender, Zeal},
};
use crate::monotonic_now;

/// Keys that are prepared at a time: their PUTs and GETs fit the smallest receive buffer.
const AT_A_TIME: usize = 32;

/// Puts `keys` and asks for each until the server has confirmed all of them, from a socket that is closed afterwards, so
/// that no late reply is taken for one to the load.
pub(super) fn keys(keys: SocketKeys, config: &ClientConfig) -> Result<Record, ClientError> {
    let mut preparation = Preparation {
        config,
        sender: Sender::new(config.server, crate::Io::Simple, config.hide_refusals)?,
        record: Record::default(),
    };
    let all: Vec<_> = keys.all().collect();
    for some in all.chunks(AT_A_TIME) {
        preparation.confirm(some, all.len())?;
    }
    Ok(preparation.record)
}

struct Preparation<'a> {
    config: &'a ClientConfig,
    sender: Sender,
    record: Record,
}

impl Preparation<'_> {
    fn confirm(&mut self, keys: &[u32], all: usize) -> Result<(), ClientError> {
        let mut missing = keys.to_vec();
        for attempt in 0..self.config.get.attempts {
            for &key in &missing {
                // The first attempt finds no such key: its name holds a port that was free until now.
                if attempt > 0 {
                    self.send(PayloadKind::Delete, Request::Delete { key })?;
                }
                self.send(PayloadKind::Put, Request::Put { key, value: key.into() })?;
                self.send(PayloadKind::Get, Request::Get { key })?;
            }
            self.take_answers(&mut missing)?;
            if missing.is_empty() {
                return Ok(());
            }
            self.sender.reconnect()?;
        }
        Err(ClientError::Unprepared {
            server: self.config.server,
            missing: missing.len(),
            keys: all,
            attempts: self.config.get.attempts,
        })
    }

    fn send(&mut self, kind: PayloadKind, request: Request) -> Result<(), ClientError> {
        let run = Run::new(&request.to_bytes(), 1);
        self.record.begin(SendPurpose::Other, monotonic_now());
        let sent = self.sender.send(&run, 1, Zeal::Insist)?;
        self.record.add(kind, SendPurpose::Other, sent, run.len);
        Ok(())
    }

    /// Takes confirmed keys out of `missing`, until none is left or no more answers come in time.
    fn take_answers(&mut self, missing: &mut Vec<u32>) -> Result<(), ClientError> {
        let deadline = monotonic_now() + self.config.get.timeout;
        while !missing.is_empty() {
            let left = deadline.since(monotonic_now()).max(Duration::from_micros(1));
            let server = self.config.server;
            let answer = ask::await_count(&self.sender.socket, left)
                .map_err(|cause| ClientError::Receive { server, cause })?;
            match answer {
                Answer::Count(count) => {
                    self.record.prepared_replies += 1;
                    missing.retain(|&key| i64::from(key) != count);
                }
                Answer::Silence | Answer::PortClosed => return Ok(()),
            }
        }
        Ok(())
    }
}
