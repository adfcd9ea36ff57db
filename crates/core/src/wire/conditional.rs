//! Versions of a resource, and conditions on them: the headers `ETag`, `If-Match` and `If-None-Match` (docs/API.md, "Safe retries").

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::value::fault::ApiError;

/// The number of the form that tenants and plans are answered in. A release that changes the members of an answer raises it, so that nobody
/// gets a 304 for a form that it has not seen.
const FORM: u32 = 1;

/// The version of one resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Version {
    /// The epoch of the registry and the number of the write: another one after each write that changes the resource's own answer, and never
    /// one that was there before.
    pub(crate) revision: String,
    /// A digest of the statistics, which change without a write. `None` if there are none.
    pub(crate) statistics: Option<String>,
}

impl Version {
    /// The `ETag`: the revision, and the rest of the answer's state.
    pub(crate) fn etag(&self) -> String {
        let Self {
            revision,
            statistics,
        } = self;
        match statistics {
            None => format!("\"{revision}-{FORM}\""),
            Some(digest) => format!("\"{revision}-{FORM}.{digest}\""),
        }
    }

    /// The revision, as a list in JSON like [`Condition::revisions`].
    pub(crate) fn revisions(&self) -> String {
        // A text always encodes.
        serde_json::to_string(&[&self.revision]).unwrap_or_default()
    }
}

/// The value of `If-Match` or `If-None-Match` (RFC 9110 §13.1.1, §13.1.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Condition {
    /// `*`: any version.
    Any,
    /// One of these versions.
    Tags(Vec<Tag>),
}

/// An entity tag (RFC 9110 §8.8.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tag {
    is_weak: bool,
    /// The text with its quotes.
    quoted: String,
}

impl Condition {
    /// Reads a header.
    ///
    /// # Errors
    /// 400 if it is neither `*` nor a list of entity tags.
    pub(crate) fn read(name: &'static str, value: &str) -> Result<Self, ApiError> {
        Self::parse(value).ok_or(ApiError::MalformedHeader {
            name,
            expected: "`*` or a list of entity tags, such as `\"a\", \"b\"`",
        })
    }

    fn parse(value: &str) -> Option<Self> {
        let value = value.trim_matches(BLANK);
        if value == "*" {
            return Some(Self::Any);
        }
        let mut tags = Vec::new();
        let mut rest = value;
        loop {
            // A list may have empty elements (RFC 9110 §5.6.1.2).
            rest = rest.trim_start_matches(BLANK);
            if !rest.is_empty() && !rest.starts_with(',') {
                let (tag, after) = Tag::split(rest)?;
                tags.push(tag);
                rest = after.trim_start_matches(BLANK);
            }
            match rest.strip_prefix(',') {
                Some(after) => rest = after,
                None if rest.is_empty() => break,
                None => return None,
            }
        }
        // A list without a tag would match nothing, which nobody asks for.
        (!tags.is_empty()).then_some(Self::Tags(tags))
    }

    /// The revisions of `If-Match`, as a list in JSON: none of a weak tag, since that never matches (RFC 9110 §13.1.1). `None` if any will do.
    pub(crate) fn revisions(&self) -> Option<String> {
        let Self::Tags(tags) = self else {
            return None;
        };
        let revisions: Vec<&str> = tags.iter().filter_map(Tag::revision).collect();
        // Texts always encode.
        Some(serde_json::to_string(&revisions).unwrap_or_default())
    }

    /// Whether `If-Match` holds for a response with this `ETag`: the strong comparison (RFC 9110 §8.8.3.2), of the revision alone if the tag
    /// has one.
    pub(crate) fn holds(&self, etag: Option<&str>, has_revision: bool) -> bool {
        match (self, etag) {
            (_, None) => false,
            (Self::Any, Some(_)) => true,
            (Self::Tags(tags), Some(etag)) if has_revision => {
                let present = Tag::split(etag).map(|(present, _)| present);
                let present = present.as_ref().and_then(Tag::revision);
                present
                    .is_some_and(|present| tags.iter().any(|tag| tag.revision() == Some(present)))
            }
            (Self::Tags(tags), Some(etag)) => {
                tags.iter().any(|tag| !tag.is_weak && tag.quoted == etag)
            }
        }
    }

    /// Whether `If-None-Match` matches: the weak comparison of whole tags (RFC 9110 §8.8.3.2).
    pub(crate) fn matches(&self, etag: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Tags(tags) => tags.iter().any(|tag| tag.quoted == etag),
        }
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_weak { "W/" } else { "" })?;
        f.write_str(&self.quoted)
    }
}

impl Tag {
    /// The revision of a strong tag of a tenant or a plan ([`Version::etag`]).
    fn revision(&self) -> Option<&str> {
        let (revision, _) = self.quoted.trim_matches('"').split_once('-')?;
        (!self.is_weak).then_some(revision)
    }

    /// Splits the tag off the start of a list.
    fn split(list: &str) -> Option<(Self, &str)> {
        let (is_weak, opaque) = match list.strip_prefix("W/") {
            Some(opaque) => (true, opaque),
            None => (false, list),
        };
        let length = opaque.strip_prefix('"')?.find('"')?;
        let (quoted, rest) = opaque.split_at(length + 2);
        let is_ok = !quoted.chars().any(|c| c.is_control() || c == ' ');
        is_ok.then(|| {
            let quoted = quoted.into();
            (Self { is_weak, quoted }, rest)
        })
    }
}

/// Optional white space (RFC 9110 §5.6.3).
const BLANK: [char; 2] = [' ', '\t'];

#[cfg(test)]
mod tests {
    use alloc::borrow::ToOwned as _;

    use super::{Condition, Tag, Version};

    fn tag(text: &str) -> Tag {
        Tag {
            is_weak: text.starts_with("W/"),
            quoted: text.trim_start_matches("W/").into(),
        }
    }

    #[test]
    fn a_condition_is_a_star_or_a_list_of_tags() {
        let long = "\"a\"".to_owned() + &", \"a\"".repeat(1000);
        for (header, tags) in [
            ("\"a\"", &["\"a\""][..]),
            ("\"a\",\"b\"", &["\"a\"", "\"b\""]),
            (" \"a\" ,\t, W/\"b\" ,", &["\"a\"", "W/\"b\""]),
            (",\"a,b\"", &["\"a,b\""]),
            ("\"\"", &["\"\""]),
            ("\"*\"", &["\"*\""]),
            ("\"é!#\\\"", &["\"é!#\\\""]),
            (&long, &["\"a\""; 1001]),
        ] {
            let tags = Condition::Tags(tags.iter().copied().map(tag).collect());
            assert_eq!(Condition::parse(header), Some(tags), "{header}");
        }
        assert_eq!(Condition::parse(" *\t"), Some(Condition::Any));
        for bad in [
            "",
            " ",
            ",",
            "a",
            "\"a",
            "a\"",
            "\"a\"\"b\"",
            "\"a\" \"b\"",
            "\"a\"; \"b\"",
            "*, \"a\"",
            "\"a\", *",
            "**",
            "w/\"a\"",
            "W/ \"a\"",
            "W/a",
            "W/*",
            "\"a b\"",
            "\"a\tb\"",
            "\"a\0\"",
            "\"a\nb\"",
            "'a'",
            "\"a\", b",
        ] {
            assert_eq!(Condition::parse(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn if_match_compares_the_revisions_of_strong_tags() {
        let read = |header: &str| Condition::parse(header).unwrap();
        for (header, revisions) in [
            ("\"e.7-1\"", "[\"e.7\"]"),
            ("\"e.7-1.00ff\", \"e.8-2\"", "[\"e.7\",\"e.8\"]"),
            ("W/\"e.7-1\"", "[]"),
            ("\"e.7\", \"x\"", "[]"),
            ("\"-\"", "[\"\"]"),
            ("\"é\\-1\"", r#"["é\\"]"#),
        ] {
            assert_eq!(read(header).revisions().as_deref(), Some(revisions));
        }
        assert_eq!(read("*").revisions(), None);

        let etag = Some("\"e.7-1.00ff\"");
        for (header, by_revision, whole) in [
            ("*", true, true),
            ("\"e.7-1.00ff\"", true, true),
            ("\"x\", \"e.7-1\"", true, false),
            ("W/\"e.7-1.00ff\"", false, false),
            ("\"e.7\"", false, false),
            ("\"E.7-1.00ff\"", false, false),
            ("\"e.70-1.00ff\"", false, false),
        ] {
            let condition = read(header);
            assert_eq!(condition.holds(etag, true), by_revision, "{header}");
            assert_eq!(condition.holds(etag, false), whole, "{header}");
            assert!(!condition.holds(None, true) && !condition.holds(None, false));
        }
    }

    #[test]
    fn if_none_match_compares_whole_tags_and_ignores_weakness() {
        let version = |statistics: Option<&str>| Version {
            revision: "e.7".into(),
            statistics: statistics.map(Into::into),
        };
        let etag = version(None).etag();
        assert_eq!(etag, "\"e.7-1\"");
        assert_eq!(version(Some("00ff")).etag(), "\"e.7-1.00ff\"");
        let matches = |header: &str| Condition::parse(header).unwrap().matches(&etag);
        assert!(matches("*"));
        assert!(matches("\"x\", \"e.7-1\""));
        assert!(matches("W/\"e.7-1\""));
        for other in [
            "\"e.7-1.00ff\"",
            "\"e.7\"",
            "\"e.07-1\"",
            "\"E.7-1\"",
            "\"*\"",
        ] {
            assert!(!matches(other), "{other}");
        }
    }
}
