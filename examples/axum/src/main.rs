//! The Tenants API in a Rust server: axum receives the requests, the core decides, SQLite stores.
//!
//! `cargo run -p tenants-example-axum -- [PORT [DATABASE]]` listens on loopback. Port 0 takes a free port; `:memory:` keeps nothing.
//! With `CHEVERETO_TENANTS_DB_ISOLATION_MODE=database` each site has a file of its own, in the folder `DATABASE.sites`.
//! The configuration comes from the environment. The first start creates an API key and prints it. Ctrl-C stops the server.
//!
//! [`Server::ask`] hands a request to the core and drives it to its response. [`Turns`] is the host that it is driven on: SQLite by `crates/sqlite`, the
//! system's clock and its randomness, and the network by `outbound.rs`. [`Server::scheduled`] is what the Worker's cron trigger does, each minute.

mod outbound;

use std::env;
use std::error::Error;
use std::fmt;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body as HttpBody, Bytes, to_bytes};
use axum::extract::{ConnectInfo, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Request as HttpRequest, StatusCode};
use axum::response::{IntoResponse as _, Response as HttpResponse};
use http_body_util::LengthLimitError;
use http_body_util::channel::{Channel, Sender};
use rusqlite::Connection;
use tenants_core::BODY_LIMIT_BYTES;
use tenants_core::config::Config;
use tenants_core::log::{DeliveryEntry, LogEntry, TaskEntry};
use tenants_core::machine::{Step, drive};
use tenants_core::sql::{Batch, Rows};
use tenants_core::task::TaskError;
use tenants_core::task::deliver::Delivery;
use tenants_core::task::keys::{KeyCreation, KeyName};
use tenants_core::{
    Answer, Api, Body, Failure, FetchFailure, FetchRequest, FetchedAnswer, Headers, Host, Random,
    Request, Response, config, log,
};
use tenants_sqlite::{Sites, SystemHost, SystemRandom, unix_seconds};
use tokio::net::TcpListener;
use tokio::signal::ctrl_c;
use tokio::task::spawn_blocking;
use tokio::time::{interval, timeout};

/// How long a client has to take a part of a long list.
const TAKEN_WITHIN: Duration = Duration::from_secs(60);

/// Shared by all requests.
struct Server {
    api: Api,
    /// One connection: requests take turns.
    database: Mutex<Connection>,
    /// The databases of tenants' sites.
    sites: Sites,
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let port = arguments.next().map_or(Ok(8787), |port| port.parse())?;
    let path = arguments.next();
    let path = path.as_deref().unwrap_or("tenants.sqlite.local");
    warn_of_unknown_variables();
    let variable = |name: &'static str| env::var(name).ok();
    let host = Server {
        api: Api::for_host(path != ":memory:", variable),
        database: Mutex::new(tenants_sqlite::open(path)?),
        sites: Sites::in_folder(format!("{path}.sites")),
    };
    if host.api.config().is_ok_and(Config::has_site_databases) {
        fs::create_dir_all(format!("{path}.sites"))?;
    }
    host.first_key()?;
    tokio::runtime::Runtime::new()?.block_on(serve(Arc::new(host), port))
}

/// Logs the variables that look like the API's and are none of them, such as a misspelt allow list.
fn warn_of_unknown_variables() {
    // No known name has bytes that are not UTF-8.
    let names: Vec<String> = env::vars_os()
        .filter_map(|(name, _)| name.into_string().ok())
        .collect();
    for variable in config::unknown(names.iter().map(String::as_str)) {
        eprintln!("{}", log::unknown_variable(&variable));
    }
}

async fn serve(host: Arc<Server>, port: u16) -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
    println!("http://{}", listener.local_addr()?);
    let scheduled = Arc::clone(&host);
    tokio::spawn(async move {
        let mut minutes = interval(Duration::from_secs(60));
        loop {
            minutes.tick().await;
            let host = Arc::clone(&scheduled);
            // A run that panics has printed why, and the next one comes in a minute.
            let _ = spawn_blocking(move || host.scheduled()).await;
        }
    });
    let app = Router::new().fallback(answer).with_state(host);
    axum::serve(
        listener,
        app.into_make_service_with_connect_info::<SocketAddr>(),
    )
    .with_graceful_shutdown(async move {
        // If the signal cannot be received, run until the process is killed.
        if ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    })
    .await?;
    Ok(())
}

async fn answer(
    State(host): State<Arc<Server>>,
    ConnectInfo(client): ConnectInfo<SocketAddr>,
    request: HttpRequest<HttpBody>,
) -> HttpResponse {
    // A task of its own goes on if the client leaves, so that what was done is logged, and its event goes out.
    let answer = tokio::spawn(respond(host, client, request)).await;
    answer.unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())
}

async fn respond(
    host: Arc<Server>,
    client: SocketAddr,
    request: HttpRequest<HttpBody>,
) -> HttpResponse {
    let began = Instant::now();
    let (head, body) = request.into_parts();
    let body = to_bytes(body, BODY_LIMIT_BYTES).await;
    // The database waits for its disk, and hashing a password takes tens of milliseconds. Both would block the async threads.
    let asked = Arc::clone(&host);
    let answer = spawn_blocking(move || asked.ask(&head, &body, client)).await;
    match answer {
        Ok(Answer {
            response,
            log,
            rest: None,
            ..
        }) => {
            host.note_request(&log, began);
            // The event of a write goes out at once, and the response does not wait for it.
            spawn_blocking(move || host.deliver_after(&log));
            to_http(&response, HttpBody::from(response.body.to_string()))
        }
        // A long list goes out in parts: each is read once the client has taken the one before.
        Ok(answer) => {
            let (sender, body) = Channel::new(1);
            let http = to_http(&answer.response, HttpBody::new(body));
            tokio::spawn(host.send_parts(answer, sender, began));
            http
        }
        // The thread panicked and has printed why.
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

impl Server {
    /// Handles one request: runs batches until the core has a response.
    fn ask(&self, head: &Parts, body: &Result<Bytes, axum::Error>, client: SocketAddr) -> Answer {
        let header = |name| {
            let lines = head.headers.get_all(name).into_iter();
            Headers::joined(name, lines.map(HeaderValue::as_bytes))
        };
        let values = Headers::NAMES.map(header);
        let client = client.ip().to_string();
        let origin = header("host").map(|host| format!("http://{host}"));
        let request = Request {
            method: head.method.as_str(),
            target: head
                .uri
                .path_and_query()
                .map_or("/", |target| target.as_str()),
            origin: origin.as_deref(),
            client_address: Some(&client),
            headers: Headers::from_values(values.each_ref().map(Option::as_deref)),
            body: match body {
                Ok(bytes) => Body::Bytes(bytes),
                Err(error) if is_too_large(error) => Body::TooLarge,
                Err(_) => Body::Incomplete,
            },
        };
        let step = self.api.begin(&request, unix_seconds(), &mut SystemRandom);
        let host = &mut Turns(self, SystemRandom);
        drive(step, host).settled(host)
    }

    /// Carries out what is past its time, counts statistics, sends the events that webhooks wait for, and looks up the records of hostnames.
    fn scheduled(&self) {
        let host = &mut Turns(self, SystemRandom);
        let began = Instant::now();
        let stats = self.api.begin_stats(unix_seconds());
        let stats = stats.and_then(|task| drive(Step::Run(task), host));
        self.note(&TaskEntry::of_stats(stats), began);
        self.deliver(self.api.begin_delivery(unix_seconds(), &mut SystemRandom));
        let began = Instant::now();
        let proofs = self.api.begin_proofs(unix_seconds());
        let proofs = proofs.and_then(|task| drive(Step::Run(task), host));
        if let Some(entry) = TaskEntry::of_proofs(proofs) {
            self.note(&entry, began);
        }
    }

    /// Sends the events that webhooks wait for, if this request was a write.
    fn deliver_after(&self, entry: &LogEntry) {
        let random = &mut SystemRandom;
        if let Some(delivery) = self.api.delivery_after(entry, unix_seconds(), random) {
            self.deliver(Ok(delivery));
        }
    }

    fn deliver(&self, begun: Result<Delivery, TaskError>) {
        let began = Instant::now();
        let host = &mut Turns(self, SystemRandom);
        let outcome = begun.and_then(|delivery| drive(Step::Run(delivery), host));
        if let Ok(report) = &outcome {
            self.api.delivered(report, unix_seconds());
        }
        let entry = DeliveryEntry::new(outcome);
        if !entry.is_silent() && self.api.logs(entry.level()) {
            eprintln!("{}", entry.line(milliseconds_since(began)));
        }
    }

    fn note(&self, entry: &TaskEntry, began: Instant) {
        if self.api.logs(entry.level()) {
            eprintln!("{}", entry.line(milliseconds_since(began)));
        }
    }

    /// Sends a body of several parts. If one fails, or the client takes none for long, the response breaks off, so that nobody takes it for a whole list.
    async fn send_parts(
        self: Arc<Self>,
        answer: Answer,
        mut sender: Sender<Bytes, ListError>,
        began: Instant,
    ) {
        let Answer {
            response,
            mut log,
            mut rest,
            ..
        } = answer;
        let mut text = response.body.into_string();
        loop {
            let sent = timeout(TAKEN_WITHIN, sender.send_data(text.into())).await;
            if !matches!(sent, Ok(Ok(()))) {
                log.cause = Some(log::LEFT.into());
                sender.abort(ListError);
                break;
            }
            let Some(waiting) = rest else { break };
            // The connection is free for other requests between two parts.
            let host = Arc::clone(&self);
            let part = spawn_blocking(move || {
                let rows = tenants_sqlite::run(&mut host.connection(), waiting.batch());
                waiting.part(rows.map_err(Into::into))
            });
            match part.await {
                Ok(Ok(part)) => (text, rest) = (part.text, part.rest),
                Ok(Err(failed)) => {
                    log = failed.log;
                    sender.abort(ListError);
                    break;
                }
                // The thread panicked and has printed why.
                Err(_) => {
                    sender.abort(ListError);
                    break;
                }
            }
        }
        self.note_request(&log, began);
    }

    fn note_request(&self, entry: &LogEntry, began: Instant) {
        if self.api.logs(entry.level()) {
            eprintln!("{}", entry.line(milliseconds_since(began)));
        }
    }

    fn connection(&self) -> MutexGuard<'_, Connection> {
        // A thread that panicked in a transaction has rolled it back, so that the connection is fit for use.
        self.database.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Creates an API key and prints it, if the database has none.
    fn first_key(&self) -> Result<(), Box<dyn Error>> {
        let count = "SELECT count(*) FROM api_keys";
        let keys: i64 = self.connection().query_row(count, [], |row| row.get(0))?;
        if keys > 0 {
            return Ok(());
        }
        let config = self.api.config().map_err(|errors| {
            let errors: Vec<_> = errors.iter().map(ToString::to_string).collect();
            errors.join("; ")
        })?;
        let name = KeyName::parse("first").ok();
        let creation = KeyCreation::begin(config, name, None, unix_seconds(), &mut SystemRandom)
            .map_err(|error| error.to_string())?;
        let step = Step::Run(creation);
        let created = drive(step, &mut SystemHost::new(&mut self.connection()))
            .map_err(|error| error.to_string())?;
        println!("API key: {}", created.key.text());
        Ok(())
    }
}

/// The host of one request or task. The connection is its own during a batch only, so that others take their turns while it waits.
struct Turns<'a>(&'a Server, SystemRandom);

impl Host for Turns<'_> {
    fn run(&mut self, batch: &Batch) -> Result<Vec<Rows>, Failure> {
        let Self(server, _) = self;
        SystemHost::new(&mut server.connection())
            .with_sites(&server.sites)
            .run(batch)
    }

    fn wait(&mut self, milliseconds: u32) -> bool {
        thread::sleep(Duration::from_millis(milliseconds.into()));
        true
    }

    fn fetch(&mut self, request: &FetchRequest) -> Option<Result<FetchedAnswer, FetchFailure>> {
        Some(outbound::send(request))
    }

    fn unix_seconds(&mut self) -> i64 {
        unix_seconds()
    }

    fn random(&mut self) -> &mut dyn Random {
        &mut self.1
    }
}

fn milliseconds_since(began: Instant) -> i64 {
    i64::try_from(began.elapsed().as_millis()).unwrap_or(i64::MAX)
}

/// Whether a body was longer than the limit. Any other error means that it broke off.
fn is_too_large(error: &axum::Error) -> bool {
    error
        .source()
        .is_some_and(|source| source.is::<LengthLimitError>())
}

/// Why a body breaks off.
#[derive(Debug)]
struct ListError;

impl fmt::Display for ListError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the list broke off")
    }
}

impl Error for ListError {}

fn to_http(response: &Response, body: HttpBody) -> HttpResponse {
    let mut builder = HttpResponse::builder().status(response.status);
    for (name, value) in &response.headers {
        builder = builder.header(*name, value.as_ref());
    }
    builder
        .body(body)
        .unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())
}
