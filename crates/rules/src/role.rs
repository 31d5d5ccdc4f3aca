//! Roles as written: permissions that may be absent, nested fields
//! (rules-schemas.md §1.2).

use bson::{Bson, Document};
use kit::limit::NESTING_DEPTH_MAX;

use crate::expression::Expression;
use crate::filter::Filter;
use crate::issue::Issue;
use crate::parse::Place;

/// Longest name of a role or filter, in characters.
const NAME_CHARS_MAX: usize = 100;

/// The rules of one collection, or the default rules of a service.
#[derive(Debug, Clone, Default)]
pub struct RuleSet {
    /// In the order they are tried.
    pub roles: Vec<Role>,
    /// Narrow every request they apply to.
    pub filters: Vec<Filter>,
}

/// A permission as written: absent is not false.
pub type Permission = Option<Expression>;

/// One role.
#[derive(Debug, Clone)]
pub struct Role {
    /// Unique in its rule set.
    pub name: String,
    /// When the role is the one.
    pub apply_when: Expression,
    /// Gates before everything else, when written.
    pub document_filters: Option<DocumentFilters>,
    /// Of the whole document.
    pub read: Permission,
    /// Of the whole document.
    pub write: Permission,
    /// Besides `write`; absent is true.
    pub insert: Permission,
    /// Besides `write`; absent is true.
    pub delete: Permission,
    /// `$search`; absent is true.
    pub search: Permission,
    /// Consulted where `read` or `write` is absent.
    pub fields: Fields,
}

/// `document_filters`.
#[derive(Debug, Clone, Default)]
pub struct DocumentFilters {
    /// Gate of reads.
    pub read: Permission,
    /// Gate of writes.
    pub write: Permission,
}

/// `fields` and `additional_fields` of a role.
#[derive(Debug, Clone, Default)]
pub struct Fields {
    /// By name.
    pub named: Vec<(String, FieldRule)>,
    /// `additional_fields.read`.
    pub additional_read: Permission,
    /// `additional_fields.write`.
    pub additional_write: Permission,
}

/// Permissions of one field.
#[derive(Debug, Clone, Default)]
pub struct FieldRule {
    /// Grants the whole subtree.
    pub read: Permission,
    /// Grants the whole subtree, reading included.
    pub write: Permission,
    /// Consulted where the above are absent. Unlisted names are denied.
    pub fields: Vec<(String, FieldRule)>,
}

impl Fields {
    /// Whether some field may be written, as far as what is written says.
    fn grant_writing(&self) -> bool {
        grants(&self.additional_write) || self.named.iter().any(|(_, rule)| rule.grants_writing())
    }
}

impl FieldRule {
    fn grants_writing(&self) -> bool {
        grants(&self.write) || self.fields.iter().any(|(_, rule)| rule.grants_writing())
    }
}

fn grants(permission: &Permission) -> bool {
    let written = permission.as_ref();
    written.is_some_and(|held| held.as_constant() != Some(false))
}

impl RuleSet {
    /// Parses `{roles, filters}` of a rules file.
    ///
    /// # Errors
    /// Every problem found.
    pub fn parse(rules: &Document) -> Result<Self, Vec<Issue>> {
        let mut issues = Vec::new();
        let mut set = Self::default();
        for (index, entry) in list(rules, "roles", &mut issues).iter().enumerate() {
            let path = format!("roles[{index}]");
            if let Some(role) = object(entry, &path, &mut issues) {
                set.roles.push(Role::parse(role, &path, &mut issues));
            }
        }
        for (index, entry) in list(rules, "filters", &mut issues).iter().enumerate() {
            let path = format!("filters[{index}]");
            if let Some(filter) = object(entry, &path, &mut issues) {
                set.filters.push(Filter::parse(filter, &path, &mut issues));
            }
        }
        for (index, role) in set.roles.iter().enumerate() {
            if set.roles[..index]
                .iter()
                .any(|other| other.name == role.name)
            {
                issues.push(Issue::new(
                    format!("roles[{index}].name"),
                    format!("role name '{}' is used twice", role.name),
                ));
            }
        }
        if issues.is_empty() {
            Ok(set)
        } else {
            Err(issues)
        }
    }

    /// Has fields asked for their `write` under a literal `write: false`, as a page
    /// of examples of the service sells it: such a `write` counts as left out
    /// where a field grants writing (rules-schemas.md §5).
    pub fn ask_fields_under_false(&mut self) {
        for role in &mut self.roles {
            let closed = role.write.as_ref().and_then(Expression::as_constant) == Some(false);
            if closed && role.fields.grant_writing() {
                role.write = None;
            }
        }
    }

    /// The names of every function that the rules call.
    pub fn functions(&self) -> impl Iterator<Item = &str> {
        let of_roles = self.roles.iter().flat_map(|role| {
            let mut found = Vec::new();
            role.each(&mut |expression| found.push(expression));
            found
        });
        of_roles
            .chain(self.filters.iter().map(|filter| &filter.apply_when))
            .flat_map(Expression::functions)
            .map(AsRef::as_ref)
    }
}

impl Role {
    fn parse(role: &Document, path: &str, issues: &mut Vec<Issue>) -> Self {
        let at = |key: &str| format!("{path}.{key}");
        let document_filters = match role.get("document_filters") {
            None | Some(Bson::Null) => None,
            Some(value) => {
                let path = at("document_filters");
                object(value, &path, issues).map(|filters| DocumentFilters {
                    read: permission(filters, "read", &path, issues),
                    write: permission(filters, "write", &path, issues),
                })
            }
        };
        let mut fields = Fields {
            named: fields(role, path, issues, 0),
            ..Fields::default()
        };
        if let Some(value) = present(role, "additional_fields") {
            let path = at("additional_fields");
            if let Some(additional) = object(value, &path, issues) {
                fields.additional_read = permission(additional, "read", &path, issues);
                fields.additional_write = permission(additional, "write", &path, issues);
            }
        }
        Self {
            name: name(role, path, issues),
            apply_when: permission(role, "apply_when", path, issues)
                .unwrap_or_else(|| Expression::constant(true, &at("apply_when"))),
            document_filters,
            read: permission(role, "read", path, issues),
            write: permission(role, "write", path, issues),
            insert: permission(role, "insert", path, issues),
            delete: permission(role, "delete", path, issues),
            search: permission(role, "search", path, issues),
            fields,
        }
    }

    /// Visits every expression of the role.
    fn each<'a>(&'a self, visit: &mut dyn FnMut(&'a Expression)) {
        visit(&self.apply_when);
        let filters = self.document_filters.iter();
        filters
            .flat_map(|filters| [&filters.read, &filters.write])
            .chain([
                &self.read,
                &self.write,
                &self.insert,
                &self.delete,
                &self.search,
                &self.fields.additional_read,
                &self.fields.additional_write,
            ])
            .flatten()
            .for_each(&mut *visit);
        each_field(&self.fields.named, visit);
    }
}

fn each_field<'a>(fields: &'a [(String, FieldRule)], visit: &mut dyn FnMut(&'a Expression)) {
    for (_, rule) in fields {
        [&rule.read, &rule.write]
            .into_iter()
            .flatten()
            .for_each(&mut *visit);
        each_field(&rule.fields, visit);
    }
}

/// The name of a role or filter.
pub(crate) fn name(entry: &Document, path: &str, issues: &mut Vec<Issue>) -> String {
    let name = entry.get_str("name").unwrap_or_default();
    let path = if path.is_empty() {
        "name".to_owned()
    } else {
        format!("{path}.name")
    };
    if name.is_empty() {
        issues.push(Issue::new(path, "a name is required"));
    } else if name.chars().count() > NAME_CHARS_MAX {
        issues.push(Issue::new(
            path,
            format!("a name has at most {NAME_CHARS_MAX} characters"),
        ));
    }
    name.to_owned()
}

fn fields(
    scope: &Document,
    path: &str,
    issues: &mut Vec<Issue>,
    depth: usize,
) -> Vec<(String, FieldRule)> {
    let path = format!("{path}.fields");
    if depth > NESTING_DEPTH_MAX {
        issues.push(Issue::new(path, "fields are nested too deeply"));
        return Vec::new();
    }
    let Some(named) = present(scope, "fields").and_then(|value| object(value, &path, issues))
    else {
        return Vec::new();
    };
    let mut rules = Vec::with_capacity(named.len());
    for (name, value) in named {
        let path = format!("{path}.{name}");
        let Some(rule) = object(value, &path, issues) else {
            continue;
        };
        rules.push((
            name.clone(),
            FieldRule {
                read: permission(rule, "read", &path, issues),
                write: permission(rule, "write", &path, issues),
                fields: fields(rule, &path, issues, depth + 1),
            },
        ));
    }
    rules
}

/// A permission: absent and null are the same.
fn permission(entry: &Document, key: &str, path: &str, issues: &mut Vec<Issue>) -> Permission {
    let value = present(entry, key)?;
    let path = format!("{path}.{key}");
    Some(Expression::parse(value, Place::Document, &path, issues))
}

pub(crate) fn present<'a>(entry: &'a Document, key: &str) -> Option<&'a Bson> {
    entry.get(key).filter(|value| !matches!(value, Bson::Null))
}

pub(crate) fn object<'a>(
    value: &'a Bson,
    path: &str,
    issues: &mut Vec<Issue>,
) -> Option<&'a Document> {
    let document = value.as_document();
    if document.is_none() {
        issues.push(Issue::new(path, "must be an object"));
    }
    document
}

fn list<'a>(rules: &'a Document, key: &str, issues: &mut Vec<Issue>) -> &'a [Bson] {
    match present(rules, key) {
        None => &[],
        Some(Bson::Array(list)) => list,
        Some(_) => {
            issues.push(Issue::new(key, "must be an array"));
            &[]
        }
    }
}
