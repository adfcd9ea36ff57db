//! The names of the program's variables, and a check of the names in a file of variables.
//!
//! In a file, a name that looks like one of ours and is none has no effect, so it is an error. Any other name is fine: `.dev.vars` may have variables
//! of another Worker, of wrangler or of Chevereto.

use strsim::damerau_levenshtein;
use tenants_client::Signing;
use tenants_core::config::VARIABLES;

/// The variable of the API's address.
pub const URL: &str = "TENANTS_URL";
/// The variable of the API key.
pub const API_KEY: &str = "TENANTS_API_KEY";
/// The variable of the secret that requests are signed with.
pub const REQUEST_SECRET: &str = "CHEVERETO_TENANTS_API_REQUEST_SECRET";
/// The variable of the secret of a bound key, which signs whole requests.
pub const SIGNING_SECRET: &str = Signing::VARIABLE;
/// The variable of the secret under which keys are issued.
pub const KEY_SECRET: &str = "CHEVERETO_TENANTS_API_KEY_SECRET";
/// The variable of the previous key secret, while it rotates.
pub const KEY_SECRET_PREVIOUS: &str = "CHEVERETO_TENANTS_API_KEY_SECRET_PREVIOUS";
/// The variable that names the tenant of `install` and `user:password-reset`, as for Chevereto's own program.
pub const TENANT: &str = "CHEVERETO_TENANT";
/// The variable of the project's folder.
pub const PROJECT: &str = "TENANTS_PROJECT";

/// The variable of the operator's name, for the audit log.
pub const OPERATOR: &str = "TENANTS_OPERATOR";

/// The prefixes of names that only this service uses.
const PREFIXES: [&str; 2] = ["CHEVERETO_TENANT", "TENANTS_"];
/// The most mistakes of spelling with which a name still looks like one of ours.
const MISTAKES: usize = 2;

/// Checks a name in a file of variables.
///
/// # Errors
/// Says why the name has no effect, if it looks like one of ours.
pub fn check(name: &str) -> Result<(), String> {
    if known().any(|known| known == name) {
        return Ok(());
    }
    if [OPERATOR, PROJECT, TENANT].contains(&name) {
        return Err(format!(
            "{name} has no effect in a file; set it in the environment"
        ));
    }
    let spelt = name.to_ascii_uppercase().replace(['-', '.'], "_");
    let closest = known()
        .map(|known| (damerau_levenshtein(&spelt, known), known))
        .min();
    match closest {
        Some((distance, closest))
            if distance <= MISTAKES || PREFIXES.iter().any(|p| spelt.starts_with(p)) =>
        {
            Err(format!(
                "{name} is not a variable of this program or of the service; did you mean {closest}?"
            ))
        }
        _ => Ok(()),
    }
}

/// The names that have an effect in a file: those of the service, and this program's own.
fn known() -> impl Iterator<Item = &'static str> {
    VARIABLES
        .iter()
        .copied()
        .chain([URL, API_KEY, SIGNING_SECRET])
}

#[cfg(test)]
mod tests {
    use super::{check, known};

    #[test]
    fn known_names_and_names_of_others_are_accepted() {
        for name in known() {
            assert_eq!(check(name), Ok(()));
        }
        for name in [
            "A",
            "OTHER",
            "CLOUDFLARE_API_TOKEN",
            "CHEVERETO_DB_HOST",
            "CHEVERETO_HOSTNAME",
            "CHEVERETO_MAX_USERS",
            "DATABASE_URL",
            "TENANCY",
        ] {
            assert_eq!(check(name), Ok(()));
        }
    }

    #[test]
    fn a_misspelt_name_comes_with_the_closest_known_one() {
        for (name, closest) in [
            ("TENANTS_ULR", "TENANTS_URL"),
            ("TENANT_URL", "TENANTS_URL"),
            ("tenants_url", "TENANTS_URL"),
            ("TENANTS-URL", "TENANTS_URL"),
            ("TENANTS_APIKEY", "TENANTS_API_KEY"),
            (
                "CHEVERETO_TENANTS_API_SECRET",
                "CHEVERETO_TENANTS_API_KEY_SECRET",
            ),
            (
                "CHEVERTO_TENANTS_API_REQUEST_SECRET",
                "CHEVERETO_TENANTS_API_REQUEST_SECRET",
            ),
            ("CHEVERETO_ENCRIPTION_KEY", "CHEVERETO_ENCRYPTION_KEY"),
        ] {
            let detail = check(name).unwrap_err();
            assert!(
                detail.starts_with(name) && detail.ends_with(&format!("did you mean {closest}?")),
                "{detail}"
            );
        }
    }

    #[test]
    fn a_variable_that_only_the_environment_sets_is_named() {
        for name in ["TENANTS_OPERATOR", "TENANTS_PROJECT", "CHEVERETO_TENANT"] {
            assert!(check(name).unwrap_err().contains("in the environment"));
        }
    }
}
