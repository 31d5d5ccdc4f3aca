//! Rules of services that are no data sources: which of their actions a user
//! may run, with which arguments (triggers-ops.md §14.1).

use bson::{Bson, Document};

use crate::expression::Expression;
use crate::issue::Issue;
use crate::parse::Place;
use crate::role::{name, present};
use crate::scope::{Decided, Scope};

/// One rule of a service: its actions may be run while `when` holds.
#[derive(Debug, Clone)]
pub struct ActionRule {
    /// For the log.
    pub name: String,
    /// `get`, `s3:PutObject`, `s3:*`.
    actions: Vec<String>,
    /// About the request and `%%args`; absent is always.
    when: Expression,
}

impl ActionRule {
    /// Parses `{name, actions, when}`.
    ///
    /// # Errors
    /// Every problem found.
    pub fn parse(rule: &Document) -> Result<Self, Vec<Issue>> {
        let mut issues = Vec::new();
        let mut actions = Vec::new();
        match present(rule, "actions") {
            None => {}
            Some(Bson::Array(list)) => {
                for (index, action) in list.iter().enumerate() {
                    match action {
                        Bson::String(action) if !action.is_empty() => actions.push(action.clone()),
                        _ => issues.push(Issue::new(
                            format!("actions[{index}]"),
                            "an action is a text",
                        )),
                    }
                }
            }
            Some(_) => issues.push(Issue::new("actions", "must be an array")),
        }
        let when = present(rule, "when").map_or_else(
            || Expression::constant(true, "when"),
            |value| Expression::parse(value, Place::Arguments, "when", &mut issues),
        );
        let parsed = Self {
            name: name(rule, "", &mut issues),
            actions,
            when,
        };
        if issues.is_empty() {
            Ok(parsed)
        } else {
            Err(issues)
        }
    }

    /// Whether the rule is about an action.
    pub fn covers(&self, action: &str) -> bool {
        self.actions.iter().any(|known| {
            known == action
                || known
                    .strip_suffix('*')
                    .is_some_and(|prefix| prefix.ends_with(':') && action.starts_with(prefix))
        })
    }

    /// Whether it allows an action whose arguments are `scope`'s.
    ///
    /// # Errors
    /// The function call that has to be made first.
    pub fn allows(&self, action: &str, scope: &Scope<'_>) -> Decided<bool> {
        Ok(self.covers(action) && self.when.holds(scope)?)
    }
}

#[cfg(test)]
mod tests {
    use bson::doc;

    use super::ActionRule;

    #[test]
    fn actions_are_named_or_all_of_a_service() {
        let rule = doc! { "name": "r", "actions": ["get", "s3:*", "ses:SendEmail", "*"] };
        let rule = ActionRule::parse(&rule).unwrap();
        for (action, covered) in [
            ("get", true),
            ("getAll", false),
            ("post", false),
            ("s3:PutObject", true),
            ("ses:SendEmail", true),
            ("ses:SendRawEmail", false),
            // A star alone is no action of any service.
            ("s4:x", false),
        ] {
            assert_eq!(rule.covers(action), covered, "{action}");
        }
    }

    #[test]
    fn what_is_wrong_is_told() {
        let wrong = doc! { "name": "", "actions": [1], "when": { "%%root.a": 1, "%%nope": 2 } };
        let issues = ActionRule::parse(&wrong).unwrap_err();
        let texts: Vec<String> = issues
            .iter()
            .map(|issue| format!("{}: {}", issue.path, issue.message))
            .collect();
        assert_eq!(
            texts,
            [
                "actions[0]: an action is a text",
                "when.%%root.a: do not know how to expand '%%root.a'",
                "when.%%nope: do not know how to expand '%%nope'",
                "name: a name is required",
            ]
        );
    }
}
