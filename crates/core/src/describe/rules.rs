//! The rules of fields and parameters as JSON Schemas.

use alloc::format;
use alloc::string::String;

use serde_json::{Value, json};

use super::headers::reference;
use crate::operation::holds::{MAX_MESSAGE, MAX_REASON};
use crate::store::keys::MAX_OVERLAP_SECONDS;
use crate::value::hostname::Hostname;
use crate::value::hostname_kind::HostnameKind;
use crate::value::id::{PlanId, TenantId};
use crate::value::scope::MAX_SCOPES;
use crate::wire::dialect::Dialect;
use crate::wire::filter::Member;
use crate::wire::labels::{MAX_LABELS, MAX_LABELS_BYTES};
use crate::wire::page::MAX_LIMIT;
use crate::wire::parameter::Parameter;
use crate::wire::route::Operation;
use crate::wire::rule::Rule;
use crate::wire::variables::{
    MAX_DESCRIPTION_BYTES, MAX_ENTRIES, MAX_ENV_BYTES, MAX_LIMITS_BYTES, MAX_NAME_LENGTH,
};

/// No rule takes U+0000, which SQLite cannot keep in a text.
const TEXT: &str = "^[^\\u0000]*$";

const LABEL_NAME: &str = "[a-z0-9._-]{1,63}";

/// A DNS name whose last label is not a number.
const HOST: &str = "([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\\.)*(?![0-9]+$|0[Xx][0-9A-Fa-f]*$)[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?";

/// A time of the calendar, leap years included.
pub(super) const TIME: &str = "^([0-9]{4}-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|1[0-9]|2[0-8]))|([0-9]{2}(0[48]|[2468][048]|[13579][26])|([02468][048]|[13579][26])00)-02-29) ([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]$";

fn id(max: usize) -> String {
    format!("[A-Za-z0-9][A-Za-z0-9_-]{{0,{}}}", max - 1)
}

/// The name of a rule's schema among the components.
pub(super) fn name(rule: Rule, dialect: Dialect) -> String {
    match (rule, dialect) {
        (Rule::Switch, Dialect::Legacy) => "LegacySwitch".into(),
        (Rule::Switch, Dialect::Current) => "Boolean".into(),
        _ => format!("{rule:?}"),
    }
}

/// A rule as a schema.
pub(super) fn schema(rule: Rule, dialect: Dialect) -> Value {
    match rule {
        Rule::Boolean => json!({"type": "boolean"}),
        Rule::Switch => match dialect {
            Dialect::Current => json!({"type": "boolean"}),
            Dialect::Legacy => json!({"enum": [1, 0, true, false]}),
        },
        Rule::TenantId => json!({
            "type": "string", "pattern": format!("^{}$", id(TenantId::MAX_LENGTH)),
            "description": "A tenant's id. Ids that differ only in ASCII case are the same."
        }),
        Rule::PlanId => json!({
            "type": "string", "pattern": format!("^{}$", id(PlanId::MAX_LENGTH)),
            "description": "A plan's id. Ids that differ only in ASCII case are the same."
        }),
        Rule::PlanOfTenant => json!({
            "type": ["string", "null"], "pattern": format!("^({})?$", id(PlanId::MAX_LENGTH)),
            "description": "The id of a plan that exists; `null` or the empty text for none."
        }),
        Rule::Hostname => json!({
            "type": "string", "maxLength": Hostname::MAX_LENGTH, "pattern": format!("^{HOST}$"),
            "description": "A DNS name in ASCII form, unique among tenants. It is stored in lower case. The last label is no number, and neither the root's own name nor a reserved one is taken."
        }),
        Rule::ExternalId => json!({
            "type": ["string", "null"], "minLength": 1, "maxLength": 255, "pattern": TEXT,
            "description": "Another system's id, of which case matters, unique among tenants or among plans; `null` for none."
        }),
        Rule::Labels => labels(MAX_LABELS, &json!(["string"]), "Texts by name."),
        Rule::LabelsPatch => labels(
            2 * MAX_LABELS,
            &json!(["string", "null"]),
            &format!(
                "A change to the labels, merged by RFC 7396: a `null` removes a label. At most {MAX_LABELS} labels may be left. `null` in place of the object removes all."
            ),
        ),
        Rule::Limits => variables(MAX_LIMITS_BYTES, "Limits"),
        Rule::Env => variables(MAX_ENV_BYTES, "Environment variables, stored encrypted"),
        Rule::PlanName => {
            json!({"type": "string", "minLength": 1, "maxLength": 255, "pattern": TEXT})
        }
        Rule::PlanDescription => json!({
            "type": ["string", "null"], "pattern": TEXT,
            "description": format!("At most {MAX_DESCRIPTION_BYTES} bytes of UTF-8, where an apostrophe and a line end count twice.")
        }),
        Rule::KeyId => json!({"type": "integer", "minimum": 1, "maximum": 999_999_999_999_999_i64}),
        Rule::KeyName => json!({
            "type": ["string", "null"], "minLength": 1, "maxLength": 255, "pattern": TEXT,
            "description": "What the key is for."
        }),
        Rule::Scopes => json!({
            "type": "array", "minItems": 1, "maxItems": MAX_SCOPES,
            "items": {"type": "string", "pattern": "^([*]|(tenants|plans):(read|write)|sites|traefik|audit|events|keys|cells|webhooks:(read|write)|cell:[A-Za-z0-9][A-Za-z0-9_-]{0,63})$"},
            "description": "What the key may do; `*` is everything."
        }),
        Rule::KeyEnd => json!({
            "type": ["string", "null"], "pattern": TIME,
            "description": "The first second in which the key is no longer valid, in the future; `null` for none."
        }),
        Rule::OverlapSeconds => json!({
            "type": "integer", "minimum": 0, "maximum": MAX_OVERLAP_SECONDS,
            "description": "For how long the secret before stays valid; at least 60 for a key that rotates itself."
        }),
        Rule::Username => json!({
            "type": "string", "pattern": "^[A-Za-z0-9_]{3,16}$",
            "description": "The name of a site's user. Names that differ only in case are the same."
        }),
        Rule::Email => json!({
            "type": "string", "maxLength": 254,
            "pattern": format!("^(?=[^@]{{1,64}}@)[A-Za-z0-9!#$%&'*+/=?^_`{{|}}~-]+(\\.[A-Za-z0-9!#$%&'*+/=?^_`{{|}}~-]+)*@{HOST}$"),
            "description": "An email address in ASCII."
        }),
        Rule::Password => {
            json!({"type": "string", "minLength": 6, "maxLength": 128, "pattern": TEXT})
        }
        Rule::NewPassword => json!({
            "type": ["string", "null"], "minLength": 6, "maxLength": 128, "pattern": TEXT,
            "description": "Without a password, or with `null`, the service generates one."
        }),
        Rule::HoldReason => json!({
            "type": "string", "minLength": 1, "maxLength": MAX_REASON, "pattern": TEXT,
            "description": "Why the tenant is held, for the operator."
        }),
        Rule::HoldMessage => json!({
            "type": ["string", "null"], "minLength": 1, "maxLength": MAX_MESSAGE, "pattern": TEXT,
            "description": "What visitors read, as plain text; `null` for nothing more than the kind."
        }),
        Rule::HoldEnd => json!({
            "type": ["string", "null"], "pattern": TIME,
            "description": "When the cron trigger lifts the hold, in the future; `null` for a hold without an end."
        }),
        Rule::SuspendAt => json!({
            "type": ["string", "null"], "pattern": TIME,
            "description": "When the cron trigger puts a hold `non_payment` on the tenant, in the future; `null` for never."
        }),
        Rule::DeleteAt => json!({
            "type": ["string", "null"], "pattern": TIME,
            "description": "When the cron trigger deletes the tenant, in the future; `null` for never. Its tables stay. A tenant with `deletion_protection` stays until that is lifted."
        }),
        Rule::HostnameKind => json!({
            "enum": HostnameKind::ALL.map(HostnameKind::as_str),
            "description": "`alias`: the site answers there, too. `redirect`: visitors are sent to the tenant's own hostname."
        }),
        // `describe/cells.rs` has those of cells.
        other => panic!("{other:?} has no schema in describe/rules.rs"),
    }
}

/// A map that PHP may send as an empty list.
fn map(object: Value, description: &str) -> Value {
    json!({
        "anyOf": [object, {"type": "array", "maxItems": 0}, {"type": "null"}],
        "description": description
    })
}

fn labels(most: usize, kinds: &Value, about: &str) -> Value {
    let object = json!({
        "type": "object", "maxProperties": most,
        "propertyNames": {"pattern": format!("^{LABEL_NAME}$")},
        "additionalProperties": {"type": kinds, "maxLength": 255, "pattern": TEXT}
    });
    map(
        object,
        &format!(
            "{about} At most {MAX_LABELS_BYTES} bytes as JSON, where an apostrophe counts twice. An empty list counts as an empty object."
        ),
    )
}

fn variables(bytes: usize, about: &str) -> Value {
    let object = json!({
        "type": "object", "maxProperties": MAX_ENTRIES,
        "propertyNames": {"pattern": format!("^[A-Z][A-Z0-9_]{{0,{}}}$", MAX_NAME_LENGTH - 1)},
        "additionalProperties": {"type": ["string", "number", "boolean"], "pattern": TEXT}
    });
    map(
        object,
        &format!(
            "{about}: texts by name. A number or a boolean counts as its text. The object replaces the whole map, and `null` empties it. At most {bytes} bytes as JSON. An empty list counts as an empty object."
        ),
    )
}

/// A parameter of an operation.
pub(super) fn parameter(parameter: Parameter, operation: Operation) -> Value {
    let plans = operation == Operation::ListPlans;
    let subject = if plans { "plans" } else { "tenants" };
    let own_id = if plans { Rule::PlanId } else { Rule::TenantId };
    let own_id = reference("schemas", &name(own_id, Dialect::Current));
    let time = json!({"type": "string", "pattern": TIME});
    let text = json!({"type": "string", "minLength": 1, "maxLength": 255, "pattern": TEXT});
    let of = |schema: Value, about: &str| json!({"schema": schema, "description": about});
    let mut told = match parameter {
        Parameter::ValidateOnly => of(
            json!({"type": "boolean"}),
            "With `true` everything is checked and nothing is written: 200 and `{\"valid\": true}`, or the error that the request would get.",
        ),
        Parameter::Limit => of(
            json!({"type": "integer", "minimum": 1, "maximum": MAX_LIMIT}),
            "The most items of the page. Without it the list is whole.",
        ),
        Parameter::After if plans => {
            of(own_id, "The id after which the page begins. `Link` has it.")
        }
        Parameter::After => of(
            json!({"type": "string", "pattern": format!("^([^\\u0000]*,)?{}$", id(TenantId::MAX_LENGTH))}),
            "The id after which the page begins; in a sorted list the value, a comma and the id of the row. `Link` has it.",
        ),
        Parameter::Id => of(
            json!({"type": "array", "minItems": 1, "maxItems": 100, "items": own_id}),
            "Any of these ids.",
        ),
        Parameter::PlanId => of(
            json!({"type": "string", "pattern": format!("^({})?$", id(PlanId::MAX_LENGTH))}),
            "Tenants of this plan; empty for those without one.",
        ),
        Parameter::IsEnabled => of(json!({"type": "boolean"}), "Enabled or disabled tenants."),
        Parameter::Hostname => of(
            reference("schemas", &name(Rule::Hostname, Dialect::Current)),
            "The tenant with this hostname.",
        ),
        Parameter::ExternalId => of(text, &format!("The {subject} with this external id.")),
        Parameter::Label => of(
            json!({"type": "array", "minItems": 1, "maxItems": MAX_LABELS, "items": {"type": "string", "pattern": format!("^{LABEL_NAME}(:[^\\u0000]{{0,255}})?$")}}),
            &format!(
                "The {subject} with all of these labels: `name:value`, or `name` for any value."
            ),
        ),
        Parameter::CreatedSince => of(time, "Created at this time or later (UTC)."),
        Parameter::UpdatedSince => of(time, "Changed at this time or later (UTC)."),
        Parameter::Prefix => of(
            json!({"type": "string", "minLength": 1, "pattern": TEXT}),
            "The beginning of the id or of the hostname.",
        ),
        Parameter::Fields => of(
            json!({"type": "array", "minItems": 1, "items": {"enum": Member::ALL.map(Member::name)}}),
            "The members to answer. Without `env` among them, none is decrypted.",
        ),
        Parameter::Count => of(
            json!({"type": "boolean"}),
            "Whether `X-Total-Count` tells the number of tenants on all pages.",
        ),
        Parameter::Deleted => of(
            json!({"type": "boolean"}),
            "Whether to list the deleted tenants that can be brought back, each with `deleted_at`. Only `limit` and `after` go with `true`.",
        ),
        Parameter::Sort => of(
            json!({"enum": ["updated_at", "-updated_at", "created_at", "-created_at", "hostname", "-hostname"]}),
            "The order; with `-` it descends. Without it, the list is in the order of ids.",
        ),
        other => panic!("{other:?} is not described"),
    };
    told["name"] = parameter.name().into();
    told["in"] = "query".into();
    if parameter == Parameter::Fields {
        told["explode"] = false.into();
    }
    told
}
