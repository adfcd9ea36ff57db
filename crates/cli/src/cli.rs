//! The names, options and help texts of the command line.

use std::fmt::Write as _;

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use crate::command::{
    ListArgs, audit, backup, cell, completions, config, env, events, export, hold, hostname,
    import, init, job, key, key_edit, key_import, orphans, plan, restore, site, site_move, stats,
    status, tenant, webhook,
};
use crate::database::DatabaseArgs;
use crate::settings::Options;

// Each line fits a narrow terminal, since a wrapped example cannot be copied.
const AFTER_HELP: &str = "\
`tenants <command> --help` shows a command's options, with examples.

Examples:
  tenants init
  tenants api:key:create --name ci --expires \"2027-01-31 00:00:00\"
  tenants create --id acme --hostname acme.example.com --is_enabled 1
  tenants install --id acme -u admin -e admin@example.com -x - < password
  tenants edit --id acme --limits '{\"CHEVERETO_MAX_USERS\": \"2\"}'
  tenants list --format json

Exit codes:
  0  done
  1  the API refused, the database has no such row, the key is not valid,
     a row could not be encrypted again, or something needs attention
  2  the command line is not valid
  3  the API or the database could not be reached, or failed
  4  something needed is not configured: a key, a secret, the project

A setting comes from its option, the file of --vars-file, or the environment,
in this order. For an API or a database on this machine, the last source is
.dev.vars and .dev.key.local, which `npm start` creates. See docs/CLI.md.";

/// The commands as `--help` groups them. A test checks that each command is in exactly one group.
const GROUPS: &[(&str, &[&str])] = &[
    (
        "Tenants",
        &[
            "create",
            "get",
            "list",
            "edit",
            "delete",
            "undelete",
            "erase",
            "hold",
            "release",
            "hostnames",
            "hostname:add",
            "hostname:verify",
            "hostname:delete",
            "settings",
        ],
    ),
    (
        "A tenant's site",
        &["install", "user:password-reset", "stats:refresh"],
    ),
    (
        "Plans",
        &[
            "plan:create",
            "plan:get",
            "plan:list",
            "plan:edit",
            "plan:delete",
        ],
    ),
    (
        "Cells",
        &[
            "cell:create",
            "cell:list",
            "cell:get",
            "cell:delete",
            "job:list",
            "job:get",
            "job:cancel",
        ],
    ),
    (
        "Webhooks",
        &[
            "webhook:create",
            "webhook:list",
            "webhook:get",
            "webhook:edit",
            "webhook:delete",
            "webhook:rotate",
            "webhook:test",
            "webhook:deliveries",
            "webhook:retry",
        ],
    ),
    ("Moving in and out", &["import", "export"]),
    (
        "API keys",
        &[
            "api:key:create",
            "api:key:verify",
            "api:key:list",
            "api:key:edit",
            "api:key:rotate",
            "api:key:delete",
            "api:key:import",
        ],
    ),
    (
        "The service",
        &[
            "init",
            "database:migrate",
            "database:move",
            "status",
            "audit:list",
            "events",
            "orphans",
            "backup",
            "restore",
            "env:reseal",
            "jobs:worker",
            "cache",
            "config:traefik",
            "auth:verify",
        ],
    ),
    (
        "For your shell and scripts",
        &["sign", "completions", "help"],
    ),
];

/// The width of a group's first column.
const NAME_WIDTH: usize = 19;

/// Manages tenants, plans and API keys of the Tenants API: the commands and options of Chevereto's own `tenants`.
#[derive(Debug, Parser)]
#[command(name = "tenants", version, after_help = AFTER_HELP, max_term_width = 120, arg_required_else_help = true)]
pub struct Cli {
    /// Accepted before a command for scripts of Chevereto's own program; changes nothing
    #[arg(short = 'C')]
    pub chevereto: bool,

    /// The options that every command takes.
    #[command(flatten)]
    pub options: Options,

    /// The command to run.
    #[command(subcommand)]
    pub command: Command,
}

impl Cli {
    /// Reads the arguments, the first of which is the program's own name.
    ///
    /// # Errors
    /// Fails if the arguments are not valid. Help and version texts are returned as errors too.
    pub fn read(args: impl IntoIterator<Item = std::ffi::OsString>) -> Result<Self, clap::Error> {
        Self::from_arg_matches(&command().try_get_matches_from(args)?)
    }
}

/// Returns the program's commands, with the list of them grouped.
#[must_use]
pub fn command() -> clap::Command {
    let mut command = Cli::command();
    command.build();
    let mut text = String::from("{about-with-newline}\n{usage-heading} {usage}\n");
    for (group, names) in GROUPS {
        // Writing to a string does not fail.
        let _ = writeln!(text, "\n{group}:");
        for name in *names {
            let about = command
                .find_subcommand(name)
                .and_then(clap::Command::get_about);
            let about = about.map(ToString::to_string).unwrap_or_default();
            let _ = writeln!(text, "  {name:NAME_WIDTH$}  {about}");
        }
    }
    text += "\nOptions:\n{options}{after-help}";
    Cli::command().help_template(text)
}

/// A command and its options.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Prepare the database
    #[command(after_help = "Examples:\n  tenants init\n  tenants init --remote")]
    Init(DatabaseArgs),

    /// Bring the database's tables up to date
    #[command(
        name = "database:migrate",
        after_help = "Examples:\n  tenants database:migrate\n  tenants database:migrate --remote --verbose"
    )]
    DatabaseMigrate(init::MigrateArgs),

    /// Move a tenant's site into a database of its own, or back
    #[command(
        name = "database:move",
        after_help = "Examples:\n  tenants database:move --id acme\n  tenants database:move --id acme --to tables --remote\n\n\
                      The cron trigger moves it, in slices. Meanwhile the site takes no writes.\n\
                      Run the command again to see where the site is."
    )]
    DatabaseMove(site_move::MoveArgs),

    /// Show the state of the service, and what needs attention
    #[command(
        after_help = "Examples:\n  tenants status\n  tenants status --remote --vars-file .production.local\n  tenants status --remote --format json\n\n\
                      With CHEVERETO_ENCRYPTION_KEY it also decrypts every env.\n\
                      Exit code 0: nothing needs attention; 1: something does. docs/OPERATING.md\n\
                      says what to do."
    )]
    Status(status::StatusArgs),

    /// List or drop the tables that deleted tenants have left
    #[command(
        after_help = "Examples:\n  tenants orphans\n  tenants orphans --remote --drop --id acme --id other\n  tenants orphans --drop --all"
    )]
    Orphans(orphans::OrphansArgs),

    /// Write the whole database to a file, and check it
    #[command(
        after_help = "Examples:\n  tenants backup\n  tenants backup --remote\n  tenants backup --remote --output /safe/tenants.sql\n\n\
                      Uses `wrangler d1 export`. The remote database answers nothing while Cloudflare\n\
                      writes the export. The file has password hashes: only you can read it."
    )]
    Backup(backup::BackupArgs),

    /// Bring a backup into a database
    #[command(
        after_help = "Examples:\n  tenants restore --from backups/tenants-remote.sql --remote --dry-run\n  \
                      tenants restore --from backups/tenants-remote.sql --remote\n  \
                      tenants restore --from backup.sql --replace --delete-keys deleted\n  \
                      tenants restore --finish --remote\n\n\
                      Takes a file of `tenants backup` or of `wrangler d1 export`. Lists the API keys\n\
                      that are valid again. docs/BACKUP.md has the steps before and after it."
    )]
    Restore(restore::RestoreArgs),

    /// Encrypt every env again under a new encryption key
    #[command(
        name = "env:reseal",
        after_help = "Examples:\n  tenants env:reseal --dry-run\n  tenants env:reseal\n  tenants env:reseal --remote --vars-file .production.local\n\n\
                      Encrypts again, under CHEVERETO_ENCRYPTION_KEY, the env of every tenant and\n\
                      plan that another key encrypted. CHEVERETO_ENCRYPTION_KEY_PREVIOUS decrypts\n\
                      them. You can interrupt it at any moment and run it again.\n\
                      Exit code 0: everything is encrypted under the current key; 1: not everything."
    )]
    EnvReseal(env::ResealArgs),

    /// Check that all data can be read; this service has no cache
    #[command(
        after_help = "Example:\n  tenants cache\n\nChevereto's own program regenerates its cache. This service has no cache."
    )]
    Cache,

    /// Create an API key and show it once
    #[command(
        name = "api:key:create",
        after_help = "Examples:\n  tenants api:key:create\n  KEY=$(tenants api:key:create --name ci --expires \"2027-01-31 00:00:00\")\n  \
                      tenants api:key:create --remote --vars-file production.local"
    )]
    KeyCreate(key::CreateArgs),

    /// Say whether an API key is valid, or why it is not
    #[command(
        name = "api:key:verify",
        after_help = "Example:\n  tenants api:key:verify --key - < key.local"
    )]
    KeyVerify(key::VerifyArgs),

    /// Change the name or the end of an API key
    #[command(
        name = "api:key:edit",
        after_help = "Examples:\n  tenants api:key:edit --id 4 --expires \"2027-01-31 00:00:00\"\n  tenants api:key:edit --id 4 --name ci --expires \"\"\n\n\
                      Calls the API, with a key that has the scope `keys`. The key's text and what\n\
                      it may do stay."
    )]
    KeyEdit(key_edit::EditArgs),

    /// Give an API key another secret and show it once
    #[command(
        name = "api:key:rotate",
        after_help = "Examples:\n  tenants api:key:rotate --id 4 --overlap 3600\n  tenants api:key:rotate --id 4 --remote\n\nWith --overlap, the secret before stays valid for that long, so that\nits clients can change."
    )]
    KeyRotate(key::RotateArgs),

    /// Delete API keys
    #[command(
        name = "api:key:delete",
        after_help = "Examples:\n  tenants api:key:delete --id 3\n  tenants api:key:delete --name ci --remote"
    )]
    KeyDelete(key::DeleteArgs),

    /// Take over API keys of a Chevereto installation
    #[command(
        name = "api:key:import",
        after_help = "Examples:\n  tenants api:key:import keys.csv\n  tenants api:key:import --id 3 --name billing --expires \"2027-01-31 00:00:00\"\n\n\
                      The file has rows of the installation's table tenants_api_keys, as JSON lines\n\
                      or CSV. Its ids and times are enough: a key proves itself by its MAC, under the\n\
                      CHEVERETO_TENANTS_API_KEY_SECRET that the installation had. Import before you\n\
                      create keys here, since two keys cannot have one id."
    )]
    KeyImport(key_import::KeyImportArgs),

    /// List the API keys
    #[command(
        name = "api:key:list",
        after_help = "Examples:\n  tenants api:key:list\n  tenants api:key:list --remote --format json"
    )]
    KeyList(key::ListArgs),

    /// Create or change tenants and plans as a file says
    #[command(
        after_help = "Examples:\n  tenants import --dry-run tenants.jsonl\n  tenants import tenants.jsonl\n  \
                      tenants import --type plan plans.csv\n  tenants import --chevereto-key @encryption.key tenants.csv\n\n\
                      A line is what POST takes, or a row of a Chevereto installation. `type` is plan\n\
                      or tenant. Run an import that was cut off again: lines that are done change\n\
                      nothing. Exit code 0: every line is imported; 1: some were refused; 3: the\n\
                      import stopped, and lines are left."
    )]
    Import(import::ImportArgs),

    /// Write all plans and tenants as JSON lines, which import reads
    #[command(
        after_help = "Examples:\n  tenants export --output tenants.jsonl\n  tenants export | jq -r 'select(.type == \"tenant\") | .hostname'"
    )]
    Export(export::ExportArgs),

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
        after_help = "Examples:\n  tenants get --id acme\n  tenants get --id acme --format json\n  tenants get --external-id C-1042\n  \
                      ETAG=$(tenants get --id acme --etag)"
    )]
    Get(tenant::GetArgs),

    /// List the tenants
    #[command(
        after_help = "Examples:\n  tenants list\n  tenants list --format json\n  tenants list --limit 100 --after acme\n  \
                      tenants list --label tier:gold --is_enabled 1\n  tenants list --plan_id basic\n  \
                      tenants list --sort -updated_at --limit 20\n  tenants list --id acme --id globex"
    )]
    List(tenant::ListArgs),

    /// Show a tenant's effective settings
    #[command(after_help = "Example:\n  tenants settings --id acme")]
    Settings(tenant::ChoiceArgs),

    /// Change only the fields of a tenant that the options name
    #[command(
        after_help = "Examples:\n  tenants edit --id acme --is_enabled 0\n  tenants edit --id acme --plan_id \"\" --limits null\n  \
                      tenants edit --id acme --env @env.json\n  tenants edit --id acme --env - < env.json\n  \
                      tenants edit --id acme --is_enabled 0 --if-match \"$ETAG\"\n  tenants edit --id acme --plan_id premium --validate-only"
    )]
    Edit(tenant::EditArgs),

    /// Delete a tenant
    #[command(
        after_help = "Examples:\n  tenants delete --id acme\n  tenants delete --id acme --drop-tables"
    )]
    Delete(tenant::DeleteArgs),

    /// Create a tenant's tables and its first user, an admin
    #[command(
        after_help = "Examples:\n  tenants install --id acme -u admin -e admin@example.com -x - < password\n  \
                      CHEVERETO_TENANT=acme tenants install -u admin \\\n    -e admin@example.com -x - < password"
    )]
    Install(site::InstallArgs),

    /// Set a user's password, or generate one and show it once
    #[command(
        name = "user:password-reset",
        visible_alias = "password-reset",
        after_help = "Examples:\n  tenants user:password-reset --id acme -u admin\n  \
                      PASSWORD=$(tenants password-reset --id acme -u admin)\n  \
                      tenants user:password-reset --id acme -u admin -x - < password\n\n\
                      Without -x, the new password alone is printed on standard output."
    )]
    UserPasswordReset(site::ResetArgs),

    /// Count tenants' statistics from their own tables, now
    #[command(
        name = "stats:refresh",
        after_help = "Examples:\n  tenants stats:refresh --id acme\n  tenants stats:refresh --remote\n\n\
                      The Worker's cron trigger does the same, for a few of them at a time."
    )]
    StatsRefresh(stats::RefreshArgs),

    /// Run each job of the Worker's cron trigger once
    #[command(
        name = "jobs:worker",
        after_help = "Examples:\n  tenants jobs:worker\n  tenants jobs:worker --id acme --verbose\n\n\
                      Chevereto's own program keeps a worker running. Here the Worker's cron\n\
                      trigger runs the jobs, so nothing has to keep running."
    )]
    JobsWorker(stats::WorkerArgs),

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
    PlanGet(plan::GetArgs),

    /// List the plans
    #[command(
        name = "plan:list",
        after_help = "Examples:\n  tenants plan:list\n  tenants plan:list --limit 100 --after basic"
    )]
    PlanList(ListArgs),

    /// Change only the fields of a plan that the options name
    #[command(
        name = "plan:edit",
        after_help = "Example:\n  tenants plan:edit --id basic --limits '{\"CHEVERETO_MAX_USERS\": \"3\"}'"
    )]
    PlanEdit(plan::EditArgs),

    /// Delete a plan; its tenants keep running, without a plan
    #[command(
        name = "plan:delete",
        after_help = "Example:\n  tenants plan:delete --id basic"
    )]
    PlanDelete(plan::DeleteArgs),

    /// Bring a deleted tenant back
    #[command(
        after_help = "Example:\n  tenants undelete --id acme\n\n`tenants list --deleted` shows those that can be brought back."
    )]
    Undelete(tenant::UndeleteArgs),

    /// Wipe a tenant, living or deleted, with its tables
    #[command(
        after_help = "Example:\n  tenants erase --id acme\n\nNothing brings it back but a backup."
    )]
    Erase(tenant::EraseArgs),

    /// Take a tenant's site off, and say why
    #[command(
        after_help = "Examples:\n  tenants hold --id acme --kind non_payment --reason \"invoice 2026-1001\"\n  \
                      tenants hold --id acme --kind maintenance --reason move --message Soon\n\n\
                      A hold of this kind that is there already is replaced. Other kinds stay."
    )]
    Hold(hold::HoldArgs),

    /// Lift a hold
    #[command(after_help = "Example:\n  tenants release --id acme --kind non_payment")]
    Release(hold::ReleaseArgs),

    /// List the hostnames that a tenant has besides its own
    #[command(after_help = "Example:\n  tenants hostnames --id acme")]
    Hostnames(hostname::ListArgs),

    /// Give a tenant another hostname, or change its kind
    #[command(
        name = "hostname:add",
        after_help = "Examples:\n  tenants hostname:add --id acme --hostname photos.acme.example\n  \
                      tenants hostname:add --id acme --hostname www.acme.example --kind redirect"
    )]
    HostnameAdd(hostname::AddArgs),

    /// Look up the record that shows a hostname's owner
    #[command(
        name = "hostname:verify",
        after_help = "Example:\n  tenants hostname:verify --id acme --hostname photos.acme.example"
    )]
    HostnameVerify(hostname::VerifyArgs),

    /// Take a hostname from a tenant
    #[command(
        name = "hostname:delete",
        after_help = "Example:\n  tenants hostname:delete --id acme --hostname photos.acme.example"
    )]
    HostnameDelete(hostname::DeleteArgs),

    /// Send events to a receiver from now on
    #[command(
        name = "webhook:create",
        after_help = "Examples:\n  tenants webhook:create --receiver https://example.com/hooks\n  \
                      tenants webhook:create --receiver https://example.com/ --type plan.deleted\n\n\
                      The secret, with which the receiver verifies messages, is shown only now."
    )]
    WebhookCreate(webhook::CreateArgs),

    /// List the webhooks
    #[command(name = "webhook:list", after_help = "Example:\n  tenants webhook:list")]
    WebhookList,

    /// Show a webhook
    #[command(
        name = "webhook:get",
        after_help = "Example:\n  tenants webhook:get --id $id"
    )]
    WebhookGet(webhook::ChoiceArgs),

    /// Change a webhook
    #[command(
        name = "webhook:edit",
        after_help = "Examples:\n  tenants webhook:edit --id $id --is_enabled 0\n  \
                      tenants webhook:edit --id $id --is_enabled 1 --from backlog"
    )]
    WebhookEdit(webhook::EditArgs),

    /// Delete a webhook
    #[command(
        name = "webhook:delete",
        after_help = "Example:\n  tenants webhook:delete --id $id"
    )]
    WebhookDelete(webhook::DeleteArgs),

    /// Give a webhook a new secret
    #[command(
        name = "webhook:rotate",
        after_help = "Example:\n  tenants webhook:rotate --id $id --overlap 3600\n\n\
                      During the overlap messages have a signature under each of the two secrets."
    )]
    WebhookRotate(webhook::RotateArgs),

    /// Send a receiver an event at once
    #[command(
        name = "webhook:test",
        after_help = "Example:\n  tenants webhook:test --id $id"
    )]
    WebhookTest(webhook::ChoiceArgs),

    /// List what was sent to a receiver, and what it answered
    #[command(
        name = "webhook:deliveries",
        after_help = "Example:\n  tenants webhook:deliveries --id $id --limit 20"
    )]
    WebhookDeliveries(webhook::DeliveriesArgs),

    /// Send an event again
    #[command(
        name = "webhook:retry",
        after_help = "Example:\n  tenants webhook:retry --id $id --event 5f1d2c3b4a596877.42"
    )]
    WebhookRetry(webhook::RetryArgs),

    /// Make or change a cell, a Chevereto installation
    #[command(
        name = "cell:create",
        after_help = "Examples:\n  tenants cell:create --id eu-1 --name Frankfurt\n  tenants cell:create --id eu-1 --service-name php-eu-1 --service-port 8080\n  \
                      tenants cell:create --id eu-1 --accepting false\n\n\
                      An option that is left out changes nothing of a cell that is there."
    )]
    CellCreate(cell::CreateArgs),

    /// List the cells, and how far their agents are
    #[command(
        name = "cell:list",
        after_help = "Examples:\n  tenants cell:list\n  tenants cell:list --format json"
    )]
    CellList,

    /// Show a cell
    #[command(
        name = "cell:get",
        after_help = "Example:\n  tenants cell:get --id eu-1"
    )]
    CellGet(cell::ChoiceArgs),

    /// Delete a cell that nothing is on
    #[command(
        name = "cell:delete",
        after_help = "Example:\n  tenants cell:delete --id eu-1"
    )]
    CellDelete(cell::DeleteArgs),

    /// List the jobs of cells, the newest first
    #[command(
        name = "job:list",
        after_help = "Examples:\n  tenants job:list\n  tenants job:list --tenant acme --state failed"
    )]
    JobList(job::ListArgs),

    /// Show a job
    #[command(
        name = "job:get",
        after_help = "Example:\n  tenants job:get --id 8a6f0c2f5f9b4d3e9a1c7b2d4e6f8a90"
    )]
    JobGet(job::ChoiceArgs),

    /// Cancel a job that waits
    #[command(
        name = "job:cancel",
        after_help = "Example:\n  tenants job:cancel --id 8a6f0c2f5f9b4d3e9a1c7b2d4e6f8a90"
    )]
    JobCancel(job::CancelArgs),

    /// List what was written, by whom and when, the oldest first
    #[command(
        name = "audit:list",
        after_help = "Examples:\n  tenants audit:list --subject-type tenant --subject acme\n  tenants audit:list --since \"2026-01-31 00:00:00\" --key-id 7 --format json"
    )]
    AuditList(audit::ListArgs),

    /// Show what happened, the oldest first, as JSON lines
    #[command(
        after_help = "Examples:\n  tenants events --after now --follow\n  tenants events --type tenant.created | jq -r .data.id"
    )]
    Events(events::EventsArgs),

    /// Show the configuration that Traefik receives, as JSON
    #[command(
        name = "config:traefik",
        after_help = "Examples:\n  tenants config:traefik | jq '.http.routers | keys'\n  tenants config:traefik --cell eu\n\nThe API shows it only to listed addresses (docs/TRAEFIK.md)\nand, in development, to this machine."
    )]
    ConfigTraefik(config::TraefikArgs),

    /// Ask the API whether the key and the signature are valid
    #[command(name = "auth:verify", after_help = "Example:\n  tenants auth:verify")]
    AuthVerify,

    /// Sign standard input and print the value of X-Signature
    #[command(
        after_help = "Examples:\n  printf '%s' \"$BODY\" | tenants sign\n  tenants sign < /dev/null\n\nEvery byte counts: `echo` adds a line end that the body does not have."
    )]
    Sign,

    /// Print a script with which your shell completes commands
    #[command(after_help = "Examples:\n  source <(tenants completions bash)\n  \
                      tenants completions zsh > \"${fpath[1]}/_tenants\"\n  \
                      tenants completions fish > ~/.config/fish/completions/tenants.fish")]
    Completions(completions::CompletionsArgs),
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use clap::CommandFactory as _;

    use super::Cli;

    /// Clap would give the value to both.
    #[test]
    fn no_command_has_an_option_of_the_program() {
        let command = Cli::command();
        let longs = |command: &clap::Command| -> BTreeSet<String> {
            let all = command.get_arguments().filter_map(clap::Arg::get_long);
            all.map(String::from).collect()
        };
        let global = longs(&command);
        assert!(global.contains("url"));
        for one in command.get_subcommands() {
            let both: Vec<_> = longs(one).intersection(&global).cloned().collect();
            assert!(both.is_empty(), "{}: {both:?}", one.get_name());
        }
    }
}
