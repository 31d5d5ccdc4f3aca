//! Who asks, and with which request.

use std::sync::Arc;

use bson::raw::CStr;
use bson::{Bson, Document, RawArrayBuf, RawDocumentBuf, cstr, doc};
use kit::Problem;
use state::Identity;

use crate::data::RuleLog;
use crate::packages::Installed;
use crate::{App, Release};

/// On whose behalf something happens.
#[derive(Debug, Clone)]
pub enum Caller {
    /// The system: rules do not apply.
    System,
    /// A user of the app, under its rules.
    User(Arc<User>),
}

/// A user as requests see it: a snapshot of the moment the token was made.
#[derive(Debug, Clone)]
pub struct User {
    /// The id.
    pub id: String,
    /// `normal` or `server`.
    pub kind: String,
    /// What the providers told, merged.
    pub data: Document,
    /// The identities, oldest first.
    pub identities: Vec<Identity>,
    /// Custom user data as of the token.
    pub custom_data: Document,
    /// The session.
    pub session_id: String,
    /// The provider that the session began with.
    pub provider_type: String,
    /// The device.
    pub device_id: String,
    /// `context.user` and `%%user`.
    pub document: RawDocumentBuf,
}

impl User {
    /// A user's snapshot.
    pub fn new(
        record: &state::User,
        custom_data: Document,
        session_id: &str,
        provider_type: &str,
        device_id: &str,
    ) -> Result<Self, Problem> {
        let data = merged_data(&record.identities);
        let identities: Vec<Bson> = record
            .identities
            .iter()
            .map(|i| identity(i).into())
            .collect();
        let document = doc! {
            "id": &record.id, "type": &record.kind, "data": data.clone(),
            "custom_data": custom_data.clone(), "identities": identities,
        };
        Ok(Self {
            id: record.id.clone(),
            kind: record.kind.clone(),
            data,
            identities: record.identities.clone(),
            custom_data,
            session_id: session_id.to_owned(),
            provider_type: provider_type.to_owned(),
            device_id: device_id.to_owned(),
            document: RawDocumentBuf::try_from(&document).map_err(Problem::internal)?,
        })
    }

    /// Whether nothing is known of the user that another device could prove.
    pub fn is_anonymous(&self) -> bool {
        state::is_anonymous(&self.identities)
    }
}

/// What the providers told, the latest winning.
pub fn merged_data(identities: &[Identity]) -> Document {
    let mut data = Document::new();
    for identity in identities {
        data.extend(identity.data.clone());
    }
    data
}

/// An identity as functions and rules see it; the service's pages for the one
/// and for the other spell the provider's type differently.
pub(crate) fn identity(identity: &Identity) -> Document {
    doc! {
        "id": &identity.id, "provider_type": &identity.provider_type,
        "providerType": &identity.provider_type, "provider_id": &identity.provider_id, "data": identity.data.clone(),
    }
}

/// The request behind a call.
#[derive(Debug, Clone, Default)]
pub struct RequestInfo {
    /// The request's id, which is the log entry's `co_id`.
    pub id: String,
    /// The peer's address.
    pub remote_address: String,
    /// `GET`, `POST`, …
    pub method: String,
    /// Header names and values.
    pub headers: Vec<(String, String)>,
    /// The query string without `?`.
    pub query: String,
    /// The path.
    pub path: String,
}

impl RequestInfo {
    /// `context.request` and `%%request` of an action of a service, or of a
    /// function.
    pub(crate) fn document_of(&self, service: &str, action: &str) -> RawDocumentBuf {
        let mut document = self.document();
        document.append(cstr!("service"), service);
        document.append(cstr!("action"), action);
        document
    }

    fn document(&self) -> RawDocumentBuf {
        let mut document = RawDocumentBuf::new();
        document.append(cstr!("remoteIPAddress"), self.remote_address.as_str());
        document.append(cstr!("requestHeaders"), self.public_headers());
        document.append(cstr!("httpMethod"), self.method.as_str());
        document.append(cstr!("rawQueryString"), self.public_query());
        for (field, header) in [
            (cstr!("httpUserAgent"), "user-agent"),
            (cstr!("httpReferrer"), "referer"),
        ] {
            if let Some(value) = self.header(header) {
                document.append(field, value);
            }
        }
        document
    }

    /// Each header's values, in the order of first appearance.
    fn public_headers(&self) -> RawDocumentBuf {
        let mut headers = RawDocumentBuf::new();
        for (index, (name, _)) in self.headers.iter().enumerate() {
            // A token is the server's business, not the function's.
            let is_public = !name.eq_ignore_ascii_case("authorization");
            let is_first = self.headers[..index].iter().all(|(known, _)| known != name);
            if is_public
                && is_first
                && let Ok(key) = <&CStr>::try_from(name.as_str())
            {
                let mut values = RawArrayBuf::new();
                for (known, value) in &self.headers[index..] {
                    if known == name {
                        values.push(value.as_str());
                    }
                }
                headers.append(key, values);
            }
        }
        headers
    }

    /// The query string without secrets, in its own order.
    fn public_query(&self) -> String {
        let secret = |pair: &&str| pair.split('=').next() != Some("secret");
        let kept: Vec<&str> = self.query.split('&').filter(secret).collect();
        kept.join("&")
    }

    /// A header's first value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }
}

/// The context of one request: its app, the one release it keeps, who asks.
#[derive(Clone)]
pub struct Cx {
    /// The app.
    pub app: Arc<App>,
    /// The release that the request began with.
    pub release: Arc<Release>,
    /// On whose behalf.
    pub caller: Caller,
    /// The user behind the request, also while the system acts for them.
    pub user: Option<Arc<User>>,
    /// The request.
    pub request: Arc<RequestInfo>,
    /// Functions that wait for what this does, such as one whose read of data
    /// asks a rule.
    pub(crate) depth: u32,
    /// The npm packages that the request began with.
    pub(crate) packages: Option<Arc<Installed>>,
    /// What rules decided in the request so far.
    pub(crate) rules: Arc<RuleLog>,
}

impl Cx {
    /// A request of a user, on the app's live release.
    pub fn of_user(app: &Arc<App>, user: Arc<User>, request: RequestInfo) -> Self {
        Self {
            app: app.clone(),
            release: app.release(),
            caller: Caller::User(user.clone()),
            user: Some(user),
            request: Arc::new(request),
            depth: 0,
            packages: app.packages.get(),
            rules: Arc::default(),
        }
    }

    /// A request of the system, on the app's live release.
    pub fn of_system(app: &Arc<App>, request: RequestInfo) -> Self {
        Self {
            app: app.clone(),
            release: app.release(),
            caller: Caller::System,
            user: None,
            request: Arc::new(request),
            depth: 0,
            packages: app.packages.get(),
            rules: Arc::default(),
        }
    }

    /// The same request on behalf of another.
    #[must_use]
    pub fn acting_as(&self, caller: Caller) -> Self {
        Self {
            caller,
            ..self.clone()
        }
    }

    /// The same request, for a function that this one waits for.
    pub(crate) fn deeper(&self) -> Self {
        Self {
            depth: self.depth + 1,
            ..self.clone()
        }
    }
}
