//! Choices for generated input, taken from the bytes that arbtest hands out.

use arbtest::arbitrary::Unstructured;

/// Where bytes run out, every choice is the first: so inputs end, and shrink.
pub(super) struct Source<'u, 'b>(pub(super) &'u mut Unstructured<'b>);

impl Source<'_, '_> {
    /// From 0 up to, but not including, `limit`.
    pub(super) fn below(&mut self, limit: usize) -> usize {
        self.0.int_in_range(0..=limit - 1).unwrap_or(0)
    }

    /// Once in `times`.
    pub(super) fn rarely(&mut self, times: usize) -> bool {
        self.below(times) == times - 1
    }

    pub(super) fn pick<'t, T>(&mut self, choices: &'t [T]) -> &'t T {
        &choices[self.below(choices.len())]
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A place between two characters.
    pub(super) fn cut(&mut self, text: &str) -> usize {
        let at = self.below(text.len() + 1);
        (at..=text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(0)
    }

    pub(super) fn word(&mut self) -> &'static str {
        const WORDS: &[&str] = &[
            "cache",
            "token",
            "build",
            "user",
            "order",
            "price",
            "index",
            "queue",
            "retry",
            "parse",
            "stream",
            "client",
            "server",
            "worker",
            "commit",
            "branch",
            "config",
            "schema",
            "render",
            "socket",
            "buffer",
            "column",
            "update",
            "delete",
            "invoice",
            "caf\u{e9}",
            "\u{4ef7}\u{683c}",
        ];
        self.pick::<&str>(WORDS)
    }

    pub(super) fn name(&mut self) -> String {
        let (a, b, n) = (self.word(), self.word(), self.below(300));
        match self.below(4) {
            0 => format!("{a}_{b}"),
            1 => format!("{a}{n}"),
            2 => format!("{a}-{b}-{n}"),
            _ => format!("{}{b}", a.to_uppercase()),
        }
    }

    pub(super) fn path(&mut self) -> String {
        let end = self.pick(&["rs", "py", "ts", "json", "md", "ex", "txt", "yaml"]);
        format!("/home/ada/{}/{}.{end}", self.word(), self.name())
    }

    pub(super) fn url(&mut self) -> String {
        let (host, path, n) = (self.word(), self.name(), self.below(5000));
        format!("https://{host}.example.com/{path}/{n}?page={}#top", n % 7)
    }

    pub(super) fn hex(&mut self, digits: usize) -> String {
        (0..digits).map(|_| char::from(b"0123456789abcdef"[self.below(16)])).collect()
    }

    /// Lines by the given rule, each with its end.
    pub(super) fn lines(
        &mut self,
        most: usize,
        mut line: impl FnMut(&mut Self, usize) -> String,
    ) -> String {
        let count = 1 + self.below(most);
        (0..count).map(|at| line(self, at) + "\n").collect()
    }
}
