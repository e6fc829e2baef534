//! The control socket from outside: who gets in, and what becomes of what is no request.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    os::unix::{
        fs::{MetadataExt as _, PermissionsExt as _, symlink},
        net::{UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use rand::{Rng as _, RngExt as _, SeedableRng as _, rngs::StdRng};

use super::{AskError, Control, ControlRequest, Reply, ask, listener::Answers};

/// Counts what it is asked.
#[derive(Default)]
struct Counting(AtomicUsize);

impl Answers for Counting {
    type Request = ControlRequest;

    fn answer(&self, request: ControlRequest) -> Reply {
        self.0.fetch_add(1, Ordering::Relaxed);
        Reply::Done { did: format!("{request:?}") }
    }
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

fn started(folder: &tempfile::TempDir) -> (PathBuf, Arc<Counting>, Control) {
    let path = folder.path().join("control");
    let answers = Arc::new(Counting::default());
    let control = Control::start(&path, Arc::clone(&answers)).expect("it listens");
    (path, answers, control)
}

fn connect(path: &Path) -> UnixStream {
    UnixStream::connect(path).expect("somebody listens")
}

/// What comes back for a line.
fn exchange(stream: &UnixStream, line: &[u8]) -> String {
    let mut writer = stream;
    writer.write_all(line).expect("it is read");
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer).expect("it is answered");
    answer
}

#[test]
fn the_socket_is_private_and_goes_with_the_server() {
    let folder = folder();
    let (path, _, control) = started(&folder);
    assert_eq!(fs::metadata(&path).expect("it is there").permissions().mode() & 0o777, 0o600);
    drop(control);
    assert!(!path.exists());
}

#[test]
fn several_requests_go_over_one_connection() {
    let folder = folder();
    let (path, answers, _control) = started(&folder);
    let stream = connect(&path);
    for _ in 0..3 {
        assert_eq!(exchange(&stream, b"{\"request\":\"list\"}\n"), "{\"reply\":\"done\",\"did\":\"List\"}\n");
    }
    assert_eq!(answers.0.load(Ordering::Relaxed), 3);
    assert_eq!(
        ask(&path, &ControlRequest::Status).expect("an answer"),
        Reply::Done { did: "Status".to_owned() }
    );
}

/// One that sends on before it is answered gets every answer, in its order.
#[test]
fn requests_are_answered_in_their_order() {
    let folder = folder();
    let (path, _, _control) = started(&folder);
    let stream = connect(&path);
    let rates = 1..=2000;
    let line = |rate| format!("{{\"request\":\"quota\",\"rate\":{rate},\"burst\":1}}\n");
    let lines: String = rates.clone().map(line).collect();
    std::thread::scope(|scope| {
        scope.spawn(|| (&stream).write_all(lines.as_bytes()).expect("it is read"));
        for (rate, answer) in rates.zip(BufReader::new(&stream).lines()) {
            let expected = ControlRequest::Quota { rate, burst: std::num::NonZeroU32::MIN };
            let expected = Reply::Done { did: format!("{expected:?}") };
            let answer: Reply = serde_json::from_str(&answer.expect("it is answered")).expect("a reply");
            assert_eq!(answer, expected);
        }
    });
}

#[test]
fn what_a_killed_server_left_is_replaced_and_nothing_else() {
    let folder = folder();
    let path = folder.path().join("control");
    let start = || Control::start(&path, Arc::new(Counting::default()));
    let refused = |by: &str| {
        let error = start().map(drop).expect_err("it is taken").to_string();
        assert!(error.contains(by) && error.contains("control"), "{error}");
    };

    fs::write(&path, "mine").expect("written");
    refused("something that is no socket");
    assert_eq!(fs::read_to_string(&path).expect("it is there still"), "mine");
    fs::remove_file(&path).expect("removed");

    symlink(folder.path(), &path).expect("linked");
    refused("something that is no socket");
    fs::remove_file(&path).expect("removed");

    let other = UnixListener::bind(&path).expect("bound");
    refused("a server that runs");
    drop(other);
    let before = fs::metadata(&path).expect("the file of a listener stays").ino();
    let control = start().expect("nobody listens there any more");
    assert!(ask(&path, &ControlRequest::List).is_ok());
    drop(control);
    assert!(!path.exists(), "inode {before}");
}

#[test]
fn a_file_that_took_the_sockets_place_stays() {
    let folder = folder();
    let (path, _, control) = started(&folder);
    fs::remove_file(&path).expect("removed");
    fs::write(&path, "mine").expect("written");
    drop(control);
    assert_eq!(fs::read_to_string(&path).expect("it is there"), "mine");
}

#[test]
fn a_folder_that_is_not_there_is_named() {
    let path = Path::new("/nonexistent/control");
    let error = Control::start(path, Arc::new(Counting::default())).map(drop).expect_err("no folder");
    assert!(error.to_string().contains("/nonexistent/control"), "{error}");
    let error = ask(path, &ControlRequest::Status).expect_err("nobody there");
    assert!(
        error.to_string().contains("/nonexistent/control") && matches!(error, AskError::Connection { .. })
    );
}

#[test]
fn random_bytes_are_answered_by_errors_and_change_nothing() {
    let folder = folder();
    let (path, answers, _control) = started(&folder);
    let mut rng = StdRng::seed_from_u64(7);
    let valid = br#"{"request":"block","prefix":"10.0.0.0/8","for_ms":5}"#;
    for round in 0..300 {
        let mut line: Vec<u8> = match round % 2 {
            0 => (0..rng.random_range(0..200)).map(|_| rng.random()).collect(),
            _ => {
                let mut line = valid.to_vec();
                for _ in 0..rng.random_range(1..5) {
                    let at = rng.random_range(0..line.len());
                    line[at] = rng.next_u32() as u8;
                }
                line
            }
        };
        line.retain(|&byte| byte != b'\n');
        let is_request = serde_json::from_slice::<ControlRequest>(&line).is_ok();
        line.push(b'\n');
        let asked = answers.0.load(Ordering::Relaxed);
        let answer = exchange(&connect(&path), &line);
        let reply: Reply = serde_json::from_str(&answer).unwrap_or_else(|error| panic!("{error}: {answer}"));
        assert_eq!(matches!(reply, Reply::Error { .. }), !is_request, "{line:02x?}: {answer}");
        assert_eq!(answers.0.load(Ordering::Relaxed) - asked, usize::from(is_request), "{line:02x?}");
    }
    assert!(ask(&path, &ControlRequest::Status).is_ok(), "it goes on");
}

#[test]
fn a_line_without_an_end_is_given_up() {
    let folder = folder();
    let (path, _, _control) = started(&folder);
    let mut stream = connect(&path);
    // The other end may have closed before it is all written.
    let _ = stream.write_all(&vec![b' '; 2 * super::listener::MOST_BYTES]);
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    assert!(answer.is_empty() || answer.contains("more than 65536 bytes"), "{answer}");
    let stream = connect(&path);
    let answer = exchange(&stream, &[b' '; super::listener::MOST_BYTES + 1]);
    assert!(answer.contains("more than 65536 bytes"), "{answer}");
}

#[test]
fn clients_beyond_the_most_are_told_so_and_nobody_waits() {
    let folder = folder();
    let (path, _, control) = started(&folder);
    let clients: Vec<_> = (0..8)
        .map(|_| {
            let stream = connect(&path);
            assert!(exchange(&stream, b"{\"request\":\"status\"}\n").contains("Status"));
            stream
        })
        .collect();
    let mut answer = String::new();
    BufReader::new(connect(&path)).read_line(&mut answer).expect("it is told");
    assert!(answer.contains("8 clients are connected"), "{answer}");
    // Eight idle clients don't keep the server from ending.
    drop(control);
    drop(clients);
}
