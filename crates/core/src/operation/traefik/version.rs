//! The `ETag` of Traefik's configuration, and what a reader has already (RFC 9110 §13.1.2).

use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use crate::operation::traefik::held::Place;
use crate::store::routing::State;

/// Identifies a body: two bodies of one version are equal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Version {
    /// Stands for all that does not come from the database.
    pub(super) tag: String,
    pub(super) state: State,
}

impl Version {
    pub(super) fn etag(&self) -> String {
        let State { epoch, revision } = &self.state;
        format!("\"{}-{epoch}-{revision}\"", self.tag)
    }
}

/// The tags of one reader's bodies.
#[derive(Debug, Clone)]
pub(super) struct Tags {
    /// That of a body without held tenants. It is the same for all readers.
    pub(super) plain: String,
    pub(super) place: Place,
}

impl Tags {
    /// That of a body with held tenants, which depends on where their pages are. It is made when it is asked for, since few polls do.
    fn held(&self) -> String {
        self.place.tag(&self.plain)
    }

    pub(super) fn of_body(&self, has_held: bool) -> String {
        if has_held {
            self.held()
        } else {
            self.plain.clone()
        }
    }

    /// The version of a body that nobody has read, so that it is not known whether a tenant is held. This tag is right in both cases, since it is the
    /// reader's own.
    pub(super) fn unread(&self, state: State) -> Version {
        Version {
            tag: self.held(),
            state,
        }
    }

    pub(super) fn have(&self, tag: &str) -> bool {
        tag == self.plain || tag == self.held()
    }
}

/// The versions that the caller has already, from `If-None-Match` (RFC 9110 §13.1.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Known {
    /// Any version: `*`.
    Anything,
    /// These versions, whose tags are the reader's.
    Versions(Vec<Version>),
}

impl Known {
    pub(super) const NOTHING: Self = Self::Versions(Vec::new());

    pub(super) fn of(header: Option<&str>, tags: &Tags) -> Self {
        let header = header.unwrap_or("");
        if header.trim() == "*" {
            return Self::Anything;
        }
        let version = |entry: &str| {
            let entry = entry.trim();
            let opaque = entry.strip_prefix("W/").unwrap_or(entry);
            let inside = opaque.strip_prefix('"')?.strip_suffix('"')?;
            let (rest, digits) = inside.rsplit_once('-')?;
            // A cell's id may have the sign, too, and an epoch has none.
            let (tag, epoch) = rest.rsplit_once('-')?;
            // Tags compare as texts, so 07 and +7 are not 7.
            let revision: i64 = digits.parse().ok()?;
            let is_ours = revision >= 0 && revision.to_string() == digits && tags.have(tag);
            is_ours.then(|| Version {
                tag: tag.into(),
                state: State {
                    epoch: epoch.into(),
                    revision,
                },
            })
        };
        Self::Versions(header.split(',').filter_map(version).collect())
    }

    fn versions(&self) -> &[Version] {
        match self {
            Self::Anything => &[],
            Self::Versions(all) => all,
        }
    }

    /// The version of this state that the caller has. A state has one body for a reader, so its tag need not be compared.
    pub(super) fn at(&self, state: &State) -> Option<&Version> {
        self.versions()
            .iter()
            .find(|version| version.state == *state)
    }

    pub(super) fn has(&self, version: &Version) -> bool {
        *self == Self::Anything || self.versions().contains(version)
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::sync::Arc;
    use alloc::vec;

    use super::{Known, Tags, Version};
    use crate::operation::traefik::held::{Place, Settings};
    use crate::store::routing::State;

    impl Tags {
        /// The tags of a reader that asks at this address.
        pub(in crate::operation::traefik) fn at(plain: &str, origin: Option<&str>) -> Self {
            let settings = Arc::new(Settings {
                pages: None,
                entry_point: "web".into(),
            });
            Self {
                plain: plain.into(),
                place: Place {
                    settings,
                    origin: origin.map(Into::into),
                },
            }
        }
    }

    #[test]
    fn if_none_match_is_read_as_the_rfc_says() {
        let tags = Tags::at("t", Some("https://tenants.example.com"));
        let held = tags.held();
        assert_eq!(held.len(), 16);
        let state = |(epoch, revision): (&str, i64)| State {
            epoch: epoch.into(),
            revision,
        };
        let version = |(tag, epoch, revision): (&str, &str, i64)| Version {
            tag: tag.into(),
            state: state((epoch, revision)),
        };
        for (header, versions) in [
            (None, &[][..]),
            (Some("\"t-e-7\""), &[("t", "e", 7)]),
            (Some("W/\"t-e-7\""), &[("t", "e", 7)]),
            (
                Some("\"x\", \"t-e-12\" , W/\"t-d-3\""),
                &[("t", "e", 12), ("t", "d", 3)],
            ),
            (Some("\"u-e-7\""), &[]),
            (Some("t-e-7"), &[]),
            (Some("\"t-7\""), &[]),
            (Some("\"t-e--7\""), &[]),
            (Some("\"t-e-+7\""), &[]),
            (Some("\"t-e-07\""), &[]),
            (Some("\"t-e-x\""), &[]),
            (Some("\"t-e-\""), &[]),
            (Some(""), &[]),
        ] {
            let known = Known::Versions(versions.iter().copied().map(version).collect());
            assert_eq!(Known::of(header, &tags), known, "{header:?}");
        }
        let known = Known::Versions(vec![version((&held, "e", 7))]);
        assert_eq!(Known::of(Some(&format!("\"{held}-e-7\"")), &tags), known);
        assert_eq!(Known::of(Some(" * "), &tags), Known::Anything);
        let known = Known::Versions([("t", "e", 3), ("p", "d", 12)].map(version).into());
        assert_eq!(known.at(&state(("d", 12))), Some(&version(("p", "d", 12))));
        assert_eq!(known.at(&state(("d", 3))), None);
        assert!(known.has(&version(("t", "e", 3))) && !known.has(&version(("p", "e", 3))));
        assert!(Known::Anything.has(&version(("t", "e", 3))));
    }
}
