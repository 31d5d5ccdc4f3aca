//! Tapes: recorded programs in a file, for machines without a mongod.
//!
//! A tape is gzip over BSON documents, one a program, and holds the commands
//! as well as the answers, so that it stays true when a generator changes.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::Path;

use bson::{Bson, Document, doc};
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;

use crate::answer::Refusal;
use crate::generate::Area;
use crate::run::{Recorded, Step};

/// Writes programs to a file.
///
/// # Errors
/// When the file cannot be written.
pub fn write<'a>(path: &Path, programs: impl IntoIterator<Item = &'a Recorded>) -> io::Result<()> {
    let file = BufWriter::new(File::create(path)?);
    let mut out = GzEncoder::new(file, Compression::best());
    for program in programs {
        out.write_all(&encode(program).to_vec().map_err(io::Error::other)?)?;
    }
    out.finish()?.flush()
}

/// Reads every program of a file.
///
/// # Errors
/// When the file cannot be read or is no tape.
pub fn read(path: &Path) -> io::Result<Vec<Recorded>> {
    let mut bytes = Vec::new();
    GzDecoder::new(BufReader::new(File::open(path)?)).read_to_end(&mut bytes)?;
    let mut rest = &bytes[..];
    let mut programs = Vec::new();
    while !rest.is_empty() {
        let document = Document::from_reader(&mut rest).map_err(io::Error::other)?;
        programs.push(decode(document).ok_or_else(|| io::Error::other("not a tape"))?);
    }
    Ok(programs)
}

fn encode(program: &Recorded) -> Document {
    let steps: Vec<Document> = program
        .steps
        .iter()
        .map(|step| {
            let mut document = doc! { "c": &step.command };
            match &step.reply {
                Ok(reply) => {
                    let mut reply = reply.clone();
                    reply.remove("$clusterTime");
                    reply.remove("operationTime");
                    document.insert("r", reply);
                }
                Err(refusal) => {
                    document.insert("e", refusal.code);
                    document.insert("t", &refusal.text);
                }
            }
            if let Some(state) = &step.state {
                document.insert("s", state.clone());
            }
            document
        })
        .collect();
    let mut document =
        doc! { "area": format!("{:?}", program.area), "seed": program.seed as i64, "steps": steps };
    if let Some(events) = &program.events {
        document.insert("events", events.clone());
    }
    document
}

fn decode(document: Document) -> Option<Recorded> {
    let steps = document.get_array("steps").ok()?.iter().map(|step| {
        let step = step.as_document()?;
        let reply = match step.get("r") {
            Some(reply) => Ok(reply.as_document()?.clone()),
            None => Err(Refusal {
                code: step.get_i32("e").ok()?,
                text: step.get_str("t").ok()?.to_owned(),
            }),
        };
        Some(Step {
            command: step.get_document("c").ok()?.clone(),
            reply,
            state: step.get_array("s").ok().map(|list| documents(list)),
        })
    });
    Some(Recorded {
        area: Area::named(document.get_str("area").ok()?)?,
        seed: document.get_i64("seed").ok()? as u64,
        steps: steps.collect::<Option<_>>()?,
        events: document
            .get_array("events")
            .ok()
            .map(|list| documents(list)),
    })
}

fn documents(values: &[Bson]) -> Vec<Document> {
    values
        .iter()
        .filter_map(|value| value.as_document().cloned())
        .collect()
}
