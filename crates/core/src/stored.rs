//! The columns that tenants and plans share: `limits`, in clear, and `env`, sealed at its place.

use alloc::format;
use alloc::string::String;

use zeroize::Zeroizing;

use crate::http::Random;
use crate::problem::{ApiError, Internal};
use crate::seal::{Place, SealError, Sealer};
use crate::variables::{Variables, VariablesText};

/// Reads the column `limits` of a row.
pub(crate) fn limits(
    table: &'static str,
    id: &str,
    text: Option<String>,
) -> Result<Option<VariablesText>, ApiError> {
    text.map(|text| VariablesText::from_stored(Zeroizing::new(text)))
        .transpose()
        .map_err(|reason| {
            ApiError::Internal(Internal::Stored {
                place: format!("{table}/{id}/limits"),
                reason,
            })
        })
}

/// The place of the column `env` of a row.
pub(crate) fn env_place<'a>(table: &'static str, id: &'a str) -> Place<'a> {
    Place {
        table,
        row: id,
        column: "env",
    }
}

/// Opens the column `env` of a row.
pub(crate) fn open_env(
    table: &'static str,
    id: &str,
    sealed: Option<String>,
    sealer: Option<&Sealer>,
) -> Result<Option<VariablesText>, ApiError> {
    let Some(sealed) = sealed else {
        return Ok(None);
    };
    let sealer = sealer.ok_or(NO_ENCRYPTION_KEY)?;
    let place = env_place(table, id);
    let stored = |reason: String| {
        ApiError::Internal(Internal::Stored {
            place: format!("{place}"),
            reason,
        })
    };
    let plain = sealer
        .open(place, &sealed)
        .map_err(|e| stored(e.reason().into()))?;
    VariablesText::from_stored(plain).map(Some).map_err(stored)
}

/// Seals a map for the column `env` of a row.
pub(crate) fn seal_env(
    table: &'static str,
    id: &str,
    env: &Variables,
    sealer: Option<&Sealer>,
    random: &mut dyn Random,
) -> Result<String, ApiError> {
    let sealer = sealer.ok_or(NO_ENCRYPTION_KEY)?;
    let plain = Zeroizing::new(env.to_stored());
    seal_text(env_place(table, id), &plain, sealer, random)
}

/// Seals a text for its place.
pub(crate) fn seal_text(
    place: Place<'_>,
    plain: &str,
    sealer: &Sealer,
    random: &mut dyn Random,
) -> Result<String, ApiError> {
    sealer.seal(place, plain, random).map_err(|error| {
        ApiError::Internal(match error {
            SealError::Random => Internal::Random,
            SealError::TooLong => Internal::Encoding("too long to be sealed".into()),
        })
    })
}

/// What is answered where something has to be sealed or opened and no key is configured.
pub(crate) const NO_ENCRYPTION_KEY: ApiError = ApiError::NotConfigured {
    variable: "CHEVERETO_ENCRYPTION_KEY",
};
