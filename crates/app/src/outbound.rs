//! What the operator says of the machines that the server itself turns to.

use std::collections::BTreeMap;

/// What the operator says of the machines that the server itself turns to.
#[derive(Debug, Clone, Default)]
pub struct Outbound {
    /// Requests of HTTP.
    pub http: egress::Settings,
    /// Where login providers and third-party services are.
    pub endpoints: ProviderEndpoints,
}

/// Names of providers' endpoints and where they really are.
const ENDPOINTS: &[(&str, &str)] = &[
    (
        "google.authorize",
        "https://accounts.google.com/o/oauth2/v2/auth",
    ),
    ("google.token", "https://oauth2.googleapis.com/token"),
    (
        "google.userinfo",
        "https://openidconnect.googleapis.com/v1/userinfo",
    ),
    ("google.keys", "https://www.googleapis.com/oauth2/v3/certs"),
    ("google.issuer", "https://accounts.google.com"),
    (
        "facebook.authorize",
        "https://www.facebook.com/v21.0/dialog/oauth",
    ),
    ("facebook.graph", "https://graph.facebook.com/v21.0"),
    (
        "apple.authorize",
        "https://appleid.apple.com/auth/authorize",
    ),
    ("apple.token", "https://appleid.apple.com/auth/token"),
    ("apple.keys", "https://appleid.apple.com/auth/keys"),
    ("apple.issuer", "https://appleid.apple.com"),
    ("twilio", "https://api.twilio.com"),
    // Amazon's services, which else are at a host for each of them.
    ("aws", ""),
];

/// Where the providers Google, Facebook and Apple and the services of others are
/// asked: at themselves unless the operator names another place, such as a gateway or a test's.
#[derive(Debug, Clone, Default)]
pub struct ProviderEndpoints(BTreeMap<&'static str, String>);

impl ProviderEndpoints {
    /// With some of them elsewhere, each as `google.token=https://…`.
    ///
    /// # Errors
    /// What is wrong with one.
    pub fn new<'a>(elsewhere: impl IntoIterator<Item = &'a str>) -> Result<Self, String> {
        let mut endpoints = BTreeMap::new();
        for text in elsewhere {
            let (name, url) = text
                .trim()
                .split_once('=')
                .ok_or_else(|| format!("'{text}' is not NAME=URL"))?;
            let Some((name, _)) = ENDPOINTS.iter().find(|(known, _)| *known == name) else {
                let names: Vec<&str> = ENDPOINTS.iter().map(|(name, _)| *name).collect();
                let names = names.join(", ");
                return Err(format!("there is no endpoint '{name}'; there are {names}"));
            };
            let valid = url::Url::parse(url).is_ok_and(|url| {
                matches!(url.scheme(), "http" | "https")
                    && url.username().is_empty()
                    && url.password().is_none()
            });
            if !valid {
                return Err(format!("{name}: that is no plain URL of http or https"));
            }
            endpoints.insert(*name, url.trim_end_matches('/').to_owned());
        }
        Ok(Self(endpoints))
    }

    /// The URL of one that the operator names.
    pub(crate) fn elsewhere(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// The URL of one, such as `google.token`.
    pub fn get(&self, name: &str) -> &str {
        let real = || ENDPOINTS.iter().find(|(known, _)| *known == name);
        match self.0.get(name) {
            Some(url) => url,
            None => real().map_or("", |(_, url)| url),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::ProviderEndpoints;

    #[test]
    fn endpoints_are_the_real_ones_unless_said() {
        let said = [
            "google.token=http://127.0.0.1:1/token",
            "apple.keys=https://a/",
        ];
        let endpoints = ProviderEndpoints::new(said).unwrap();
        assert_eq!(endpoints.get("google.token"), "http://127.0.0.1:1/token");
        assert_eq!(endpoints.get("apple.keys"), "https://a");
        assert_eq!(
            endpoints.get("google.issuer"),
            "https://accounts.google.com"
        );
        for wrong in [
            "google.token",
            "google.tokens=https://a",
            "google.token=ftp://a",
            "google.token=https://user:password@a",
        ] {
            assert!(ProviderEndpoints::new([wrong]).is_err(), "{wrong}");
        }
    }
}
