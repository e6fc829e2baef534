//! One page over HTTP, for who scrapes it: however its clients behave, they are few, and each has a few seconds.

use std::{
    io::{self, Read as _, Write as _},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::Arc,
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use nix::poll::PollTimeout;

use crate::side_thread::{SideThread, Stopped};

/// Clients at a time; one more takes the place of who is there longest.
const MOST_CLIENTS: usize = 16;

/// Length of a request without its body, bytes.
const MOST_BYTES: usize = 1 << 13;

/// Headers of a request.
const MOST_HEADERS: usize = 64;

/// How long a client may take to ask and to read.
const PATIENCE: Duration = Duration::from_secs(5);

/// How often clients are looked for whose time is over.
const TICK: Duration = Duration::from_secs(1);

/// A page that is served (HTTP/1.1, RFC 9112) until this is dropped.
pub struct ServedPage {
    address: SocketAddr,
    _thread: SideThread<()>,
}

/// Where a page is, and what it is.
pub struct Page<M> {
    /// Its path, such as `/metrics`.
    pub path: &'static str,
    /// Its media type.
    pub content_type: &'static str,
    /// What makes its text, for each client anew.
    pub make: M,
}

impl ServedPage {
    /// Serves the page there from now on, in threads with this one's capabilities.
    ///
    /// # Errors
    /// There is no room for a thread.
    pub fn start<M: Fn() -> String + Send + Sync + 'static>(
        listener: TcpListener,
        page: Page<M>,
    ) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let page = Arc::new(page);
        let thread = SideThread::start("page", move |stopped| listen(&listener, &stopped, &page))?;
        Ok(Self { address, _thread: thread })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

struct PageClient {
    stream: TcpStream,
    since: Instant,
    thread: JoinHandle<()>,
}

impl PageClient {
    /// Its thread finds the connection closed, whether it reads or writes.
    fn end(self) {
        let _ = self.stream.shutdown(Shutdown::Both);
        let _ = self.thread.join();
    }
}

fn listen<M: Fn() -> String + Send + Sync + 'static>(
    listener: &TcpListener,
    stopped: &Stopped,
    page: &Arc<Page<M>>,
) {
    // The one that is there longest comes first.
    let mut clients: Vec<PageClient> = Vec::new();
    let tick = PollTimeout::try_from(TICK).unwrap_or(PollTimeout::MAX);
    loop {
        match stopped.wait(listener, tick) {
            Ok(false) => {}
            Ok(true) => break,
            // What poll(2) has left is a lack of memory: it passes.
            Err(_) => thread::sleep(TICK),
        }
        clients.retain(|client| !client.thread.is_finished());
        clients.extract_if(.., |client| client.since.elapsed() > PATIENCE).for_each(PageClient::end);
        match listener.accept() {
            Ok((stream, _)) => {
                if clients.len() >= MOST_CLIENTS {
                    clients.remove(0).end();
                }
                clients.extend(admit(stream, page));
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            // Descriptors may be used up: it passes, and asking at once again would take a CPU.
            Err(_) => thread::sleep(TICK / 10),
        }
    }
    clients.into_iter().for_each(PageClient::end);
}

fn admit<M: Fn() -> String + Send + Sync + 'static>(
    stream: TcpStream,
    page: &Arc<Page<M>>,
) -> Option<PageClient> {
    stream.set_nonblocking(false).ok()?;
    let other = stream.try_clone().ok()?;
    let page = Arc::clone(page);
    let thread = thread::Builder::new().name("page-client".into());
    let thread = thread.spawn(move || serve(&other, &page)).ok()?;
    Some(PageClient { stream, since: Instant::now(), thread })
}

fn serve<M: Fn() -> String>(mut stream: &TcpStream, page: &Page<M>) {
    let mut request = Vec::new();
    let answer = loop {
        let mut part = [0; 1024];
        match stream.read(&mut part) {
            Ok(0) => return,
            Ok(len) => request.extend_from_slice(&part[..len]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(_) => return,
        }
        if let Some(answer) = answer(&request, page) {
            break answer;
        }
    };
    // Who has gone needs no answer.
    let _ = stream.write_all(answer.as_bytes());
    let _ = stream.shutdown(Shutdown::Write);
}

/// The answer to a request, or nothing where it isn't there as a whole.
fn answer<M: Fn() -> String>(request: &[u8], page: &Page<M>) -> Option<String> {
    let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
    let mut parsed = httparse::Request::new(&mut headers);
    let said = match parsed.parse(request) {
        Err(httparse::Error::TooManyHeaders) => said("431 Request Header Fields Too Large", "", ""),
        Err(error) => said("400 Bad Request", "", &format!("{error}\n")),
        Ok(httparse::Status::Partial) if request.len() < MOST_BYTES => return None,
        Ok(httparse::Status::Partial) => said("431 Request Header Fields Too Large", "", ""),
        Ok(httparse::Status::Complete(_)) => {
            let path = parsed.path.unwrap_or_default().split('?').next().unwrap_or_default();
            match parsed.method {
                Some("GET" | "HEAD") if path != page.path => {
                    said("404 Not Found", "", &format!("there is {}\n", page.path))
                }
                Some("GET") => said("200 OK", page.content_type, &(page.make)()),
                Some("HEAD") => {
                    let mut whole = said("200 OK", page.content_type, &(page.make)());
                    whole.truncate(whole.find("\r\n\r\n").map_or(0, |end| end + 4));
                    whole
                }
                _ => said("405 Method Not Allowed", "", "GET is allowed\n"),
            }
        }
    };
    Some(said)
}

fn said(status: &str, content_type: &str, text: &str) -> String {
    let content_type = if content_type.is_empty() { "text/plain; charset=utf-8" } else { content_type };
    let allow = if status.starts_with("405") { "Allow: GET, HEAD\r\n" } else { "" };
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\n{allow}Connection: close\r\n\r\n{text}",
        text.len()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn started(text: impl Fn() -> String + Send + Sync + 'static) -> ServedPage {
        let page = Page { path: "/metrics", content_type: "text/plain; version=0.0.4", make: text };
        ServedPage::start(TcpListener::bind(("127.0.0.1", 0)).expect("a port"), page).expect("it listens")
    }

    fn connected(page: &ServedPage) -> TcpStream {
        TcpStream::connect(page.address()).expect("it listens")
    }

    /// What comes back, up to the connection's end.
    fn exchange(page: &ServedPage, request: &[u8]) -> String {
        let mut stream = connected(page);
        // Who is answered early may not be read to the end.
        let _ = stream.write_all(request);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8(answer).expect("text")
    }

    const GET: &[u8] = b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n";

    #[test]
    fn the_page_is_had_and_nothing_else() {
        let page = started(|| "weir 1\n".to_owned());
        let check = |request: &[u8], status: &str, end: &str| {
            let answer = exchange(&page, request);
            assert!(answer.starts_with(&format!("HTTP/1.1 {status}")) && answer.ends_with(end), "{answer}");
        };
        check(GET, "200 OK", "Content-Length: 7\r\nConnection: close\r\n\r\nweir 1\n");
        check(b"GET /metrics?a=b HTTP/1.0\r\n\r\n", "200", "weir 1\n");
        check(b"HEAD /metrics HTTP/1.1\r\n\r\n", "200", "Content-Length: 7\r\nConnection: close\r\n\r\n");
        check(b"GET / HTTP/1.1\r\n\r\n", "404", "there is /metrics\n");
        check(b"DELETE /metrics HTTP/1.1\r\n\r\n", "405", "GET is allowed\n");
        check(b"\0\x01\x02 garbage\r\n\r\n", "400", "\n");
        check(
            &[b"GET /metrics HTTP/1.1\r\nA: ".as_slice(), &vec![b'a'; MOST_BYTES]].concat(),
            "431",
            "\r\n\r\n",
        );
        check(
            &[b"GET /metrics HTTP/1.1\r\n".as_slice(), &b"a:b\r\n".repeat(MOST_HEADERS + 1)].concat(),
            "431",
            "",
        );
    }

    #[test]
    fn who_is_slow_keeps_nobody_from_the_page_and_is_few() {
        const LONG: usize = 1 << 24;
        let page = started(|| "a".repeat(LONG));
        // Some say nothing, some don't end, some don't read: more than there is room for.
        let slow: Vec<_> = (0..5 * MOST_CLIENTS)
            .map(|number| {
                let mut stream = connected(&page);
                let begin = [&b""[..], b"GET /metr", GET][number % 3];
                let _ = stream.write_all(begin);
                stream
            })
            .collect();
        let clients = || {
            let names = std::fs::read_dir("/proc/self/task").expect("it is there").filter_map(Result::ok);
            let name = |task: std::fs::DirEntry| std::fs::read_to_string(task.path().join("comm"));
            names.filter_map(|task| name(task).ok()).filter(|name| name.trim() == "page-client").count()
        };
        assert!(exchange(&page, GET).len() > LONG);
        // Those of the other test too.
        assert!(clients() <= 2 * MOST_CLIENTS, "{} threads", clients());
        // Their time is over by itself.
        for mut stream in slow {
            stream.set_read_timeout(Some(20 * PATIENCE)).expect("it can be");
            let ended = stream.read_to_end(&mut Vec::new()).map_err(|error| error.kind());
            assert_ne!(ended, Err(io::ErrorKind::WouldBlock));
        }
    }
}
