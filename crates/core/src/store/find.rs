//! The statements of lists that filter or sort.
//!
//! The first filter of [`tenants`] that a request sets finds the rows, by its own index. Each further one is written so that SQLite cannot
//! use an index for it (a `+` before its column), so the plan depends on the first one alone. Filters come in the order of how few rows they
//! leave.

use alloc::vec::Vec;

use crate::auth::Caller;
use crate::sql::{Batch, Sql, Value};
use crate::store::standing::{self, allowed_caller};
use crate::store::{plans, slice, tenants};
use crate::value::id::TenantId;
use crate::wire::filter::{LabelFilter, Member, Order, PlanFilter, TenantFilter, TenantQuery};
use crate::wire::page::Page;

/// Reads a page of the tenants that a query chooses. The results are the caller's standing and the rows.
pub(crate) fn tenants(caller: &Caller, query: &TenantQuery, page: &Page) -> Batch {
    Batch::of([standing::alone(caller), rows_of(caller, query, page)])
}

/// The same, and then the count of all pages' tenants.
pub(crate) fn counted_tenants(caller: &Caller, query: &TenantQuery, page: &Page) -> Batch {
    let rows = rows_of(caller, query, page);
    Batch::of([standing::alone(caller), rows, count(caller, query)])
}

/// Reads the caller's standing, and the count of all pages' tenants.
pub(crate) fn count_of_tenants(caller: &Caller, query: &TenantQuery) -> Batch {
    Batch::of([standing::alone(caller), count(caller, query)])
}

fn rows_of(caller: &Caller, query: &TenantQuery, page: &Page) -> Sql {
    // A row without its `env` is not decrypted.
    let (select, bytes) = if query.has(Member::Env) {
        (
            concat!("SELECT ", slice::row!(tenants::columns!("t.env")), " FROM "),
            slice::bytes!("t."),
        )
    } else {
        (
            concat!("SELECT ", slice::row!(tenants::columns!("NULL")), " FROM "),
            "coalesce(length(CAST(t.limits AS BLOB)), 0) + length(CAST(t.labels AS BLOB))",
        )
    };
    let rows = standing::statement(caller, select);
    let begin = rows.len();
    let mut rows = Conditions::of_tenants(rows, &query.filter);
    let order = rows.after(page, query.order, query.descends);
    let source = begin..rows.sql.len();
    slice::ordered(rows.sql, source, order, bytes, page)
}

fn count(caller: &Caller, query: &TenantQuery) -> Sql {
    let count = standing::statement(caller, "SELECT count(*) AS total FROM ");
    let mut count = Conditions::of_tenants(count, &query.filter);
    if count.way == Way::None {
        count.after_id(&Page::all());
    }
    count.sql
}

/// Reads a page of the plans that a filter chooses. The results are those of [`tenants`].
pub(crate) fn plans(caller: &Caller, filter: &PlanFilter, page: &Page) -> Batch {
    let rows = standing::statement(
        caller,
        concat!("SELECT ", slice::row!(plans::columns!()), " FROM "),
    );
    let begin = rows.len();
    let mut rows = Conditions::begin(rows, &PLANS, &filter.labels, filter.external_id.is_some());
    if let Some(id) = &filter.external_id {
        rows.filter("p.external_id = ", "+p.external_id = ");
        rows.bind(id.as_str());
    }
    rows.labels(&filter.labels);
    let order = rows.after_id(page);
    let source = begin..rows.sql.len();
    let rows = slice::ordered(rows.sql, source, order, slice::bytes!("p."), page);
    Batch::of([standing::alone(caller), rows])
}

/// The texts that differ between tenants and plans. `l` is the table of labels.
struct Texts {
    table: &'static str,
    table_of_label: &'static str,
    label: &'static str,
    id: &'static str,
    id_sorted: &'static str,
    id_of_label: &'static str,
    after: &'static str,
    after_indexed: &'static str,
    after_label: &'static str,
}

const TENANTS: Texts = Texts {
    table: "tenants AS t ON ",
    table_of_label: "tenant_labels AS l CROSS JOIN tenants AS t ON t.id = l.tenant_id AND l.name = ",
    label: "EXISTS (SELECT 1 FROM tenant_labels WHERE tenant_id = t.id AND name = ",
    id: "t.id",
    id_sorted: "+t.id",
    id_of_label: "l.tenant_id",
    after: "+t.id > ",
    after_indexed: "t.id > ",
    after_label: "l.tenant_id > ",
};

const PLANS: Texts = Texts {
    table: "tenants_plans AS p ON ",
    table_of_label: "plan_labels AS l CROSS JOIN tenants_plans AS p ON p.id = l.plan_id AND l.name = ",
    label: "EXISTS (SELECT 1 FROM plan_labels WHERE plan_id = p.id AND name = ",
    id: "p.id",
    id_sorted: "+p.id",
    id_of_label: "l.plan_id",
    after: "+p.id > ",
    after_indexed: "p.id > ",
    after_label: "l.plan_id > ",
};

/// The way to the rows of a list.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    /// No condition is there yet.
    None,
    /// The index of the first condition has the ids in order.
    InOrder,
    /// The index of updates.
    Updates,
    /// The index of creations.
    Creations,
    /// The first label.
    Label,
}

/// A statement from the source of its rows to the last condition.
struct Conditions {
    sql: Sql,
    texts: &'static Texts,
    way: Way,
}

impl Conditions {
    /// Begins the conditions after `FROM `. Unless a filter with fewer rows `is_found`, the first label finds the rows.
    fn begin(sql: Sql, texts: &'static Texts, labels: &[LabelFilter], is_found: bool) -> Self {
        let sql = sql.sql(allowed_caller!()).sql(" AS k CROSS JOIN ");
        match labels.iter().max_by_key(|label| label.value.is_some()) {
            Some(label) if !is_found => {
                let sql = sql.sql(texts.table_of_label).bind(label.name.as_str());
                let sql = match &label.value {
                    Some(value) => sql.sql(" AND l.value = ").bind(value.as_str()),
                    None => sql,
                };
                let way = Way::Label;
                Self { sql, texts, way }
            }
            _ => {
                let (sql, way) = (sql.sql(texts.table), Way::None);
                Self { sql, texts, way }
            }
        }
    }

    /// The conditions of a filter of tenants.
    fn of_tenants(sql: Sql, filter: &TenantFilter) -> Self {
        let TenantFilter {
            ids,
            plan_id,
            is_enabled,
            hostname,
            external_id,
            labels,
            created_since,
            updated_since,
            prefix,
        } = filter;
        let is_found = external_id.is_some() || hostname.is_some() || !ids.is_empty();
        let mut all = Self::begin(sql, &TENANTS, labels, is_found);
        if let Some(id) = external_id {
            all.filter("t.external_id = ", "+t.external_id = ");
            all.bind(id.as_str());
        }
        if let Some(hostname) = hostname {
            all.filter(
                "t.id IN (SELECT id FROM tenants WHERE hostname = ",
                "+t.id IN (SELECT id FROM tenants WHERE hostname = ",
            );
            all.bind(hostname.as_str());
            all.text(" UNION ALL SELECT tenant_id FROM tenant_hostnames WHERE hostname = ");
            all.bind(hostname.as_str());
            all.text(" AND claimed_until IS NULL)");
        }
        if !ids.is_empty() {
            let ids: Vec<&str> = ids.iter().map(TenantId::as_str).collect();
            all.filter(
                "t.id IN (SELECT value FROM json_each(",
                "+t.id IN (SELECT value FROM json_each(",
            );
            // Strings always encode.
            all.bind(serde_json::to_string(&ids).unwrap_or_default());
            all.text("))");
        }
        all.labels(labels);
        if let Some(prefix) = prefix {
            all.prefix(prefix);
        }
        if let Some(Some(id)) = plan_id {
            all.filter("t.plan_id = ", "+t.plan_id = ");
            all.bind(id.as_str());
        }
        if let Some(time) = updated_since {
            all.add("t.updated_at >= ", "+t.updated_at >= ", Way::Updates);
            all.bind(time.as_str());
        }
        if let Some(time) = created_since {
            all.add("t.created_at >= ", "+t.created_at >= ", Way::Creations);
            all.bind(time.as_str());
        }
        if let Some(None) = plan_id {
            all.filter("t.plan_id IS NULL", "+t.plan_id IS NULL");
        }
        if let Some(is_enabled) = is_enabled {
            all.filter("t.is_enabled = ", "+t.is_enabled = ");
            all.bind(*is_enabled);
        }
        all
    }

    /// Adds a condition: `indexed` if it is the first one, and may use its index, or else `other`. The index has the ids in order.
    fn filter(&mut self, indexed: &'static str, other: &'static str) {
        self.add(indexed, other, Way::InOrder);
    }

    /// Adds a condition, and returns whether it is the first one. `way` is the order of its index.
    fn add(&mut self, indexed: &'static str, other: &'static str, way: Way) -> bool {
        let is_first = self.way == Way::None;
        if is_first {
            self.way = way;
            self.text(indexed);
        } else {
            self.text(" AND ");
            self.text(other);
        }
        is_first
    }

    /// Requires all labels.
    fn labels(&mut self, labels: &[LabelFilter]) {
        for label in labels {
            let text = self.texts.label;
            self.filter(text, text);
            self.bind(label.name.as_str());
            if let Some(value) = &label.value {
                self.text(" AND value = ");
                self.bind(value.as_str());
            }
            self.text(")");
        }
    }

    /// Requires a prefix of the id or of the hostname. Both are ASCII without control characters, so U+007F comes after all of them.
    fn prefix(&mut self, prefix: &str) {
        let lower = prefix.to_ascii_lowercase();
        let end = |text: &str| [text, "\u{7f}"].concat();
        let is_first = self.add(
            "t.id IN (SELECT id FROM tenants WHERE id >= ",
            "(+t.id >= ",
            Way::InOrder,
        );
        let [to_id, from_hostname, to_hostname] = if is_first {
            [
                " AND id < ",
                " UNION SELECT id FROM tenants WHERE hostname >= ",
                " AND hostname < ",
            ]
        } else {
            [
                " AND +t.id < ",
                " OR +t.hostname >= ",
                " AND +t.hostname < ",
            ]
        };
        self.bind(prefix);
        self.text(to_id);
        self.bind(end(prefix));
        self.text(from_hostname);
        self.bind(lower.as_str());
        self.text(to_hostname);
        self.bind(end(&lower));
        self.text(")");
    }

    /// Requires rows after the page before, in the order of their ids. Returns the column to order by.
    fn after_id(&mut self, page: &Page) -> &'static str {
        let texts = self.texts;
        let is_first_page = page.after_id().is_none();
        match self.way {
            Way::None => {
                self.way = Way::InOrder;
                self.text(texts.after_indexed);
                self.bind(page.after());
            }
            _ if is_first_page => {}
            way => {
                self.text(" AND ");
                self.text(match way {
                    Way::Label => texts.after_label,
                    Way::Updates | Way::Creations => texts.after,
                    Way::InOrder | Way::None => texts.after_indexed,
                });
                self.bind(page.after());
            }
        }
        match self.way {
            Way::Label => texts.id_of_label,
            // Otherwise SQLite would walk through all ids to spare the sorting.
            Way::Updates | Way::Creations => texts.id_sorted,
            Way::InOrder | Way::None => texts.id,
        }
    }

    /// Requires rows after the page before. Returns the columns to order by.
    fn after(&mut self, page: &Page, order: Order, descends: bool) -> &'static str {
        let (conditions, columns) = match (order, descends) {
            (Order::Id, _) => return self.after_id(page),
            (Order::UpdatedAt, false) => (
                ["(t.updated_at, t.id) > (", "(+t.updated_at, t.id) > ("],
                ["t.updated_at, t.id", "+t.updated_at, t.id"],
            ),
            (Order::UpdatedAt, true) => (
                ["(t.updated_at, t.id) < (", "(+t.updated_at, t.id) < ("],
                [
                    "t.updated_at DESC, t.id DESC",
                    "+t.updated_at DESC, t.id DESC",
                ],
            ),
            (Order::CreatedAt, false) => (
                ["(t.created_at, t.id) > (", "(+t.created_at, t.id) > ("],
                ["t.created_at, t.id", "+t.created_at, t.id"],
            ),
            (Order::CreatedAt, true) => (
                ["(t.created_at, t.id) < (", "(+t.created_at, t.id) < ("],
                [
                    "t.created_at DESC, t.id DESC",
                    "+t.created_at DESC, t.id DESC",
                ],
            ),
            (Order::Hostname, false) => (
                ["(t.hostname, t.id) > (", "(+t.hostname, t.id) > ("],
                ["t.hostname, t.id", "+t.hostname, t.id"],
            ),
            (Order::Hostname, true) => (
                ["(t.hostname, t.id) < (", "(+t.hostname, t.id) < ("],
                ["t.hostname DESC, t.id DESC", "+t.hostname DESC, t.id DESC"],
            ),
        };
        // The index of the order is used if no filter has its own. The second texts of each pair keep SQLite from using it.
        let is_ordered = matches!(
            (self.way, order),
            (Way::None, _) | (Way::Updates, Order::UpdatedAt) | (Way::Creations, Order::CreatedAt)
        );
        let text = usize::from(!is_ordered);
        // A condition that all rows pass lets SQLite begin in the index. Times and hostnames are ASCII: they are not empty, and U+007F comes
        // after all of them.
        let all = if descends { "\u{7f}" } else { "" };
        let row = match page.after_row() {
            Some(row) => row,
            None if self.way == Way::None => (all, all),
            None => return columns[text],
        };
        let condition = conditions[text];
        self.add(condition, condition, Way::InOrder);
        self.bind(row.0);
        self.text(", ");
        self.bind(row.1);
        self.text(")");
        columns[text]
    }

    fn text(&mut self, text: &'static str) {
        self.change(|sql| sql.sql(text));
    }

    fn bind(&mut self, value: impl Into<Value>) {
        self.change(|sql| sql.bind(value));
    }

    fn change(&mut self, change: impl FnOnce(Sql) -> Sql) {
        let sql = core::mem::replace(&mut self.sql, Sql::new(""));
        self.sql = change(sql);
    }
}
