//! How clients reach an app: where it says that it is, and from which web
//! pages it may be called.

use config::Kind;
use kit::Problem;

use crate::App;

/// Where an app says that it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// `GLOBAL` or `LOCAL`.
    pub deployment_model: String,
    /// A region's code, such as `US-VA`.
    pub location: String,
}

impl App {
    /// Where the app says that it is; the service's defaults unless it says.
    pub fn place(&self) -> Place {
        let release = self.release();
        let root = release.config.get(Kind::Root, "");
        let text = |name: &str, default: &str| match root.map_or("", |root| root.text(name)) {
            "" => default.to_owned(),
            text => text.to_owned(),
        };
        Place {
            deployment_model: text("deployment_model", "GLOBAL"),
            location: text("location", "US-VA"),
        }
    }

    /// Refuses a browser on a page whose origin the app does not list. An empty
    /// list is open to all, and clients that are no browsers send no origin.
    ///
    /// # Errors
    /// 403.
    pub fn check_origin(&self, origin: Option<&str>) -> Result<(), Problem> {
        let release = self.release();
        let listed = release
            .config
            .get(Kind::Root, "")
            .and_then(|root| root.at("/allowed_request_origins")?.as_array());
        let (Some(listed), Some(origin)) = (listed, origin) else {
            return Ok(());
        };
        let is_it = |allowed: &str| allowed.trim_end_matches('/').eq_ignore_ascii_case(origin);
        if listed.is_empty() || listed.iter().any(|one| one.as_str().is_some_and(is_it)) {
            return Ok(());
        }
        Err(Problem::new(
            kit::Kind::Forbidden,
            "",
            "requests from this origin are not allowed",
        ))
    }
}
