//! Random programs of commands, one generator per area of the language.

mod command;
mod expression;
mod filter;
pub mod nested;
mod stage;
mod update;
mod value;
mod window;
mod wrong;

use bson::{Document, doc};

use crate::random::Random;

/// What a program is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Area {
    Match,
    Regex,
    Projection,
    Sort,
    Update,
    Positional,
    PipelineUpdate,
    Upsert,
    Modify,
    Number,
    Text,
    List,
    Date,
    Condition,
    Group,
    Stages,
    Lookup,
    Distinct,
    Index,
    Collation,
    Malformed,
    Mixed,
    Window,
    Order,
}

impl Area {
    /// Every area.
    pub const ALL: [Self; 24] = [
        Self::Match,
        Self::Regex,
        Self::Projection,
        Self::Sort,
        Self::Update,
        Self::Positional,
        Self::PipelineUpdate,
        Self::Upsert,
        Self::Modify,
        Self::Number,
        Self::Text,
        Self::List,
        Self::Date,
        Self::Condition,
        Self::Group,
        Self::Stages,
        Self::Lookup,
        Self::Distinct,
        Self::Index,
        Self::Collation,
        Self::Malformed,
        Self::Mixed,
        Self::Window,
        Self::Order,
    ];

    /// The area of this name, in any case.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|area| format!("{area:?}").eq_ignore_ascii_case(name))
    }
}

/// Commands for one database, each on the documents that the last one left.
#[derive(Debug, Clone)]
pub struct Program {
    /// What it is about.
    pub area: Area,
    /// The area and this number are the program.
    pub seed: u64,
    /// The commands, those that make the documents among them.
    pub commands: Vec<Document>,
    /// Whether the events of `c` are compared as well.
    pub watched: bool,
}

/// Commands of a program after those that make its documents.
const COMMANDS: usize = 24;

impl Program {
    /// The program of this number: areas take turns.
    pub fn numbered(number: u64) -> Self {
        let n = Area::ALL.len() as u64;
        Self::of(Area::ALL[(number % n) as usize], number / n)
    }

    /// The program of an area and a seed.
    pub fn of(area: Area, seed: u64) -> Self {
        let mut r = Random::new((seed << 8) | area as u64);
        let r = &mut r;
        let commands = if area == Area::Order {
            nested::program(r, COMMANDS)
        } else {
            let mut commands = setup(r, area);
            for step in 0..COMMANDS {
                commands.push(command::command(r, area, step as i32));
            }
            commands
        };
        let watched = seed.is_multiple_of(3)
            && matches!(
                area,
                Area::Update | Area::Positional | Area::Upsert | Area::Modify | Area::Mixed
            );
        Self {
            area,
            seed,
            commands,
            watched,
        }
    }
}

/// Collections, indexes and documents.
fn setup(r: &mut Random, area: Area) -> Vec<Document> {
    let mut commands = Vec::new();
    let mut create = doc! { "create": "c" };
    if area == Area::Collation && r.one_in(3) {
        create.insert("collation", command::collation(r));
    }
    commands.push(create);
    if area == Area::Index || (area == Area::Mixed && r.one_in(3)) {
        for name in ["i", "j"].iter().take(1 + r.below(2)) {
            commands.push(command::create_index(r, name));
        }
    }
    let typed = matches!(
        area,
        Area::Number | Area::Text | Area::List | Area::Date | Area::Condition
    ) || (area == Area::Group && r.one_in(2));
    let n = if typed || area == Area::Window { 8 } else { 12 };
    let documents: Vec<Document> = (0..n)
        .map(|id| {
            if area == Area::Window {
                window::document(r, id)
            } else if typed {
                value::typed(r, id)
            } else if area == Area::Collation {
                command::texts(r, id)
            } else {
                value::document(r, id)
            }
        })
        .collect();
    commands.push(doc! { "insert": "c", "documents": documents, "ordered": false });
    if matches!(area, Area::Lookup | Area::Stages | Area::Mixed) {
        let documents: Vec<Document> = (0..6).map(|id| value::document(r, id)).collect();
        commands.push(doc! { "insert": "d", "documents": documents });
    }
    commands
}
