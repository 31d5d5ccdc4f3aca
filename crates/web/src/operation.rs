//! Operation tables: a surface is a const table of rows, and one function
//! finds the row of a request.
//!
//! ```text
//! const ROWS: &[Operation<Cx>] = &[Operation {
//!     id: "adminGetValue",
//!     method: Method::GET,
//!     path: "/groups/{groupId}/apps/{appId}/values/{valueId}",
//!     scope: Scope::Administrator,
//!     run: |cx, request| Box::pin(get(cx, request)),
//! }];
//! ```

use std::collections::HashMap;
use std::pin::Pin;

use axum::http::Method;
use kit::Problem;

use crate::request::decode;
use crate::{Answer, Request};

/// Who may call an operation. The surface checks it before the handler runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Anybody.
    Open,
    /// An administrator of the project in the path, for reading.
    Read,
    /// An administrator of the project in the path who may write.
    Write,
    /// Any administrator.
    Administrator,
}

/// A handler: a plain function from context and request to an answer.
pub type Handler<Cx> =
    fn(Cx, Request) -> Pin<Box<dyn Future<Output = Result<Answer, Problem>> + Send>>;

/// One operation.
pub struct Operation<Cx: 'static> {
    /// The specification's operation id.
    pub id: &'static str,
    /// The method.
    pub method: Method,
    /// The path with `{names}`.
    pub path: &'static str,
    /// Who may call it.
    pub scope: Scope,
    /// What it does.
    pub run: Handler<Cx>,
}

/// Operations by the shape of their path.
pub struct Routes<Cx: 'static> {
    root: Node<Cx>,
}

struct Node<Cx: 'static> {
    exact: HashMap<&'static str, Node<Cx>>,
    any: Option<Box<Node<Cx>>>,
    operations: Vec<&'static Operation<Cx>>,
}

impl<Cx> Default for Node<Cx> {
    fn default() -> Self {
        Self {
            exact: HashMap::new(),
            any: None,
            operations: Vec::new(),
        }
    }
}

/// Turns a table into routes.
pub fn routes<Cx>(tables: &[&'static [Operation<Cx>]]) -> Routes<Cx> {
    let mut root = Node::default();
    for operation in tables.iter().flat_map(|table| table.iter()) {
        let mut node = &mut root;
        for part in operation.path.split('/').skip(1) {
            node = if part.starts_with('{') {
                node.any.get_or_insert_with(Box::default)
            } else {
                node.exact.entry(part).or_default()
            };
        }
        node.operations.push(operation);
    }
    Routes { root }
}

/// What a path and method lead to.
pub enum Found<Cx: 'static> {
    /// An operation, with the values of its path's names.
    Operation(&'static Operation<Cx>, Vec<(String, String)>),
    /// The path exists, for other methods.
    OtherMethod,
    /// Nothing.
    Nothing,
}

impl<Cx> Routes<Cx> {
    /// Finds the operation of a request. A fixed part wins over a name.
    pub fn find(&self, method: &Method, path: &str) -> Found<Cx> {
        let parts: Vec<&str> = path.trim_end_matches('/').split('/').skip(1).collect();
        let Some(node) = walk(&self.root, &parts) else {
            return Found::Nothing;
        };
        let Some(operation) = node
            .operations
            .iter()
            .find(|operation| operation.method == *method)
        else {
            return Found::OtherMethod;
        };
        let names = operation
            .path
            .split('/')
            .skip(1)
            .zip(&parts)
            .filter_map(|(name, value)| {
                let name = name.strip_prefix('{')?.strip_suffix('}')?;
                Some((name.to_owned(), decode(&value.replace('+', "%2B"))))
            });
        Found::Operation(operation, names.collect())
    }
}

fn walk<'n, Cx>(node: &'n Node<Cx>, parts: &[&str]) -> Option<&'n Node<Cx>> {
    let Some((first, rest)) = parts.split_first() else {
        return (!node.operations.is_empty()).then_some(node);
    };
    let exact = node.exact.get(*first).and_then(|next| walk(next, rest));
    exact.or_else(|| node.any.as_deref().and_then(|next| walk(next, rest)))
}

#[cfg(test)]
mod tests {
    use axum::http::{Method, StatusCode};

    use super::{Found, Operation, Scope, routes};
    use crate::Answer;

    const TABLE: &[Operation<()>] = &[
        row("fixed", Method::GET, "/a/b"),
        row("named", Method::GET, "/a/{x}"),
        row("deep", Method::PUT, "/a/{x}/c/{y}"),
    ];

    const fn row(id: &'static str, method: Method, path: &'static str) -> Operation<()> {
        Operation {
            id,
            method,
            path,
            scope: Scope::Open,
            run: |(), _| Box::pin(async { Ok(Answer::empty(StatusCode::OK)) }),
        }
    }

    #[test]
    fn paths_lead_to_rows() {
        let routes = routes(&[TABLE]);
        let id = |method: Method, path: &str| match routes.find(&method, path) {
            Found::Operation(operation, names) => {
                let values: Vec<String> = names.into_iter().map(|(_, value)| value).collect();
                format!("{} {}", operation.id, values.join(","))
            }
            Found::OtherMethod => "other".to_owned(),
            Found::Nothing => "nothing".to_owned(),
        };
        assert_eq!(id(Method::GET, "/a/b"), "fixed ");
        assert_eq!(id(Method::GET, "/a/b/"), "fixed ");
        assert_eq!(id(Method::GET, "/a/x%20y"), "named x y");
        assert_eq!(id(Method::PUT, "/a/1/c/a+b"), "deep 1,a+b");
        assert_eq!(id(Method::POST, "/a/b"), "other");
        assert_eq!(id(Method::GET, "/a"), "nothing");
        assert_eq!(id(Method::GET, "/a/b/c"), "nothing");
    }
}
