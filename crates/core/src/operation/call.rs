//! The input and the output of every operation: it takes a [`Call`], and returns a [`Pending`] that waits for the database.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::auth::Caller;
use crate::config::{Cells, Hostnames, Site};
use crate::crypto::api_key::KeySecret;
use crate::crypto::session::SessionToken;
use crate::machine::{Context, Failure, FetchFailure, FetchRequest, FetchedAnswer};
use crate::sql::{Batch, Columns, Results, Sql};
use crate::store::idempotency::Idempotency;
use crate::store::sealed::EnvSealer;
use crate::store::standing::{self, Judged};
use crate::store::write::{Shows, Writer};
use crate::value::clock::Timestamp;
use crate::value::fault::ApiError;
use crate::wire::body::{Fields, RawBody};
use crate::wire::conditional::{Condition, Version};
use crate::wire::cookie::Cookie;
use crate::wire::dialect::Dialect;
use crate::wire::http::Response;
use crate::wire::legacy;
use crate::wire::prefer::{self, Preferences};
use crate::wire::variables::Variables;

/// A request of a verified caller, on its way to an operation.
pub(crate) struct Call<'a> {
    pub(crate) caller: Caller,
    pub(crate) dialect: Dialect,
    pub(crate) template: &'static str,
    /// The path's `{id}`, unchecked.
    pub(crate) id: &'a str,
    /// The path's `{kind}`, `{hostname}` or `{event}`, unchecked.
    pub(crate) part: &'a str,
    pub(crate) request_id: &'a str,
    pub(crate) query: &'a str,
    /// Whether the response needs no body.
    pub(crate) is_head: bool,
    /// `If-None-Match`
    pub(crate) if_none_match: Option<Condition>,
    /// `If-Match`
    pub(crate) if_match: Option<Condition>,
    /// Whether the request only asks whether it could be carried out (`validate_only=true`).
    pub(crate) is_trial: bool,
    /// `Prefer`
    pub(crate) preferences: Preferences,
    pub(crate) body: RawBody<'a>,
    pub(crate) idempotency: Option<Idempotency>,
    pub(crate) env: EnvSealer<'a>,
    /// What only the console's own routes read.
    pub(crate) console: Console<'a>,
    /// The secret under which keys are issued.
    pub(crate) key_secret: Option<&'a KeySecret>,
    /// The host's clock.
    pub(crate) unix_seconds: i64,
    pub(crate) hostnames: &'a Hostnames,
    pub(crate) site: &'a Site,
    pub(crate) cells: &'a Cells,
    /// Whether this is a developer's machine.
    pub(crate) development: bool,
    /// `CHEVERETO_TENANT_ENFORCED`
    pub(crate) enforced: &'a Variables,
}

/// What only the console's own routes read of a request.
#[derive(Debug)]
pub(crate) struct Console<'a> {
    pub(crate) cookie: Cookie,
    /// `Signature-Input`, of the only request that begins a session.
    pub(crate) signature_input: Option<&'a str>,
    /// The token of the session that stands for the caller's key.
    pub(crate) token: Option<SessionToken>,
}

impl<'a> Call<'a> {
    /// A path of the caller's dialect.
    pub(crate) fn path(&self, below: &str) -> String {
        format!("{}{below}", self.dialect.base_path())
    }

    /// The revisions of `If-Match` of which the resource must have one, as a list in JSON. `None` if any will do.
    pub(crate) fn revisions(&self) -> Option<String> {
        self.if_match.as_ref().and_then(Condition::revisions)
    }

    /// What the response to a PATCH shows.
    pub(crate) fn shows(&self) -> Shows {
        if self.preferences.wants_representation() {
            Shows::Patched
        } else {
            Shows::Nothing
        }
    }

    /// The caller as the author of this request's write.
    pub(crate) fn writer(&mut self) -> Result<Writer, ApiError> {
        Writer::new(
            &self.caller,
            self.request_id,
            self.idempotency.as_ref(),
            self.env.random,
        )
        .map(|writer| writer.if_one_of(self.revisions()))
    }

    /// The body's fields, under the current dialect's names.
    pub(crate) fn fields(&self) -> Result<Fields<'a>, ApiError> {
        let fields = Fields::of(self.body)?;
        Ok(match self.dialect {
            Dialect::Current => fields,
            Dialect::Legacy => fields.legacy(legacy::id_field(self.template)),
        })
    }

    /// The fields of a body that may be absent. The legacy dialect has no such body, and refuses one that comes.
    pub(crate) fn optional_fields(&self) -> Result<Option<Fields<'a>>, ApiError> {
        match self.dialect {
            Dialect::Current => Fields::optional(self.body),
            Dialect::Legacy if self.body.bytes.is_empty() => Ok(None),
            Dialect::Legacy => Err(ApiError::BodyUnexpected),
        }
    }
}

/// The continuation of a request: it takes the batch's results, or the reason why the batch failed.
type Finish = Box<
    dyn FnOnce(Result<&mut Results, Failure>, &mut Context<'_>) -> Result<Next, ApiError> + Send,
>;

/// Reads whether a write that failed was made all the same, or must be made in another way: then it returns the next step. `None`: nothing is in
/// the way of a second try.
type Judge =
    Box<dyn FnOnce(&mut Results, &mut Context<'_>) -> Result<Option<Next>, ApiError> + Send>;

/// The step after a batch.
pub(crate) enum Next {
    /// Send this response. The note, if there is one, goes to the log.
    Send(Response, Option<String>),
    /// Pause for so many milliseconds, and then run another batch. A host that cannot pause sends the response instead.
    Wait {
        milliseconds: u32,
        then: Pending,
        otherwise: Response,
    },
    /// Send a request of the service's own, and go on with its answer.
    Fetch(Box<FetchRequest>, Fetched),
    /// Run another batch. The failure, if there is one, is the first batch's.
    Run(Pending, Option<Failure>),
    /// Send this response, whose body goes on.
    Open(Response, Tail),
}

impl Next {
    /// Run another batch. No batch failed before it.
    pub(crate) fn run(pending: Pending) -> Self {
        Self::Run(pending, None)
    }
}

/// Takes the answer to a request of the service's own, or the reason why there is none. `None`: the host has no network.
pub(crate) type Fetched = Box<
    dyn FnOnce(
            Option<Result<FetchedAnswer, FetchFailure>>,
            &mut Context<'_>,
        ) -> Result<Next, ApiError>
        + Send,
>;

/// The rest of a body: its next part waits for a batch.
pub(crate) struct Tail {
    pub(crate) batch: Batch,
    pub(crate) go_on: GoOn,
}

/// Takes the batch's results. Returns the next part, and the rest after it.
type GoOn = Box<dyn FnOnce(&mut Results) -> Result<(String, Option<Tail>), ApiError> + Send>;

/// What to do if a batch fails.
enum Again {
    /// Nothing: the failure is the response. A read may simply be asked again.
    Never,
    /// Run the same batch again. It does nothing if it was committed the first time (`store/write.rs`).
    Same,
    /// Ask this first. Then, if nothing is in the way, run the same batch again.
    Look(Sql, Judge),
    /// This is the second try. The first one failed for this reason.
    Last(Failure),
    /// Nothing: this asks why another batch failed, which it may have been meant to.
    Looking,
}

/// A request that waits for a batch.
pub(crate) struct Pending {
    batch: Batch,
    finish: Finish,
    again: Again,
}

impl Pending {
    /// Waits for a batch that only reads, and makes the response from its results.
    pub(crate) fn new(
        batch: Batch,
        finish: impl FnOnce(&mut Results) -> Result<Response, ApiError> + Send + 'static,
    ) -> Self {
        Self::with_note(batch, |results| Ok((finish(results)?, None)))
    }

    /// Like [`Pending::new`]. The response comes with a note for the log.
    pub(crate) fn with_note(
        batch: Batch,
        finish: impl FnOnce(&mut Results) -> Result<(Response, Option<String>), ApiError>
        + Send
        + 'static,
    ) -> Self {
        Self::then(batch, |results, _| {
            let (response, note) = finish(results)?;
            Ok(Next::Send(response, note))
        })
    }

    /// Waits for a write. Nobody knows whether a batch that failed was committed, so the same batch runs a second time: it makes the write if
    /// the first one did not, and its results are those of the write either way.
    pub(crate) fn write(
        batch: Batch,
        finish: impl FnOnce(&mut Results) -> Result<Response, ApiError> + Send + 'static,
    ) -> Self {
        Self::write_with_note(batch, |results| Ok((finish(results)?, None)))
    }

    /// Like [`Pending::write`]. The response comes with a note for the log.
    pub(crate) fn write_with_note(
        batch: Batch,
        finish: impl FnOnce(&mut Results) -> Result<(Response, Option<String>), ApiError>
        + Send
        + 'static,
    ) -> Self {
        Self {
            again: Again::Same,
            ..Self::with_note(batch, finish)
        }
    }

    /// Waits for a batch whose failure `finish` turns into an error of its own.
    pub(crate) fn or_failed(
        batch: Batch,
        finish: impl FnOnce(Result<&mut Results, Failure>) -> Result<Response, ApiError>
        + Send
        + 'static,
    ) -> Self {
        Self::either_way(batch, |results| Ok(Next::Send(finish(results)?, None)))
    }

    /// Like [`Pending::or_failed`]. `next` may ask for another batch.
    pub(crate) fn either_way(
        batch: Batch,
        next: impl FnOnce(Result<&mut Results, Failure>) -> Result<Next, ApiError> + Send + 'static,
    ) -> Self {
        Self {
            batch,
            finish: Box::new(|results, _| next(results)),
            again: Again::Never,
        }
    }

    /// Waits for a batch that only reads. `next` makes the response from its results, which may have the same request, carried out before, or
    /// asks for another batch.
    pub(crate) fn then(
        batch: Batch,
        next: impl FnOnce(&mut Results, &mut Context<'_>) -> Result<Next, ApiError> + Send + 'static,
    ) -> Self {
        Self {
            batch,
            finish: Box::new(|results, context| {
                let results = results.map_err(ApiError::from)?;
                Ok(match next(results, context)? {
                    Next::Send(response, note) => Next::Send(replayed(response, results), note),
                    next => next,
                })
            }),
            again: Again::Never,
        }
    }

    /// Like [`Pending::then`], for a write that may run a second time: it finds what the first one did.
    pub(crate) fn write_then(
        batch: Batch,
        next: impl FnOnce(&mut Results, &mut Context<'_>) -> Result<Next, ApiError> + Send + 'static,
    ) -> Self {
        Self {
            again: Again::Same,
            ..Self::then(batch, next)
        }
    }

    /// Waits for a write whose statements fail if they cannot be carried out, such as `CREATE TABLE`. If the batch fails, `read` runs, and
    /// `judge` finds the reason in its row: an error, or the response if the write was made all the same. If it finds neither, the same batch
    /// runs again.
    pub(crate) fn write_or_look(
        batch: Batch,
        finish: impl FnOnce(&mut Results) -> Result<Response, ApiError> + Send + 'static,
        read: Sql,
        judge: impl FnOnce(&mut Results) -> Result<Option<Response>, ApiError> + Send + 'static,
    ) -> Self {
        let next = |results: &mut Results| Ok(Next::Send(finish(results)?, None));
        Self::write_or_go_on(batch, next, read, |results, _| {
            let response = judge(results)?;
            Ok(response.map(|response| Next::Send(response, None)))
        })
    }

    /// Like [`Pending::write_or_look`]. `next` may ask for another batch, and `judge` may find another way to carry the request out.
    pub(crate) fn write_or_go_on(
        batch: Batch,
        next: impl FnOnce(&mut Results) -> Result<Next, ApiError> + Send + 'static,
        read: Sql,
        judge: impl FnOnce(&mut Results, &mut Context<'_>) -> Result<Option<Next>, ApiError>
        + Send
        + 'static,
    ) -> Self {
        Self {
            again: Again::Look(read, Box::new(judge)),
            ..Self::then(batch, |results, _| next(results))
        }
    }

    /// The same, as a trial: its batch writes nothing.
    pub(crate) fn tried(self) -> Self {
        let batch = standing::tried(self.batch);
        Self { batch, ..self }
    }

    /// The same, if a session stands for the caller's key.
    pub(crate) fn of_session(self) -> Self {
        let batch = standing::of_session(self.batch);
        Self { batch, ..self }
    }

    /// The batch to run.
    pub(crate) fn batch(&self) -> &Batch {
        &self.batch
    }

    /// Whether it asks why another batch failed.
    pub(crate) fn is_looking(&self) -> bool {
        matches!(self.again, Again::Looking)
    }

    /// Goes on with the batch's results.
    pub(crate) fn finish(
        self,
        results: Result<&mut Results, Failure>,
        context: &mut Context<'_>,
    ) -> Result<Next, ApiError> {
        let Self {
            batch,
            finish,
            again,
        } = self;
        let failure = match results {
            Ok(results) => return finish(Ok(results), context),
            Err(failure) => failure,
        };
        match again {
            Again::Never | Again::Looking => finish(Err(failure), context),
            Again::Same => Ok(Self::second(batch, finish, failure)),
            Again::Last(first) => Err(twice(&first, &failure)),
            Again::Look(read, judge) => {
                let first = failure.clone();
                let look = Self {
                    batch: Batch::one(read),
                    finish: Box::new(move |results, context| match results {
                        Ok(results) => Ok(match judge(results, context)? {
                            Some(Next::Send(response, note)) => {
                                Next::Send(replayed(response, results), note)
                            }
                            Some(next) => next,
                            None => Self::second(batch, finish, first),
                        }),
                        Err(second) => Err(twice(&first, &second)),
                    }),
                    again: Again::Looking,
                };
                Ok(Next::Run(look, Some(failure)))
            }
        }
    }

    /// Runs a batch that failed for a second and last time.
    fn second(batch: Batch, finish: Finish, failure: Failure) -> Next {
        let again = Self {
            batch,
            finish,
            again: Again::Last(failure.clone()),
        };
        Next::Run(again, Some(failure))
    }
}

/// Adds the headers of a response that an earlier request got as well, if it is one.
fn replayed(response: Response, results: &Results) -> Response {
    replay(response, results.replayed_until().cloned())
}

/// Adds the headers of a response that an earlier request got as well, and that is remembered until then.
pub(crate) fn replay(response: Response, until: Option<Timestamp>) -> Response {
    match until {
        None => response,
        Some(until) => response
            .with("idempotency-replayed", "true")
            .with("idempotency-expires", until.to_http_date()),
    }
}

/// The error of a write that failed twice. Nobody knows whether it was made.
fn twice(first: &Failure, second: &Failure) -> ApiError {
    ApiError::WriteLost(format!("{first}; and again: {second}"))
}

/// The id is malformed, so nothing can have it: 404 if the caller's key is valid, otherwise 401. No such request was ever carried out, so if its
/// `Idempotency-Key` is known, it belongs to another.
pub(crate) fn absent(call: &Call<'_>, what: &'static str) -> Pending {
    let sql = standing::alone(&call.caller);
    let is_keyed = call.idempotency.is_some();
    let sql = match &call.idempotency {
        None => sql,
        Some(idempotency) => idempotency.known(sql.sql(", ")).sql(" AS is_known"),
    };
    Pending::new(Batch::one(sql), move |results| {
        let mut row = standing::judged(results)?;
        if is_keyed && row.boolean("is_known")? {
            return Err(ApiError::IdempotencyKeyReused);
        }
        Err(ApiError::NotFound { what })
    })
}

/// The response to a trial that nothing is in the way of (contract §12).
pub(crate) fn valid() -> Response {
    Response::json(200, String::from("{\"valid\":true}"))
}

/// The response to a read of one resource: 304 if the caller has this version already, or else the resource.
pub(crate) fn versioned(
    if_none_match: Option<&Condition>,
    version: &Version,
    body: impl FnOnce() -> String,
) -> Response {
    let etag = version.etag();
    let response = match if_none_match {
        Some(condition) if condition.matches(&etag) => Response::empty(304),
        _ => Response::json(200, body()),
    };
    response.with("etag", etag)
}

/// The response to a PATCH that was carried out: 204, or 200 with the resource for a caller that prefers that (contract §12).
pub(crate) fn edited(
    version: Option<&Version>,
    shown: Result<Option<String>, ApiError>,
) -> (Response, Option<String>) {
    let (response, note) = written(version, shown);
    let response = if response.status == 200 {
        response.with("preference-applied", prefer::RETURNS_REPRESENTATION)
    } else {
        response
    };
    (response, note)
}

/// The response to a write that was carried out: 200 with the resource, or 204 if there is none to show. If the resource cannot be shown, the write has
/// happened all the same: the response is the 204, and the note says why.
pub(crate) fn written(
    version: Option<&Version>,
    shown: Result<Option<String>, ApiError>,
) -> (Response, Option<String>) {
    let (response, note) = match shown {
        Ok(Some(body)) => (Response::json(200, body), None),
        Ok(None) => (Response::empty(204), None),
        Err(error) => {
            let cause = error.cause().unwrap_or_default();
            let note = format!("the changed resource cannot be shown: {cause}");
            (Response::empty(204), Some(note))
        }
    };
    let response = match version {
        Some(version) => response.with("etag", version.etag()),
        None => response,
    };
    (response, note)
}

/// Reads a list that has no pages, since its rows are few and short. `decode` returns `None` for the row of `NULL`s, which a valid key gets if nothing was
/// found.
pub(crate) fn decode_all<T>(
    results: &mut Results,
    decode: impl Fn(Judged) -> Result<Option<T>, ApiError>,
) -> Result<Vec<T>, ApiError> {
    let rows = results.rows()?;
    if rows.is_empty() {
        return Err(standing::invalid_key());
    }
    rows.into_iter()
        .filter_map(|row| {
            standing::judge(Columns::new(row))
                .and_then(&decode)
                .transpose()
        })
        .collect()
}
