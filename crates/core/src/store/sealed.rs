//! The columns that tenants and plans share: `limits` and `labels`, in clear, and `env`, encrypted for its place.

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;

use serde_json::value::RawValue;
use zeroize::Zeroizing;

use crate::crypto::seal::{Place, SealError, Sealer};
use crate::store::idempotency::{PLACED, secret_place};
use crate::value::fault::{ApiError, Internal};
use crate::value::random::Random;
use crate::wire::labels::Labels;
use crate::wire::variables::{Variables, VariablesText};

/// The error of an operation that must encrypt or decrypt when no key is configured.
pub(crate) const NO_ENCRYPTION_KEY: ApiError = ApiError::NotConfigured {
    variable: "CHEVERETO_ENCRYPTION_KEY",
};

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

/// Reads the column `limits` of a row as a map.
pub(crate) fn limits_map(
    table: &'static str,
    id: &str,
    text: Option<String>,
) -> Result<Option<Variables>, ApiError> {
    let text = limits(table, id, text)?;
    text.map(|text| map_of(table, id, "limits", &text))
        .transpose()
}

/// Decrypts the column `env` of a row as a map.
pub(crate) fn open_env_map(
    table: &'static str,
    id: &str,
    sealed: Option<String>,
    sealer: Option<&Sealer>,
) -> Result<Option<Variables>, ApiError> {
    let text = open_env(table, id, sealed, sealer)?;
    text.map(|text| map_of(table, id, "env", &text)).transpose()
}

fn map_of(
    table: &'static str,
    id: &str,
    column: &str,
    text: &VariablesText,
) -> Result<Variables, ApiError> {
    Variables::from_stored(text.as_str()).map_err(|reason| {
        ApiError::Internal(Internal::Stored {
            place: format!("{table}/{id}/{column}"),
            reason,
        })
    })
}

/// Reads the column `labels` of a row.
pub(crate) fn labels(table: &'static str, id: &str, text: &str) -> Result<Labels, ApiError> {
    // Most rows have none.
    if text == "{}" {
        return Ok(Labels::default());
    }
    Labels::from_stored(text).map_err(|reason| {
        ApiError::Internal(Internal::Stored {
            place: format!("{table}/{id}/labels"),
            reason,
        })
    })
}

/// Reads the column `holds` of a row, which a response shows as it is.
pub(crate) fn holds(
    table: &'static str,
    id: &str,
    text: Option<String>,
) -> Result<Option<String>, ApiError> {
    let is_object =
        |text: &str| text.starts_with('{') && serde_json::from_str::<&RawValue>(text).is_ok();
    match text {
        Some(text) if !is_object(&text) => Err(ApiError::Internal(Internal::Stored {
            place: format!("{table}/{id}/holds"),
            reason: "is not a JSON object".into(),
        })),
        text => Ok(text),
    }
}

/// The tables with a column `env`.
pub(crate) const WITH_ENV: [&str; 2] = ["tenants", "tenants_plans"];

/// A stored secret of a remembered response: its place, the encrypted text, and the rest, which stays as it is when the text is encrypted again.
pub(crate) fn placed<'a>(fingerprint: &'a str, secret: &'a str) -> (Place<'a>, &'a str, &'a str) {
    let (text, rest) = secret.split_at(secret.find(PLACED).unwrap_or(secret.len()));
    let resource = rest.trim_start_matches(PLACED).split_once('/');
    let place = resource.and_then(|(name, id)| {
        let table = WITH_ENV.into_iter().find(|table| *table == name)?;
        Some(env_place(table, id))
    });
    (
        place.unwrap_or_else(|| secret_place(fingerprint)),
        text,
        rest,
    )
}

/// The place of the column `env` of a row.
pub(crate) fn env_place<'a>(table: &'static str, id: &'a str) -> Place<'a> {
    Place {
        table,
        row: id,
        column: "env",
    }
}

/// Decrypts the column `env` of a row.
pub(crate) fn open_env(
    table: &'static str,
    id: &str,
    sealed: Option<String>,
    sealer: Option<&Sealer>,
) -> Result<Option<VariablesText>, ApiError> {
    let Some(sealed) = sealed else {
        return Ok(None);
    };
    let plain = open_text(env_place(table, id), &sealed, sealer)?;
    VariablesText::from_stored(plain)
        .map(Some)
        .map_err(|reason| {
            ApiError::Internal(Internal::Stored {
                place: format!("{}", env_place(table, id)),
                reason,
            })
        })
}

/// Decrypts a text that is stored in this place.
pub(crate) fn open_text(
    place: Place<'_>,
    sealed: &str,
    sealer: Option<&Sealer>,
) -> Result<Zeroizing<String>, ApiError> {
    let sealer = sealer.ok_or(NO_ENCRYPTION_KEY)?;
    sealer.open(place, sealed).map_err(|e| {
        ApiError::Internal(Internal::Stored {
            place: format!("{place}"),
            reason: e.reason().into(),
        })
    })
}

/// Decrypts the secret of a remembered response.
pub(crate) fn open_secret(
    fingerprint: &str,
    sealed: &str,
    sealer: Option<&Sealer>,
) -> Result<Zeroizing<String>, ApiError> {
    open_text(secret_place(fingerprint), sealed, sealer)
}

/// The key and the randomness of a request, to encrypt maps for the column `env`.
pub(crate) struct EnvSealer<'a> {
    pub(crate) sealer: Option<&'a Arc<Sealer>>,
    pub(crate) random: &'a mut dyn Random,
}

impl EnvSealer<'_> {
    /// Encrypts a map for a row.
    pub(crate) fn seal(
        &mut self,
        table: &'static str,
        id: &str,
        env: &Variables,
    ) -> Result<String, ApiError> {
        let sealer = self.sealer.ok_or(NO_ENCRYPTION_KEY)?;
        let plain = Zeroizing::new(env.to_stored());
        seal_text(env_place(table, id), &plain, sealer, self.random)
    }
}

/// Encrypts a text for its place.
pub(crate) fn seal_text(
    place: Place<'_>,
    plain: &str,
    sealer: &Sealer,
    random: &mut dyn Random,
) -> Result<String, ApiError> {
    sealer.seal(place, plain, random).map_err(|error| {
        ApiError::Internal(match error {
            SealError::Random => Internal::Random,
            SealError::TooLong => Internal::Encoding("the text is too long to be encrypted".into()),
        })
    })
}
