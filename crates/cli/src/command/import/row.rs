//! A record of an import as the request that makes it so.

use serde::Serialize;
use serde_json::value::RawValue;
use tenants_chevereto::seal::EncryptionKey;
use tenants_core::value::clock::Timestamp;
use tenants_core::value::id::{PlanId, TenantId};

use super::below::{Below, SUSPENDED, holds, hostnames};
use super::map::{env, limits, nested, raw};
use crate::records::{Members, Record, raw_text};

/// The kind of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A plan
    Plan,
    /// A tenant
    Tenant,
}

impl Kind {
    /// The kind's name.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Plan => "plan",
            Self::Tenant => "tenant",
        }
    }

    /// The path of the kind's resources.
    pub(super) fn path(self) -> &'static str {
        match self {
            Self::Plan => "/tenants-plans",
            Self::Tenant => "/tenants",
        }
    }
}

/// A record that can be sent.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) line: u64,
    pub(super) kind: Kind,
    pub(super) id: String,
    pub(super) hostname: Option<String>,
    pub(super) external_id: Option<String>,
    pub(super) plan_id: Option<String>,
    /// The holds of a tenant.
    holds: Vec<Below>,
    /// When the cron trigger holds the tenant, and when it deletes it.
    suspend_at: Option<Timestamp>,
    delete_at: Option<Timestamp>,
    /// The hostnames of a tenant besides its own.
    pub(super) hostnames: Vec<Below>,
    /// The request's fields.
    fields: Vec<(String, Box<RawValue>)>,
}

/// The form of a request's body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// All of the fields.
    Whole,
    /// Without the plan, which is only about to be created.
    WithoutPlan,
    /// For a tenant that is not to be served yet.
    Off,
}

impl Row {
    /// The request's body at this time. A `suspend_at` that is past has become a hold.
    pub(super) fn body(&self, form: Form, now: &Timestamp) -> Vec<u8> {
        let is_suspended = self.suspended(now).is_some();
        let mut body = vec![b'{'];
        for (name, value) in &self.fields {
            let value = match (name.as_str(), value.get()) {
                ("plan_id", _) if form == Form::WithoutPlan => continue,
                ("is_enabled", "true") if form == Form::Off => "false",
                ("suspend_at", _) if is_suspended => "null",
                (_, value) => value,
            };
            if body.len() > 1 {
                body.push(b',');
            }
            body.extend_from_slice(raw_text(name).get().as_bytes());
            body.push(b':');
            body.extend_from_slice(value.as_bytes());
        }
        body.push(b'}');
        body
    }

    /// The holds that the tenant is to have at this time. One that has ended is left out, since the cron trigger lifts it.
    pub(super) fn holds(&self, now: &Timestamp) -> Vec<Below> {
        let lasts = |hold: &&Below| hold.until.as_ref().is_none_or(|until| until > now);
        let mut holds: Vec<Below> = self.holds.iter().filter(lasts).cloned().collect();
        if let Some(at) = self.suspended(now) {
            let there = holds.iter().position(|hold| hold.name == SUSPENDED);
            let there = there.map(|there| holds.remove(there));
            holds.push(Below::of_suspension(at, there.as_ref()));
        }
        holds
    }

    /// The tenant's `suspend_at`, if it is past.
    fn suspended(&self, now: &Timestamp) -> Option<&Timestamp> {
        self.suspend_at.as_ref().filter(|at| *at <= now)
    }

    /// Checks that the tenant is not to be deleted already.
    ///
    /// # Errors
    /// A sentence that says what to do.
    pub(super) fn check_end(&self, now: &Timestamp) -> Result<(), String> {
        match self.delete_at.as_ref().filter(|at| *at <= now) {
            None => Ok(()),
            Some(at) => Err(format!(
                "delete_at: {} is past, so the tenant would be deleted at once. Leave the line out, or give it a later delete_at, or null",
                at.as_str()
            )),
        }
    }

    /// Whether the requests at these two times differ: a hold has ended in between, or `suspend_at` or `delete_at` has passed.
    pub(super) fn differs(&self, from: &Timestamp, to: &Timestamp) -> bool {
        let ends = self.holds.iter().filter_map(|hold| hold.until.as_ref());
        let mut times = ends.chain(&self.suspend_at).chain(&self.delete_at);
        times.any(|at| from < at && at <= to)
    }
}

/// Members that the service keeps itself. An export has them, and a table of a Chevereto installation.
const READ_ONLY: &[&str] = &[
    "created_at",
    "updated_at",
    "last_job_at",
    "stats",
    "revision",
    "served",
    "site",
];

/// The kind and the id of a record, as far as they are known, and what is wrong with it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unusable {
    pub(super) kind: Kind,
    pub(super) id: Option<String>,
    pub(super) detail: String,
}

/// The rules by which the lines of a file are read.
#[derive(Clone, Copy)]
pub(super) struct Reading<'a> {
    /// The kind of a line that does not say.
    pub(super) kind: Kind,
    /// The encryption key of the installation that the rows come from.
    pub(super) key: Option<&'a EncryptionKey>,
}

/// Reads a record.
pub(super) fn row(record: Record, reading: Reading<'_>) -> Result<Row, Unusable> {
    let mut row = Row {
        line: record.line,
        kind: reading.kind,
        id: String::new(),
        hostname: None,
        external_id: None,
        plan_id: None,
        holds: Vec::new(),
        suspend_at: None,
        delete_at: None,
        hostnames: Vec::new(),
        fields: Vec::new(),
    };
    let read = record
        .members
        .and_then(|members| row.read(members, reading));
    match read {
        Ok(()) => Ok(row),
        Err(detail) => Err(Unusable {
            kind: row.kind,
            id: Some(row.id).filter(|id| !id.is_empty()),
            detail,
        }),
    }
}

impl Row {
    /// Reads a record's members. After an error, the kind and the id are known if they could be read.
    fn read(&mut self, mut members: Members, reading: Reading<'_>) -> Result<(), String> {
        match members.take_text("type")?.as_deref() {
            Some("plan") => self.kind = Kind::Plan,
            Some("tenant") => self.kind = Kind::Tenant,
            Some(_) => return Err("type: expected plan or tenant".into()),
            None => {}
        }
        let id = members.take_text("id")?;
        self.id = id.ok_or("id: required; it is missing")?;
        match self.kind {
            Kind::Plan => PlanId::parse(&self.id).map(drop),
            Kind::Tenant => TenantId::parse(&self.id).map(drop),
        }
        .map_err(|detail| format!("id: {detail}"))?;
        for name in READ_ONLY {
            members.take(name);
        }
        if self.kind == Kind::Tenant {
            if let Some(value) = members.take("holds") {
                self.holds = holds(&value)?;
            }
            if let Some(value) = members.take("hostnames") {
                self.hostnames = hostnames(&value)?;
            }
        }
        self.fields = fields(members, reading.key)?;
        let text = |name: &str| {
            let (_, value) = self.fields.iter().find(|(known, _)| known == name)?;
            serde_json::from_str::<String>(value.get()).ok()
        };
        let (hostname, external_id, plan_id) =
            (text("hostname"), text("external_id"), text("plan_id"));
        if self.kind == Kind::Tenant {
            // The API says what is wrong with a text that is no time.
            let time = |name: &str| Timestamp::parse(&text(name)?).ok();
            (self.suspend_at, self.delete_at) = (time("suspend_at"), time("delete_at"));
        }
        self.hostname = hostname.filter(|_| self.kind == Kind::Tenant);
        self.external_id = external_id;
        self.plan_id = plan_id.filter(|id| !id.is_empty());
        Ok(())
    }
}

/// Reads the members that are fields of the request.
fn fields(
    members: Members,
    key: Option<&EncryptionKey>,
) -> Result<Vec<(String, Box<RawValue>)>, String> {
    members
        .rest()
        .into_iter()
        .map(|(name, value)| {
            let text = serde_json::from_str::<String>(value.get()).ok();
            let value = match (name.as_str(), text) {
                ("is_enabled" | "deletion_protection", text) => {
                    match text.as_deref().unwrap_or(value.get()) {
                        "1" | "true" => raw("true"),
                        "0" | "false" => raw("false"),
                        _ => value,
                    }
                }
                ("env", text) => env(value, text.as_deref(), key)?,
                ("limits", text) => limits(value, text.as_deref())?,
                ("labels", Some(text)) => nested(&name, &text)?,
                _ => value,
            };
            Ok((name, value))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use tenants_core::value::clock::Timestamp;

    use super::{Form, Kind, Reading, Row, row};
    use crate::records;

    fn at(time: &str) -> Timestamp {
        Timestamp::parse(time).unwrap()
    }

    fn now() -> Timestamp {
        at("2026-08-18 23:16:57")
    }

    fn read(text: &str) -> Result<Row, String> {
        let record = records::read(text.as_bytes()).unwrap().remove(0);
        let reading = Reading {
            kind: Kind::Tenant,
            key: None,
        };
        row(record, reading).map_err(|unusable| unusable.detail)
    }

    fn body(text: &str) -> Result<String, String> {
        read(text).map(|row| String::from_utf8(row.body(Form::Whole, &now())).unwrap())
    }

    #[test]
    fn a_record_is_the_body_of_a_put_without_what_the_service_keeps_itself() {
        let line = r#"{"type":"tenant","id":"a","hostname":"a.example.com","is_enabled":1,"plan_id":null,"limits":{"A":1.0e3},"env":{"B":"x"},"labels":{},"created_at":"x","stats":{},"last_job_at":null,"unknown":1}"#;
        assert_eq!(
            body(line).unwrap(),
            r#"{"hostname":"a.example.com","is_enabled":true,"plan_id":null,"limits":{"A":1.0e3},"env":{"B":"x"},"labels":{},"unknown":1}"#
        );
        let csv = "id,hostname,is_enabled,deletion_protection,limits,env\na,a.example.com,0,1,\"{\"\"A\"\":\"\"1\"\"}\",{}\n";
        assert_eq!(
            body(csv).unwrap(),
            r#"{"hostname":"a.example.com","is_enabled":false,"deletion_protection":true,"limits":{"A":"1"},"env":{}}"#
        );
        for (bad, detail) in [
            (r#"{"hostname":"a"}"#, "id: required; it is missing"),
            (r#"{"id":7}"#, "id: expected a string"),
            (r#"{"id":"a/b"}"#, "id: "),
            (
                r#"{"type":"key","id":"a"}"#,
                "type: expected plan or tenant",
            ),
            (
                r#"{"id":"a","env":"AAAA"}"#,
                "env: expected a JSON object; an encrypted",
            ),
            (
                r#"{"id":"a","limits":"{hunter2"}"#,
                "limits: expected a JSON object",
            ),
        ] {
            let error = body(bad).unwrap_err();
            assert!(error.starts_with(detail), "{error}");
            assert!(!error.contains("hunter2"));
        }
    }
    #[test]
    fn a_tenant_has_its_holds_and_hostnames_besides_the_body_and_a_body_that_is_off() {
        let text = r#"{"id":"a","is_enabled":"1","plan_id":"p","served":false,"holds":{"abuse":{"reason":"x"}},"hostnames":[{"hostname":"b","kind":"alias"}]}"#;
        let row = read(text).unwrap();
        let paths = |some: &[super::Below]| some.iter().map(super::Below::path).collect::<Vec<_>>();
        assert_eq!(paths(&row.holds), ["holds/abuse"]);
        assert_eq!(paths(&row.hostnames), ["hostnames/b"]);
        for (body, expected) in [
            (Form::Whole, r#"{"is_enabled":true,"plan_id":"p"}"#),
            (Form::WithoutPlan, r#"{"is_enabled":true}"#),
            (Form::Off, r#"{"is_enabled":false,"plan_id":"p"}"#),
        ] {
            let body = row.body(body, &now());
            assert_eq!(String::from_utf8(body).unwrap(), expected);
        }
        // A value that the API refuses stays as it is, so that nothing is made of it.
        let odd = read(r#"{"id":"a","is_enabled":"x"}"#).unwrap();
        assert_eq!(odd.body(Form::Off, &now()), odd.body(Form::Whole, &now()));
        // A plan has neither, so the API refuses them.
        let plan = read(r#"{"type":"plan","id":"a","holds":{}}"#).unwrap();
        assert_eq!(plan.body(Form::Whole, &now()), br#"{"holds":{}}"#);
        for bad in [r#"{"id":"a","holds":[]}"#, r#"{"id":"a","hostnames":{}}"#] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn holds_end_and_a_tenant_is_suspended_as_time_passes() {
        let text = r#"{"id":"a","is_enabled":true,"suspend_at":"2026-08-18 23:17:00","holds":{
            "admin":{"reason":"x","until":"2026-08-18 23:16:58"},"abuse":{"reason":"y"},
            "non_payment":{"reason":"z","message":"m","until":"2026-12-01 00:00:00"}}}"#;
        let all = read(&text.replace('\n', " ")).unwrap();
        let shown = |row: &Row, time: &str| -> Vec<String> {
            let show = |hold: &super::Below| format!("{} {}", hold.name, hold.body);
            row.holds(&at(time)).iter().map(show).collect()
        };
        let abuse = r#"abuse {"reason":"y"}"#;
        let kept = r#"non_payment {"reason":"z","message":"m","until":"2026-12-01 00:00:00"}"#;
        let admin = r#"admin {"reason":"x","until":"2026-08-18 23:16:58"}"#;
        assert_eq!(shown(&all, "2026-08-18 23:16:57"), [admin, abuse, kept]);
        assert_eq!(shown(&all, "2026-08-18 23:16:58"), [abuse, kept]);
        let endless = r#"non_payment {"reason":"z","message":"m"}"#;
        assert_eq!(shown(&all, "2026-08-18 23:17:00"), [abuse, endless]);
        // A hold that has ended by then is not the one that stays.
        let fresh = r#"non_payment {"reason":"suspend_at 2026-08-18 23:17:00"}"#;
        assert_eq!(shown(&all, "2026-12-01 00:00:00"), [abuse, fresh]);
        let body = |time: &str| String::from_utf8(all.body(Form::Whole, &at(time))).unwrap();
        assert!(body("2026-08-18 23:16:59").contains(r#""suspend_at":"2026-08-18 23:17:00""#));
        assert!(body("2026-08-18 23:17:00").contains(r#""suspend_at":null"#));
        for (from, to, differs) in [
            ("2026-08-18 23:16:57", "2026-08-18 23:16:58", true),
            ("2026-08-18 23:16:58", "2026-08-18 23:16:59", false),
            ("2026-08-18 23:16:59", "2026-08-18 23:17:00", true),
        ] {
            assert_eq!(all.differs(&at(from), &at(to)), differs, "{from}");
        }
        // A plan has no such times, so the API refuses them.
        let plan = read(r#"{"type":"plan","id":"a","suspend_at":"2020-01-01 00:00:00"}"#).unwrap();
        assert!(plan.holds(&now()).is_empty());
        assert!(plan.body(Form::Whole, &now()).ends_with(b"00:00:00\"}"));
    }

    #[test]
    fn a_tenant_that_would_be_deleted_at_once_is_refused_with_what_to_do() {
        let row = read(r#"{"id":"a","delete_at":"2026-08-18 23:16:58"}"#).unwrap();
        row.check_end(&now()).unwrap();
        let error = row.check_end(&at("2026-08-18 23:16:58")).unwrap_err();
        assert!(
            error.starts_with("delete_at: 2026-08-18 23:16:58 is past"),
            "{error}"
        );
        let soon = read(r#"{"id":"a","delete_at":"soon"}"#).unwrap();
        soon.check_end(&now()).unwrap();
    }
}
