//! The grammar, byte for byte.

use proptest::prelude::*;
use weir_wire::{Command, Invalid, MAX_REQUEST_LEN, Request};

fn check(payload: &[u8], expected: Result<Request, Invalid>) {
    assert_eq!(Request::parse(payload), expected, "payload {payload:02x?}");
}

#[test]
fn requests_have_the_lengths_of_the_protocol() {
    let lengths = Command::ALL.map(Command::request_len);
    assert_eq!(lengths, [15, 7, 10, 4]);
    assert_eq!(MAX_REQUEST_LEN, 15);
}

#[test]
fn each_command_parses_from_handwritten_bytes() {
    check(b"PUT\x0a\0\0\0\x02\0\0\0\0\0\0\0", Ok(Request::Put { key: 10, value: 2 }));
    check(b"PUT\x0a\0\0\0\xfb\xff\xff\xff\xff\xff\xff\xff", Ok(Request::Put { key: 10, value: -5 }));
    check(b"GET\x34\x12\0\0", Ok(Request::Get { key: 0x1234 }));
    check(b"DELETE\0\0\0\x80", Ok(Request::Delete { key: 0x8000_0000 }));
    check(b"STOP", Ok(Request::Stop));
}

#[test]
fn a_key_made_of_letters_is_a_key() {
    check(b"GETABCD", Ok(Request::Get { key: u32::from_le_bytes(*b"ABCD") }));
    check(b"PUTSTOP\x01\0\0\0\0\0\0\0", Ok(Request::Put { key: u32::from_le_bytes(*b"STOP"), value: 1 }));
    check(b"DELETEETEL", Ok(Request::Delete { key: u32::from_le_bytes(*b"ETEL") }));
}

#[test]
fn any_other_length_is_invalid() {
    for command in Command::ALL {
        for len in 0..=64 {
            let mut payload = command.word().to_vec();
            payload.resize(len, 0);
            assert_eq!(
                Request::parse(&payload).is_ok(),
                len == command.request_len(),
                "{command:?} of {len} bytes"
            );
        }
    }
}

#[test]
fn lower_case_and_other_words_are_invalid() {
    for payload in
        [&b"put\x0a\0\0\0\x02\0\0\0\0\0\0\0"[..], b"", b"stop", b"STO", b"BADBBBB", b"DELELULU\x0a\0"]
    {
        check(payload, Err(Invalid));
    }
}

#[test]
fn magic_and_mask_agree_with_the_word() {
    for command in Command::ALL {
        let mut first = [0xff; 8];
        first[..command.word().len()].copy_from_slice(command.word());
        assert_eq!(u64::from_le_bytes(first) & command.mask(), command.magic(), "{command:?}");
    }
}

fn any_request() -> impl Strategy<Value = Request> {
    prop_oneof![
        (any::<u32>(), any::<i64>()).prop_map(|(key, value)| Request::Put { key, value }),
        any::<u32>().prop_map(|key| Request::Get { key }),
        any::<u32>().prop_map(|key| Request::Delete { key }),
        Just(Request::Stop),
    ]
}

proptest! {
    #[test]
    fn a_request_survives_its_bytes(request in any_request()) {
        let bytes = request.to_bytes();
        prop_assert_eq!(bytes.len(), request.command().request_len());
        prop_assert_eq!(Request::parse(&bytes), Ok(request));
    }

    #[test]
    fn what_parses_is_written_back_as_it_came(payload in prop::collection::vec(any::<u8>(), 0..32)) {
        if let Ok(request) = Request::parse(&payload) {
            prop_assert_eq!(&*request.to_bytes(), &payload[..]);
        }
    }
}
