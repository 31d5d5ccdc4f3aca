//! The figures of a run.

use std::collections::BTreeMap;
use std::fmt;

use bson::Document;

use crate::answer::Difference;
use crate::case::Case;
use crate::generate::Area;

/// What a run came to.
#[derive(Debug, Default)]
pub struct Tally {
    /// Operations compared.
    pub ran: usize,
    /// Of these, refused by both.
    pub refused: usize,
    /// Refused by both with other codes: (ours, theirs) and how often.
    pub codes: BTreeMap<(i32, i32), usize>,
    /// Differences that a rule explains.
    pub masked: BTreeMap<&'static str, usize>,
    /// Those that none does.
    pub different: Vec<Divergence>,
    /// Events compared.
    pub events: usize,
    /// A case of each pair of codes.
    pub examples: BTreeMap<(i32, i32), Vec<Document>>,
    /// Programs that were the end of a mongod, with the command.
    pub lost: Vec<String>,
    /// Operations and differences of each area.
    pub areas: BTreeMap<Area, (usize, usize)>,
}

/// A difference that no rule explains.
#[derive(Debug, Clone)]
pub struct Divergence {
    /// The program's area.
    pub area: Area,
    /// The program's seed.
    pub seed: u64,
    /// The command's number in the program.
    pub step: usize,
    /// How the answers differ.
    pub how: Difference,
    /// What is only in one of them.
    pub text: String,
    /// Commands that show it, the last one being the one that does.
    pub case: Vec<Document>,
}

impl Tally {
    /// Adds another run's figures.
    pub fn add(&mut self, other: Self) {
        self.ran += other.ran;
        self.refused += other.refused;
        self.events += other.events;
        self.different.extend(other.different);
        self.lost.extend(other.lost);
        for (pair, n) in other.codes {
            *self.codes.entry(pair).or_default() += n;
        }
        for (why, n) in other.masked {
            *self.masked.entry(why).or_default() += n;
        }
        for (area, (ran, different)) in other.areas {
            let own = self.areas.entry(area).or_default();
            own.0 += ran;
            own.1 += different;
        }
        for (pair, command) in other.examples {
            self.examples.entry(pair).or_insert(command);
        }
    }

    /// Refused by both with other codes.
    pub fn other_codes(&self) -> usize {
        self.codes.values().sum()
    }

    /// Of the commands that both refused, those with equal codes, in percent.
    pub fn equal_codes(&self) -> f64 {
        if self.refused == 0 {
            return 100.0;
        }
        100.0 * (self.refused - self.other_codes()) as f64 / self.refused as f64
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} operations, {} events; {} refused by both, {:.2} % of them with equal codes; {} differences",
            self.ran,
            self.events,
            self.refused,
            self.equal_codes(),
            self.different.len(),
        )?;
        for (why, n) in &self.masked {
            write!(f, "\n  {n} masked: {why}")?;
        }
        for lost in &self.lost {
            write!(f, "\n  the end of a mongod: {lost}")?;
        }
        for (area, (ran, different)) in self.areas.iter().filter(|(_, (_, n))| *n > 0) {
            write!(f, "\n  {area:?}: {different} in {ran}")?;
        }
        Ok(())
    }
}

impl Divergence {
    /// The case to keep.
    pub fn case(&self) -> Case {
        Case {
            why: format!("{:?}: {}", self.how, self.text),
            commands: self.case.clone(),
        }
    }
}

impl fmt::Display for Divergence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:?} {}, step {} ({:?}):",
            self.area, self.seed, self.step, self.how
        )?;
        for command in &self.case {
            let command = bson::Bson::Document(command.clone()).into_canonical_extjson();
            writeln!(f, "  {command},")?;
        }
        write!(f, "  {}", self.text)
    }
}
