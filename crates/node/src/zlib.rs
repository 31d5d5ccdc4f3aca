//! `zlib`: deflate in its three frames, and brotli; whole texts at once.

use std::io::Write as _;

use ::brotli::enc::StandardAlloc;
use ::brotli::{BrotliDecompressStream, BrotliResult, BrotliState};
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

use crate::{NodeError, Value, arguments::Arguments};

/// What comes out at most, in bytes: a tenth of a percent of it may be all that
/// went in.
const OUTPUT_BYTES_MAX: usize = 128 << 20;
const STEP: usize = 64 << 10;

/// Runs `zlib.NAME`.
pub(crate) fn call(name: &str, arguments: &[Value]) -> Option<Result<Value, NodeError>> {
    let arguments = Arguments(arguments);
    Some(match name {
        "compress" => compress(&arguments),
        "decompress" => decompress(&arguments),
        "crc32" => crc32(&arguments),
        _ => return None,
    })
}

/// What was made so far, up to a limit.
struct Output {
    bytes: Vec<u8>,
    max: usize,
}

impl Output {
    fn new(max: f64) -> Self {
        let max = (max as usize).min(OUTPUT_BYTES_MAX);
        let bytes = Vec::new();
        Self { bytes, max }
    }

    fn push(&mut self, bytes: &[u8]) -> Result<(), NodeError> {
        let fits = self.bytes.len() + bytes.len() <= self.max;
        if !fits || self.bytes.try_reserve(bytes.len()).is_err() {
            return Err(NodeError {
                name: "RangeError",
                message: format!("Cannot create a Buffer larger than {} bytes", self.max),
                code: "ERR_BUFFER_TOO_LARGE",
            });
        }
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }
}

fn failed(code: &'static str, message: &str) -> NodeError {
    NodeError {
        name: "Error",
        message: message.to_owned(),
        code,
    }
}

fn cut_off() -> NodeError {
    failed("Z_BUF_ERROR", "unexpected end of file")
}

/// Format, level, window bits, mode (brotli), dictionary, segments (bytes and
/// how to flush after them, in turn), the largest output.
fn compress(arguments: &Arguments) -> Result<Value, NodeError> {
    let (format, level) = (arguments.text(0)?, arguments.number(1)?);
    let window = arguments.number(2)?;
    let dictionary = match arguments.get(4) {
        Value::Bytes(bytes) => Some(bytes.as_slice()),
        _ => None,
    };
    let Value::List(parts) = arguments.get(5) else {
        return Err(failed("Z_STREAM_ERROR", "stream error"));
    };
    let mut segments = Vec::new();
    for pair in parts.chunks(2) {
        match pair {
            [Value::Bytes(bytes), Value::Number(flush)] => segments.push((bytes, *flush as u8)),
            _ => return Err(failed("Z_STREAM_ERROR", "stream error")),
        }
    }
    let mut output = Output::new(arguments.number(6)?);
    if format == "brotli" {
        return brotli(&segments, level, window, arguments, &mut output);
    }
    let level = match level as i32 {
        level @ 0..=9 => Compression::new(level as u32),
        _ => Compression::default(),
    };
    let window = (window as u8).clamp(9, 15);
    let mut stream = match format {
        "gzip" => Compress::new_gzip(level, window),
        "zlib" => Compress::new_with_window_bits(level, true, window),
        _ => Compress::new_with_window_bits(level, false, window),
    };
    if let Some(dictionary) = dictionary {
        let set = stream.set_dictionary(dictionary);
        set.map_err(|_| failed("Z_STREAM_ERROR", "Failed to set dictionary"))?;
    }
    let mut buffer = vec![0; STEP];
    for (bytes, flush) in segments {
        let flush = match flush {
            0 => FlushCompress::None,
            1 => FlushCompress::Partial,
            3 => FlushCompress::Full,
            4 => FlushCompress::Finish,
            _ => FlushCompress::Sync,
        };
        let mut rest = bytes.as_slice();
        loop {
            let (read, written) = (stream.total_in(), stream.total_out());
            let status = stream
                .compress(rest, &mut buffer, flush)
                .map_err(|_| failed("Z_STREAM_ERROR", "stream error"))?;
            rest = &rest[(stream.total_in() - read) as usize..];
            let made = (stream.total_out() - written) as usize;
            output.push(&buffer[..made])?;
            // A buffer that was not filled has all that there is.
            if status == Status::StreamEnd || (rest.is_empty() && made < buffer.len()) {
                break;
            }
        }
    }
    Ok(Value::Bytes(output.bytes))
}

fn brotli(
    segments: &[(&Vec<u8>, u8)],
    quality: f64,
    window: f64,
    arguments: &Arguments,
    output: &mut Output,
) -> Result<Value, NodeError> {
    let mut parameters = ::brotli::enc::BrotliEncoderParams {
        quality: quality.clamp(0.0, 11.0) as i32,
        lgwin: window.clamp(10.0, 24.0) as i32,
        ..Default::default()
    };
    parameters.mode = match arguments.get(3) {
        Value::Number(1.0) => {
            ::brotli::enc::backward_references::BrotliEncoderMode::BROTLI_MODE_TEXT
        }
        Value::Number(2.0) => {
            ::brotli::enc::backward_references::BrotliEncoderMode::BROTLI_MODE_FONT
        }
        _ => parameters.mode,
    };
    let broken = |_| failed("ERR_BROTLI_COMPRESSION_FAILED", "Compression failed");
    let mut writer = ::brotli::CompressorWriter::with_params(Vec::new(), STEP, &parameters);
    let mut is_done = false;
    for (bytes, flush) in segments {
        writer.write_all(bytes).map_err(broken)?;
        match flush {
            0 => {}
            4 => is_done = true,
            _ => writer.flush().map_err(broken)?,
        }
    }
    let made = if is_done {
        writer.into_inner()
    } else {
        writer.get_ref().clone()
    };
    output.push(&made)?;
    Ok(Value::Bytes(std::mem::take(&mut output.bytes)))
}

/// Format, bytes, dictionary, whether they may end before their end, the
/// largest output.
fn decompress(arguments: &Arguments) -> Result<Value, NodeError> {
    let mut rest = arguments.bytes(1)?;
    let dictionary = match arguments.get(2) {
        Value::Bytes(bytes) => Some(bytes.as_slice()),
        _ => None,
    };
    let is_partial = arguments.flag(3);
    let mut output = Output::new(arguments.number(4)?);
    let format = match arguments.text(0)? {
        "any" if rest.first() == Some(&0x1f) => "gzip",
        "any" => "zlib",
        "brotli" => return unbrotli(rest, is_partial, output),
        format => format,
    };
    loop {
        let mut stream = match format {
            "gzip" => Decompress::new_gzip(15),
            "zlib" => Decompress::new_with_window_bits(true, 15),
            _ => Decompress::new_with_window_bits(false, 15),
        };
        if let (Some(dictionary), "raw") = (dictionary, format) {
            let set = stream.set_dictionary(dictionary);
            set.map_err(|_| failed("Z_STREAM_ERROR", "Failed to set dictionary"))?;
        }
        let is_whole = inflate(&mut stream, &mut rest, dictionary, &mut output)?;
        if !is_whole && !is_partial {
            return Err(cut_off());
        }
        // Another member may follow; zeros are padding.
        if !is_whole || format != "gzip" || rest.first().is_none_or(|byte| *byte == 0) {
            return Ok(Value::Bytes(output.bytes));
        }
    }
}

/// Reads one frame; whether it came to its end.
fn inflate(
    stream: &mut Decompress,
    rest: &mut &[u8],
    dictionary: Option<&[u8]>,
    output: &mut Output,
) -> Result<bool, NodeError> {
    let mut buffer = vec![0; STEP];
    loop {
        let (read, written) = (stream.total_in(), stream.total_out());
        let status = stream.decompress(rest, &mut buffer, FlushDecompress::Sync);
        *rest = &rest[(stream.total_in() - read) as usize..];
        let made = (stream.total_out() - written) as usize;
        output.push(&buffer[..made])?;
        match status {
            Ok(Status::StreamEnd) => return Ok(true),
            Ok(_) if rest.is_empty() && made < buffer.len() => return Ok(false),
            Ok(Status::BufError) if made == 0 && stream.total_in() == read => return Ok(false),
            Ok(_) => {}
            Err(error) if error.needs_dictionary().is_some() => {
                let Some(dictionary) = dictionary else {
                    return Err(failed("Z_NEED_DICT", "Missing dictionary"));
                };
                let set = stream.set_dictionary(dictionary);
                set.map_err(|_| failed("Z_NEED_DICT", "Bad dictionary"))?;
            }
            Err(error) => {
                let message = error.message().unwrap_or("invalid data");
                return Err(failed("Z_DATA_ERROR", message));
            }
        }
    }
}

fn unbrotli(bytes: &[u8], is_partial: bool, mut output: Output) -> Result<Value, NodeError> {
    let alloc = StandardAlloc::default;
    let mut state = BrotliState::new(alloc(), alloc(), alloc());
    let mut buffer = vec![0; STEP];
    let (mut left, mut at, mut total) = (bytes.len(), 0, 0);
    loop {
        let (mut space, mut made) = (buffer.len(), 0);
        let result = BrotliDecompressStream(
            &mut left,
            &mut at,
            bytes,
            &mut space,
            &mut made,
            &mut buffer,
            &mut total,
            &mut state,
        );
        output.push(&buffer[..made])?;
        match result {
            BrotliResult::NeedsMoreOutput => {}
            BrotliResult::NeedsMoreInput if !is_partial => return Err(cut_off()),
            BrotliResult::ResultSuccess | BrotliResult::NeedsMoreInput => {
                return Ok(Value::Bytes(output.bytes));
            }
            BrotliResult::ResultFailure => {
                return Err(failed("ERR__ERROR_FORMAT", "Decompression failed"));
            }
        }
    }
}

/// Bytes and the value to go on from.
fn crc32(arguments: &Arguments) -> Result<Value, NodeError> {
    let start = arguments.number(1)? as i64 as u32;
    let mut hasher = crc32fast::Hasher::new_with_initial(start);
    hasher.update(arguments.bytes(0)?);
    Ok(Value::Number(f64::from(hasher.finalize())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unpacked(format: &str, bytes: &[u8], max: f64) -> Result<Value, NodeError> {
        decompress(&Arguments(&[
            Value::Text(format.into()),
            Value::Bytes(bytes.to_vec()),
            Value::Undefined,
            Value::Bool(false),
            Value::Number(max),
        ]))
    }

    fn packed(format: &str, segments: Vec<Value>) -> Vec<u8> {
        let arguments = [
            Value::Text(format.into()),
            Value::Number(6.0),
            Value::Number(15.0),
            Value::Number(0.0),
            Value::Undefined,
            Value::List(segments),
            Value::Number(1e9),
        ];
        match compress(&Arguments(&arguments)).unwrap() {
            Value::Bytes(bytes) => bytes,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn bombs_end_at_the_limit() {
        let whole = Value::Bytes(vec![0; 8 << 20]);
        for format in ["zlib", "gzip", "raw", "brotli"] {
            let small = packed(format, vec![whole.clone(), Value::Number(4.0)]);
            assert!(small.len() < 20_000, "{format}");
            assert_eq!(
                unpacked(format, &small, 1e10),
                Ok(whole.clone()),
                "{format}"
            );
            let error = unpacked(format, &small, 1e6).unwrap_err();
            assert_eq!(error.code, "ERR_BUFFER_TOO_LARGE", "{format}");
        }
    }

    #[test]
    fn what_is_flushed_is_a_prefix_of_the_whole() {
        let bytes: Vec<u8> = (0..200_000_u32)
            .map(|n| (n.wrapping_mul(n) >> 7) as u8)
            .collect();
        let (one, other) = bytes.split_at(70_000);
        for format in ["zlib", "gzip", "raw", "brotli"] {
            let mut segments = vec![Value::Bytes(one.to_vec()), Value::Number(2.0)];
            let first = packed(format, segments.clone());
            segments.extend([Value::Bytes(other.to_vec()), Value::Number(4.0)]);
            let whole = packed(format, segments);
            assert_eq!(whole[..first.len()], first, "{format}");
            assert_eq!(
                unpacked(format, &whole, 1e9),
                Ok(Value::Bytes(bytes.clone()))
            );
        }
    }

    #[test]
    fn damaged_bytes_are_errors() {
        let mut seed = 7_u32;
        let text = b"hello hello hello, this is a text that is compressed".repeat(20);
        for format in ["zlib", "gzip", "raw", "brotli"] {
            let good = packed(format, vec![Value::Bytes(text.clone()), Value::Number(4.0)]);
            for _ in 0..2000 {
                let mut bad = good.clone();
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let place = seed as usize % bad.len();
                bad[place] ^= (seed >> 24) as u8 | 1;
                bad.truncate(bad.len() - (seed >> 16) as usize % 3);
                let _ = unpacked(format, &bad, 1e7);
            }
            assert_eq!(
                unpacked(format, &good[..5], 1e7),
                Err(cut_off()),
                "{format}"
            );
        }
    }
}
