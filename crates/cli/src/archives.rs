//! `backstitch backup`, `restore`, `export`, `import` and `doctor`: a
//! server's data as files and back, and whether it is whole.

mod place;
pub(crate) mod remote;

use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use archive::{Directory, Options};
use clap::{Args, ValueEnum};

use place::{Place, Reached};

pub(crate) type Failed = Box<dyn std::error::Error + Send + Sync>;

/// Which collections.
#[derive(Args)]
struct Which {
    /// Only this database
    #[arg(long)]
    db: Option<String>,
    /// Only this collection
    #[arg(long, requires = "db")]
    collection: Option<String>,
    /// Only namespaces that match this; * stands for anything (may be repeated)
    #[arg(long)]
    include: Vec<String>,
    /// No namespaces that match this (may be repeated)
    #[arg(long)]
    exclude: Vec<String>,
    /// Only users' data: not the server's own records (apps, users, secrets)
    #[arg(long)]
    data_only: bool,
}

impl Which {
    /// As options; a server knows what is its own.
    fn options(&self, reached: &Reached) -> Options {
        let mut options = Options::default();
        match reached {
            Reached::Server(_) => options.switch("data-only", self.data_only),
            Reached::Engine(_) if self.data_only => {
                options.add("exclude", format!("{}.*", server::STATE_DATABASE));
            }
            Reached::Engine(_) => {}
        }
        for (name, value) in [("db", &self.db), ("collection", &self.collection)] {
            if let Some(value) = value {
                options.add(name, value);
            }
        }
        for (name, values) in [("include", &self.include), ("exclude", &self.exclude)] {
            for value in values {
                options.add(name, value);
            }
        }
        options
    }
}

#[derive(Args)]
pub(crate) struct Backup {
    /// The directory to write, in the layout of mongodump; it must not be there
    directory: PathBuf,
    #[command(flatten)]
    which: Which,
    /// Pack each file
    #[arg(long)]
    gzip: bool,
    #[command(flatten)]
    place: Place,
}

#[derive(Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch")]
pub(crate) struct Restore {
    /// The directory, as backup or mongodump wrote it
    directory: PathBuf,
    #[command(flatten)]
    which: Which,
    /// Drop each collection before it is restored
    #[arg(long)]
    drop: bool,
    /// Leave indexes out
    #[arg(long)]
    no_indexes: bool,
    /// Leave collections' options out
    #[arg(long)]
    no_options: bool,
    /// Stop at the first document that is refused
    #[arg(long)]
    stop_on_error: bool,
    /// Change nothing; say what would be restored
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    place: Place,
}

/// The form of a file.
#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Type {
    Json,
    Csv,
    Tsv,
    Bson,
}

impl Type {
    /// As said, or as a file's name ends.
    fn of(said: Option<Self>, file: Option<&Path>) -> &'static str {
        let ending = file
            .and_then(Path::extension)
            .and_then(|ending| ending.to_str())
            .unwrap_or_default();
        match (said, ending) {
            (Some(Self::Csv), _) | (None, "csv") => "csv",
            (Some(Self::Tsv), _) | (None, "tsv") => "tsv",
            (Some(Self::Bson), _) | (None, "bson") => "bson",
            (Some(Self::Json) | None, _) => "json",
        }
    }
}

#[derive(Args)]
pub(crate) struct Export {
    /// The database
    #[arg(long)]
    db: String,
    /// The collection
    #[arg(long)]
    collection: String,
    /// The file to write (default: the screen)
    #[arg(long)]
    out: Option<PathBuf>,
    /// The form (default: as the file's name ends, else json)
    #[arg(long = "type")]
    form: Option<Type>,
    /// Only documents that match this filter, in Extended JSON
    #[arg(long)]
    query: Option<String>,
    /// Their order, in Extended JSON
    #[arg(long)]
    sort: Option<String>,
    /// Only these fields, with commas; a table needs them
    #[arg(long)]
    fields: Option<String>,
    /// Documents to leave out first
    #[arg(long)]
    skip: Option<u64>,
    /// Most documents
    #[arg(long)]
    limit: Option<u64>,
    /// Write every type exactly
    #[arg(long)]
    canonical: bool,
    /// Write one array
    #[arg(long)]
    array: bool,
    /// Write no row of names
    #[arg(long)]
    no_header: bool,
    #[command(flatten)]
    place: Place,
}

#[derive(Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch")]
pub(crate) struct Import {
    /// The file to read (default: standard input)
    file: Option<PathBuf>,
    /// The database
    #[arg(long)]
    db: String,
    /// The collection
    #[arg(long)]
    collection: String,
    /// The form (default: as the file's name ends, else json)
    #[arg(long = "type")]
    form: Option<Type>,
    /// What to do with each document: insert, upsert or merge
    #[arg(long)]
    mode: Option<String>,
    /// The fields that say which document is the same, with commas (default: _id)
    #[arg(long)]
    upsert_fields: Option<String>,
    /// Drop the collection before
    #[arg(long)]
    drop: bool,
    /// Stop at the first document that is refused
    #[arg(long)]
    stop_on_error: bool,
    /// The columns of a table without a row of names, with commas
    #[arg(long)]
    fields: Option<String>,
    /// Leave empty fields of a table out
    #[arg(long)]
    ignore_blanks: bool,
    /// The names of a table's columns end in types: price.decimal()
    #[arg(long)]
    columns_have_types: bool,
    /// What happens with cells that do not fit: stop, skip-field, skip-row or auto-cast
    #[arg(long)]
    parse_grace: Option<String>,
    #[command(flatten)]
    place: Place,
}

#[derive(Args)]
pub(crate) struct Doctor {
    /// The server's folder; no server may run in it
    #[arg(long, env = "BACKSTITCH_DATA_DIR", default_value = ".backstitch")]
    data_dir: PathBuf,
    /// Build indexes anew that do not agree with their documents
    #[arg(long)]
    repair: bool,
}

/// Runs one of them; an error is printed.
pub(crate) fn run(work: impl Future<Output = Result<ExitCode, Failed>>) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let done = runtime
        .map_err(Failed::from)
        .and_then(|runtime| runtime.block_on(work));
    done.unwrap_or_else(|error| {
        eprintln!("backstitch: {error}");
        ExitCode::FAILURE
    })
}

pub(crate) async fn backup(backup: Backup) -> Result<ExitCode, Failed> {
    let reached = backup.place.reach().await?;
    let options = backup.which.options(&reached);
    match reached {
        Reached::Engine(engine) => {
            let selection = options.into_selection()?;
            let mut directory = Directory::create(&backup.directory, backup.gzip)?;
            let dumped = archive::dump(&engine, &selection, &mut directory).await?;
            for one in &dumped.collections {
                println!(
                    "{}: {} documents, {} bytes",
                    one.namespace, one.documents, one.bytes
                );
            }
            for text in &dumped.left_out {
                eprintln!("{text}");
            }
            if let archive::Moment::Many(why) = &dumped.moment {
                eprintln!("not of one moment: {why}");
            }
        }
        Reached::Server(server) => {
            if backup.gzip {
                return Err("--gzip is not for a backup of a running server".into());
            }
            let stream = server.get("backup", &options)?;
            archive::unpack(stream, &backup.directory)?;
        }
    }
    println!("written: {}", backup.directory.display());
    Ok(ExitCode::SUCCESS)
}

pub(crate) async fn restore(restore: Restore) -> Result<ExitCode, Failed> {
    let reached = restore.place.reach().await?;
    let mut options = restore.which.options(&reached);
    options.switch("drop", restore.drop);
    options.switch("no-indexes", restore.no_indexes);
    options.switch("no-options", restore.no_options);
    options.switch("stop-on-error", restore.stop_on_error);
    options.switch("dry-run", restore.dry_run);
    let told = match reached {
        Reached::Engine(engine) => {
            let options = options.into_restore()?;
            let restored = archive::restore(&engine, &restore.directory, &options).await?;
            remote::Told::from(restored)
        }
        Reached::Server(server) => server.restore(&options, &restore.directory)?,
    };
    let mut failed = !told.failures.is_empty();
    for one in &told.collections {
        failed |= one.failed > 0;
        let refused = match one.failed {
            0 => String::new(),
            n => format!(", {n} refused"),
        };
        println!(
            "{}: {} documents{refused}, {} indexes",
            one.namespace, one.documents, one.indexes
        );
    }
    for text in told.failures.iter().chain(&told.left_out) {
        eprintln!("{text}");
    }
    Ok(ExitCode::from(u8::from(failed)))
}

pub(crate) async fn export(export: Export) -> Result<ExitCode, Failed> {
    let mut options = Options::default();
    options.add("db", &export.db);
    options.add("collection", &export.collection);
    options.add("type", Type::of(export.form, export.out.as_deref()));
    for (name, value) in [
        ("query", export.query),
        ("sort", export.sort),
        ("fields", export.fields),
        ("skip", export.skip.map(|n| n.to_string())),
        ("limit", export.limit.map(|n| n.to_string())),
    ] {
        if let Some(value) = value {
            options.add(name, value);
        }
    }
    options.switch("canonical", export.canonical);
    options.switch("array", export.array);
    options.switch("no-header", export.no_header);
    let reached = export.place.reach().await?;
    let mut out: Box<dyn Write + Send> = match &export.out {
        Some(path) => Box::new(io::BufWriter::new(
            File::create(path).map_err(|error| format!("{}: {error}", path.display()))?,
        )),
        None => Box::new(io::stdout()),
    };
    match reached {
        Reached::Engine(engine) => {
            let ((database, collection), export, form) = options.into_export()?;
            let place = (&*database, &*collection);
            archive::export(&engine, place, &export, &form, &mut out).await?;
        }
        Reached::Server(server) => {
            let mut stream = server.get("export", &options)?;
            io::copy(&mut stream, &mut out)?;
            out.flush()?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

pub(crate) async fn import(import: Import) -> Result<ExitCode, Failed> {
    let mut options = Options::default();
    options.add("db", &import.db);
    options.add("collection", &import.collection);
    options.add("type", Type::of(import.form, import.file.as_deref()));
    for (name, value) in [
        ("mode", import.mode),
        ("upsert-fields", import.upsert_fields),
        ("fields", import.fields.clone()),
        ("parse-grace", import.parse_grace),
    ] {
        if let Some(value) = value {
            options.add(name, value);
        }
    }
    options.switch("drop", import.drop);
    options.switch("stop-on-error", import.stop_on_error);
    options.switch("ignore-blanks", import.ignore_blanks);
    options.switch("columns-have-types", import.columns_have_types);
    // Names that are given are those of a table without a row of them.
    options.switch("no-header", import.fields.is_some());
    let reached = import.place.reach().await?;
    let name = match &import.file {
        Some(path) => path.display().to_string(),
        None => "standard input".to_owned(),
    };
    let input: Box<dyn Read + Send> = match &import.file {
        Some(path) => Box::new(BufReader::new(
            File::open(path).map_err(|error| format!("{name}: {error}"))?,
        )),
        None => Box::new(io::stdin()),
    };
    let counted = match reached {
        Reached::Engine(engine) => {
            let ((database, collection), import, form) = options.into_import()?;
            let place = (&*database, &*collection);
            let imported = archive::import(&engine, place, input, &name, &form, &import).await?;
            remote::Counted::from(imported)
        }
        Reached::Server(server) => server.import(&options, input)?,
    };
    println!(
        "{} documents imported, {} refused, {} rows left out",
        counted.documents, counted.failed, counted.skipped
    );
    for text in &counted.failures {
        eprintln!("{text}");
    }
    Ok(ExitCode::from(u8::from(counted.failed > 0)))
}

/// Examines a data directory; says everything that is wrong.
pub(crate) fn doctor(doctor: &Doctor) -> ExitCode {
    let examined = match engine_embedded::doctor(&doctor.data_dir, doctor.repair) {
        Ok(examined) => examined,
        Err(error) => {
            eprintln!("backstitch: {error}");
            return ExitCode::FAILURE;
        }
    };
    for (what, n) in &examined.checked {
        println!("{what}: {n}");
    }
    if examined.rebuilt > 0 {
        println!("indexes built anew: {}", examined.rebuilt);
    }
    for problem in &examined.problems {
        eprintln!("problem: {problem}");
    }
    let told = examined.problems.len() as u64;
    if examined.problem_count > told {
        eprintln!("and {} more", examined.problem_count - told);
    }
    if examined.problem_count == 0 {
        println!("all is well");
        return ExitCode::SUCCESS;
    }
    eprintln!("{} problems", examined.problem_count);
    ExitCode::FAILURE
}
