//! Runs the program inside the test process, against a fake server or a fake wrangler.
#![expect(clippy::unwrap_used, reason = "test helpers may panic, as tests do")]
#![allow(dead_code, reason = "each test file uses a part")]

use std::fs;
use std::io::{self, BufRead, BufReader, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use tenants_cli::output::World;
use tenants_core::crypto::secret::Secret;
use tenants_core::crypto::signature::RequestSecret;

/// 2026-08-18 23:16:57 UTC
pub(crate) const NOW: i64 = 1_787_095_017;
pub(crate) const KEY_SECRET: &str = "a key secret of the tests";
pub(crate) const REQUEST_SECRET: &str = "a request secret of the tests";
/// The output of `wrangler d1 execute --json` for one statement without a row.
pub(crate) const NONE: &str = "[\n  {\n    \"results\": [],\n    \"success\": true\n  }\n]";
/// The fake wrangler.
pub(crate) const WRANGLER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fake/wrangler");
pub(crate) const API_KEY: &str = "chv_1_api-key-of-the-test";

pub(crate) const CREATED: &str = "201 Created\ncontent-type: application/json";
pub(crate) const OK: &str = "200 OK\ncontent-type: application/json";

pub(crate) const UNPROCESSABLE: &str =
    "422 Unprocessable Content\ncontent-type: application/problem+json";
pub(crate) const INVALID: &str = r#"{"type":"about:blank","title":"Unprocessable Content","status":422,"detail":"one field is not as expected","code":"invalid","request_id":"r-1","errors":[{"pointer":"/hostname","detail":"expected a DNS name"}]}"#;

/// The outcome of a run.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: u8,
    pub(crate) output: String,
    pub(crate) errors: String,
}

/// A folder with a wrangler.toml, and an environment. Dropping the value deletes the folder.
pub(crate) struct Project {
    pub(crate) folder: PathBuf,
    pub(crate) variables: Vec<(&'static str, String)>,
    pub(crate) input: Vec<u8>,
    pub(crate) width: Option<u16>,
}

impl Project {
    pub(crate) fn new() -> Self {
        let name = format!("tenants-cli-{:016x}", getrandom::u64().unwrap());
        let folder = std::env::temp_dir().join(name);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("wrangler.toml"), "").unwrap();
        Self {
            folder,
            variables: vec![
                ("TENANTS_API_KEY", API_KEY.into()),
                (
                    "CHEVERETO_TENANTS_API_REQUEST_SECRET",
                    REQUEST_SECRET.into(),
                ),
                ("CHEVERETO_TENANTS_API_KEY_SECRET", KEY_SECRET.into()),
                ("USER", "me".into()),
                ("HOSTNAME", "here".into()),
            ],
            input: Vec::new(),
            width: None,
        }
    }

    pub(crate) fn calling(server: &Server) -> Self {
        let mut project = Self::new();
        project.variables.push(("TENANTS_URL", server.url.clone()));
        project
    }

    pub(crate) fn without(mut self, variable: &str) -> Self {
        self.variables.retain(|(name, _)| *name != variable);
        self
    }

    pub(crate) fn run(&self, args: &[&str]) -> Run {
        let mut output = Vec::new();
        let run = self.run_into(&mut output, args);
        Run {
            output: String::from_utf8(output).unwrap(),
            ..run
        }
    }

    /// Runs a command whose output goes there.
    pub(crate) fn run_into(&self, output: &mut dyn io::Write, args: &[&str]) -> Run {
        let variable = |name: &str| {
            let found = self.variables.iter().find(|(n, _)| *n == name);
            found.map(|(_, value)| value.clone())
        };
        let mut errors = Vec::new();
        let mut world = World {
            variable: &variable,
            folder: self.folder.clone(),
            now: &|| NOW,
            width: self.width,
            input: &mut self.input.as_slice(),
            output,
            errors: &mut errors,
            is_watched: false,
            is_quiet: false,
        };
        let args = ["tenants"].iter().chain(args).map(|&arg| arg.into());
        let exit = tenants_cli::run(args, &mut world);
        Run {
            code: exit.code(),
            output: String::new(),
            errors: String::from_utf8(errors).unwrap(),
        }
    }

    /// Installs a fake wrangler. It answers each call with the next of `answers` (exit code, standard output) and records its
    /// arguments. Further calls fail.
    #[cfg(unix)]
    pub(crate) fn with_wrangler(mut self, answers: &[(u8, &str)]) -> Self {
        let folder = self.folder.join("fake");
        fs::create_dir_all(&folder).unwrap();
        for (number, (code, text)) in answers.iter().enumerate() {
            fs::write(folder.join(format!("{}.out", number + 1)), text).unwrap();
            fs::write(
                folder.join(format!("{}.code", number + 1)),
                code.to_string(),
            )
            .unwrap();
        }
        self.variables.push(("WRANGLER_BIN", WRANGLER.into()));
        self
    }

    /// The folder and the arguments of a call of the fake wrangler. Calls count from 1.
    pub(crate) fn wrangler_call(&self, number: usize) -> Option<Vec<String>> {
        let file = self.folder.join("fake").join(format!("{number}.args"));
        let text = fs::read_to_string(file).ok()?;
        Some(text.split_terminator('\0').map(str::to_owned).collect())
    }

    pub(crate) fn wrangler_environment(&self, number: usize) -> String {
        fs::read_to_string(self.folder.join("fake").join(format!("{number}.env"))).unwrap()
    }

    pub(crate) fn path(&self) -> &Path {
        &self.folder
    }
}

impl Drop for Project {
    fn drop(&mut self) {
        // A folder that cannot be deleted stays in the system's temporary folder, where it does no harm.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// A pipe whose reader has gone, as after `tenants … | head`.
pub(crate) struct Unread;

impl io::Write for Unread {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A local server that answers each request with the next of its answers.
pub(crate) struct Server {
    pub(crate) url: String,
    requests: Receiver<Vec<u8>>,
}

impl Server {
    /// Each answer is a head (status line and headers, without the empty line) and a body.
    pub(crate) fn new(answers: &[(&str, &str)]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (sender, requests) = channel();
        let answers = responses(answers);
        thread::spawn(move || {
            for answer in answers {
                let (stream, _) = listener.accept().unwrap();
                let request = read_request(&mut BufReader::new(&stream)).unwrap();
                (&stream).write_all(answer.as_bytes()).unwrap();
                if sender.send(request).is_err() {
                    return;
                }
            }
        });
        Self { url, requests }
    }

    /// The next request, byte for byte.
    pub(crate) fn request(&self) -> String {
        let request = self.requests.recv_timeout(Duration::from_secs(10)).unwrap();
        String::from_utf8(request).unwrap()
    }
}

/// The bytes of answers. Each is a head (status line and headers, without the empty line) and a body.
pub(crate) fn responses(answers: &[(&str, &str)]) -> Vec<String> {
    answers
        .iter()
        .map(|(head, body)| {
            let head = head.replace('\n', "\r\n");
            let length = match *body {
                "" => String::new(),
                body => format!("content-length: {}\r\n", body.len()),
            };
            format!("HTTP/1.1 {head}\r\n{length}connection: close\r\n\r\n{body}")
        })
        .collect()
}

/// Reads a request with its body.
pub(crate) fn read_request(reader: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut request = Vec::new();
    let mut length = 0;
    while !request.ends_with(b"\r\n\r\n") {
        let start = request.len();
        if reader.read_until(b'\n', &mut request)? == 0 {
            break;
        }
        let line = String::from_utf8_lossy(&request[start..]).to_lowercase();
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    request.extend(body);
    Ok(request)
}

/// Whether a request has a header with exactly this value.
pub(crate) fn has_header(request: &str, name: &str, value: &str) -> bool {
    header(request, name) == Some(value)
}

/// The value of a request's header.
pub(crate) fn header<'a>(request: &'a str, name: &str) -> Option<&'a str> {
    let mut values = request
        .split("\r\n")
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.split_once(':'))
        .filter(|(n, _)| n.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.trim());
    let first = values.next();
    // The API refuses a request that repeats a header.
    assert_eq!(values.next(), None, "{name} is there twice");
    first
}

/// Runs one command that sends one request. Returns the request line, the body and the run.
pub(crate) fn exchange(args: &[&str], answer: (&str, &str)) -> (String, String, Run) {
    let server = Server::new(&[answer]);
    let run = Project::calling(&server).run(args);
    let request = server.request();
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    let secret = RequestSecret::new(&Secret::new(REQUEST_SECRET.into()));
    assert!(has_header(head, "x-api-key", API_KEY), "{head}");
    assert!(
        has_header(head, "x-signature", &secret.sign(body.as_bytes())),
        "{head}"
    );
    assert!(header(head, "x-request-id").unwrap().starts_with("cli-"));
    let content_type = if body.is_empty() {
        None
    } else {
        Some("application/json")
    };
    assert_eq!(header(head, "content-type"), content_type);
    let line = head.lines().next().unwrap().to_owned();
    (line, body.to_owned(), run)
}

/// Imports a text against a server that gives these answers, one request at a time. Returns the run and the requests.
pub(crate) fn import(text: &str, options: &[&str], answers: &[(&str, &str)]) -> (Run, Vec<String>) {
    let server = Server::new(answers);
    let mut project = Project::calling(&server);
    project.input = text.into();
    let run = project.run(&[&["import", "-", "--jobs=1"], options].concat());
    let requests = answers.iter().map(|_| server.request()).collect();
    (run, requests)
}

pub(crate) fn line(request: &str) -> &str {
    request.lines().next().unwrap()
}

pub(crate) fn body(request: &str) -> &str {
    request.split_once("\r\n\r\n").unwrap().1
}
