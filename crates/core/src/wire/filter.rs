//! The query parameters of the lists that choose, order and shorten (docs/API.md, "Lists").

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::value::clock::Timestamp;
use crate::value::external_id::ExternalId;
use crate::value::fault::{ApiError, FieldError};
use crate::value::hostname::Hostname;
use crate::value::id::{PlanId, TenantId};
use crate::value::text::quote;
use crate::wire::labels;
use crate::wire::page::{Page, TWICE, decode, encode, parameters};
use crate::wire::parameter::Parameter;

/// The most ids that one request may ask for.
const MAX_IDS: usize = 100;

/// A label to have, with this value or with any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LabelFilter {
    pub(crate) name: String,
    pub(crate) value: Option<String>,
}

impl LabelFilter {
    /// Splits `name:value` at the first colon. A name alone stands for any value.
    fn parse(text: &str) -> Result<Self, String> {
        let (name, value) = match text.split_once(':') {
            Some((name, value)) => (name, Some(labels::parse_value(value)?)),
            None => (text, None),
        };
        labels::parse_name(name)?;
        Ok(Self {
            name: name.into(),
            value,
        })
    }
}

/// The tenants to list: those for which everything holds that is set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct TenantFilter {
    /// One of these ids, if there are any here.
    pub(crate) ids: Vec<TenantId>,
    /// `Some(None)`: no plan.
    pub(crate) plan_id: Option<Option<PlanId>>,
    pub(crate) is_enabled: Option<bool>,
    pub(crate) hostname: Option<Hostname>,
    pub(crate) external_id: Option<ExternalId>,
    pub(crate) labels: Vec<LabelFilter>,
    pub(crate) created_since: Option<Timestamp>,
    pub(crate) updated_since: Option<Timestamp>,
    /// A prefix of the id or of the hostname.
    pub(crate) prefix: Option<String>,
}

/// The order of a list of tenants. Equal ones come in the order of their ids.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Order {
    #[default]
    Id,
    UpdatedAt,
    CreatedAt,
    Hostname,
}

/// A member of a tenant's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Member {
    Id,
    Hostname,
    IsEnabled,
    CreatedAt,
    UpdatedAt,
    PlanId,
    ExternalId,
    Labels,
    Limits,
    Env,
    Stats,
    LastJobAt,
    CellId,
    Site,
    Served,
    Holds,
    SuspendAt,
    DeleteAt,
    DeletionProtection,
}

impl Member {
    /// Every member, in the order of the answer.
    pub(crate) const ALL: [Self; 19] = [
        Self::Id,
        Self::Hostname,
        Self::IsEnabled,
        Self::CreatedAt,
        Self::UpdatedAt,
        Self::PlanId,
        Self::ExternalId,
        Self::Labels,
        Self::Limits,
        Self::Env,
        Self::Stats,
        Self::LastJobAt,
        Self::CellId,
        Self::Site,
        Self::Served,
        Self::Holds,
        Self::SuspendAt,
        Self::DeleteAt,
        Self::DeletionProtection,
    ];

    /// The member's name in the current dialect.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Id => "id",
            Self::Hostname => "hostname",
            Self::IsEnabled => "is_enabled",
            Self::CreatedAt => "created_at",
            Self::UpdatedAt => "updated_at",
            Self::PlanId => "plan_id",
            Self::ExternalId => "external_id",
            Self::Labels => "labels",
            Self::Limits => "limits",
            Self::Env => "env",
            Self::Stats => "stats",
            Self::LastJobAt => "last_job_at",
            Self::CellId => "cell_id",
            Self::Site => "site",
            Self::Served => "served",
            Self::Holds => "holds",
            Self::SuspendAt => "suspend_at",
            Self::DeleteAt => "delete_at",
            Self::DeletionProtection => "deletion_protection",
        }
    }
}

/// A list of tenants to answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TenantQuery {
    pub(crate) page: Page,
    pub(crate) filter: TenantFilter,
    pub(crate) order: Order,
    pub(crate) descends: bool,
    /// The members to answer; `None` for all.
    pub(crate) members: Option<Vec<Member>>,
    /// Whether to count the tenants of all pages.
    pub(crate) counts: bool,
    /// Whether to list the deleted ones that can be brought back.
    pub(crate) is_of_deleted: bool,
}

/// The plans to list: those for which everything holds that is set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct PlanFilter {
    pub(crate) external_id: Option<ExternalId>,
    pub(crate) labels: Vec<LabelFilter>,
}

impl TenantQuery {
    /// Reads the parameters of `GET /tenants`.
    ///
    /// # Errors
    /// 422 for a parameter that is unknown, not as expected, or there twice without need. A misspelt filter would answer all tenants.
    pub(crate) fn read(query: &str) -> Result<Self, ApiError> {
        let mut reader = Reader::default();
        let mut filter = TenantFilter::default();
        let mut sort = None;
        let mut members = None;
        let mut counts = None;
        let mut page = Page::all();
        let mut after = None;
        let mut is_of_deleted = None;
        let mut others = Vec::new();
        for (parameter, name, raw) in parameters(query) {
            if !matches!(
                parameter,
                Some(Parameter::Limit | Parameter::After | Parameter::Deleted) | None
            ) {
                others.push(name);
            }
            match parameter {
                Some(Parameter::Limit) => reader.errors.extend(page.read_limit(raw).err()),
                // How it is read depends on `sort`, which may come after it.
                Some(p @ Parameter::After) if after.is_some() => reader.twice(p),
                Some(Parameter::After) => after = Some(raw),
                Some(p @ Parameter::Id) => {
                    reader.many(p, raw, MAX_IDS, &mut filter.ids, TenantId::parse)
                }
                Some(p @ Parameter::PlanId) => reader.once(p, raw, &mut filter.plan_id, |text| {
                    if text.is_empty() {
                        return Ok(None);
                    }
                    PlanId::parse(text).map(Some)
                }),
                Some(p @ Parameter::IsEnabled) => {
                    reader.once(p, raw, &mut filter.is_enabled, boolean)
                }
                Some(p @ Parameter::Hostname) => {
                    reader.once(p, raw, &mut filter.hostname, Hostname::parse)
                }
                Some(Parameter::ExternalId) => reader.external_id(raw, &mut filter.external_id),
                Some(Parameter::Label) => reader.label(raw, &mut filter.labels),
                Some(p @ Parameter::CreatedSince) => {
                    reader.once(p, raw, &mut filter.created_since, time);
                }
                Some(p @ Parameter::UpdatedSince) => {
                    reader.once(p, raw, &mut filter.updated_since, time);
                }
                Some(p @ Parameter::Prefix) => {
                    reader.once(p, raw, &mut filter.prefix, |text| match text {
                        "" => Err("expected a prefix of an id or of a hostname; got none".into()),
                        _ => Ok(text.into()),
                    })
                }
                Some(p @ Parameter::Sort) => reader.once(p, raw, &mut sort, order),
                Some(p @ Parameter::Fields) => reader.once(p, raw, &mut members, fields),
                Some(p @ Parameter::Count) => reader.once(p, raw, &mut counts, boolean),
                Some(p @ Parameter::Deleted) => reader.once(p, raw, &mut is_of_deleted, boolean),
                _ => reader.unknown(name),
            }
        }
        let is_of_deleted = is_of_deleted.unwrap_or(false);
        if is_of_deleted {
            let alone = |name: &str| {
                FieldError::parameter(
                    String::from(name),
                    "expected only `limit` and `after` with `deleted=true`",
                )
            };
            reader.errors.extend(others.into_iter().map(alone));
        }
        let (order, descends) = sort.unwrap_or_default();
        if let Some(raw) = after {
            let read = match order {
                Order::Id => page.read_after::<{ TenantId::MAX_LENGTH }>(raw),
                _ => page.read_after_sorted::<{ TenantId::MAX_LENGTH }>(raw),
            };
            reader.errors.extend(read.err());
        }
        page.keep(reader.finish()?);
        Ok(Self {
            page,
            filter,
            order,
            descends,
            members,
            counts: counts.unwrap_or(false),
            is_of_deleted,
        })
    }

    /// Whether the query only pages through all tenants.
    pub(crate) fn is_plain(&self) -> bool {
        self.filter == TenantFilter::default()
            && self.order == Order::Id
            && !self.descends
            && self.members.is_none()
            && !self.counts
    }

    /// Whether the answer has a member.
    pub(crate) fn has(&self, member: Member) -> bool {
        self.members
            .as_ref()
            .is_none_or(|members| members.contains(&member))
    }
}

impl PlanFilter {
    /// Reads the parameters of `GET /tenants-plans`. Ignores unknown ones.
    ///
    /// # Errors
    /// 422 for a parameter that is not as expected, or there twice without need.
    pub(crate) fn read(query: &str) -> Result<(Page, Self), ApiError> {
        let mut reader = Reader::default();
        let mut page = Page::all();
        let mut filter = Self::default();
        for (parameter, _, raw) in parameters(query) {
            match parameter {
                Some(Parameter::Limit) => reader.errors.extend(page.read_limit(raw).err()),
                Some(Parameter::After) => {
                    let read = page.read_after::<{ PlanId::MAX_LENGTH }>(raw);
                    reader.errors.extend(read.err());
                }
                Some(Parameter::ExternalId) => reader.external_id(raw, &mut filter.external_id),
                Some(Parameter::Label) => reader.label(raw, &mut filter.labels),
                _ => {}
            }
        }
        page.keep(reader.finish()?);
        Ok((page, filter))
    }
}

/// Reads parameters, and collects errors and the text that a `Link` repeats.
#[derive(Default)]
pub(crate) struct Reader {
    errors: Vec<FieldError>,
    kept: String,
}

impl Reader {
    /// Reads a parameter that may come once.
    pub(crate) fn once<T>(
        &mut self,
        parameter: Parameter,
        raw: &str,
        into: &mut Option<T>,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) {
        match self.parsed(parameter, raw, parse) {
            Some(_) if into.is_some() => self.twice(parameter),
            Some(value) => *into = Some(value),
            None => {}
        }
    }

    /// Like [`Self::once`], for a parameter that the `Link` does not repeat.
    pub(crate) fn page<T>(
        &mut self,
        parameter: Parameter,
        raw: &str,
        into: &mut Option<T>,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) {
        let kept = self.kept.len();
        self.once(parameter, raw, into, parse);
        self.kept.truncate(kept);
    }

    /// Notes a parameter that comes a second time.
    fn twice(&mut self, parameter: Parameter) {
        self.errors
            .push(FieldError::parameter(parameter.name(), TWICE));
    }

    /// Notes a parameter that the list does not have.
    pub(crate) fn unknown(&mut self, name: &str) {
        self.errors.push(FieldError::parameter(
            name.chars().take(200).collect::<String>(),
            "unknown parameter",
        ));
    }

    /// Returns the text that a `Link` repeats: the parameters, each after `&`.
    ///
    /// # Errors
    /// 422 if a parameter is wrong.
    pub(crate) fn finish(self) -> Result<String, ApiError> {
        if self.errors.is_empty() {
            Ok(self.kept)
        } else {
            Err(ApiError::Invalid(self.errors))
        }
    }

    /// Reads a parameter that may come up to `most` times.
    fn many<T>(
        &mut self,
        parameter: Parameter,
        raw: &str,
        most: usize,
        into: &mut Vec<T>,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) {
        if into.len() == most {
            let detail = format!("expected it at most {most} times");
            let error = FieldError::parameter(parameter.name(), detail);
            if !self.errors.contains(&error) {
                self.errors.push(error);
            }
            return;
        }
        into.extend(self.parsed(parameter, raw, parse));
    }

    fn parsed<T>(
        &mut self,
        parameter: Parameter,
        raw: &str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        let name = parameter.name();
        let parsed = decode(raw).and_then(|text| {
            let value = parse(&text)?;
            self.kept.push_str(&format!("&{name}={}", encode(&text)));
            Ok(value)
        });
        parsed
            .map_err(|detail| self.errors.push(FieldError::parameter(name, detail)))
            .ok()
    }

    fn external_id(&mut self, raw: &str, into: &mut Option<ExternalId>) {
        self.once(Parameter::ExternalId, raw, into, ExternalId::parse);
    }

    fn label(&mut self, raw: &str, into: &mut Vec<LabelFilter>) {
        self.many(
            Parameter::Label,
            raw,
            labels::MAX_LABELS,
            into,
            LabelFilter::parse,
        );
    }
}

fn boolean(text: &str) -> Result<bool, String> {
    match text {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(format!("expected true or false; got {}", quote(text))),
    }
}

pub(crate) fn time(text: &str) -> Result<Timestamp, String> {
    Timestamp::parse(text).map_err(|_| format!("expected YYYY-MM-DD HH:MM:SS; got {}", quote(text)))
}

fn order(text: &str) -> Result<(Order, bool), String> {
    let (name, descends) = match text.strip_prefix('-') {
        Some(name) => (name, true),
        None => (text, false),
    };
    let order = match name {
        "updated_at" => Order::UpdatedAt,
        "created_at" => Order::CreatedAt,
        "hostname" => Order::Hostname,
        _ => {
            return Err(format!(
                "expected updated_at, created_at or hostname, with a `-` before it to descend; got {}",
                quote(text)
            ));
        }
    };
    Ok((order, descends))
}

fn fields(text: &str) -> Result<Vec<Member>, String> {
    let member = |name: &&str| Member::ALL.into_iter().find(|m| m.name() == *name);
    let unknown: Vec<String> = text
        .split(',')
        .filter(|name| member(name).is_none())
        .map(quote)
        .collect();
    if unknown.is_empty() {
        return Ok(text.split(',').filter_map(|name| member(&name)).collect());
    }
    let names = Member::ALL.map(Member::name).join(", ");
    Err(format!(
        "expected some of {names}; got {}",
        unknown.join(", ")
    ))
}
