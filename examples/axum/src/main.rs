//! The Tenants API in a Rust server: axum receives the requests, the core decides, SQLite stores.
//!
//! `cargo run -p tenants-example-axum -- [PORT [DATABASE]]` listens on loopback. Port 0 takes a free port; `:memory:` keeps nothing.
//! With `CHEVERETO_TENANTS_DB_ISOLATION_MODE=database` each site has a file of its own, in the folder `DATABASE.sites`.
//! The configuration comes from the environment. The first start creates an API key and prints it. Ctrl-C stops the server.
//!
//! [`Server::ask`] hands a request to the core and drives it to its response. `crates/sqlite` is the host that it is driven on: a SQLite
//! database, the system's clock and its randomness. That host cannot wait, since requests share a connection: what a tenant's cell must carry out
//! (docs/API.md §15) is answered 202 at once, with the job.

use std::env;
use std::error::Error;
use std::fmt;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::body::{Body as HttpBody, Bytes, to_bytes};
use axum::extract::{ConnectInfo, State};
use axum::http::request::Parts;
use axum::http::{Request as HttpRequest, StatusCode};
use axum::response::{IntoResponse as _, Response as HttpResponse};
use http_body_util::LengthLimitError;
use http_body_util::channel::{Channel, Sender};
use rusqlite::Connection;
use tenants_core::BODY_LIMIT_BYTES;
use tenants_core::config::Config;
use tenants_core::machine::{Step, drive};
use tenants_core::task::keys::{KeyCreation, KeyName};
use tenants_core::{Answer, Api, Body, Headers, Request, Response, config, log};
use tenants_sqlite::{Sites, SystemHost, SystemRandom, unix_seconds};
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::signal::ctrl_c;
use tokio::task::spawn_blocking;

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
            eprintln!("{}", log.line(0));
            to_http(&response, HttpBody::from(response.body.to_string()))
        }
        // A long list goes out in parts: each is read once the client has taken the one before.
        Ok(answer) => {
            let (sender, body) = Channel::new(1);
            let http = to_http(&answer.response, HttpBody::new(body));
            spawn_blocking(move || host.send_parts(answer, sender));
            http
        }
        // The thread panicked and has printed why.
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

impl Server {
    /// Handles one request: runs batches until the core has a response.
    fn ask(&self, head: &Parts, body: &Result<Bytes, axum::Error>, client: SocketAddr) -> Answer {
        let header = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok());
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
            headers: Headers::from_fn(header),
            body: match body {
                Ok(bytes) => Body::Bytes(bytes),
                Err(error) if is_too_large(error) => Body::TooLarge,
                Err(_) => Body::Incomplete,
            },
        };
        let step = self.api.begin(&request, unix_seconds(), &mut SystemRandom);
        let mut connection = self.connection();
        let host = &mut SystemHost::new(&mut connection).with_sites(&self.sites);
        drive(step, host).settled(host)
    }

    /// Sends a body of several parts. If one fails, the response breaks off, so that nobody takes it for a whole list.
    fn send_parts(&self, answer: Answer, mut sender: Sender<Bytes, ListError>) {
        let Answer {
            response,
            mut log,
            mut rest,
            ..
        } = answer;
        let mut text = response.body.into_string();
        let runtime = Handle::current();
        loop {
            if runtime.block_on(sender.send_data(text.into())).is_err() {
                log.cause = Some(log::LEFT.into());
                break;
            }
            let Some(waiting) = rest else { break };
            // The connection is free for other requests between two parts.
            let part = tenants_sqlite::run(&mut self.connection(), waiting.batch());
            match waiting.part(part.map_err(Into::into)) {
                Ok(part) => (text, rest) = (part.text, part.rest),
                Err(failed) => {
                    log = failed.log;
                    sender.abort(ListError);
                    break;
                }
            }
        }
        eprintln!("{}", log.line(0));
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
