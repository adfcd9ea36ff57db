//! DNS over HTTPS in JSON (`application/dns-json`), as public resolvers answer it, for the records that show a hostname's owner (contract §18).

use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use serde::Deserialize;

use crate::value::outbound::OutboundUrl;
use crate::value::text::quote;

/// The type `TXT` (RFC 1035 §3.2.2).
const TXT: u32 = 16;

/// The answers that say what a name has (RFC 1035 §4.1.1): no error, and no such name.
const KNOWN: [u32; 2] = [0, 3];

/// The name of the record that shows the owner of a hostname.
pub(crate) fn record(hostname: &str) -> String {
    format!("_tenants-proof.{hostname}")
}

/// The URL that asks a resolver for the record. `None` if it would be too long.
pub(crate) fn question(resolver: &OutboundUrl, hostname: &str) -> Option<OutboundUrl> {
    let resolver = resolver.as_str();
    let mark = if resolver.contains('?') { '&' } else { '?' };
    let name = record(hostname);
    OutboundUrl::parse(&format!("{resolver}{mark}name={name}&type=TXT"), true).ok()
}

/// Whether a resolver's answer has a `TXT` record with this very text.
///
/// # Errors
/// A sentence, if the answer does not say which records there are.
pub(crate) fn has_text(status: u16, body: &[u8], text: &str) -> Result<bool, String> {
    if status != 200 {
        return Err(format!("the resolver answered {status}"));
    }
    let answer: Answer = serde_json::from_slice(body).map_err(|e| {
        // Its text may have a whole value of the answer.
        let reason = quote(&e.to_string());
        format!("the resolver's answer is not application/dns-json: {reason}")
    })?;
    if !KNOWN.contains(&answer.status) {
        return Err(format!(
            "the resolver answered with DNS status {}",
            answer.status
        ));
    }
    // A resolver may write the text in quotes.
    let has = |record: &Record| record.kind == TXT && record.data.trim_matches('"') == text;
    Ok(answer.records.iter().flatten().any(has))
}

#[derive(Deserialize)]
struct Answer {
    #[serde(rename = "Status")]
    status: u32,
    /// `None`: it is absent, or `null`, as some resolvers write an empty list.
    #[serde(rename = "Answer")]
    records: Option<Vec<Record>>,
}

#[derive(Deserialize)]
struct Record {
    #[serde(rename = "type")]
    kind: u32,
    data: String,
}

#[cfg(test)]
mod tests {
    use super::{has_text, question};
    use crate::value::outbound::OutboundUrl;

    #[test]
    fn a_question_names_the_record() {
        for (resolver, url) in [
            (
                "https://dns.google/resolve",
                "https://dns.google/resolve?name=_tenants-proof.a.example&type=TXT",
            ),
            (
                "http://localhost:53/?k=v",
                "http://localhost:53/?k=v&name=_tenants-proof.a.example&type=TXT",
            ),
        ] {
            let resolver = OutboundUrl::parse(resolver, true).unwrap();
            assert_eq!(question(&resolver, "a.example").unwrap().as_str(), url);
        }
    }

    #[test]
    fn only_an_answer_that_knows_the_records_says_that_one_is_missing() {
        let found = |status, body: &str| has_text(status, body.as_bytes(), "v1").ok();
        let answer = |data: &str| {
            alloc::format!(
                r#"{{"Status":0,"TC":false,"Answer":[{{"name":"x","type":5,"TTL":1,"data":"v1"}},{{"name":"x","type":16,"TTL":1,"data":{data}}}]}}"#
            )
        };
        assert_eq!(found(200, &answer(r#""\"v1\"""#)), Some(true));
        assert_eq!(found(200, &answer(r#""v1""#)), Some(true));
        assert_eq!(found(200, &answer(r#""v1x""#)), Some(false));
        assert_eq!(found(200, &answer(r#""V1""#)), Some(false));
        assert_eq!(found(200, r#"{"Status":3}"#), Some(false));
        assert_eq!(found(200, r#"{"Status":0,"Question":[]}"#), Some(false));
        assert_eq!(found(200, r#"{"Status":3,"Answer":null}"#), Some(false));
        assert_eq!(found(200, r#"{"Status":0,"Answer":[]}"#), Some(false));
        for unknown in [
            r#"{"Status":2}"#,
            r#"{"Status":5}"#,
            "{}",
            "[]",
            "",
            "<html>",
            r#"{"Status":0,"Answer":[{}]}"#,
            r#"{"Status":0,"Answer":""}"#,
            r#"{"Status":2,"Answer":null}"#,
        ] {
            assert_eq!(found(200, unknown), None, "{unknown}");
        }
        assert_eq!(found(503, &answer(r#""v1""#)), None);
        let long = alloc::format!(r#"{{"Status":"{}"}}"#, "x".repeat(10_000));
        let reason = has_text(200, long.as_bytes(), "v1").unwrap_err();
        assert!(reason.len() < 200, "{reason}");
    }
}
