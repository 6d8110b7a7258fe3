//! Pass 1: what a terminal recorded becomes what a reader of that terminal would see.
//!
//! Colours and titles go; carriage returns, backspaces, cursor movements and erasures are played
//! to their end. Lines that scroll away stay, whatever the height of the real screen was. What
//! would need that height (homing the cursor, clearing the screen) starts below what is there, so
//! nothing above is lost; what needs more (scroll regions, inserted lines) leaves the text alone.
//! Work and memory are bounded by the length of the text, wherever it sends the cursor.

use std::borrow::Cow;
use std::collections::VecDeque;

const ESC: u8 = 0x1b;
const BEL: u8 = 7;
const BACKSPACE: u8 = 8;

/// How far up the cursor can go: more rows than any screen has. Rows above are done.
const SCREEN_ROWS: usize = 1000;

/// The height that every screen has at least: so far the cursor can be sent below the last line.
const ROWS_BELOW_MAX: usize = 24;

/// The final contents of the screen; borrowed if the text is not a terminal's.
pub(crate) fn render(text: &str) -> Cow<'_, str> {
    if !is_recording(text.as_bytes()) {
        return Cow::Borrowed(text);
    }
    let mut screen = Screen::new(text);
    match screen.play() {
        Some(()) => Cow::Owned(screen.finish()),
        None => Cow::Borrowed(text),
    }
}

/// Escape, backspace, or a carriage return that does not end a line.
fn is_recording(bytes: &[u8]) -> bool {
    memchr::memchr3_iter(ESC, BACKSPACE, b'\r', bytes)
        .any(|at| bytes[at] != b'\r' || bytes.get(at + 1) != Some(&b'\n'))
}

/// Characters on the screen, all rows together: more than any screen has, and some very long lines.
const CELLS_MAX: usize = 1 << 21;

/// A range of the text: one character and the marks that combine with it. Empty: a blank.
#[derive(Clone, Copy)]
struct Cell {
    start: u32,
    end: u32,
}

const BLANK: Cell = Cell { start: 0, end: 0 };

struct Screen<'t> {
    text: &'t str,
    /// Rows that have scrolled out of reach.
    done: String,
    rows: VecDeque<Vec<Cell>>,
    row: usize,
    column: usize,
    /// The row where the present screen begins, if it is still in reach.
    top: Option<usize>,
    saved: (usize, usize),
    /// All cells of the rows in reach.
    cells: usize,
    /// Cells that may still be touched without a character of the text to pay for them.
    budget: usize,
}

impl<'t> Screen<'t> {
    fn new(text: &'t str) -> Screen<'t> {
        Screen {
            text,
            done: String::new(),
            rows: VecDeque::from([Vec::new()]),
            row: 0,
            column: 0,
            top: Some(0),
            saved: (0, 0),
            cells: 0,
            budget: text.len(),
        }
    }

    /// `None` if something is not understood.
    fn play(&mut self) -> Option<()> {
        let bytes = self.text.as_bytes();
        if u32::try_from(bytes.len()).is_err() {
            return None;
        }
        let mut at = 0;
        while at < bytes.len() {
            at = match bytes[at] {
                ESC => self.escape(at + 1)?,
                b'\n' => {
                    self.new_line();
                    at + 1
                }
                b'\r' => {
                    self.column = 0;
                    at + 1
                }
                BACKSPACE => {
                    self.column = self.column.saturating_sub(1);
                    at + 1
                }
                // Bell, shifts and padding move nothing.
                0 | BEL | 0x0e | 0x0f => at + 1,
                b' '..=b'~' => self.plain(at)?,
                _ => self.character(at)?,
            };
        }
        Some(())
    }

    fn finish(mut self) -> String {
        for row in std::mem::take(&mut self.rows) {
            write_row(self.text, &row, &mut self.done);
            self.done.push('\n');
        }
        self.done.pop();
        self.done
    }

    fn spend(&mut self, cells: usize) -> Option<()> {
        self.budget = self.budget.checked_sub(cells)?;
        Some(())
    }

    /// All that follows of the characters that take a byte and a column each.
    fn plain(&mut self, at: usize) -> Option<usize> {
        let bytes = &self.text.as_bytes()[at..];
        let length = bytes.iter().take_while(|byte| matches!(byte, b' '..=b'~')).count();
        self.spend(self.column.saturating_sub(self.rows[self.row].len()))?;
        self.grow(self.column.saturating_add(length))?;
        let row = &mut self.rows[self.row];
        row.resize(row.len().max(self.column), BLANK);
        let mut cells = (at..at + length).map(|at| Cell { start: at as u32, end: at as u32 + 1 });
        row[self.column..].iter_mut().zip(&mut cells).for_each(|(old, cell)| *old = cell);
        row.extend(cells);
        self.column += length;
        Some(at + length)
    }

    fn character(&mut self, at: usize) -> Option<usize> {
        let character = self.text[at..].chars().next()?;
        let end = at + character.len_utf8();
        // Only a mark that follows its character in the text can be kept with it.
        if is_combining(character)
            && let Some(column) = self.column.checked_sub(1)
            && let Some(cell) = self.rows[self.row].get_mut(column)
            && cell.end as usize == at
        {
            cell.end = end as u32;
            return Some(end);
        }
        let cell = Cell { start: at as u32, end: end as u32 };
        let gap = self.column.saturating_sub(self.rows[self.row].len());
        self.spend(gap)?;
        self.grow(self.column.saturating_add(1))?;
        let row = &mut self.rows[self.row];
        if self.column < row.len() {
            row[self.column] = cell;
        } else {
            row.resize(self.column, BLANK);
            row.push(cell);
        }
        self.column += 1;
        Some(end)
    }

    /// The row in which the cursor is will have so many cells, if it has fewer.
    fn grow(&mut self, columns: usize) -> Option<()> {
        self.cells += columns.saturating_sub(self.rows[self.row].len());
        (self.cells <= CELLS_MAX).then_some(())
    }

    /// That row ends at this column.
    fn cut(&mut self, column: usize) {
        let row = &mut self.rows[self.row];
        self.cells -= row.len().saturating_sub(column);
        row.truncate(column);
    }

    fn new_line(&mut self) {
        self.column = 0;
        self.row += 1;
        if self.row == self.rows.len() {
            self.rows.push_back(Vec::new());
        }
        if self.rows.len() > SCREEN_ROWS
            && let Some(row) = self.rows.pop_front()
        {
            write_row(self.text, &row, &mut self.done);
            self.done.push('\n');
            self.cells -= row.len();
            self.row -= 1;
            self.top = self.top.and_then(|top| top.checked_sub(1));
            self.saved.0 = self.saved.0.saturating_sub(1);
        }
    }

    /// Plays the sequence that `at` continues, and says where it ends.
    fn escape(&mut self, at: usize) -> Option<usize> {
        let bytes = self.text.as_bytes();
        match bytes.get(at) {
            Some(b'[') => self.control(at + 1),
            // Titles, links, marks of a build system: up to BEL or ESC \.
            Some(b']' | b'P' | b'_' | b'^' | b'X') => string_end(bytes, at),
            Some(b'7') => {
                self.saved = (self.row, self.column);
                Some(at + 1)
            }
            Some(b'8') => {
                self.restore()?;
                Some(at + 1)
            }
            Some(b'c') => {
                self.new_screen();
                Some(at + 1)
            }
            Some(b'E') => {
                self.new_line();
                Some(at + 1)
            }
            Some(b'D' | b'M') => None,
            // Character sets and the like: intermediate bytes, then one that ends it.
            Some(0x20..=0x7e) => {
                let more = bytes[at..].iter().take_while(|byte| matches!(byte, 0x20..=0x2f));
                let end = at + more.count();
                Some(if matches!(bytes.get(end), Some(0x30..=0x7e)) { end + 1 } else { at })
            }
            // An escape that begins nothing shows nothing.
            _ => Some(at),
        }
    }

    /// Plays a control sequence whose parameters begin at `at`.
    fn control(&mut self, at: usize) -> Option<usize> {
        let bytes = self.text.as_bytes();
        let length = bytes[at..].iter().take_while(|byte| matches!(byte, 0x20..=0x3f)).count();
        let end = at + length;
        let Some(last @ 0x40..=0x7e) = bytes.get(end) else {
            // Broken off: what is left of it is shown.
            return Some(at - 1);
        };
        let parameters = &self.text[at..end];
        let first = parameter(parameters, 0);
        let count = first.unwrap_or(1).max(1);
        match last {
            b'A' => self.row = self.row.saturating_sub(count),
            b'B' => self.down(count)?,
            b'C' => self.column = self.column.saturating_add(count),
            b'D' => self.column = self.column.saturating_sub(count),
            b'E' => {
                self.down(count)?;
                self.column = 0;
            }
            b'F' => (self.row, self.column) = (self.row.saturating_sub(count), 0),
            b'G' | b'`' => self.column = count - 1,
            b'H' | b'f' => self.go_to(count, parameter(parameters, 1).unwrap_or(1).max(1))?,
            b'd' => self.go_to(count, self.column.saturating_add(1))?,
            b'J' => self.erase_display(first.unwrap_or(0)),
            b'K' => self.erase_line(first.unwrap_or(0))?,
            b'X' => self.blank(self.column, self.column.saturating_add(count))?,
            b's' => self.saved = (self.row, self.column),
            b'u' => self.restore()?,
            // Inserted, deleted, scrolled, repeated: where the rest goes depends on the screen.
            b'@' | b'I' | b'L' | b'M' | b'P' | b'S' | b'T' | b'Z' | b'a' | b'b' | b'e' => {
                return None;
            }
            b'r' if !parameters.is_empty() => return None,
            // Colours, modes, questions to the terminal.
            _ => {}
        }
        Some(end + 1)
    }

    fn down(&mut self, count: usize) -> Option<()> {
        let last = self.rows.len() - 1;
        let target = self.row.saturating_add(count);
        // Far beyond the last row can only mean the bottom.
        let is_far = target > last && count > ROWS_BELOW_MAX;
        self.move_to_row(if is_far { last } else { target })
    }

    fn restore(&mut self) -> Option<()> {
        self.column = self.saved.1;
        self.move_to_row(self.saved.0)
    }

    fn move_to_row(&mut self, target: usize) -> Option<()> {
        self.spend(target.saturating_sub(self.rows.len() - 1))?;
        let column = self.column;
        self.row = target.min(self.rows.len() - 1);
        for _ in self.row..target {
            self.new_line();
        }
        self.column = column;
        Some(())
    }

    /// To a place on the screen, counted from 1.
    fn go_to(&mut self, row: usize, column: usize) -> Option<()> {
        if row == 1 && column == 1 {
            self.new_screen();
            return Some(());
        }
        // Only while it is short enough for any screen do we know where its first line is.
        let top = self.top?;
        // Erased rows may have taken the screen's first one with them.
        if self.rows.len().checked_sub(top)? > ROWS_BELOW_MAX || row > ROWS_BELOW_MAX {
            return None;
        }
        self.column = column - 1;
        self.move_to_row(top + row - 1)
    }

    /// Begins a screen below all that there is.
    fn new_screen(&mut self) {
        self.row = self.rows.len() - 1;
        if !self.rows[self.row].is_empty() {
            self.new_line();
        }
        self.column = 0;
        self.top = Some(self.row);
    }

    fn erase_display(&mut self, what: usize) {
        match what {
            0 => {
                self.cut(self.column);
                let below = self.rows.range(self.row + 1..).map(Vec::len);
                self.cells -= below.sum::<usize>();
                self.rows.truncate(self.row + 1);
            }
            _ => self.new_screen(),
        }
    }

    fn erase_line(&mut self, what: usize) -> Option<()> {
        match what {
            0 => {
                self.cut(self.column);
                Some(())
            }
            1 => self.blank(0, self.column.saturating_add(1)),
            _ => {
                self.cut(0);
                Some(())
            }
        }
    }

    /// Blanks the columns `from..to` as far as there is something in them.
    fn blank(&mut self, from: usize, to: usize) -> Option<()> {
        let row = &mut self.rows[self.row];
        let to = to.min(row.len());
        let cells = row.get_mut(from..to).unwrap_or_default();
        cells.fill(BLANK);
        let count = cells.len();
        self.spend(count)
    }
}

/// The end of the string that `at` continues. One that runs over lines was cut short, most likely.
fn string_end(bytes: &[u8], at: usize) -> Option<usize> {
    let end = at + memchr::memchr3(BEL, ESC, b'\n', &bytes[at..])?;
    match bytes[end] {
        BEL => Some(end + 1),
        ESC if bytes.get(end + 1) == Some(&b'\\') => Some(end + 2),
        ESC => Some(end),
        _ => None,
    }
}

fn write_row(text: &str, row: &[Cell], out: &mut String) {
    // What was written in one go is shown in one go.
    let runs_on = |one: &Cell, next: &Cell| one.end == next.start && one.start < one.end;
    for cells in row.chunk_by(|one, next| runs_on(one, next) && next.start < next.end) {
        let (Some(first), Some(last)) = (cells.first(), cells.last()) else { continue };
        let shown = &text[first.start as usize..last.end as usize];
        out.push_str(if shown.is_empty() { " " } else { shown });
    }
}

/// The `index`th parameter of a control sequence, if it is a number.
fn parameter(parameters: &str, index: usize) -> Option<usize> {
    parameters.split(';').nth(index)?.parse().ok()
}

/// Characters that stand with the one before them. The common ones: another is kept as well, and
/// only takes a column of its own.
fn is_combining(character: char) -> bool {
    matches!(character as u32,
        0x300..=0x36f | 0x483..=0x489 | 0x591..=0x5bd | 0x610..=0x61a | 0x64b..=0x65f | 0x670
        | 0x6d6..=0x6dc | 0xe31 | 0xe34..=0xe3a | 0xe47..=0xe4e | 0x93c | 0x941..=0x948 | 0x94d
        | 0x1ab0..=0x1aff | 0x1dc0..=0x1dff | 0x200b..=0x200f | 0x20d0..=0x20ff | 0x3099..=0x309a
        | 0xfe00..=0xfe0f | 0xfe20..=0xfe2f | 0x1f3fb..=0x1f3ff | 0xe0100..=0xe01ef)
}

#[cfg(test)]
mod tests;
