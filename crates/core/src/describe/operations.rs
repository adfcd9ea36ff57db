//! The words of each operation, its successes, and the problems that are its own.

use alloc::vec;
use alloc::vec::Vec;

use super::shapes::PAGE;
use crate::wire::dialect::Dialect;
use crate::wire::problem::Code;
use crate::wire::route::Operation;

/// How the description tells an operation.
pub(super) struct Told {
    /// The name for programs. That of the legacy dialect begins with `legacy`.
    pub(super) name: &'static str,
    pub(super) tag: &'static str,
    pub(super) summary: &'static str,
    pub(super) description: &'static str,
    pub(super) successes: Vec<Success>,
    /// Problems besides those that follow from the route's row in the table.
    pub(super) problems: &'static [Code],
}

/// A response that is no problem.
pub(super) struct Success {
    pub(super) status: u16,
    /// The name of its body's schema.
    pub(super) shape: Option<&'static str>,
    pub(super) headers: &'static [&'static str],
    pub(super) description: &'static str,
}

pub(super) fn success(
    status: u16,
    shape: &'static str,
    headers: &'static [&'static str],
    description: &'static str,
) -> Success {
    Success {
        status,
        shape: Some(shape),
        headers,
        description,
    }
}

pub(super) fn empty(
    status: u16,
    headers: &'static [&'static str],
    description: &'static str,
) -> Success {
    Success {
        status,
        shape: None,
        headers,
        description,
    }
}

/// A page for people, which is no problem, whatever its status.
fn page(status: u16, description: &'static str) -> Success {
    success(
        status,
        PAGE,
        &["Content-Security-Policy", "Retry-After"],
        description,
    )
}

/// The successes of a read of one resource.
fn read(shape: &'static str, description: &'static str) -> Vec<Success> {
    vec![
        success(200, shape, &["ETag"], description),
        empty(304, &["ETag"], "The caller has it already."),
    ]
}

/// The successes of a PUT.
fn put(shape: &'static str, new: &'static str) -> Vec<Success> {
    vec![
        success(200, shape, &[], "It was there, and is as the body says."),
        success(201, new, &["Location"], "It was not there."),
    ]
}

/// The successes of a change of one resource.
fn edited(shape: &'static str, description: &'static str) -> Vec<Success> {
    vec![
        success(
            200,
            shape,
            &["ETag", "Preference-Applied"],
            "With `Prefer: return=representation`: the resource after the change.",
        ),
        empty(204, &["ETag"], description),
    ]
}

/// The response to a request whose tenant has a cell that did not finish in time.
fn accepted() -> Success {
    success(
        202,
        "Job",
        &["Location", "Preference-Applied"],
        "The tenant's cell did not finish in time: the job, which `Location` names.",
    )
}

pub(super) const TAGS: &[(&str, &str)] = &[
    ("Service", "The service itself."),
    ("Tenants", "The tenants of the registry."),
    ("Sites", "The tenants' own sites."),
    ("Cells", "The Chevereto installations that serve tenants."),
    ("Jobs", "The work that cells do for tenants."),
    ("Agents", "What the agent of a cell asks and reports."),
    ("Plans", "Limits and environments that tenants share."),
    ("Keys", "API keys, and what each may do."),
    ("Audit", "The log of all writes."),
    ("Events", "What happened, for those who follow it."),
    ("Console", "Sessions of people at the console."),
    ("Webhooks", "The receivers that events are sent to."),
    ("Proxy", "The routing of the tenants' hostnames."),
];

pub(super) fn told(operation: Operation, dialect: Dialect) -> Told {
    match operation {
        Operation::Health => Told {
            name: "getHealth",
            tag: "Service",
            summary: "Tell whether the service can serve requests",
            description: "For monitors. `version` is the service's, and `schema` the newest migration of its database.",
            successes: vec![success(
                200,
                "Health",
                &[],
                "The service can serve requests.",
            )],
            problems: &[Code::NotReady, Code::Unavailable],
        },
        Operation::HeldPage => Told {
            name: "getHeldPage",
            tag: "Proxy",
            summary: "Read the page of a held tenant",
            description: "Traefik sends the visitors of a tenant here that a hold keeps off, whatever their method. The page has the hold's `message` and no script. The status is that of the first kind of `abuse`, `admin`, `non_payment` and `maintenance`.",
            successes: vec![
                page(402, "`non_payment`."),
                page(403, "`abuse` or `admin`."),
                page(
                    404,
                    "There is no such tenant, it is disabled, or it has no hold.",
                ),
                page(503, "`maintenance`, or the holds cannot be read."),
            ],
            problems: &[],
        },
        Operation::Describe => Told {
            name: "getDescription",
            tag: "Service",
            summary: "Read this description",
            description: "It does not depend on the configuration.",
            successes: vec![
                success(200, "Description", &["ETag"], "The description."),
                empty(304, &["ETag"], "The caller has it already."),
            ],
            problems: &[],
        },
        Operation::VerifyKey => Told {
            name: "verifyKey",
            tag: "Service",
            summary: "Verify a key and a signature",
            description: "Tells the caller which key it has. The signature is that of the empty body.",
            successes: vec![success(
                200,
                "KeyCheck",
                &[],
                "Key and signature are valid.",
            )],
            problems: &[],
        },
        Operation::TraefikConfig => Told {
            name: "getTraefikConfig",
            tag: "Proxy",
            summary: "Read the routing for Traefik's HTTP provider",
            description: "Answers addresses of `CHEVERETO_TENANTS_TRAEFIK_IP_ALLOW_LIST` with a key, and in local development loopback addresses without one. For others the route does not exist: 404.",
            successes: vec![
                success(
                    200,
                    "TraefikConfig",
                    &["ETag"],
                    "The routing of the tenants: of those that are enabled, and of those of cells.",
                ),
                empty(304, &["ETag"], "The caller has it already."),
            ],
            problems: &[Code::NotFound, Code::Unauthorized],
        },
        Operation::ListKeys => Told {
            name: "listKeys",
            tag: "Keys",
            summary: "List keys",
            description: "Those that are not deleted.",
            successes: vec![success(200, "ApiKeyList", &[], "The keys.")],
            problems: &[],
        },
        Operation::CreateKey => Told {
            name: "createKey",
            tag: "Keys",
            summary: "Create a key",
            description: "A caller makes only keys whose scopes it has itself, that expire no later than its own, and that are bound if its own is. A bound key signs each request as a whole (`MessageSignature`) and takes no other signature; its signing secret is in the response.",
            successes: vec![success(
                201,
                "NewApiKey",
                &["Location"],
                "The key, shown this once.",
            )],
            problems: &[Code::ExceedsOwnKey],
        },
        Operation::GetKey => Told {
            name: "getKey",
            tag: "Keys",
            summary: "Read a key",
            description: "A deleted key is a 404.",
            successes: vec![success(200, "ApiKey", &[], "The key.")],
            problems: &[],
        },
        Operation::EditKey => Told {
            name: "editKey",
            tag: "Keys",
            summary: "Change a key's name or end",
            description: "Neither a key's scopes nor `bound` ever changes.",
            successes: vec![empty(204, &[], "The key is changed.")],
            problems: &[Code::ExceedsOwnKey],
        },
        Operation::DeleteKey => Told {
            name: "deleteKey",
            tag: "Keys",
            summary: "Delete a key",
            description: "It is refused from now on.",
            successes: vec![empty(204, &[], "The key is deleted.")],
            problems: &[Code::ExceedsOwnKey],
        },
        Operation::RotateKey => Told {
            name: "rotateKey",
            tag: "Keys",
            summary: "Give a key another secret",
            description: "The key keeps its id, its scopes, `bound` and its end; a bound one gets another signing secret, too. A key may rotate itself without the scope `keys`, with an `overlap_seconds` of at least 60.",
            successes: vec![success(200, "NewApiKey", &[], "The key, shown this once.")],
            problems: &[Code::ExceedsOwnKey],
        },
        Operation::ListTenants => Told {
            name: "listTenants",
            tag: "Tenants",
            summary: "List tenants",
            description: "All filters must hold. An unknown parameter is refused, since a misspelt filter would answer all tenants.",
            successes: vec![success(
                200,
                "TenantList",
                &["Link", "X-Total-Count"],
                "The tenants, or the page of them.",
            )],
            problems: &[],
        },
        Operation::CreateTenant => Told {
            name: "createTenant",
            tag: "Tenants",
            summary: "Create a tenant",
            description: "If a deleted tenant with this id has left its tables, the new one takes them over, or is refused (`TENANTS_REUSED_ID`).",
            successes: vec![success(
                201,
                "NewTenant",
                &["Location", "ETag"],
                "The tenant.",
            )],
            problems: &[Code::Conflict, Code::SiteExists],
        },
        Operation::GetTenant => Told {
            name: "getTenant",
            tag: "Tenants",
            summary: "Read a tenant",
            description: "",
            successes: read("Tenant", "The tenant."),
            problems: &[],
        },
        Operation::GetSettings => Told {
            name: "getTenantSettings",
            tag: "Tenants",
            summary: "Read the settings that a tenant's site runs with",
            description: "Highest first: `CHEVERETO_TENANT_ENFORCED`, the tenant's `env`, its plan's `env`, the tenant's `limits`, its plan's `limits`.",
            successes: vec![success(200, "Settings", &[], "The settings by name.")],
            problems: &[],
        },
        Operation::PutTenant => Told {
            name: "putTenant",
            tag: "Tenants",
            summary: "Make a tenant so",
            description: "Creates the tenant, or makes it as the body says. `plan_id`, `limits`, `env`, `external_id` and `labels` that the body leaves out are reset; the cell, the times, `deletion_protection` and all other members stay. A PUT that changes nothing writes nothing. With `If-None-Match: *` it only creates.",
            successes: put("Tenant", "NewTenant"),
            problems: &[Code::Conflict, Code::SiteExists, Code::CellConflict],
        },
        Operation::EditTenant => Told {
            name: "editTenant",
            tag: "Tenants",
            summary: "Change a tenant",
            description: "Changes the fields that the body has, and `updated_at`.",
            successes: edited("Tenant", "The tenant is changed."),
            problems: match dialect {
                Dialect::Current => &[Code::Conflict, Code::CellConflict],
                Dialect::Legacy => &[Code::Conflict],
            },
        },
        Operation::DeleteTenant => Told {
            name: "deleteTenant",
            tag: "Tenants",
            summary: "Delete a tenant",
            description: match dialect {
                Dialect::Current => {
                    "With `drop_tables` the tables of its site go, too; the key then needs `sites` as well."
                }
                Dialect::Legacy => "The tables of its site stay.",
            },
            successes: match dialect {
                Dialect::Current => vec![
                    empty(204, &["Preference-Applied"], "The tenant is deleted."),
                    accepted(),
                ],
                Dialect::Legacy => vec![empty(204, &[], "The tenant is deleted.")],
            },
            problems: match dialect {
                Dialect::Current => &[Code::DeletionProtected, Code::CellConflict, Code::JobFailed],
                Dialect::Legacy => &[Code::DeletionProtected],
            },
        },
        Operation::RestoreTenant => Told {
            name: "restoreTenant",
            tag: "Tenants",
            summary: "Bring a deleted tenant back",
            description: "It has everything that it had, but for a plan that is gone. `GET /tenants?deleted=true` lists those that can be brought back.",
            successes: vec![
                success(200, "Tenant", &["ETag"], "The tenant is back."),
                empty(204, &["ETag"], "The tenant is back, and cannot be shown."),
            ],
            problems: &[Code::Conflict, Code::SiteExists],
        },
        Operation::EraseTenant => Told {
            name: "eraseTenant",
            tag: "Sites",
            summary: "Wipe a tenant, living or deleted, with its tables",
            description: "Its audit entries stay. The answer names what the service cannot reach.",
            successes: vec![
                success(
                    200,
                    "Erased",
                    &["Preference-Applied"],
                    "The tenant is gone, and its tables are.",
                ),
                accepted(),
            ],
            problems: &[Code::DeletionProtected, Code::CellConflict, Code::JobFailed],
        },
        Operation::PutHold => Told {
            name: "putHold",
            tag: "Tenants",
            summary: "Hold a tenant, or change a hold",
            description: "The tenant's site is off until no hold is left. Members that the body leaves out are `null`. A PUT that changes nothing writes nothing.",
            successes: vec![empty(204, &["ETag"], "The tenant has the hold.")],
            problems: &[],
        },
        Operation::ReleaseHold => Told {
            name: "releaseHold",
            tag: "Tenants",
            summary: "Lift a hold",
            description: "The tenant keeps its other holds. 404 if it has no hold of this kind.",
            successes: vec![empty(204, &["ETag"], "The hold is lifted.")],
            problems: &[],
        },
        Operation::ListHostnames => Told {
            name: "listHostnames",
            tag: "Tenants",
            summary: "List the hostnames that a tenant has besides its own",
            description: "In the order of their names. The `ETag` has the tenant's revision.",
            successes: read("HostnameList", "The hostnames."),
            problems: &[],
        },
        Operation::PutHostname => Told {
            name: "putHostname",
            tag: "Tenants",
            summary: "Give a tenant another hostname, or change its kind",
            description: "A hostname belongs to one tenant, as its own or as a further one: 409 names who has it. A PUT that changes nothing writes nothing.",
            successes: vec![
                success(
                    200,
                    "TenantHostname",
                    &["ETag"],
                    "The tenant had it, and it is as the body says.",
                ),
                success(
                    201,
                    "TenantHostname",
                    &["Location", "ETag"],
                    "The tenant did not have it.",
                ),
            ],
            problems: &[Code::Conflict],
        },
        Operation::DeleteHostname => Told {
            name: "deleteHostname",
            tag: "Tenants",
            summary: "Take a hostname from a tenant",
            description: "404 if it does not have it. Its own hostname stays: PATCH of the tenant changes that.",
            successes: vec![empty(
                204,
                &["ETag"],
                "The tenant does not have it any more.",
            )],
            problems: &[],
        },
        Operation::VerifyHostname => Told {
            name: "verifyHostname",
            tag: "Tenants",
            summary: "Look up the record that shows a hostname's owner",
            description: "If it is found, the tenant has the hostname that it has claimed. 409 if it is not found, or if another tenant was sooner. A hostname that the tenant has already stays, and `proof_missing_since` says whether its record is there.",
            successes: vec![success(200, "TenantHostname", &[], "The hostname.")],
            problems: &[Code::Conflict, Code::ProofMissing, Code::LookupFailed],
        },
        Operation::InstallTenant => Told {
            name: "installTenant",
            tag: "Sites",
            summary: "Install a tenant's site",
            description: "Makes the tables of the site, and its administrator.",
            successes: vec![
                success(
                    201,
                    "Installed",
                    &["Location", "Preference-Applied"],
                    "The administrator. `Location` is the tenant's.",
                ),
                accepted(),
            ],
            problems: &[Code::Conflict, Code::CellConflict, Code::JobFailed],
        },
        Operation::ResetUserPassword => Told {
            name: "resetUserPassword",
            tag: "Sites",
            summary: "Give a user of a site a new password",
            description: "404 if there is no such tenant, no such user, or no site.",
            successes: vec![
                success(
                    200,
                    "PasswordReset",
                    &["Preference-Applied"],
                    "The password, which is shown this once.",
                ),
                accepted(),
            ],
            problems: &[Code::CellConflict, Code::JobFailed],
        },
        Operation::ListPlans => Told {
            name: "listPlans",
            tag: "Plans",
            summary: "List plans",
            description: "",
            successes: vec![success(
                200,
                "PlanList",
                &["Link"],
                "The plans, or the page of them.",
            )],
            problems: &[],
        },
        Operation::CreatePlan => Told {
            name: "createPlan",
            tag: "Plans",
            summary: "Create a plan",
            description: "",
            successes: vec![success(201, "Plan", &["Location", "ETag"], "The plan.")],
            problems: &[Code::Conflict],
        },
        Operation::GetPlan => Told {
            name: "getPlan",
            tag: "Plans",
            summary: "Read a plan",
            description: "",
            successes: read("Plan", "The plan."),
            problems: &[],
        },
        Operation::PutPlan => Told {
            name: "putPlan",
            tag: "Plans",
            summary: "Make a plan so",
            description: "Creates the plan, or makes it as the body says. `limits`, `env`, `external_id` and `labels` that the body leaves out are reset; all other members stay. A PUT that changes nothing writes nothing. With `If-None-Match: *` it only creates.",
            successes: put("Plan", "Plan"),
            problems: &[Code::Conflict],
        },
        Operation::EditPlan => Told {
            name: "editPlan",
            tag: "Plans",
            summary: "Change a plan",
            description: "Changes the fields that the body has, and `updated_at`.",
            successes: edited("Plan", "The plan is changed."),
            problems: match dialect {
                Dialect::Current => &[Code::Conflict],
                Dialect::Legacy => &[],
            },
        },
        Operation::DeletePlan => Told {
            name: "deletePlan",
            tag: "Plans",
            summary: "Delete a plan",
            description: "Its tenants keep running without a plan.",
            successes: vec![empty(204, &[], "The plan is deleted.")],
            problems: &[],
        },
        // `describe/cells.rs` has those of cells.
        other => panic!("{other:?} has no words in describe/operations.rs"),
    }
}
