//! The query of a write (contract §12): `validate_only=true` makes a trial of it, which checks everything and writes nothing.

use alloc::string::ToString as _;
use alloc::vec::Vec;

use crate::value::fault::{ApiError, FieldError};
use crate::value::text::quote;
use crate::wire::page::{decode, parameters};
use crate::wire::parameter::Parameter;

/// Reads the query of a write: whether the request is a trial. Nothing is ignored, so that nobody's misspelt trial writes.
///
/// # Errors
/// 422 if there is another parameter, the parameter comes twice, or its value is neither `true` nor `false`.
pub(crate) fn read(query: &str) -> Result<bool, ApiError> {
    let mut is_trial = None;
    let mut errors = Vec::new();
    for (parameter, name, raw) in parameters(query) {
        let value = match (parameter, is_trial) {
            (Some(Parameter::ValidateOnly), None) => {
                decode(raw).and_then(|text| match text.as_str() {
                    "true" => Ok(true),
                    "false" => Ok(false),
                    other => Err(alloc::format!(
                        "expected `true` or `false`; got {}",
                        quote(other)
                    )),
                })
            }
            (Some(Parameter::ValidateOnly), Some(_)) => Err("expected it once".into()),
            _ => Err("unknown parameter".into()),
        };
        match value {
            Ok(value) => is_trial = Some(value),
            Err(detail) => errors.push(FieldError::parameter(name.to_string(), detail)),
        }
    }
    if errors.is_empty() {
        Ok(is_trial.unwrap_or(false))
    } else {
        Err(ApiError::Invalid(errors))
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::read;
    use crate::value::fault::{ApiError, Place};

    #[test]
    fn a_write_is_a_trial_or_it_is_not() {
        for (query, is_trial) in [
            ("", false),
            ("&", false),
            ("validate_only=true", true),
            ("&validate_only=%74rue&", true),
            ("validate_only=false", false),
        ] {
            assert_eq!(read(query), Ok(is_trial), "{query}");
        }
        for (query, wrong) in [
            ("validate_only", &["validate_only"][..]),
            ("validate_only=", &["validate_only"]),
            ("validate_only=1", &["validate_only"]),
            ("validate_only=True", &["validate_only"]),
            ("validate_only=true+", &["validate_only"]),
            ("validate_only=%", &["validate_only"]),
            ("validate_only=true&validate_only=true", &["validate_only"]),
            ("validate-only=true", &["validate-only"]),
            ("Validate_only=true", &["Validate_only"]),
            ("%76alidate_only=true", &["%76alidate_only"]),
            ("limit=1&validate_only=true&x", &["limit", "x"]),
            ("=", &[""]),
        ] {
            let Err(ApiError::Invalid(errors)) = read(query) else {
                panic!("{query} is accepted");
            };
            let named: Vec<_> = errors.into_iter().map(|error| error.at).collect();
            let wrong: Vec<_> = wrong
                .iter()
                .map(|name| Place::Parameter((*name).into()))
                .collect();
            assert_eq!(named, wrong, "{query}");
        }
    }
}
