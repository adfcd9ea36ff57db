//! The description of the cells' routes (contract §15): words, examples, rules and shapes.

use alloc::vec;
use alloc::vec::Vec;

use serde_json::{Value, json};

use super::examples::{Example, MADE, cursor_gone, example, not_found, problem, stats};
use super::headers::reference;
use super::operations::{Told, empty, success};
use super::shapes::{list, object, text, text_or_null, time, time_or_null};
use crate::operation::feed::MAX_STATS;
use crate::operation::jobs::{LEASE_SECONDS, MAX_ERROR_CHARACTERS, MAX_LEASED};
use crate::store::counters::COUNTERS;
use crate::store::work::State;
use crate::value::id::PlanId;
use crate::wire::parameter::Parameter;
use crate::wire::problem::Code;
use crate::wire::route::Operation;
use crate::wire::rule::Rule;

/// The words of an operation of cells; `None` of any other.
pub(super) fn told(operation: Operation) -> Option<Told> {
    let (name, tag, summary, description, successes, problems): (_, _, _, _, _, &[Code]) =
        match operation {
            Operation::MoveTenant => (
                "moveTenant",
                "Sites",
                "Give an installed tenant another cell",
                "The operator has copied its data there. The tenant has a cell, is disabled or held for `maintenance`, and has no unfinished job.",
                vec![empty(204, &[], "The tenant is on the other cell.")],
                &[Code::CellConflict, Code::JobUnderWay],
            ),
            Operation::ListCells => (
                "listCells",
                "Cells",
                "List cells",
                "",
                vec![success(200, "CellList", &[], "All cells.")],
                &[],
            ),
            Operation::GetCell => (
                "getCell",
                "Cells",
                "Read a cell",
                "",
                vec![success(200, "Cell", &[], "The cell.")],
                &[],
            ),
            Operation::PutCell => (
                "putCell",
                "Cells",
                "Make a cell, or change it",
                "Members that the body leaves out stay as they are.",
                vec![
                    success(200, "Cell", &[], "The cell, which was there."),
                    success(201, "Cell", &["Location"], "The new cell."),
                ],
                &[],
            ),
            Operation::DeleteCell => (
                "deleteCell",
                "Cells",
                "Delete a cell",
                "",
                vec![empty(204, &[], "The cell is deleted.")],
                &[Code::CellInUse],
            ),
            Operation::ReadFeed => (
                "readCellTenants",
                "Agents",
                "Read what changed for a cell",
                "A key with the scope `cell:<id>` will do. Apply `gone` before `tenants`. Without `after`, everything comes.",
                vec![
                    success(
                        200,
                        "CellTenants",
                        &["ETag"],
                        "What changed since the cursor.",
                    ),
                    empty(304, &["ETag"], "Nothing changed, and no job can be leased."),
                ],
                &[Code::AgentConflict, Code::CursorGone],
            ),
            Operation::StoreStats => (
                "storeCellStats",
                "Agents",
                "Report statistics of a cell's tenants",
                "A key with the scope `cell:<id>` will do. Statistics are stored where they changed, at most once an hour for each tenant.",
                vec![success(200, "Stored", &[], "How many were stored.")],
                &[],
            ),
            Operation::LeaseJobs => (
                "leaseJobs",
                "Agents",
                "Lease the oldest jobs of a cell",
                "A key with the scope `cell:<id>` will do. A lease that runs out gives the job back; after five leases it has failed.",
                vec![success(
                    200,
                    "LeasedJobs",
                    &[],
                    "The jobs, with their inputs.",
                )],
                &[],
            ),
            Operation::ListJobs => (
                "listJobs",
                "Jobs",
                "List jobs, the newest first",
                "",
                vec![success(200, "JobList", &["Link"], "The jobs.")],
                &[],
            ),
            Operation::GetJob => (
                "getJob",
                "Jobs",
                "Read a job",
                "`result` has a password that the service generated, for ten minutes after the job's end.",
                vec![success(200, "Job", &[], "The job.")],
                &[],
            ),
            Operation::CancelJob => (
                "cancelJob",
                "Jobs",
                "Cancel a job that waits",
                "",
                vec![success(200, "Job", &[], "The job.")],
                &[Code::JobNotWaiting],
            ),
            Operation::RenewJob => (
                "renewJob",
                "Agents",
                "Move the end of a lease",
                "A key with the scope of the job's cell will do.",
                vec![empty(204, &[], "The lease ends later.")],
                &[Code::LeaseLost],
            ),
            Operation::FinishJob => (
                "finishJob",
                "Agents",
                "Report the end of a job",
                "A key with the scope of the job's cell will do. The same report again with its token has the same response.",
                vec![success(200, "Job", &[], "The job.")],
                &[Code::LeaseLost],
            ),
            _ => return None,
        };
    Some(Told {
        name,
        tag,
        summary,
        description,
        successes,
        problems,
    })
}

fn cell() -> Value {
    json!({
        "id": "eu-1", "name": "Frankfurt", "service": {"name": "php-eu-1", "port": 8080}, "accepting": true, "created_at": MADE, "updated_at": MADE,
        "tenants": 0, "jobs_waiting": 0, "last_seen_at": null, "agent_version": null, "cursor": null, "behind": 0
    })
}

fn no_job() -> Value {
    not_found("job")
}

const NO_JOB: &str = "0f1e2d3c4b5a69788796a5b4c3d2e1f0";

/// The examples of an operation of cells; `None` of any other.
pub(super) fn examples(operation: Operation) -> Option<Vec<Example>> {
    Some(match operation {
        Operation::MoveTenant => vec![
            example("no_cell", "A tenant without a cell", 409)
                .with("id", "acme")
                .body(json!({"cell_id": "eu-1"}))
                .answer(problem(
                    "Conflict",
                    409,
                    "the tenant has no cell, so its site is not on one",
                    "cell_conflict",
                    Value::Null,
                )),
        ],
        Operation::ListCells => vec![example("all", "All cells", 200).answer(json!([cell()]))],
        Operation::GetCell => vec![
            example("cell", "A cell", 200)
                .with("id", "eu-1")
                .answer(cell()),
        ],
        Operation::PutCell => vec![
            example("made", "A new cell", 201)
                .with("id", "eu-1")
                .body(json!({"name": "Frankfurt", "service": {"name": "php-eu-1", "port": 8080}}))
                .answer(cell()),
        ],
        Operation::DeleteCell => {
            vec![example("deleted", "A cell without tenants", 204).with("id", "eu-1")]
        }
        Operation::ReadFeed => vec![
            example("gone", "A cursor of another epoch", 410)
                .with("id", "eu-1")
                .with("after", "0000000000000000.7.acme")
                .answer(cursor_gone("begin again without one")),
        ],
        Operation::StoreStats => vec![
            example("unknown", "A tenant that the cell does not have", 200)
                .with("id", "eu-1")
                .body(json!({"tenants": [{"id": "gone", "stats": stats(), "counted_at": MADE}]}))
                .answer(json!({"stored": 0})),
        ],
        Operation::LeaseJobs => vec![
            example("none", "No job waits", 200)
                .with("id", "eu-1")
                .body(json!({"max": 4, "seconds": 60}))
                .answer(json!({"jobs": []})),
        ],
        Operation::ListJobs => vec![
            example("none", "No job of a tenant", 200)
                .with("tenant", "acme")
                .with("state", "waiting")
                .answer(json!([])),
        ],
        Operation::GetJob | Operation::CancelJob => {
            vec![
                example("missing", "A job that is not there", 404)
                    .with("id", NO_JOB)
                    .answer(no_job()),
            ]
        }
        Operation::RenewJob => vec![
            example("missing", "A job that is not there", 404)
                .with("id", NO_JOB)
                .body(json!({"lease": NO_JOB, "seconds": 60}))
                .answer(no_job()),
        ],
        Operation::FinishJob => vec![
            example("missing", "A job that is not there", 404)
                .with("id", NO_JOB)
                .body(json!({"lease": NO_JOB, "state": "done"}))
                .answer(no_job()),
        ],
        _ => return None,
    })
}

/// The schema of a rule of cells; `None` of any other rule.
pub(super) fn rule(rule: Rule) -> Option<Value> {
    let id = alloc::format!("[A-Za-z0-9][A-Za-z0-9_-]{{0,{}}}", PlanId::MAX_LENGTH - 1);
    Some(match rule {
        Rule::CellId => json!({
            "type": "string", "pattern": alloc::format!("^{id}$"),
            "description": "A cell's id. Ids that differ only in ASCII case are the same."
        }),
        Rule::CellOfTenant => json!({
            "type": ["string", "null"], "pattern": alloc::format!("^{id}$"),
            "description": "The id of a cell that takes tenants; `null` for none. A new tenant without this field has the default cell, if there is one."
        }),
        Rule::CellName => {
            json!({"type": ["string", "null"], "minLength": 1, "maxLength": 255, "pattern": "^[^\\u0000]*$"})
        }
        Rule::Service => json!({
            "anyOf": [
                {
                    "type": "object", "required": ["name", "port"], "additionalProperties": false,
                    "properties": {
                        "name": {"type": "string", "pattern": "^[A-Za-z0-9._-]{1,253}$"},
                        "port": {"type": "integer", "minimum": 1, "maximum": 65535}
                    }
                },
                {"type": "null"}
            ],
            "description": "Traefik's service for the tenants of the cell; `null` for the default one."
        }),
        Rule::LeaseCount => json!({"type": "integer", "minimum": 1, "maximum": MAX_LEASED}),
        Rule::LeaseSeconds => {
            json!({"type": "integer", "minimum": LEASE_SECONDS.0, "maximum": LEASE_SECONDS.1})
        }
        Rule::Lease => json!({
            "type": "string", "pattern": "^[0-9A-Fa-f]{32}$",
            "description": "The token of the lease."
        }),
        Rule::EndState => json!({
            "enum": ["done", "refused", "failed"],
            "description": "`refused`: the site is installed already, there is none to reset, or it has no such user."
        }),
        Rule::JobError => json!({
            "type": ["string", "null"], "maxLength": MAX_ERROR_CHARACTERS, "pattern": "^[^\\u0000]*$",
            "description": "The reason, for the operator, without any secret."
        }),
        Rule::StatsOfTenants => json!({
            "type": "array", "maxItems": MAX_STATS,
            "items": {
                "type": "object", "required": ["id", "stats", "counted_at"], "additionalProperties": false,
                "properties": {
                    "id": reference("schemas", "TenantId"),
                    "stats": sent_stats(),
                    "counted_at": {"type": "string", "pattern": super::rules::TIME}
                }
            }
        }),
        _ => return None,
    })
}

/// The statistics that an agent sends: every counter, and nothing else.
fn sent_stats() -> Value {
    // No tool's numbers are exact at 2^64, so the limit is in words only.
    let counter = json!({"type": "integer", "minimum": 0});
    let mut stats = object(COUNTERS.iter().map(|(name, _)| (*name, counter.clone())));
    stats["additionalProperties"] = false.into();
    stats["description"] = "Each counter is less than 2^64, and has no decimal point.".into();
    stats
}

/// A parameter of an operation of cells; `None` of any other.
pub(super) fn parameter(parameter: Parameter, operation: Operation) -> Option<Value> {
    let agent = || json!({"type": "string", "pattern": "^[A-Za-z0-9._-]{1,64}$"});
    let (schema, about) = match (parameter, operation) {
        (Parameter::Limit, Operation::ReadFeed) => (
            json!({"type": "integer", "minimum": 1, "maximum": 1000}),
            "The most rows of the page: 500 without it. A page ends at 4 MiB, too.",
        ),
        (Parameter::After, Operation::ReadFeed) => (
            json!({"type": "string"}),
            "The `cursor` of the page before. Its changes count as applied, if an agent asks.",
        ),
        (Parameter::Agent, _) => (
            agent(),
            "The agent's name for itself. Another agent of the cell is refused until this one was not seen for two minutes.",
        ),
        (Parameter::AgentVersion, _) => (agent(), "The agent's version."),
        (Parameter::Limit, Operation::ListJobs) => (
            json!({"type": "integer", "minimum": 1, "maximum": 200}),
            "The most jobs of the page: 50 without it.",
        ),
        (Parameter::After, Operation::ListJobs) => (
            json!({"type": "string"}),
            "The id of the last job of the page before. `Link` has it.",
        ),
        (Parameter::Tenant, _) => (reference("schemas", "TenantId"), "The jobs of this tenant."),
        (Parameter::State, _) => (
            json!({"enum": State::ALL.map(State::as_str)}),
            "The jobs in this state, as it is stored: a lease that ran out is `running`.",
        ),
        (Parameter::Cell, _) => (
            reference("schemas", "CellId"),
            "The tenants of this cell alone, with its service. A key with the scope of the cell will do.",
        ),
        _ => return None,
    };
    Some(json!({
        "schema": schema, "description": about, "name": parameter.name(), "in": "query"
    }))
}

/// The shapes of responses.
pub(super) fn shapes() -> Vec<(&'static str, Value)> {
    let number = || json!({"type": "integer", "minimum": 0});
    let flag = || json!({"type": "boolean"});
    let job = object([
        ("id", text()),
        ("tenant_id", text()),
        ("cell_id", text()),
        (
            "kind",
            json!({"enum": ["install", "password_reset", "drop"]}),
        ),
        ("state", json!({"enum": State::ALL.map(State::as_str)})),
        ("attempts", number()),
        ("created_at", time()),
        ("started_at", time_or_null()),
        ("finished_at", time_or_null()),
        ("expires_at", time()),
        ("error", text_or_null()),
        (
            "result",
            json!({"anyOf": [reference("schemas", "PasswordReset"), {"type": "null"}]}),
        ),
    ]);
    let leased = object([
        ("id", text()),
        ("lease", text()),
        ("leased_until", time()),
        ("tenant_id", text()),
        (
            "kind",
            json!({"enum": ["install", "password_reset", "drop"]}),
        ),
        ("attempt", number()),
        (
            "input",
            json!({
                "type": ["object", "null"], "required": ["username", "password"],
                "properties": {"username": text(), "email": text(), "password": text()}
            }),
        ),
    ]);
    let cell = object([
        ("id", text()),
        ("name", text_or_null()),
        (
            "service",
            json!({"anyOf": [object([("name", text()), ("port", number())]), {"type": "null"}]}),
        ),
        ("accepting", flag()),
        ("created_at", time()),
        ("updated_at", time()),
        ("tenants", number()),
        ("jobs_waiting", number()),
        ("last_seen_at", time_or_null()),
        ("agent_version", text_or_null()),
        ("cursor", text_or_null()),
        ("behind", number()),
    ]);
    let texts_or_null = || json!({"anyOf": [reference("schemas", "Texts"), {"type": "null"}]});
    let whole = object([
        ("id", text()),
        ("revision", number()),
        ("hostname", text()),
        ("hostnames", json!({"type": "array", "items": text()})),
        ("is_enabled", flag()),
        ("plan_id", text_or_null()),
        ("limits", texts_or_null()),
        ("env", texts_or_null()),
        ("created_at", time()),
        ("updated_at", time()),
    ]);
    let broken = object([("id", text()), ("revision", number()), ("error", text())]);
    let feed = object([
        ("cursor", text()),
        ("more", flag()),
        ("jobs_waiting", flag()),
        ("gone", json!({"type": "array", "items": text()})),
        (
            "tenants",
            json!({"type": "array", "items": {"anyOf": [whole, broken]}}),
        ),
    ]);
    vec![
        ("Cell", cell),
        ("CellList", list("Cell")),
        ("CellTenants", feed),
        ("Stored", object([("stored", number())])),
        ("Job", job),
        ("JobList", list("Job")),
        (
            "LeasedJobs",
            object([("jobs", json!({"type": "array", "items": leased}))]),
        ),
        (
            "SiteState",
            object([
                (
                    "state",
                    json!({"enum": ["none", "installing", "installed", "failed"]}),
                ),
                ("job_id", text_or_null()),
            ]),
        ),
    ]
}
