//! Makes new inputs of old ones, in the ways of libFuzzer, the same from the same seed. It must never ask anything but its
//! own numbers: what the gate tries today it tries tomorrow.

/// The longest input that is made.
const INPUT_BYTES_MAX: usize = 4096;

/// Changes of one input.
const CHANGES_MAX: usize = 5;

/// SplitMix64 (Steele, Lea and Flood, 2014): numbers that look random and are not.
pub(crate) struct Numbers(u64);

impl Numbers {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// One of so many.
    fn below(&mut self, count: usize) -> usize {
        usize::try_from(self.next() % count.max(1) as u64).expect("it is below a usize")
    }

    fn byte(&mut self) -> u8 {
        self.next().to_le_bytes()[0]
    }
}

/// Inputs, and words that mean something.
pub(crate) struct Mutator {
    numbers: Numbers,
    inputs: Vec<Vec<u8>>,
    words: Vec<Vec<u8>>,
}

impl Mutator {
    pub(crate) fn new(seed: u64, inputs: Vec<Vec<u8>>) -> Self {
        let words = words(include_str!("words.dict"));
        Self { numbers: Numbers::new(seed), inputs, words }
    }

    /// Another input.
    pub(crate) fn next(&mut self) -> Vec<u8> {
        let at = self.numbers.below(self.inputs.len());
        let mut input = self.inputs.get(at).cloned().unwrap_or_default();
        for _ in 0..=self.numbers.below(CHANGES_MAX) {
            self.change(&mut input);
        }
        input.truncate(INPUT_BYTES_MAX);
        input
    }

    fn change(&mut self, input: &mut Vec<u8>) {
        let at = self.numbers.below(input.len() + 1);
        let length = 1 + self.numbers.below(16);
        let until = (at + length).min(input.len());
        match self.numbers.below(9) {
            0 if at < input.len() => input[at] ^= 1 << self.numbers.below(8),
            1 if at < input.len() => input[at] = self.numbers.byte(),
            2 => drop(input.drain(at..until)),
            3 => {
                let piece = input[at..until].to_vec();
                drop(input.splice(at..at, piece));
            }
            4 => {
                let piece: Vec<u8> = (0..length).map(|_| self.numbers.byte()).collect();
                drop(input.splice(at..at, piece));
            }
            5 => input.truncate(at),
            // Half of this one and half of another.
            6 if !self.inputs.is_empty() => {
                let other = self.numbers.below(self.inputs.len());
                let from = self.numbers.below(self.inputs[other].len() + 1);
                input.truncate(at);
                input.extend_from_slice(&self.inputs[other][from..]);
            }
            7 => {
                let word = self.numbers.below(self.words.len());
                drop(input.splice(at..until, self.words[word].iter().copied()));
            }
            _ => {
                let word = self.numbers.below(self.words.len());
                drop(input.splice(at..at, self.words[word].iter().copied()));
            }
        }
    }
}

/// The words of a dictionary of libFuzzer: one in quotes a line, with `\xNN`, `\\` and `\"`.
fn words(dictionary: &str) -> Vec<Vec<u8>> {
    let lines = dictionary.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let word = |line: &str| {
        let quoted = line.strip_prefix('"')?.strip_suffix('"')?;
        unescape(quoted.as_bytes())
    };
    lines.map(|line| word(line).unwrap_or_else(|| panic!("no word: {line}"))).collect()
}

fn unescape(mut text: &[u8]) -> Option<Vec<u8>> {
    let mut word = Vec::new();
    while let Some((&first, rest)) = text.split_first() {
        let (byte, rest) = match (first, rest) {
            (b'\\', [b'x', high, low, rest @ ..]) => {
                (u8::from_str_radix(std::str::from_utf8(&[*high, *low]).ok()?, 16).ok()?, rest)
            }
            (b'\\', [escaped @ (b'\\' | b'"'), rest @ ..]) => (*escaped, rest),
            (b'\\', _) => return None,
            _ => (first, rest),
        };
        word.push(byte);
        text = rest;
    }
    Some(word)
}

#[test]
fn the_same_seed_makes_the_same_inputs() {
    let made = |seed| {
        let mut mutator = Mutator::new(seed, vec![b"a LOGIN b c\r\n".to_vec(), b"x".to_vec()]);
        (0..200).map(|_| mutator.next()).collect::<Vec<_>>()
    };
    assert_eq!(made(1), made(1));
    assert_ne!(made(1), made(2));
    assert!(made(1).iter().all(|input| input.len() <= INPUT_BYTES_MAX));
    assert_eq!(words("# x\n\"a\\x0d\\\\\\\"\"\n"), [b"a\r\\\"".to_vec()]);
}
