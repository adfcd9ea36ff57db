//! The command line itself: names, options and help.

use clap::{Parser, Subcommand};

use crate::command::{env, key, plan, tenant};
use crate::database::DatabaseArgs;
use crate::settings::Options;

// No line longer than a narrow terminal: what is wrapped cannot be copied.
const AFTER_HELP: &str = "\
Examples:
  tenants init
  tenants api:key:create --name ci --expires \"2027-01-31 00:00:00\"
  tenants create --id acme --hostname acme.example.com --is_enabled 1
  tenants edit --id acme --limits '{\"CHEVERETO_MAX_USERS\": \"2\"}'
  tenants list --format json

Exit codes:
  0  done
  1  the API or the database refused, or the key is not valid
  2  the command line is not as expected
  3  the API or the database could not be reached, or failed
  4  something needed is not configured: a key, a secret, the project

A setting comes from its option, else from the file of --vars-file, else
from the environment, else, for what is on this machine, from .dev.vars and
.dev.key.local, which `npm start` makes. docs/CLI.md has all of it.";

/// Manages tenants, plans and API keys of the Tenants API: the commands and options of Chevereto's own `tenants`.
#[derive(Debug, Parser)]
#[command(name = "tenants", version, after_help = AFTER_HELP, max_term_width = 120)]
pub struct Cli {
    /// Accepted before a command, as Chevereto's own program has it; changes nothing
    #[arg(short = 'C')]
    pub chevereto: bool,

    /// Where things are.
    #[command(flatten)]
    pub options: Options,

    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What can be done.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Bring the database's tables up to date
    #[command(after_help = "Examples:\n  tenants init\n  tenants init --remote")]
    Init(DatabaseArgs),

    /// Seal again, under the current CHEVERETO_ENCRYPTION_KEY, what the previous one sealed
    #[command(
        name = "env:reseal",
        after_help = "Examples:\n  tenants env:reseal --dry-run\n  tenants env:reseal\n  tenants env:reseal --remote --vars-file .production.local"
    )]
    EnvReseal(env::ResealArgs),

    /// Make an API key, and show it this one time
    #[command(
        name = "api:key:create",
        after_help = "Examples:\n  tenants api:key:create\n  KEY=$(tenants api:key:create --name ci --expires \"2027-01-31 00:00:00\")\n  \
                      tenants api:key:create --remote --vars-file production.local"
    )]
    KeyCreate(key::CreateArgs),

    /// Say whether an API key is valid, and if not, why
    #[command(
        name = "api:key:verify",
        after_help = "Examples:\n  tenants api:key:verify --key chv_1_…\n  tenants api:key:verify --key - < key.local"
    )]
    KeyVerify(key::VerifyArgs),

    /// Delete API keys
    #[command(
        name = "api:key:delete",
        after_help = "Examples:\n  tenants api:key:delete --id 3\n  tenants api:key:delete --name ci --remote"
    )]
    KeyDelete(key::DeleteArgs),

    /// List the API keys
    #[command(
        name = "api:key:list",
        after_help = "Examples:\n  tenants api:key:list\n  tenants api:key:list --remote --format json"
    )]
    KeyList(key::ListArgs),

    /// Create a tenant
    #[command(
        after_help = "Examples:\n  tenants create --id acme --hostname acme.example.com --is_enabled 1\n  \
                      tenants create --id acme --hostname acme.example.com --is_enabled 1 \\\n    \
                      --plan_id basic --limits '{\"CHEVERETO_MAX_USERS\": \"2\"}' \\\n    \
                      --env '{\"CUSTOM_VAR\": \"value\"}'"
    )]
    Create(tenant::CreateArgs),

    /// Show a tenant
    #[command(
        after_help = "Examples:\n  tenants get --id acme\n  tenants get --id acme --format json"
    )]
    Get(tenant::ChoiceArgs),

    /// List the tenants
    #[command(after_help = "Examples:\n  tenants list\n  tenants list --format json")]
    List,

    /// Change what the options name of a tenant, and nothing else
    #[command(
        after_help = "Examples:\n  tenants edit --id acme --is_enabled 0\n  tenants edit --id acme --plan_id \"\" --limits null"
    )]
    Edit(tenant::EditArgs),

    /// Delete a tenant
    #[command(
        after_help = "Examples:\n  tenants delete --id acme\n  tenants delete --id acme --drop-tables"
    )]
    Delete(tenant::DeleteArgs),

    /// Create a plan
    #[command(
        name = "plan:create",
        after_help = "Example:\n  tenants plan:create --id basic --limits '{\"CHEVERETO_MAX_USERS\": \"2\"}'"
    )]
    PlanCreate(plan::CreateArgs),

    /// Show a plan
    #[command(
        name = "plan:get",
        after_help = "Example:\n  tenants plan:get --id basic"
    )]
    PlanGet(plan::ChoiceArgs),

    /// List the plans
    #[command(name = "plan:list", after_help = "Example:\n  tenants plan:list")]
    PlanList,

    /// Change what the options name of a plan, and nothing else
    #[command(
        name = "plan:edit",
        after_help = "Example:\n  tenants plan:edit --id basic --limits '{\"CHEVERETO_MAX_USERS\": \"3\"}'"
    )]
    PlanEdit(plan::EditArgs),

    /// Delete a plan; its tenants keep running with none
    #[command(
        name = "plan:delete",
        after_help = "Example:\n  tenants plan:delete --id basic"
    )]
    PlanDelete(plan::ChoiceArgs),

    /// Show the configuration that Traefik is given, as JSON
    #[command(
        name = "config:traefik",
        after_help = "Example:\n  tenants config:traefik | jq '.http.routers | keys'\n\nThe API shows it to listed addresses alone (docs/TRAEFIK.md), and to the developer's own machine."
    )]
    ConfigTraefik,

    /// Ask the API whether key and signature are in order
    #[command(name = "auth:verify", after_help = "Example:\n  tenants auth:verify")]
    AuthVerify,

    /// Sign standard input: what goes into X-Signature
    #[command(
        after_help = "Examples:\n  printf '%s' \"$BODY\" | tenants sign\n  tenants sign < /dev/null\n\nEvery byte counts: `echo` adds a line end that the body does not have."
    )]
    Sign,
}
