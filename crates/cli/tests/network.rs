//! Private certificates and proxies, with real servers on this machine.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "test helpers may panic, as tests do")]

mod common;

use std::fs;
use std::io::{self, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use common::{API_KEY, CREATED, OK, Project, Server, has_header, header, read_request, responses};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

const TRAEFIK: &str = r#"{"http":{}}"#;

/// The files of a private CA and of the certificate that it gave to `localhost` and `api.example`.
struct Pki {
    folder: Project,
}

impl Pki {
    fn new() -> Self {
        let pki = Self {
            folder: Project::new(),
        };
        fs::write(
            pki.path().join("names"),
            "subjectAltName=DNS:localhost,DNS:api.example\n",
        )
        .unwrap();
        let new = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
        for ca in ["ca", "other"] {
            pki.openssl(&format!(
                "req -x509 {new} -days 2 -subj /CN={ca} -addext subjectAltName=DNS:localhost -keyout {ca}.key -out {ca}.pem"
            ));
        }
        pki.openssl(&format!(
            "req {new} -subj /CN=server -keyout server.key -out server.csr"
        ));
        pki.openssl(
            "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile names -out server.pem",
        );
        pki
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn file(&self, name: &str) -> String {
        self.path().join(name).to_str().unwrap().to_owned()
    }

    fn openssl(&self, args: &str) {
        let output = Command::new("openssl")
            .args(args.split_whitespace())
            .current_dir(self.path())
            .output()
            .unwrap();
        assert!(output.status.success(), "openssl {args}: {output:?}");
    }

    fn server_config(&self, certificate: &str) -> Arc<ServerConfig> {
        let certificates =
            CertificateDer::pem_file_iter(self.file(&format!("{certificate}.pem"))).unwrap();
        let certificates = certificates.map(Result::unwrap).collect();
        let key = PrivateKeyDer::from_pem_file(self.file(&format!("{certificate}.key"))).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(certificates, key)
            .unwrap();
        Arc::new(config)
    }
}

/// A server that hands each connection to `serve`, which returns what it read. Connections that fail count as empty.
struct Local {
    address: SocketAddr,
    seen: Receiver<Vec<u8>>,
}

impl Local {
    fn new(serve: impl Fn(TcpStream) -> io::Result<Vec<u8>> + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, seen) = channel();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let read = serve(stream.unwrap()).unwrap_or_default();
                if sender.send(read).is_err() {
                    return;
                }
            }
        });
        Self { address, seen }
    }

    /// An HTTPS server with the same answer to every request.
    fn tls(pki: &Pki, answer: (&str, &str)) -> Self {
        Self::tls_with(pki, "server", answer)
    }

    /// An HTTPS server with this certificate.
    fn tls_with(pki: &Pki, certificate: &str, answer: (&str, &str)) -> Self {
        let config = pki.server_config(certificate);
        let answer = responses(&[answer]).remove(0);
        Self::new(move |stream| {
            let connection = ServerConnection::new(config.clone()).unwrap();
            let mut reader = BufReader::new(StreamOwned::new(connection, stream));
            let request = read_request(&mut reader)?;
            let stream = reader.get_mut();
            stream.write_all(answer.as_bytes())?;
            stream.conn.send_close_notify();
            stream.flush()?;
            Ok(request)
        })
    }

    /// A proxy that tunnels every connection to one server, whatever its name is.
    fn tunnel(to: SocketAddr) -> Self {
        Self::new(move |stream| {
            let request = read_request(&mut BufReader::new(&stream))?;
            (&stream).write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
            let target = TcpStream::connect(to)?;
            let (mut from, mut back) = (stream.try_clone()?, target.try_clone()?);
            thread::spawn(move || io::copy(&mut back, &mut &stream));
            thread::spawn(move || io::copy(&mut from, &mut &target));
            Ok(request)
        })
    }

    fn port(&self) -> u16 {
        self.address.port()
    }

    fn seen(&self) -> String {
        let bytes = self.seen.recv_timeout(Duration::from_secs(10)).unwrap();
        String::from_utf8(bytes).unwrap()
    }

    fn has_seen_nothing(&self) -> bool {
        self.seen.try_recv().is_err()
    }
}

fn project(variables: &[(&'static str, &str)]) -> Project {
    let mut project = Project::new();
    let variables = variables.iter();
    project
        .variables
        .extend(variables.map(|(name, value)| (*name, (*value).to_owned())));
    project
}

#[test]
fn a_private_ca_is_trusted_if_it_is_named() {
    let pki = Pki::new();
    let server = Local::tls(&pki, (OK, TRAEFIK));
    let url = format!("https://localhost:{}", server.port());
    let (ca, other) = (pki.file("ca.pem"), pki.file("other.pem"));
    let store = Project::new();
    fs::copy(&ca, store.path().join("ca.pem")).unwrap();
    fs::write(store.path().join("readme"), "no certificate").unwrap();
    let folders = format!("/nonexistent:{}", store.path().display());
    for (variables, args) in [
        (&[][..], &["--cacert", ca.as_str()][..]),
        (&[("SSL_CERT_FILE", ca.as_str())], &[]),
        (&[("SSL_CERT_FILE", other.as_str())], &["--cacert", &ca]),
        (&[("SSL_CERT_DIR", folders.as_str())], &[]),
    ] {
        let run = project(variables).run(&[&["config:traefik", "--url", &url][..], args].concat());
        assert_eq!(
            (run.code, run.output.as_str()),
            (0, format!("{TRAEFIK}\n").as_str()),
            "{variables:?} {args:?}: {run:?}"
        );
        assert!(has_header(&server.seen(), "x-api-key", API_KEY));
    }
    // The system's store does not have it, and nor has another private CA's file.
    for variables in [&[][..], &[("SSL_CERT_FILE", other.as_str())]] {
        let run = project(variables).run(&["config:traefik", "--url", &url]);
        assert_eq!((run.code, run.output.as_str()), (3, ""), "{run:?}");
        assert!(
            run.errors.contains("--cacert names the certificate"),
            "{run:?}"
        );
        assert_eq!(server.seen(), "", "no request, and no key");
    }
    // Some servers show the CA's own certificate, which the library refuses even if it is trusted.
    let own = Local::tls_with(&pki, "ca", (OK, TRAEFIK));
    let own_url = format!("https://localhost:{}", own.port());
    let run = Project::new().run(&["config:traefik", "--url", &own_url, "--cacert", &ca]);
    assert_eq!((run.code, run.output.as_str()), (3, ""), "{run:?}");
    assert!(
        run.errors.contains("shows a CA's own certificate"),
        "{run:?}"
    );
    assert_eq!(own.seen(), "");
    // The certificate is for other names.
    let url = format!("https://127.0.0.1:{}", server.port());
    let run = Project::new().run(&["config:traefik", "--url", &url, "--cacert", &ca]);
    assert_eq!((run.code, run.output.as_str()), (3, ""), "{run:?}");
    assert_eq!(server.seen(), "");
}

#[test]
fn a_file_without_certificates_exits_with_4_before_anything_is_sent() {
    let pki = Pki::new();
    let server = Local::tls(&pki, (OK, TRAEFIK));
    let url = format!("https://localhost:{}", server.port());
    let (key, none) = (pki.file("ca.key"), pki.file("none.pem"));
    for (variables, args, name) in [
        (&[][..], &["--cacert", key.as_str()][..], "--cacert: "),
        (&[], &["--cacert", &none], "--cacert: "),
        (&[], &["--cacert", "."], "--cacert: "),
        (&[("SSL_CERT_FILE", key.as_str())], &[], "SSL_CERT_FILE: "),
        (&[("SSL_CERT_FILE", none.as_str())], &[], "SSL_CERT_FILE: "),
        (&[("SSL_CERT_DIR", "/nonexistent")], &[], "SSL_CERT_DIR: "),
    ] {
        let run = project(variables).run(&[&["config:traefik", "--url", &url][..], args].concat());
        assert_eq!((run.code, run.output.as_str()), (4, ""), "{run:?}");
        assert!(run.errors.contains(name), "{run:?}");
        assert!(server.has_seen_nothing());
    }
    // They do not count for http.
    let server = Server::new(&[(OK, TRAEFIK)]);
    let run = Project::calling(&server).run(&["config:traefik", "--cacert", &none]);
    assert_eq!(run.code, 0, "{run:?}");
}

#[test]
fn https_is_tunnelled_through_a_proxy_that_resolves_the_name() {
    let pki = Pki::new();
    let server = Local::tls(&pki, (OK, TRAEFIK));
    let proxy = Local::tunnel(server.address);
    let proxy_url = format!("http://user:p%40ss@127.0.0.1:{}", proxy.port());
    let run = project(&[("https_proxy", &proxy_url)]).run(&[
        "config:traefik",
        "--url",
        "https://api.example",
        "--cacert",
        &pki.file("ca.pem"),
    ]);
    assert_eq!(
        (run.code, run.output.as_str()),
        (0, format!("{TRAEFIK}\n").as_str()),
        "{run:?}"
    );
    let connect = proxy.seen();
    assert!(
        connect.starts_with("CONNECT api.example:443 HTTP/1.1\r\n"),
        "{connect}"
    );
    // From `printf 'user:p@ss' | base64`.
    assert!(
        has_header(&connect, "proxy-authorization", "Basic dXNlcjpwQHNz"),
        "{connect}"
    );
    assert!(!connect.contains(API_KEY), "{connect}");
    let request = server.seen();
    assert!(
        request.starts_with("GET /_/api/4/config/traefik HTTP/1.1\r\n"),
        "{request}"
    );
    assert_eq!(header(&request, "proxy-authorization"), None);
}

#[test]
fn http_is_forwarded_in_absolute_form() {
    let next = "200 OK\ncontent-type: application/json\nlink: </_/api/4/tenants?limit=1000&after=a>; rel=\"next\"";
    let proxy = Server::new(&[
        (next, r#"[{"id":"a"}]"#),
        (OK, r#"[{"id":"b"}]"#),
        (CREATED, r#"{"id":"p"}"#),
    ]);
    let authority = proxy.url.strip_prefix("http://").unwrap();
    let proxy_url = format!("http://user:p%40ss@{authority}");
    let project = project(&[
        ("http_proxy", &proxy_url),
        ("TENANTS_URL", "http://api.example:8080"),
    ]);
    let run = project.run(&["list", "--format", "json"]);
    assert_eq!(
        (run.code, run.output.as_str()),
        (0, "[{\"id\":\"a\"},{\"id\":\"b\"}]\n"),
        "{run:?}"
    );
    // More than the HTTP library's buffer holds.
    let env = format!(r#"{{"A":"{}"}}"#, "x".repeat(300_000));
    fs::write(project.path().join("env.json"), &env).unwrap();
    let run = project.run(&["plan:create", "--id", "p", "--env", "@env.json"]);
    assert_eq!(run.code, 0, "{run:?}");
    for (line, body) in [
        ("GET http://api.example:8080/_/api/4/tenants?limit=1000", ""),
        (
            "GET http://api.example:8080/_/api/4/tenants?limit=1000&after=a",
            "",
        ),
        (
            "POST http://api.example:8080/_/api/4/tenants-plans",
            &format!(r#"{{"id":"p","env":{env}}}"#),
        ),
    ] {
        let request = proxy.request();
        let (head, sent) = request.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with(&format!("{line} HTTP/1.1\r\n")), "{head}");
        assert!(has_header(head, "host", "api.example:8080"), "{head}");
        assert!(
            has_header(head, "proxy-authorization", "Basic dXNlcjpwQHNz"),
            "{head}"
        );
        assert!(has_header(head, "x-api-key", API_KEY), "{head}");
        assert!(sent == body, "{} bytes", sent.len());
    }
}

/// The form of the first line belongs to a connection's first request, so there must be no second one.
#[test]
fn a_forwarded_request_has_a_connection_of_its_own_even_if_the_proxy_keeps_it_open() {
    let proxy = Local::new(|mut stream| {
        let mut seen = read_request(&mut BufReader::new(&stream))?;
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n[]")?;
        // Reads what else comes until the program closes the connection.
        stream.read_to_end(&mut seen)?;
        Ok(seen)
    });
    let proxy_url = format!("http://127.0.0.1:{}", proxy.port());
    let run = project(&[("http_proxy", &proxy_url)]).run(&["cache", "--url", "http://api.example"]);
    assert_eq!(run.code, 0, "{run:?}");
    for path in ["tenants", "tenants-plans"] {
        let request = proxy.seen();
        let line = format!("GET http://api.example/_/api/4/{path}?limit=1000 HTTP/1.1\r\n");
        assert!(request.starts_with(&line), "{request}");
        assert_eq!(request.matches("HTTP/1.1").count(), 1, "{request}");
    }
}

#[test]
fn http_is_forwarded_through_a_proxy_with_https() {
    let pki = Pki::new();
    let proxy = Local::tls(&pki, (OK, TRAEFIK));
    let proxy_url = format!("https://localhost:{}", proxy.port());
    let run = project(&[
        ("all_proxy", &proxy_url),
        ("SSL_CERT_FILE", &pki.file("ca.pem")),
    ])
    .run(&["config:traefik", "--url", "http://api.example"]);
    assert_eq!(
        (run.code, run.output.as_str()),
        (0, format!("{TRAEFIK}\n").as_str()),
        "{run:?}"
    );
    let request = proxy.seen();
    assert!(
        request.starts_with("GET http://api.example/_/api/4/config/traefik HTTP/1.1\r\n"),
        "{request}"
    );
    assert_eq!(header(&request, "proxy-authorization"), None);
}

#[test]
fn a_socks_proxy_gets_the_name_and_the_port() {
    let answer = responses(&[(OK, TRAEFIK)]).remove(0);
    let proxy = Local::new(move |mut stream| {
        // RFC 1928: version 5, one method (none); then CONNECT to a name.
        let mut greeting = [0; 3];
        stream.read_exact(&mut greeting)?;
        assert_eq!(greeting, [5, 1, 0]);
        stream.write_all(&[5, 0])?;
        let mut target = [0; 5 + 11 + 2];
        stream.read_exact(&mut target)?;
        stream.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0])?;
        let request = read_request(&mut BufReader::new(&stream))?;
        stream.write_all(answer.as_bytes())?;
        Ok([&target[..], &request].concat())
    });
    let proxy_url = format!("socks5h://127.0.0.1:{}", proxy.port());
    let run = project(&[("ALL_PROXY", &proxy_url)]).run(&[
        "config:traefik",
        "--url",
        "http://api.example:80",
    ]);
    assert_eq!(run.code, 0, "{run:?}");
    let seen = proxy.seen();
    assert!(
        seen.starts_with("\u{5}\u{1}\u{0}\u{3}\u{b}api.example\u{0}\u{50}GET /_/api/4/config/traefik HTTP/1.1\r\n"),
        "{seen:?}"
    );
}

#[test]
fn a_proxy_that_cannot_be_used_is_named_and_the_key_stays_here() {
    // Nothing listens on this port: it was free a moment ago.
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let authority = free.local_addr().unwrap().to_string();
    drop(free);
    let proxy_url = format!("http://user:hunter2@{authority}");
    for url in ["http://api.example", "https://api.example"] {
        let run = project(&[("all_proxy", &proxy_url)]).run(&["edit", "--id=a", "--url", url]);
        assert_eq!((run.code, run.output.as_str()), (3, ""), "{run:?}");
        assert!(
            run.errors.contains(&format!(
                "{url} through the proxy http://{authority} (all_proxy) cannot be reached"
            )) && !run.errors.contains("hunter2")
                && !run.errors.contains("may have carried out"),
            "{run:?}"
        );
    }
    for (name, value) in [
        ("https_proxy", "http://proxy:88x"),
        ("all_proxy", "ftp://hunter2"),
        ("NO_PROXY", "192.0.2.0/99"),
    ] {
        let run = project(&[(name, value), ("HTTPS_PROXY", "http://127.0.0.1:1")]).run(&[
            "list",
            "--url",
            "https://api.example",
        ]);
        let counts = name != "all_proxy";
        assert_eq!(
            (run.code, run.output.as_str()),
            (if counts { 4 } else { 3 }, ""),
            "{run:?}"
        );
        assert_eq!(
            run.errors.contains(&format!("{name}: expected")),
            counts,
            "{run:?}"
        );
        assert!(!run.errors.contains("hunter2"), "{run:?}");
    }
    let run = project(&[("HTTP_PROXY", &proxy_url)]).run(&["list", "--url", "http://0.0.0.0:1"]);
    assert!(
        run.errors
            .contains("warning: HTTP_PROXY is not used, as in curl; set http_proxy"),
        "{run:?}"
    );
}

/// Linux connects 0.0.0.0 to this machine, but it is not a loopback address, for which no proxy counts.
#[cfg(target_os = "linux")]
#[test]
fn an_exception_is_called_directly() {
    let proxy = Local::new(|stream| read_request(&mut BufReader::new(stream)));
    let proxy_url = format!("http://127.0.0.1:{}", proxy.port());
    let server = Server::new(&[(OK, TRAEFIK)]);
    let url = server.url.replace("127.0.0.1", "0.0.0.0");
    let run = project(&[
        ("http_proxy", &proxy_url),
        ("NO_PROXY", "10.0.0.0/8 0.0.0.0/8"),
    ])
    .run(&["config:traefik", "--url", &url]);
    assert_eq!(run.code, 0, "{run:?}");
    assert!(server.request().starts_with("GET /_/api/4/config/traefik "));
    assert!(proxy.has_seen_nothing());
}

#[test]
fn a_write_whose_answer_is_lost_is_sent_again_with_the_same_key() {
    let tries = AtomicUsize::new(0);
    let done = responses(&[("204 No Content", "")]).remove(0);
    let server = Local::new(move |stream| {
        let request = read_request(&mut BufReader::new(&stream))?;
        if tries.fetch_add(1, Ordering::Relaxed) == 2 {
            (&stream).write_all(done.as_bytes())?;
        }
        Ok(request)
    });
    let url = format!("http://127.0.0.1:{}", server.port());
    let run = Project::new().run(&["delete", "--id=a", "--url", &url]);
    assert_eq!(run.code, 0, "{run:?}");
    let requests = [(); 3].map(|()| server.seen());
    let key = header(&requests[0], "idempotency-key").unwrap();
    assert_eq!(
        key,
        format!("\"{}\"", header(&requests[0], "x-request-id").unwrap())
    );
    assert!(requests.iter().all(|r| *r == requests[0]), "{requests:?}");
    assert!(server.has_seen_nothing());
}

#[test]
fn a_write_is_sent_again_after_a_503_that_says_when_and_after_no_other_error() {
    for (status, headers, expected) in [
        ("503 Service Unavailable", "retry-after: 0\r\n", 3),
        ("503 Service Unavailable", "", 1),
        ("500 Internal Server Error", "retry-after: 0\r\n", 1),
        ("409 Conflict", "", 1),
    ] {
        let server = Local::new(move |stream| {
            let request = read_request(&mut BufReader::new(&stream))?;
            let response = format!(
                "HTTP/1.1 {status}\r\n{headers}content-length: 0\r\nconnection: close\r\n\r\n"
            );
            (&stream).write_all(response.as_bytes())?;
            Ok(request)
        });
        let url = format!("http://127.0.0.1:{}", server.port());
        let run = Project::new().run(&["delete", "--id=a", "--url", &url]);
        assert_ne!(run.code, 0, "{run:?}");
        for _ in 0..expected {
            server.seen();
        }
        assert!(server.has_seen_nothing(), "{status} {headers}");
        // A read has no key, and is sent once.
        let run = Project::new().run(&["list", "--url", &url]);
        assert_ne!(run.code, 0, "{run:?}");
        assert_eq!(header(&server.seen(), "idempotency-key"), None);
        assert!(server.has_seen_nothing());
    }
}

/// The answer of the first try is lost. Then there is no connection, so nothing more was sent.
#[test]
fn a_write_whose_answer_is_lost_may_have_been_carried_out_although_a_later_try_has_no_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        // Nobody listens any more when the client learns that its answer is lost.
        drop(listener);
        read_request(&mut BufReader::new(&stream)).unwrap()
    });
    let run = Project::new().run(&["delete", "--id=a", "--url", &url]);
    server.join().unwrap();
    assert_eq!(run.code, 3, "{run:?}");
    assert!(
        run.errors.contains("refused")
            && run
                .errors
                .contains("The API may have carried out the request"),
        "{run:?}"
    );
}

/// The request was sent, so the API may have carried it out.
#[test]
fn a_write_whose_answer_is_always_lost_may_have_been_carried_out() {
    let server = Local::new(|stream| {
        let request = read_request(&mut BufReader::new(&stream))?;
        drop(stream);
        Ok(request)
    });
    let url = format!("http://127.0.0.1:{}", server.port());
    let reset = ["password-reset", "--id=a", "-u=admin", "--url", &url];
    let run = Project::new().run(&reset);
    assert_eq!((run.code, run.output.as_str()), (3, ""), "{run:?}");
    assert!(
        run.errors
            .contains("The API may have carried out the request"),
        "{run:?}"
    );
    let run = Project::new().run(&["list", "--url", &url]);
    assert_eq!(run.code, 3, "{run:?}");
    assert!(!run.errors.contains("may have carried out"), "{run:?}");
}
