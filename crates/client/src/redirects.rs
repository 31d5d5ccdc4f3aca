//! Logging in by way of a provider's page (client-api.md §2.9): where the
//! browser is sent, what it keeps meanwhile, and what it sees when that leads
//! nowhere.

use std::sync::Arc;

use app::App;
use app::meters::Area;
use app::users::{FlowStart, Returned};
use axum::body::Body;
use axum::http::header::{self, HeaderName, HeaderValue};
use axum::http::{HeaderMap, Method, Response, StatusCode};
use kit::{Kind, Problem, limit};
use web::{Answer, Request, values};

use crate::{Client, Counted, Handled, PREFIX, info, of};

/// Where providers send browsers back to, below [`PREFIX`].
const CALLBACK: &str = "auth/callback";
/// Largest form that a provider has a browser post.
const FORM_BYTES_MAX: usize = 4 * limit::FLOW_RETURNED_BYTES_MAX;
/// Characters of a browser's secret.
const SECRET_CHARS: usize = 43;

/// The cookie that has the secrets of a browser's logins. Providers that post
/// their answer, and pages that link from another site, need one which goes from
/// site to site, and that has to be a secure one.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Cookie {
    name: &'static str,
    attributes: &'static str,
}

/// Over HTTPS: nobody but this very host can set one of that name.
const OWN: Cookie = Cookie {
    name: "__Host-backstitch-oauth",
    attributes: "Secure; SameSite=None",
};
/// On the machine itself browsers take secure cookies over HTTP.
const LOOPBACK: Cookie = Cookie {
    name: "backstitch-oauth-loopback",
    attributes: "Secure; SameSite=None",
};
const PLAIN: Cookie = Cookie {
    name: "backstitch-oauth",
    attributes: "SameSite=Lax",
};

impl Cookie {
    fn of(base_url: &str, crosses: bool) -> Self {
        let host = base_url.strip_prefix("http://");
        match host {
            None => OWN,
            Some(host) if crosses && is_loopback(host) => LOOPBACK,
            Some(_) => PLAIN,
        }
    }

    /// Those that a browser may have of a server.
    fn all(base_url: &str) -> &'static [Self] {
        if base_url.starts_with("https://") {
            &[OWN]
        } else {
            &[LOOPBACK, PLAIN]
        }
    }

    /// The secrets in it.
    fn secrets(self, headers: &HeaderMap) -> Vec<String> {
        let pairs = headers.get_all(header::COOKIE).into_iter();
        let pairs = pairs.filter_map(|value| value.to_str().ok());
        let mine = pairs
            .flat_map(|value| value.split(';'))
            .filter_map(|pair| pair.trim().split_once('='))
            .filter(|(name, _)| *name == self.name);
        let all = mine.flat_map(|(_, value)| value.split('.'));
        let fits = |secret: &&str| {
            let good = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
            secret.len() == SECRET_CHARS && secret.bytes().all(good)
        };
        all.filter(fits)
            .take(limit::FLOWS_AT_ONCE_MAX)
            .map(str::to_owned)
            .collect()
    }

    /// Sets it to the latest of these secrets, or removes it if there are none.
    fn set(self, secrets: &[String]) -> String {
        let latest = secrets.len().saturating_sub(limit::FLOWS_AT_ONCE_MAX);
        let value = secrets.get(latest..).unwrap_or_default().join(".");
        let age = if value.is_empty() { 0 } else { limit::FLOW_S };
        format!(
            "{}={value}; Path=/; Max-Age={age}; HttpOnly; {}",
            self.name, self.attributes
        )
    }
}

/// Whether a host, with or without a port, is the machine that the browser is on.
fn is_loopback(host: &str) -> bool {
    let host = host.split('/').next().unwrap_or_default();
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    let address: Option<std::net::IpAddr> = name.parse().ok();
    address.map_or(name == "localhost", |address| address.is_loopback())
}

/// A header's cookies but those with secrets of logins, which are no function's
/// business; nothing if there are no others.
pub(crate) fn without_secrets(cookies: &str) -> Option<String> {
    let is_secret = |pair: &&str| {
        let name = pair.split('=').next().unwrap_or_default().trim();
        [OWN, LOOPBACK, PLAIN]
            .iter()
            .any(|cookie| cookie.name == name)
    };
    let others: Vec<&str> = cookies.split(';').filter(|pair| !is_secret(pair)).collect();
    let others = others.join(";").trim().to_owned();
    (!others.is_empty()).then_some(others)
}

/// `GET auth/providers/{provider}/login`.
pub(crate) async fn begin(
    app: &Arc<App>,
    provider: &str,
    request: &Request,
    base_url: &str,
) -> Handled {
    let value = |name: &str| request.query_value(name).unwrap_or_default();
    // A page fetches this, with its user's token, so as to open what is said in
    // a header; otherwise the browser is on its way already.
    let fetched = value("providerRedirectHeader") == "true";
    let links = value("link") == "true";
    let linking = if links {
        let token = request.bearer().map_err(of(app))?;
        Some(app.authenticate(token).await.map_err(of(app))?)
    } else {
        None
    };
    let begun = app.begin_flow(FlowStart {
        provider,
        redirect: &value("redirect"),
        state: &value("state"),
        device: &value("device"),
        link: linking.as_deref(),
        callback: &format!("{base_url}{PREFIX}{CALLBACK}"),
    });
    let begun = match begun {
        Ok(begun) => begun,
        Err(problem) if fetched || links => return Err(of(app)(problem)),
        Err(problem) => return Ok(page(&problem)),
    };
    let cookie = Cookie::of(base_url, links || provider == "oauth2-apple");
    let mut secrets = cookie.secrets(&request.headers);
    secrets.push(begun.secret);
    let mut answer = Answer::empty(if fetched {
        StatusCode::OK
    } else {
        StatusCode::FOUND
    });
    let headers = answer.0.headers_mut();
    let names: &[HeaderName] = if fetched {
        &[
            HeaderName::from_static("x-baas-location"),
            HeaderName::from_static("x-stitch-location"),
        ]
    } else {
        &[header::LOCATION]
    };
    for name in names {
        put(headers, name, &begun.location);
    }
    put(headers, &header::SET_COOKIE, &cookie.set(&secrets));
    kept_secret(headers);
    Ok(answer)
}

impl Client {
    /// `GET` and `POST auth/callback`.
    pub(crate) async fn callback(
        &self,
        request: &Request,
        base_url: &str,
        counted: &mut Counted,
    ) -> Answer {
        let done = self.came_back(request, base_url, counted).await;
        done.unwrap_or_else(|problem| page(&problem))
    }

    async fn came_back(
        &self,
        request: &Request,
        base_url: &str,
        counted: &mut Counted,
    ) -> Result<Answer, Problem> {
        // Browsers that say how they ask do so as the page of a window.
        let sent = request.header("sec-fetch-dest").unwrap_or("document");
        if sent != "document" {
            let text = "a login comes back in a window of its own";
            return Err(Problem::new(Kind::Forbidden, "", text));
        }
        let form;
        let said = if request.method == Method::POST {
            if request.body.len() > FORM_BYTES_MAX {
                let text = format!("the form is larger than {FORM_BYTES_MAX} bytes");
                return Err(Problem::new(Kind::TooLarge, "", text));
            }
            form = String::from_utf8_lossy(&request.body);
            &*form
        } else {
            request.query.as_str()
        };
        let value = |name: &str| -> Result<Option<String>, Problem> {
            let found = values(said, name).next();
            if found
                .as_ref()
                .is_some_and(|text| text.len() > limit::FLOW_RETURNED_BYTES_MAX)
            {
                let most = limit::FLOW_RETURNED_BYTES_MAX;
                let text = format!("'{name}' is longer than {most} bytes");
                return Err(Problem::bad_request(text));
            }
            Ok(found)
        };
        let returned = Returned {
            code: value("code")?,
            error: value("error")?,
            error_description: value("error_description")?,
            user: value("user")?,
        };
        let state = value("state")?.unwrap_or_default();
        let cookies: Vec<(Cookie, Vec<String>)> = Cookie::all(base_url)
            .iter()
            .map(|cookie| (*cookie, cookie.secrets(&request.headers)))
            .collect();
        let secrets: Vec<String> = cookies.iter().flat_map(|(_, all)| all.clone()).collect();
        let (app, flow) = self.core.flow(&state, &secrets).await?;
        app.check_address(request.peer)?;
        counted.is(&app, Area::Auth);
        let mut known = info(request);
        // What the provider sent is nobody's else.
        known.query.clear();
        let location = app.finish_flow(&flow, &returned, &known).await?;
        // A browser that posted goes on with a GET.
        let mut answer = Answer::empty(StatusCode::SEE_OTHER);
        let headers = answer.0.headers_mut();
        put(headers, &header::LOCATION, &location);
        for (cookie, mut secrets) in cookies {
            let count = secrets.len();
            secrets.retain(|secret| !flow.is_bound_to(secret));
            if secrets.len() < count {
                put(headers, &header::SET_COOKIE, &cookie.set(&secrets));
            }
        }
        kept_secret(headers);
        Ok(answer)
    }
}

/// What is in a URL here is neither kept nor told to the next site.
fn kept_secret(headers: &mut HeaderMap) {
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(
        header::REFERRER_POLICY,
        HeaderValue::from_static("no-referrer"),
    );
}

/// Adds a header; all that is put here is printable.
fn put(headers: &mut HeaderMap, name: &HeaderName, text: &str) {
    if let Ok(value) = HeaderValue::from_str(text) {
        headers.append(name, value);
    }
}

/// What a browser shows when a login leads nowhere: there is no app to tell.
fn page(problem: &Problem) -> Answer {
    let message = problem
        .message
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;");
    let told = web::respond(problem, None);
    let text = format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n\
         <title>Login failed</title>\n<h1>You are not logged in</h1>\n<p>{message}</p>\n</html>\n"
    );
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = told.status();
    let headers = response.headers_mut();
    if let Some(wait) = told.headers().get(header::RETRY_AFTER) {
        headers.insert(header::RETRY_AFTER, wait.clone());
    }
    for (name, value) in [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; frame-ancestors 'none'",
        ),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    kept_secret(headers);
    Answer(response)
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderMap, HeaderValue, header};

    use super::{Cookie, LOOPBACK, OWN, PLAIN, is_loopback, without_secrets};

    #[test]
    fn cookies_go_as_far_as_they_have_to() {
        for (url, crosses, cookie) in [
            ("https://a.example", false, OWN),
            ("https://a.example", true, OWN),
            ("http://a.example", true, PLAIN),
            ("http://127.0.0.1:80", false, PLAIN),
            ("http://127.0.0.1:80", true, LOOPBACK),
            ("http://localhost", true, LOOPBACK),
        ] {
            assert!(Cookie::of(url, crosses) == cookie, "{url} {crosses}");
            assert!(Cookie::all(url).contains(&cookie), "{url}");
        }
        assert!(!Cookie::all("https://a.example").contains(&PLAIN));
        for (host, is_it) in [
            ("localhost:8080/x", true),
            ("[::1]:8080", true),
            ("127.1.2.3", true),
            ("localhost.example", false),
            ("127.0.0.1.example", false),
            ("10.0.0.1", false),
            ("[2001:db8::1]", false),
            ("", false),
        ] {
            assert_eq!(is_loopback(host), is_it, "{host}");
        }
    }

    #[test]
    fn a_browser_keeps_its_latest_secrets() {
        let secret = |letter: &str| letter.repeat(43);
        let with = |value: &str| {
            let mut headers = HeaderMap::new();
            let value = HeaderValue::from_str(value).unwrap();
            headers.append(header::COOKIE, value);
            PLAIN.secrets(&headers)
        };
        let two = format!("x=1; backstitch-oauth={}.{}; y=2", secret("a"), secret("b"));
        assert_eq!(with(&two), [secret("a"), secret("b")]);
        for odd in [
            "backstitch-oauth=",
            "backstitch-oauth=short",
            "backstitch-oauth",
            "other=1",
            &format!("backstitch-oauth={}", "a".repeat(44)),
            &format!("backstitch-oauth={}", "!".repeat(43)),
            &format!("Backstitch-oauth={}", "a".repeat(43)),
            &format!("xbackstitch-oauth={}", "a".repeat(43)),
        ] {
            assert!(with(odd).is_empty(), "{odd}");
        }
        for (cookies, left) in [
            ("a=1; b=2", Some("a=1; b=2")),
            ("backstitch-oauth=x; a=1", Some("a=1")),
            ("a=1; __Host-backstitch-oauth=x; b=2", Some("a=1; b=2")),
            ("backstitch-oauth-loopback=x", None),
        ] {
            assert_eq!(without_secrets(cookies).as_deref(), left, "{cookies}");
        }
        let many: Vec<String> = ["a", "b", "c", "d", "e"].map(secret).into();
        let latest = many[1..].join(".");
        let set = PLAIN.set(&many);
        assert!(
            set.starts_with(&format!("backstitch-oauth={latest}; ")),
            "{set}"
        );
        assert_eq!(
            PLAIN.set(&[]),
            "backstitch-oauth=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax"
        );
    }
}
