//! A fuzzer that runs wherever tests run: inputs are the committed corpus, and mutations of it by chance. It does not look at
//! coverage; what knows the forms of the inputs is its corpus and its words. A failure names its seed.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::mix::{STEP, mixed};

/// Longer inputs only cost time here: what grows faster than its input shows before.
const LONGEST: usize = 4 * 1024;
/// No input of that length takes so long, also on a slow machine without optimization.
const LONGEST_TIME: Duration = Duration::from_secs(5);

/// What the inputs are made of.
const WORDS: [&str; 58] = [
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\"",
    "\\",
    "\n",
    "\r\n",
    "\r",
    "\n\n",
    "\r\n\r\n",
    " ",
    "null",
    "true",
    "false",
    "0",
    "-1",
    "1e999",
    "0.5",
    "18446744073709551615",
    "9223372036854775808",
    "\"\\ud800\"",
    "\\u0000",
    "\\u0061",
    "\u{feff}",
    "é",
    "data: ",
    "data:",
    "event: ",
    "event: error\n",
    ": keep-alive\n\n",
    "data: [DONE]\n\n",
    "id: 1\n",
    "\"model\":",
    "\"messages\":",
    "\"role\":\"user\"",
    "\"content\":",
    "\"input\":",
    "\"prompt\":",
    "\"stream\":true",
    "\"max_tokens\":",
    "\"n\":128",
    "\"usage\":",
    "\"usage\":null",
    "\"prompt_tokens\":",
    "\"completion_tokens\":",
    "\"input_tokens\":",
    "\"output_tokens\":",
    "\"choices\":[",
    "\"delta\":{",
    "\"error\":{\"message\":\"no\"}",
    "\"type\":",
    "\"image_url\"",
    "\"tools\":[",
    "\"response.completed\"",
    "\"message_stop\"",
];

/// Chance that can be had again.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(STEP);
        mixed(self.0)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }

    fn range(&mut self, length: usize) -> std::ops::Range<usize> {
        let (one, other) = (self.below(length + 1), self.below(length + 1));
        one.min(other)..one.max(other)
    }
}

/// The inputs of `gateway/fuzz/corpus/<name>`, in the order of their names.
fn corpus(name: &str) -> Vec<Vec<u8>> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(name);
    let files = std::fs::read_dir(&folder).expect("there is a corpus");
    let mut files: Vec<_> = files.map(|file| file.expect("it can be listed").path()).collect();
    files.sort();
    files.iter().map(|file| std::fs::read(file).expect("it can be read")).collect()
}

fn mutate(chance: &mut Chance, corpus: &[Vec<u8>], input: &mut Vec<u8>) {
    let length = input.len();
    let at = chance.below(length + 1);
    match chance.below(8) {
        0 if length > 0 => input[at.min(length - 1)] ^= 1 << chance.below(8),
        1 => drop(input.drain(chance.range(length))),
        2 => input.truncate(at),
        3 => {
            let again = input[chance.range(length)].to_vec();
            input.splice(at..at, again);
        }
        4 => {
            // A piece of another one.
            let other = &corpus[chance.below(corpus.len())];
            let piece = other[chance.range(other.len())].to_vec();
            input.splice(chance.range(length), piece);
        }
        5 => {
            // Deeper than anybody reads.
            let word = WORDS[chance.below(4)].as_bytes();
            let many = word.repeat(1 << chance.below(12));
            input.splice(at..at, many);
        }
        6 => {
            // One value for another: the bytes between two marks of JSON.
            let marks = |byte: &u8| b",:{}[]".contains(byte);
            let begin = input[..at].iter().rposition(marks).map_or(0, |mark| mark + 1);
            let end = input[at..].iter().position(marks).map_or(length, |mark| at + mark);
            let word = WORDS[chance.below(WORDS.len())].as_bytes();
            input.splice(begin..end, word.iter().copied());
        }
        _ => {
            let word = WORDS[chance.below(WORDS.len())].as_bytes();
            input.splice(at..at, word.iter().copied());
        }
    }
    input.truncate(LONGEST);
}

/// Drives a function with the corpus and what becomes of it, for `LAYERS_FUZZ_SECONDS`, half a minute otherwise.
fn drive(name: &str, target: fn(&[u8])) {
    let variable = |name: &str| std::env::var(name).ok().and_then(|value| value.parse().ok());
    let time = Duration::from_secs(variable("LAYERS_FUZZ_SECONDS").unwrap_or(30));
    let seed = variable("LAYERS_FUZZ_SEED").unwrap_or_else(|| uuid::Uuid::new_v4().as_u64_pair().0);
    let corpus = corpus(name);
    let run = |input: &[u8]| {
        let begin = Instant::now();
        let outcome = catch_unwind(AssertUnwindSafe(|| target(input)));
        let shown = || format!("seed {seed}: {}", input.escape_ascii());
        assert!(outcome.is_ok(), "a promise was broken, {}", shown());
        assert!(begin.elapsed() < LONGEST_TIME, "it took {:?}, {}", begin.elapsed(), shown());
    };
    corpus.iter().for_each(|input| run(input));
    let (mut chance, begin, mut inputs) = (Chance(seed), Instant::now(), 0_u64);
    while begin.elapsed() < time {
        let mut input = corpus[chance.below(corpus.len())].clone();
        for _ in 0..=chance.below(6) {
            mutate(&mut chance, &corpus, &mut input);
        }
        run(&input);
        inputs += 1;
    }
    println!("{name}: {inputs} inputs of {} in the corpus, seed {seed}", corpus.len());
}

#[test]
fn fuzz_any_bytes_as_a_body() {
    drive("body", super::body);
}

#[test]
fn fuzz_any_bytes_as_a_stream() {
    drive("stream", super::stream);
}

/// What the corpus is for: something of it gets through, on each route.
#[test]
fn the_corpus_has_a_body_for_each_route() {
    use crate::paid::Route;
    let corpus = corpus("body");
    for route in [&super::CHAT as &dyn Route, &super::RESPONSES, &super::MESSAGES, &super::EMBEDDINGS, &super::IMAGES] {
        let read = corpus.iter().filter(|body| std::str::from_utf8(body).is_ok_and(|text| route.read(text).is_ok()));
        assert!(read.count() > 1, "{:?}", route.kind());
    }
}
