//! `secrets` and `accessList`.

use clap::Subcommand;
use serde_json::{Value, json};

use super::ask::missing;
use super::out::Out;
use super::{App, Desk, Which};
use crate::archives::Failed;

#[derive(Subcommand)]
pub(crate) enum SecretsVerb {
    /// Show the secrets' names
    #[command(alias = "ls")]
    List {
        #[command(flatten)]
        which: Which,
    },
    /// Make a secret
    Create {
        #[command(flatten)]
        which: Which,
        /// Its name
        #[arg(long, short = 'n')]
        name: Option<String>,
        /// Its value (default: what is typed, or a line of standard input)
        #[arg(long, short = 'v')]
        value: Option<String>,
    },
    /// Change a secret
    Update {
        #[command(flatten)]
        which: Which,
        /// Its id or name
        #[arg(long, short = 's')]
        secret: Option<String>,
        /// Its new name (default: the old one)
        #[arg(long, short = 'n')]
        name: Option<String>,
        /// Its new value (default: the old one if there is a new name, else what is typed, or a line of standard input)
        #[arg(long, short = 'v')]
        value: Option<String>,
    },
    /// Remove secrets
    Delete {
        #[command(flatten)]
        which: Which,
        /// A secret's id or name (may be repeated; default: those that are chosen)
        #[arg(long, short = 's', value_delimiter = ',')]
        secret: Vec<String>,
    },
}

/// A kind of things that have an id and another name.
struct Kind {
    /// What one is called.
    called: &'static str,
    /// The field that has the name.
    field: &'static str,
    /// The option that names one.
    option: &'static str,
}

const SECRET: Kind = Kind {
    called: "secret",
    field: "name",
    option: "--secret",
};
const ADDRESS: Kind = Kind {
    called: "address",
    field: "address",
    option: "--ip",
};

impl Kind {
    fn name(&self, one: &Value) -> String {
        one[self.field].as_str().unwrap_or_default().to_owned()
    }

    fn names(&self, all: &[&Value]) -> String {
        let names: Vec<String> = all.iter().map(|one| self.name(one)).collect();
        names.join(", ")
    }

    /// What is shown of one in a menu.
    fn label(&self, one: &Value) -> String {
        let comment = one["comment"].as_str().filter(|text| !text.is_empty());
        let comment = comment.map(|text| format!(": {text}"));
        self.name(one) + &comment.unwrap_or_default()
    }

    fn wanted(&self) -> String {
        format!("name the {} with {}", self.called, self.option)
    }

    /// What a list has of an id or a name.
    fn found<'a>(&self, all: &'a [Value], word: &str) -> Result<&'a Value, Failed> {
        let known = all
            .iter()
            .find(|one| one["_id"] == word || one[self.field] == word);
        known.ok_or_else(|| format!("there is no {} {word}", self.called).into())
    }

    /// What was named, or is chosen.
    fn one<'a>(
        &self,
        out: &Out,
        all: &'a [Value],
        word: Option<&str>,
    ) -> Result<&'a Value, Failed> {
        if let Some(word) = word {
            return self.found(all, word);
        }
        let question = format!("Which {}?", self.called);
        let wanted = self.wanted();
        let label = |one: &&Value| self.label(one);
        out.choose(&question, all.iter().collect(), label, &wanted)
    }

    /// Several that were named, all of them there, or are chosen.
    fn some<'a>(
        &self,
        out: &Out,
        all: &'a [Value],
        words: &[String],
    ) -> Result<Vec<&'a Value>, Failed> {
        if !words.is_empty() {
            return words.iter().map(|word| self.found(all, word)).collect();
        }
        let question = format!("Which {} is to go?", self.called);
        let label = |one: &&Value| self.label(one);
        out.choose_some(&question, all.iter().collect(), label, &self.wanted())
    }
}

fn id(one: &Value) -> String {
    archive::escaped(one["_id"].as_str().unwrap_or_default())
}

fn listed(desk: &mut Desk, app: &App) -> Result<Vec<Value>, Failed> {
    let all = desk.session.get(&app.at("/secrets"))?;
    Ok(all.as_array().cloned().unwrap_or_default())
}

impl SecretsVerb {
    pub(super) fn run(self, mut desk: Desk) -> Result<(), Failed> {
        match self {
            Self::List { which } => {
                let app = desk.app(&which)?;
                let all = listed(&mut desk, &app)?;
                let row = |one: &Value| vec![one["_id"].clone(), one["name"].clone()];
                let rows: Vec<_> = all.iter().map(row).collect();
                desk.out.found("secrets", &["ID", "Name"], &rows)
            }
            Self::Create { which, name, value } => {
                let app = desk.app(&which)?;
                let wanted = "name the secret with --name";
                let name = desk.out.text(name, "The secret's name:", None, wanted)?;
                let value = desk.out.secret(value, "the value", "--value")?;
                let body = json!({ "name": name, "value": value });
                let made = desk.session.ask("POST", &app.at("/secrets"), &body)?;
                desk.out.say(&format!("created secret {}", id(&made)))
            }
            Self::Update {
                which,
                secret,
                name,
                value,
            } => {
                let app = desk.app(&which)?;
                let all = listed(&mut desk, &app)?;
                let old = SECRET.one(&desk.out, &all, secret.as_deref())?;
                let value = match (&name, value) {
                    // An empty one keeps what there is.
                    (Some(_), None) => String::new(),
                    (_, value) => desk.out.secret(value, "the value", "--value")?,
                };
                let name = name.map_or_else(|| old["name"].clone(), Value::from);
                let path = app.at(&format!("/secrets/{}", id(old)));
                let body = json!({ "name": name, "value": value });
                desk.session.ask("PUT", &path, &body)?;
                desk.out.say("changed the secret")
            }
            Self::Delete { which, secret } => {
                let app = desk.app(&which)?;
                let all = listed(&mut desk, &app)?;
                if all.is_empty() && secret.is_empty() {
                    return desk.out.say("there are no secrets");
                }
                let gone = SECRET.some(&desk.out, &all, &secret)?;
                let question = format!("Delete {}", SECRET.names(&gone));
                if !desk.out.confirm(&question)? {
                    return Ok(());
                }
                let items = gone.iter().map(|one| {
                    let path = app.at(&format!("/secrets/{}", id(one)));
                    (path, vec![one["_id"].clone(), one["name"].clone()])
                });
                desk.delete(items.collect(), &["ID", "Name"])
            }
        }
    }
}

impl Desk {
    /// Does the same to several things: what came of each, as two cells.
    pub(super) fn tried<'a>(
        &self,
        method: &str,
        paths: impl ExactSizeIterator<Item = &'a String>,
    ) -> Vec<[Value; 2]> {
        let progress = self.out.progress_of("working", paths.len());
        let tried = paths.map(|path| {
            let done = self.session.ask(method, path, &Value::Null);
            progress.step();
            let details = done.as_ref().err().map(ToString::to_string);
            [done.is_ok().into(), details.unwrap_or_default().into()]
        });
        tried.collect()
    }

    /// Removes several things; a row of the table says what came of each.
    pub(super) fn delete(
        &mut self,
        all: Vec<(String, Vec<Value>)>,
        headers: &[&str],
    ) -> Result<(), Failed> {
        let tried = self.tried("DELETE", all.iter().map(|(path, _)| path));
        let failed = failures(&tried);
        let rows: Vec<Vec<Value>> = all
            .into_iter()
            .zip(tried)
            .map(|((_, row), tried)| row.into_iter().chain(tried).collect())
            .collect();
        let headers = [headers, &["Deleted", "Details"]].concat();
        let message = format!("deleted: {}", rows.len() - failed);
        self.out.table(&message, &headers, &rows)?;
        none_failed(failed)
    }
}

/// How many of what was tried failed.
pub(super) fn failures(tried: &[[Value; 2]]) -> usize {
    tried.iter().filter(|[done, _]| *done == false).count()
}

/// An error when any did.
pub(super) fn none_failed(failed: usize) -> Result<(), Failed> {
    if failed > 0 {
        return Err(format!("not done: {failed}").into());
    }
    Ok(())
}

#[derive(Subcommand)]
pub(crate) enum AccessVerb {
    /// Show the addresses
    #[command(alias = "ls")]
    List {
        #[command(flatten)]
        which: Which,
    },
    /// Add an address
    Create {
        #[command(flatten)]
        which: Which,
        /// The address or the network
        #[arg(long)]
        ip: Option<String>,
        /// What it is
        #[arg(long)]
        comment: Option<String>,
        /// Add the address that this comes from
        #[arg(long, conflicts_with_all = ["ip", "allow_all"])]
        use_current: bool,
        /// Add every address
        #[arg(long, conflicts_with = "ip")]
        allow_all: bool,
    },
    /// Change an address
    Update {
        #[command(flatten)]
        which: Which,
        /// The address or its id
        #[arg(long)]
        ip: Option<String>,
        /// The new address (default: the old one)
        #[arg(long)]
        new_ip: Option<String>,
        /// The new comment (default: the old one)
        #[arg(long)]
        comment: Option<String>,
    },
    /// Remove addresses
    Delete {
        #[command(flatten)]
        which: Which,
        /// The address or its id (may be repeated; default: those that are chosen)
        #[arg(long, value_delimiter = ',')]
        ip: Vec<String>,
    },
}

const ADDRESSES: &str = "/security/access_list";

fn addresses(desk: &mut Desk, app: &App) -> Result<Vec<Value>, Failed> {
    let all = desk.session.get(&app.at(ADDRESSES))?;
    Ok(all["allowed_ips"].as_array().cloned().unwrap_or_default())
}

impl AccessVerb {
    pub(super) fn run(self, mut desk: Desk) -> Result<(), Failed> {
        match self {
            Self::List { which } => {
                let app = desk.app(&which)?;
                let all = addresses(&mut desk, &app)?;
                let row = |one: &Value| vec![one["address"].clone(), one["comment"].clone()];
                let rows: Vec<_> = all.iter().map(row).collect();
                desk.out
                    .found("addresses", &["IP Address", "Comment"], &rows)
            }
            Self::Create {
                which,
                ip,
                comment,
                use_current,
                allow_all,
            } => {
                let app = desk.app(&which)?;
                let wanted = "name the address with --ip, --use-current or --allow-all";
                let address = if use_current {
                    String::new()
                } else if allow_all {
                    "0.0.0.0".to_owned()
                } else {
                    desk.out.text(ip, "The address or network:", None, wanted)?
                };
                let mut body = json!({ "address": address });
                if let Some(comment) = comment {
                    body["comment"] = comment.into();
                }
                if use_current {
                    body["use_current"] = true.into();
                }
                let made = desk.session.ask("POST", &app.at(ADDRESSES), &body)?;
                let address = made["address"].as_str().unwrap_or_default();
                desk.out.say(&format!("added {address}"))
            }
            Self::Update {
                which,
                ip,
                new_ip,
                comment,
            } => {
                let app = desk.app(&which)?;
                let all = addresses(&mut desk, &app)?;
                if new_ip.is_none() && comment.is_none() {
                    return Err(missing("say what changes, with --new-ip or --comment"));
                }
                let old = ADDRESS.one(&desk.out, &all, ip.as_deref())?;
                let or_old = |new: Option<String>, name: &str| match new {
                    Some(new) => new.into(),
                    None => old[name].clone(),
                };
                let mut body = json!({ "address": or_old(new_ip, "address") });
                let comment = or_old(comment, "comment");
                if !comment.is_null() {
                    body["comment"] = comment;
                }
                let path = app.at(&format!("{ADDRESSES}/{}", id(old)));
                desk.session.ask("PATCH", &path, &body)?;
                desk.out.say("changed the address")
            }
            Self::Delete { which, ip } => {
                let app = desk.app(&which)?;
                let all = addresses(&mut desk, &app)?;
                if all.is_empty() && ip.is_empty() {
                    return desk.out.say("there are no addresses");
                }
                let gone = ADDRESS.some(&desk.out, &all, &ip)?;
                let question = format!("Delete {}", ADDRESS.names(&gone));
                if !desk.out.confirm(&question)? {
                    return Ok(());
                }
                let items = gone.iter().map(|one| {
                    let path = app.at(&format!("{ADDRESSES}/{}", id(one)));
                    (path, vec![one["address"].clone(), one["comment"].clone()])
                });
                desk.delete(items.collect(), &["IP Address", "Comment"])
            }
        }
    }
}
