//! Questions to whoever is at the terminal, about what a command was not told.
//! Nobody else is asked: without a terminal, and with `--yes`, what is missing
//! is an error that names the option.

use std::fmt;
use std::io::{self, IsTerminal};

use inquire::error::InquireResult;
use inquire::ui::RenderConfig;
use inquire::validator::Validation;
use inquire::{Confirm, InquireError, MultiSelect, Password, PasswordDisplayMode, Select, Text};

use super::out::{Out, plain};
use crate::archives::Failed;

/// What the command line does not say, and nobody was there to say.
#[derive(Debug)]
pub(super) struct Missing(String);

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Missing {}

pub(super) fn missing(what: &str) -> Failed {
    Box::new(Missing(what.to_owned()))
}

/// How many answers are seen at once; the others come with the arrow keys, or by
/// what is typed.
const SHOWN: usize = 10;

/// Names as they are listed: of one line, whatever the server calls them.
fn labels<T>(all: &[T], label: impl Fn(&T) -> String) -> Vec<String> {
    let line = |one: &T| plain(&label(one)).replace(['\n', '\t'], " ");
    all.iter().map(line).collect()
}

/// What was answered.
///
/// # Errors
/// Escape or Ctrl-C was pressed; the terminal went away.
fn answered<T>(answer: InquireResult<T>) -> Result<T, Failed> {
    answer.map_err(|error| match error {
        InquireError::OperationCanceled | InquireError::OperationInterrupted => "stopped".into(),
        error => error.to_string().into(),
    })
}

impl Out {
    fn look(&self) -> RenderConfig<'static> {
        if self.colors_off() {
            RenderConfig::empty()
        } else {
            // With the variable NO_COLOR it has none either.
            RenderConfig::default()
        }
    }

    /// Whether somebody is there to be asked, and wants to be.
    pub(super) fn asks(&self) -> bool {
        !self.yes() && io::stdin().is_terminal() && io::stderr().is_terminal()
    }

    /// One of several things, which are shown by their labels.
    ///
    /// # Errors
    /// [`Missing`], with what is wanted, when nobody is asked; nothing was chosen.
    pub(super) fn choose<T>(
        &self,
        question: &str,
        mut all: Vec<T>,
        label: impl Fn(&T) -> String,
        wanted: &str,
    ) -> Result<T, Failed> {
        if !self.asks() || all.is_empty() {
            return Err(missing(wanted));
        }
        let menu = Select::new(question, labels(&all, label))
            .with_page_size(SHOWN)
            .with_render_config(self.look());
        let chosen = answered(menu.raw_prompt())?;
        Ok(all.swap_remove(chosen.index))
    }

    /// Some of several things, in their order.
    ///
    /// # Errors
    /// As [`Self::choose`].
    pub(super) fn choose_some<T>(
        &self,
        question: &str,
        all: Vec<T>,
        label: impl Fn(&T) -> String,
        wanted: &str,
    ) -> Result<Vec<T>, Failed> {
        if !self.asks() {
            return Err(missing(wanted));
        }
        let menu = MultiSelect::new(question, labels(&all, label))
            .with_page_size(SHOWN)
            .with_render_config(self.look());
        let chosen = answered(menu.raw_prompt())?;
        let chosen: Vec<usize> = chosen.iter().map(|option| option.index).collect();
        let all = all.into_iter().enumerate();
        let some: Vec<T> = all
            .filter_map(|(at, one)| chosen.contains(&at).then_some(one))
            .collect();
        if some.is_empty() {
            return Err("nothing was chosen".into());
        }
        Ok(some)
    }

    /// What was given, or a text that is typed; not an empty one.
    ///
    /// # Errors
    /// [`Missing`], with what is wanted, when nobody is asked.
    pub(super) fn text(
        &self,
        given: Option<String>,
        question: &str,
        default: Option<&str>,
        wanted: &str,
    ) -> Result<String, Failed> {
        if let Some(given) = given {
            return Ok(given);
        }
        if !self.asks() {
            return Err(missing(wanted));
        }
        let mut line = Text::new(question)
            .with_render_config(self.look())
            .with_validator(|text: &str| {
                Ok(if text.trim().is_empty() {
                    Validation::Invalid("it may not be empty".into())
                } else {
                    Validation::Valid
                })
            });
        if let Some(default) = default {
            line = line.with_default(default);
        }
        Ok(answered(line.prompt())?.trim().to_owned())
    }

    /// What was given; else what is typed and not shown; else, without a terminal,
    /// a line of standard input: words of a command are everybody's to see.
    ///
    /// # Errors
    /// There is none of them.
    pub(super) fn secret(
        &self,
        given: Option<String>,
        what: &str,
        option: &str,
    ) -> Result<String, Failed> {
        if let Some(given) = given {
            return Ok(given);
        }
        let wanted = format!("{what} is missing: {option}, or a line of standard input");
        let typed = if self.asks() {
            let question = format!("Type {what}:");
            let line = Password::new(&question)
                .with_display_mode(PasswordDisplayMode::Masked)
                .with_render_config(self.look())
                .without_confirmation();
            answered(line.prompt())?
        } else if io::stdin().is_terminal() {
            return Err(missing(&wanted));
        } else {
            let mut line = String::new();
            io::stdin().read_line(&mut line)?;
            line.trim_end_matches(['\r', '\n']).to_owned()
        };
        if typed.is_empty() {
            return Err(missing(&wanted));
        }
        Ok(typed)
    }

    /// Yes or no; no is what Enter alone says.
    pub(super) fn whether(&self, question: &str) -> Result<bool, Failed> {
        let question = plain(question);
        let question = Confirm::new(&question)
            .with_default(false)
            .with_render_config(self.look());
        answered(question.prompt())
    }

    /// Asks whether to go on; with nobody there to ask, that takes `--yes`.
    pub(super) fn confirm(&self, question: &str) -> Result<bool, Failed> {
        if self.yes() {
            return Ok(true);
        }
        if !self.asks() {
            let question = plain(question);
            return Err(format!("{question}? Nobody is here to answer; say --yes").into());
        }
        self.whether(&format!("{question}?"))
    }
}
