//! From which web pages an app may be called.

use config::Kind;
use kit::Problem;

use crate::App;

impl App {
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
