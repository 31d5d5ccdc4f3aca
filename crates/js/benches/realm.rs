//! What a realm that nobody used costs: `cargo bench -p js`.

use std::time::Duration;

fn main() {
    #[cfg(target_os = "linux")]
    for (what, modules) in [
        ("prelude", &[][..]),
        ("prelude, buffer, url, events", &["buffer", "url", "events"]),
        (
            "prelude and many modules",
            &[
                "buffer", "url", "events", "stream", "util", "zlib", "crypto", "http", "assert",
            ],
        ),
    ] {
        let (image, rows) = js::measure::realms(modules, 5000).expect("a realm");
        println!("{what}: an image of {} KiB", image >> 10);
        for row in rows {
            let mut times = row.times;
            times.sort_unstable();
            let at = |part: f64| times[(times.len() as f64 * part) as usize].as_secs_f64() * 1e6;
            let sum: Duration = times.iter().sum();
            println!(
                "  {:36} median {:8.1} us  p10 {:8.1}  mean {:8.1}  {}",
                row.way,
                at(0.5),
                at(0.1),
                sum.as_secs_f64() * 1e6 / times.len() as f64,
                if row.clean { "clean" } else { "leaves traces" },
            );
        }
    }
}
