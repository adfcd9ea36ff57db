//! Commands that ask the API again and again: `events --follow`, and those that wait for a cell's job. A request that fails for a while
//! does not end them.

mod common;

use common::{OK, Project, Server};

const UNAVAILABLE: &str = "503 Service Unavailable\ncontent-type: application/problem+json";
const BUSY: &str = r#"{"title":"Service Unavailable","status":503,"detail":"busy","code":"unavailable","request_id":"r-1"}"#;
const LIMITED: &str =
    "429 Too Many Requests\nretry-after: 0\ncontent-type: application/problem+json";
const TOO_MANY: &str = r#"{"title":"Too Many Requests","status":429,"detail":"too many","code":"too_many_requests","request_id":"r-1"}"#;
const GONE: &str = "410 Gone\ncontent-type: application/problem+json";
const CURSOR: &str =
    r#"{"title":"Gone","status":410,"detail":"gone","code":"cursor_gone","request_id":"r-1"}"#;
const PAGE: &str =
    "200 OK\ncontent-type: application/json\nlink: </_/api/4/events?after=e.1>; rel=\"next\"";

#[test]
fn events_are_followed_past_a_limit_of_requests_and_past_failures() {
    let first = [
        (LIMITED, TOO_MANY),
        (PAGE, r#"[{"id":"e.1"}]"#),
        (UNAVAILABLE, BUSY),
    ];
    // So many that the command says so and goes on.
    let limited = [(LIMITED, TOO_MANY); 7];
    let last = [(PAGE, r#"[{"id":"e.2"}]"#), (GONE, CURSOR)];
    let server = Server::new(&[&first[..], &limited, &last].concat());
    let run = Project::calling(&server).run(&["events", "--follow"]);
    assert_eq!(
        (run.code, run.output.as_str()),
        (1, "{\"id\":\"e.1\"}\n{\"id\":\"e.2\"}\n"),
        "{run:?}"
    );
    for part in ["Going on in 0 s", "status 429", "status 410"] {
        assert!(run.errors.contains(part), "{part}: {}", run.errors);
    }
    // Without --follow it ends at last.
    let server = Server::new(&[&first[..2], &limited].concat());
    let run = Project::calling(&server).run(&["events"]);
    assert_eq!((run.code, run.output.as_str()), (1, "{\"id\":\"e.1\"}\n"));
}

#[test]
fn a_job_is_waited_for_although_a_request_for_it_is_lost_or_limited() {
    let job = |state: &str, result: &str| {
        format!(
            r#"{{"id":"j1","tenant_id":"a","cell_id":"eu","kind":"password_reset","state":"{state}","error":null,"result":{result}}}"#
        )
    };
    let (waiting, done) = (
        job("waiting", "null"),
        job("done", r#"{"username":"admin","password":"generated"}"#),
    );
    let reset = ["user:password-reset", "--id=a", "-u=admin"];
    let answers = [
        ("202 Accepted", waiting.as_str()),
        (UNAVAILABLE, BUSY),
        (LIMITED, TOO_MANY),
        (OK, &done),
        // It is read once more for its result.
        (LIMITED, TOO_MANY),
        (UNAVAILABLE, BUSY),
        (OK, &done),
    ];
    let server = Server::new(&answers);
    let run = Project::calling(&server).run(&reset);
    assert_eq!(
        (run.code, run.output.as_str()),
        (0, "generated\n"),
        "{run:?}"
    );
    assert!(run.errors.contains("Going on in 0 s"), "{}", run.errors);

    // One that cannot be read any more may go on.
    let revoked = r#"{"title":"Forbidden","status":403,"detail":"no","code":"insufficient_scope","request_id":"r-1"}"#;
    let forbidden = "403 Forbidden\ncontent-type: application/problem+json";
    let server = Server::new(&[("202 Accepted", &waiting), (forbidden, revoked)]);
    let run = Project::calling(&server).run(&reset);
    assert_eq!(run.code, 1, "{run:?}");
    let advice = "`tenants job:get --id j1` shows it";
    assert!(run.errors.contains(advice), "{}", run.errors);
}
