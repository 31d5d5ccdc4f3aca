//! Mails of apps to those who registered: what is in them, where their links
//! lead, and how many there may be.
//!
//! Not here: SMTP (`egress`), and what the links do (`users`).

mod counts;
mod link;
mod templates;

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use bson::doc;
use kit::{Kind, Problem, Secret, limit};
use state::MailCount;
use tokio::sync::broadcast;

use crate::users::{NewUserpassToken, TokenFor};
use crate::{App, RequestInfo, stored};
use counts::Counts;
pub(crate) use link::is_address;
use templates::Filling;
pub use templates::Templates;

/// What was shown and nobody has looked at yet, at most.
const SHOWN_MAX: usize = 64;
const HOUR_MS: i64 = 3_600_000;

/// Mail of a server.
#[derive(Clone, Default)]
pub struct MailSettings {
    /// Where mails go.
    pub outlet: Outlet,
    /// What is in them.
    pub templates: Templates,
}

/// Where mails go.
#[derive(Clone, Default)]
pub enum Outlet {
    /// Nowhere: what asks for one fails.
    #[default]
    Nowhere,
    /// To who develops, who sees their links.
    Shown,
    /// To an SMTP server.
    Smtp(Box<egress::Mail>),
}

impl Outlet {
    /// The SMTP server of a URL, and whom mails come from.
    ///
    /// # Errors
    /// What is wrong with them; the URL, which may have a password, is not in it.
    pub fn smtp(url: &Secret, from: &str, roots: &crate::Roots) -> Result<Self, String> {
        egress::Mail::new(url, from, roots).map(|mail| Self::Smtp(Box::new(mail)))
    }
}

/// A mail that is shown and not sent.
#[derive(Debug, Clone)]
pub struct ShownMail {
    /// The client app id.
    pub app: String,
    /// What its link is for.
    pub purpose: TokenFor,
    /// The address that it is for.
    pub to: String,
    /// Its subject.
    pub subject: String,
    /// Its link.
    pub link: Secret,
    /// Its text, with the link in it.
    pub text: Secret,
}

/// Who asks for a mail.
#[derive(Debug, Clone, Copy)]
pub(crate) enum AskedBy<'r> {
    /// Anybody.
    Client(&'r RequestInfo),
    /// An administrator, who may as often as need be.
    Administrator,
}

/// That a mail may go to a mailbox; it was counted if that is said.
pub(crate) struct Admitted {
    counted: Option<String>,
}

/// The mail of a server.
pub(crate) struct Mailer {
    outlet: Outlet,
    templates: Templates,
    shown: broadcast::Sender<Arc<ShownMail>>,
    /// The URL by which whoever gets a mail reaches the server.
    base_url: ArcSwapOption<String>,
    by_address: Counts,
}

impl Mailer {
    pub(crate) fn new(settings: MailSettings) -> Self {
        Self {
            outlet: settings.outlet,
            templates: settings.templates,
            shown: broadcast::Sender::new(SHOWN_MAX),
            base_url: ArcSwapOption::default(),
            by_address: Counts::default(),
        }
    }

    /// Whether mails go to mailboxes.
    fn sends(&self) -> bool {
        match self.outlet {
            Outlet::Nowhere | Outlet::Shown => false,
            Outlet::Smtp(_) => true,
        }
    }

    /// The URL by which whoever gets a mail reaches the server, if that is known.
    pub(crate) fn base_url(&self) -> Option<Arc<String>> {
        self.base_url.load_full()
    }
}

impl crate::Backstitch {
    /// Follows the mails that are shown.
    pub fn shown_mails(&self) -> broadcast::Receiver<Arc<ShownMail>> {
        self.mail.shown.subscribe()
    }

    /// Says by which URL whoever gets a mail reaches the server: never what a
    /// request claims, or a stranger could have links sent that lead to him.
    /// `here` is one that works on this machine, which is enough for links that are
    /// shown here.
    pub fn reached_at(&self, public: Option<&str>, here: &str) {
        let shown = matches!(self.mail.outlet, Outlet::Shown);
        let url = public
            .or(shown.then_some(here))
            .map(|url| url.trim_end_matches('/'));
        self.mail
            .base_url
            .store(url.map(|url| Arc::new(url.to_owned())));
    }
}

/// The setting of the URL, that of the subject, the subject where none is set, and
/// the built-in page.
fn settings(purpose: TokenFor) -> [&'static str; 4] {
    match purpose {
        TokenFor::Confirmation => [
            "/config/emailConfirmationUrl",
            "/config/confirmEmailSubject",
            "Confirm your email address",
            "confirm",
        ],
        TokenFor::Reset => [
            "/config/resetPasswordUrl",
            "/config/resetPasswordSubject",
            "Reset your password",
            "reset",
        ],
    }
}

impl App {
    /// Whether there may be another mail to a mailbox, which is counted: who is
    /// mailed did not ask for it, maybe.
    ///
    /// # Errors
    /// `TooManyRequests`.
    pub(crate) async fn admit_mail(&self, to: &str, by: AskedBy<'_>) -> Result<Admitted, Problem> {
        let request = match by {
            // What is shown bothers nobody.
            AskedBy::Client(request) if self.core.mail.sends() => request,
            _ => return Ok(Admitted { counted: None }),
        };
        let now = self.core.clock.now_ms();
        let counts = &self.core.mail.by_address;
        counts
            .take(&request.remote_address, now)
            .map_err(too_many)?;
        let counted = self.take_mail(to, now).await?;
        Ok(Admitted {
            counted: Some(counted),
        })
    }

    /// Counts a mail to a mailbox, in the records: all servers count together.
    async fn take_mail(&self, to: &str, now: i64) -> Result<String, Problem> {
        let counts = &self.core.state.mail_counts;
        let id = state::digest(&format!("{}:{}", self.id, link::mailbox(to)));
        let this_hour = doc! { "$gt": now - HOUR_MS, "$lte": now };
        let most = i64::from(limit::MAILS_TO_MAILBOX_PER_HOUR_MAX);
        // Whoever is first makes the record; the second round finds it.
        for _ in 0..2 {
            let more = doc! { "_id": &id, "since": this_hour.clone(), "mails": { "$lt": most } };
            let counted = counts
                .change(more, doc! { "$inc": { "mails": 1_i64 } })
                .await;
            if counted.map_err(stored)? {
                return Ok(id);
            }
            let old = doc! { "_id": &id, "since": { "$not": this_hour.clone() } };
            let anew = doc! { "$set": { "since": now, "mails": 1_i64 } };
            if counts.change(old, anew).await.map_err(stored)? {
                return Ok(id);
            }
            let first = MailCount {
                id: id.clone(),
                app_id: self.id.clone(),
                since: now,
                mails: 1,
            };
            match counts.insert(&first).await {
                Ok(()) => return Ok(id),
                Err(error) if error.is_duplicate_key() => {}
                Err(error) => return Err(stored(error)),
            }
        }
        let known = counts.get(&id).await.map_err(stored)?;
        Err(too_many(
            known.map_or(now, |count| count.since) + HOUR_MS - now,
        ))
    }

    /// Mails a link with a token.
    ///
    /// # Errors
    /// `InternalServerError`, as on the service, when no mail could go out: why is
    /// for the log.
    pub(crate) async fn mail_link(
        &self,
        purpose: TokenFor,
        to: &str,
        token: &NewUserpassToken,
        admitted: Admitted,
    ) -> Result<(), Problem> {
        let link = self
            .account_link(purpose, token)
            .map_err(Problem::internal)?;
        let mailer = &self.core.mail;
        let release = self.release();
        let filling = Filling {
            app: release.config.name(),
            email: to,
            link: &link,
            token: token.token.expose(),
            token_id: &token.token_id,
        };
        let id = &self.client_app_id;
        let [text, html] = mailer.templates.fill(id, purpose, &filling);
        let subject = self.subject(purpose);
        match &mailer.outlet {
            Outlet::Nowhere => Err(Problem::internal(
                "the server sends no mail: --smtp-url is not set",
            )),
            Outlet::Shown => {
                let mail = ShownMail {
                    app: id.clone(),
                    purpose,
                    to: to.to_owned(),
                    subject,
                    link: link.into(),
                    text: text.into(),
                };
                // Nobody may look.
                let _ = mailer.shown.send(Arc::new(mail));
                Ok(())
            }
            Outlet::Smtp(mail) => {
                let letter = egress::Letter {
                    id: crate::new_id(),
                    to: to.to_owned(),
                    subject,
                    text,
                    html,
                };
                let Err(error) = mail.send(letter).await else {
                    return Ok(());
                };
                if let Some(id) = admitted.counted.filter(|_| error.certain) {
                    let counts = &self.core.state.mail_counts;
                    let counted = doc! { "_id": id, "mails": { "$gt": 0 } };
                    let less = doc! { "$inc": { "mails": -1_i64 } };
                    counts.change(counted, less).await.map_err(stored)?;
                }
                Err(Problem::internal(error))
            }
        }
    }

    /// The link: to the app's own page, or else to the built-in one, whose tokens
    /// stay in the browser.
    fn account_link(
        &self,
        purpose: TokenFor,
        token: &NewUserpassToken,
    ) -> Result<String, &'static str> {
        let [field, _, _, page] = settings(purpose);
        let url = self.userpass_text(field);
        let pair = format!("token={}&tokenId={}", token.token.expose(), token.token_id);
        if !url.is_empty() {
            return link::with_query(&url, &pair);
        }
        let base = self.core.mail.base_url();
        let base = base.ok_or("the app has no URL for links, and --public-url is not set")?;
        Ok(format!(
            "{base}/app/{}/auth/{page}#{pair}",
            self.client_app_id
        ))
    }

    /// The subject, in one line.
    fn subject(&self, purpose: TokenFor) -> String {
        let [_, field, default, _] = settings(purpose);
        let subject = self.userpass_text(field);
        let subject = if subject.trim().is_empty() {
            default
        } else {
            &subject
        };
        subject
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect()
    }

    /// A text setting of email/password accounts; empty when there is none.
    fn userpass_text(&self, field: &str) -> String {
        let release = self.release();
        let config = release
            .config
            .get(config::Kind::AuthProvider, "local-userpass");
        let text = config.and_then(|node| node.at(field)?.as_str());
        text.unwrap_or_default().to_owned()
    }
}

fn too_many(wait_ms: i64) -> Problem {
    let seconds = u32::try_from(wait_ms / 1000 + 1).unwrap_or(1);
    let text = "too many mails were asked for, try again later";
    Problem::new(Kind::Limited, "TooManyRequests", text).retry_after(seconds)
}
