//! Equality with a real mongod where there is one, with recorded answers of
//! one where there is none, and of the engine with itself.

mod compared;
mod consistent;
mod order;

fn folder(name: &str) -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn from_environment(name: &str, or: u64) -> u64 {
    std::env::var(name).map_or(or, |text| text.parse().expect("a number"))
}
