//! A page read with all its checks, line by line: the first page of a target, and each that differs from the last.
//! Heads of the last page are found again, at their place or by their hash, so that only unknown ones are asked about.
//! Nothing that the reader remembers is touched; what is to be remembered instead comes back as [`Read`].

use std::collections::HashMap;

use super::class::Class;
use super::key::{Key, Pass};
use super::known::{DROPPED, HEAD_BYTES_MAX, Line, META, SLOTS_MAX, Script, UNASKED, UNWANTED};
use super::line::{self, Fault, Head, Tail};
use super::openmetrics::OpenMetrics;
use super::text::Text;
use super::{Fate, Format, Limits, PageError, Stats, out_of_bounds};
use crate::engine::Columns;
use crate::model::{Labels, STALE, Slot, Timestamp};

/// A line's usual length at least: how many lines a page never seen is expected to have.
const LINE_BYTES: usize = 96;

/// What a reader knows before the page.
#[derive(Clone, Copy, Debug)]
pub struct Before<'a> {
    pub limits: &'a Limits,
    pub key: &'a Key,
    pub script: &'a Script,
    /// Whether the script's lines were read in this page's format.
    pub same_format: bool,
    /// By slot: the name of its labels, 0 where it is free.
    pub slots: &'a [u128],
}

/// What it knows afterwards.
#[derive(Debug)]
pub struct Read {
    pub columns: Columns,
    pub stats: Stats,
    pub script: Script,
    pub slots: Vec<u128>,
}

enum Rules<'a> {
    Text(Text<'a>),
    OpenMetrics(Box<OpenMetrics<'a>>),
}

/// Where a head was met: on the last page (its line there) or on this one.
#[derive(Copy, Clone)]
enum Met {
    Before(usize),
    Here(usize),
}

struct Page<'a, 'f> {
    before: Before<'a>,
    format: Format,
    at: Option<Timestamp>,
    fate: &'f mut dyn FnMut(Labels) -> Fate,
    rules: Rules<'a>,
    head: Head<'a>,
    scratch: Vec<u8>,
    script: Script,
    columns: Columns,
    stats: Stats,
    slots: Vec<u128>,
    /// By slot: whether its series stood on this page.
    written: Vec<bool>,
    /// The lowest slot that may be free.
    free: usize,
    /// By line of the last page: whether its head stood on this one.
    seen: Vec<bool>,
    /// The line of the last page that should come next.
    expected: usize,
    /// Heads by the lower half of their names: lines of the last page, then of this one. Built when first needed.
    heads: Option<HashMap<u64, u32, Pass>>,
    /// Live slots by the lower half of their labels' names. Built when first needed.
    by_labels: Option<HashMap<u64, u32, Pass>>,
}

/// Reads `body`. Timestamps of its own count only with `at`, the moment of the scrape.
pub fn read(
    before: Before<'_>,
    body: &[u8],
    format: Format,
    at: Option<Timestamp>,
    fate: &mut dyn FnMut(Labels) -> Fate,
) -> Result<Read, PageError> {
    let (text, whole) = match std::str::from_utf8(body) {
        Ok(text) => (text, true),
        Err(error) => {
            // The lines before the broken one are read first, so that the first fault is the one named.
            let valid = &body[..error.valid_up_to()];
            let end = memchr::memrchr(b'\n', valid).map_or(0, |end| end + 1);
            (std::str::from_utf8(&body[..end]).unwrap_or_default(), false)
        }
    };
    let mut page = Page {
        before,
        format,
        at,
        fate,
        rules: match format {
            Format::Text => Rules::Text(Text::default()),
            Format::OpenMetrics => Rules::OpenMetrics(Box::default()),
        },
        head: Head::default(),
        scratch: Vec::new(),
        script: Script {
            lines: Vec::with_capacity(before.script.lines.len().max(body.len() / LINE_BYTES)),
            ..Script::default()
        },
        columns: Columns {
            values: vec![STALE; before.slots.len()],
            ..Columns::default()
        },
        stats: Stats::default(),
        slots: before.slots.to_vec(),
        written: vec![false; before.slots.len()],
        free: 0,
        seen: vec![false; before.script.lines.len()],
        expected: 0,
        heads: None,
        by_labels: None,
    };
    let mut rest = text;
    while !rest.is_empty() {
        let end = memchr::memchr(b'\n', rest.as_bytes());
        let line = &rest[..end.unwrap_or(rest.len())];
        page.line(line)
            .map_err(|fault| page.error(fault, line.as_bytes()))?;
        rest = end.map_or("", |end| &rest[end + 1..]);
    }
    if !whole {
        let broken = body[text.len()..].split(|byte| *byte == b'\n').next();
        return Err(page.error("not UTF-8".into(), broken.unwrap_or_default()));
    }
    page.finish()
}

impl<'a> Page<'a, '_> {
    fn error(&self, fault: Fault, line: &[u8]) -> PageError {
        let excerpt = line::excerpt(line);
        let line = u32::try_from(self.script.lines.len() + 1).unwrap_or(u32::MAX);
        match fault {
            Fault::Syntax(message) => PageError::Malformed {
                line,
                message,
                excerpt,
            },
            Fault::Limit(message) => PageError::LabelLimit {
                line,
                message,
                excerpt,
            },
            Fault::Samples => PageError::SampleLimit(self.before.limits.samples),
        }
    }

    fn line(&mut self, line: &'a str) -> Result<(), Fault> {
        if let Rules::OpenMetrics(rules) = &self.rules
            && rules.ended()
        {
            return Err("text after # EOF".into());
        }
        if line.len() >= HEAD_BYTES_MAX {
            return Err("line of 64 MiB or more".into());
        }
        let trimmed = match self.format {
            Format::Text => line.trim_start_matches([' ', '\t']),
            Format::OpenMetrics => line,
        };
        if trimmed.is_empty() || trimmed.starts_with('#') {
            let meta = line::meta(trimmed, self.format)?;
            match &mut self.rules {
                Rules::Text(rules) => rules.meta(meta)?,
                Rules::OpenMetrics(rules) => rules.meta(&meta)?,
            }
            let name = self.before.key.bytes(line.as_bytes());
            let record = Line::new(name, line.len(), Class::Free, false, META);
            self.script.lines.push(record);
            self.script.told = self.script.told.wrapping_add(name);
            let old = self.before.script.lines.get(self.expected);
            self.expected += usize::from(old.is_some_and(|old| old.slot() == META));
            return Ok(());
        }
        self.sample(trimmed)
    }

    fn sample(&mut self, line: &'a str) -> Result<(), Fault> {
        if let Some(done) = self.expected_sample(line) {
            return done;
        }
        let end = line::head(line, self.format, self.before.limits, &mut self.head)?;
        let head = &line[..end];
        let tail = line::tail(&line[end..], head.ends_with('}'), self.format)?;
        let (class, first) = match &mut self.rules {
            Rules::Text(rules) => {
                let class = rules.class(&self.head.name);
                Text::labels(class, &self.head)?;
                class.check(tail.value)?;
                (class, false)
            }
            Rules::OpenMetrics(rules) => rules.sample(self.before.key, &self.head, &tail)?,
        };
        let name = self.before.key.bytes(head.as_bytes());
        let met = self.met(name);
        if let Some(Met::Before(at)) = met {
            self.expected = at + 1;
        }
        self.take(Line::new(name, end, class, first, UNASKED), met, &tail)
    }

    /// A text line whose head stands where it stood: nothing of it is parsed but the tail. `None` where it is not so.
    fn expected_sample(&mut self, line: &'a str) -> Option<Result<(), Fault>> {
        let Rules::Text(rules) = &mut self.rules else {
            return None;
        };
        let old = *self.before.script.lines.get(self.expected)?;
        let head = line.as_bytes().get(..old.bytes())?;
        if !self.before.same_format
            || old.slot() == META
            || old.slot() == UNASKED
            || old.is_repeated()
            || self.before.key.bytes(head) != old.name()
        {
            return None;
        }
        let head = line.get(..old.bytes())?;
        let tail = line::tail(&line[head.len()..], head.ends_with('}'), Format::Text).ok()?;
        // A quoted name is rare and may hold escapes: such heads are parsed.
        let bare = head.split(['{', ' ', '\t']).next()?;
        if bare.is_empty() {
            return None;
        }
        let class = rules.class(&std::borrow::Cow::Borrowed(bare));
        if class != old.class() {
            return None;
        }
        if let Err(message) = class.check(tail.value) {
            return Some(Err(message.into()));
        }
        let met = Met::Before(self.expected);
        self.expected += 1;
        let line = Line::new(old.name(), old.bytes(), class, false, old.slot());
        Some(self.take(line, Some(met), &tail))
    }

    /// Where the head of this name was met, if it was.
    fn met(&mut self, name: u128) -> Option<Met> {
        let old = &self.before.script.lines;
        if let Some(line) = old.get(self.expected)
            && line.name() == name
            && line.slot() != META
            && !line.is_repeated()
        {
            return Some(Met::Before(self.expected));
        }
        let heads = self.heads.get_or_insert_with(|| {
            let mut heads: HashMap<u64, u32, Pass> = HashMap::default();
            heads.reserve(old.len().max(self.script.lines.capacity()));
            for (at, line) in (0_u32..).zip(old) {
                if line.slot() != META {
                    heads.entry(Key::low(line.name())).or_insert(at);
                }
            }
            heads
        });
        let at = *heads.get(&Key::low(name))? as usize;
        let (line, met) = match old.get(at) {
            Some(line) => (line, Met::Before(at)),
            None => (
                &self.script.lines[at - old.len()],
                Met::Here(at - old.len()),
            ),
        };
        (line.name() == name).then_some(met)
    }

    /// Takes a sample that is valid in itself.
    fn take(&mut self, mut line: Line, met: Option<Met>, tail: &Tail) -> Result<(), Fault> {
        self.script.scraped += 1;
        let here = self.script.lines.len();
        let repeated = match met {
            Some(Met::Before(at)) => {
                let again = std::mem::replace(&mut self.seen[at], true);
                line = line.at(self.before.script.lines[at].slot());
                again
            }
            Some(Met::Here(at)) => {
                line = line.at(self.script.lines[at].slot());
                true
            }
            None => {
                let place = u32::try_from(self.before.script.lines.len() + here);
                let place = place.map_err(|_| "more than 4 billion lines")?;
                if let Some(heads) = &mut self.heads {
                    heads.insert(Key::low(line.name()), place);
                }
                false
            }
        };
        let stamp = self.at.and_then(|at| Some((tail.stamp?, at)));
        let out = stamp.is_some_and(|(stamp, at)| out_of_bounds(stamp, at));
        if !repeated && line.slot() == UNASKED {
            line = line.at(self.ask(out)?);
        }
        let dropped = line.slot() == DROPPED;
        self.script.kept += u32::from(!dropped);
        if self.script.kept as usize > self.before.limits.samples {
            return Err(Fault::Samples);
        }
        let slot = line.slot();
        let wanted = slot < SLOTS_MAX;
        if repeated || (wanted && self.written[slot as usize]) {
            line = line.repeated();
            self.stats.duplicates += 1;
        } else if out {
            self.stats.out_of_bounds += u32::from(!dropped);
            if wanted {
                // Its slot is given up with the page's end; should it come back, it is a new series.
                line = line.at(UNASKED);
            }
        } else if wanted {
            self.written[slot as usize] = true;
            self.columns.values[slot as usize] = tail.value;
            if let Some((stamp, _)) = stamp {
                let stamped = (Slot(slot), Timestamp::from_millis(stamp));
                self.columns.stamped.push(stamped);
            }
        }
        self.script.lines.push(line);
        Ok(())
    }

    /// Asks what becomes of the series of `self.head`, and gives its slot. One whose sample is out of bounds is not
    /// born: it is asked about again.
    fn ask(&mut self, out: bool) -> Result<u32, Fault> {
        let labels = match (self.fate)(self.head.series()) {
            Fate::Unwanted => return Ok(UNWANTED),
            Fate::Dropped => return Ok(DROPPED),
            Fate::Wanted(labels) => labels,
        };
        let name = self
            .before
            .key
            .labels(labels.iter(), &mut self.scratch)
            .max(1);
        let slots = &self.slots;
        let by_labels = self.by_labels.get_or_insert_with(|| {
            let live = (0_u32..).zip(slots).filter(|(_, name)| **name != 0);
            live.map(|(slot, name)| (Key::low(*name), slot)).collect()
        });
        if let Some(slot) = by_labels.get(&Key::low(name))
            && slots[*slot as usize] == name
        {
            return Ok(*slot);
        }
        if out {
            return Ok(UNASKED);
        }
        while slots.get(self.free).is_some_and(|name| *name != 0) {
            self.free += 1;
        }
        let slot = u32::try_from(self.free).unwrap_or(u32::MAX);
        if slot >= SLOTS_MAX {
            return Err("more series than slots".into());
        }
        by_labels.insert(Key::low(name), slot);
        if self.free == self.slots.len() {
            self.slots.push(name);
            self.written.push(false);
            self.columns.values.push(STALE);
        } else {
            self.slots[self.free] = name;
        }
        self.columns.born.push((Slot(slot), labels));
        Ok(slot)
    }

    fn finish(mut self) -> Result<Read, PageError> {
        if let Rules::OpenMetrics(rules) = &self.rules
            && !rules.ended()
        {
            return Err(self.error("page does not end with # EOF".into(), b""));
        }
        for (slot, name) in (0_u32..).zip(&mut self.slots) {
            if *name != 0 && !self.written[slot as usize] {
                *name = 0;
                self.columns.gone.push(Slot(slot));
            }
        }
        self.script.lines.shrink_to_fit();
        self.columns.samples_scraped = self.script.scraped;
        self.columns.samples_kept = self.script.kept;
        Ok(Read {
            columns: self.columns,
            stats: self.stats,
            script: self.script,
            slots: self.slots,
        })
    }
}
