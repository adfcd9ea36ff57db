//! The commands, one file a family. A command is its options and a function.

use serde_json::value::RawValue;

use crate::error::Error;

pub mod auth;
pub mod config;
pub mod env;
pub mod init;
pub mod key;
pub mod plan;
pub mod tenant;

/// Takes an option's value for JSON, to be sent byte for byte. What came is not repeated: it may hold a password.
fn json(option: &str, text: Option<&str>) -> Result<Option<Box<RawValue>>, Error> {
    let parsed = text.map(serde_json::from_str).transpose();
    parsed.map_err(|error| {
        Error::Usage(format!(
            "{option}: expected JSON, such as '{{\"NAME\": \"value\"}}'; {error}"
        ))
    })
}

/// Writes a request's body.
fn body(fields: &impl serde::Serialize) -> Result<Vec<u8>, Error> {
    serde_json::to_vec(fields).map_err(|e| Error::Machine(format!("the request's body: {e}")))
}

#[cfg(test)]
mod tests {
    use super::json;
    use crate::error::Exit;

    #[test]
    fn json_is_passed_byte_for_byte() {
        for text in ["null", r#"{"B":"1", "A" : 1.0e3,"B":"\u00e9"}"#, "[]"] {
            assert_eq!(json("--env", Some(text)).unwrap().unwrap().get(), text);
        }
        assert!(json("--env", None).unwrap().is_none());
    }

    #[test]
    fn what_is_not_json_is_refused_by_its_option_and_not_repeated() {
        for text in ["", "{hunter2}", r#"{"A":"hunter2"#, r#"{"A":"1"} hunter2"#] {
            let error = json("--env", Some(text)).unwrap_err();
            assert_eq!(error.exit(), Exit::Usage);
            let detail = error.problem().detail;
            assert!(detail.starts_with("--env: expected JSON"), "{detail}");
            assert!(!detail.contains("hunter2"), "{detail}");
        }
    }
}
