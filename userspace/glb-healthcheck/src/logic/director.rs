// SPDX-License-Identifier: GPL-2.0

//! The last known state of the director in the kernel: whether its module is loaded, and whether its tables are
//! still those that this daemon loaded.

/// See the module's text.
#[derive(Debug, Default)]
pub(crate) struct Director {
    /// What it said last: the number of its load, or why it could not be asked.
    seen: Option<Result<u32, String>>,
    /// The number of the load that was made from here.
    ours: Option<u32>,
    /// Loads begun from here. An answer to a question from before the last one means nothing.
    loads: u64,
    /// How often what was loaded had gone.
    pub(crate) lost: u64,
}

/// A question to the director.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Question(u64);

/// What an answer means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum News {
    /// Nothing new.
    None,
    /// The director cannot be asked, for this reason.
    Gone(String),
    /// It is there, and has nothing yet.
    There,
    /// What was loaded is not there any more; it has another load's tables, or none (0).
    Replaced(u32),
}

impl Director {
    /// A load begins.
    pub(crate) fn loading(&mut self) {
        self.loads += 1;
    }

    /// A load has ended, with this number if it went well.
    pub(crate) fn loaded(&mut self, generation: Option<u32>) {
        if generation.is_some() {
            self.ours = generation;
            self.seen = generation.map(Ok);
        }
    }

    pub(crate) fn question(&self) -> Question {
        Question(self.loads)
    }

    /// Takes an answer in.
    pub(crate) fn answer(&mut self, question: Question, answer: Result<u32, String>) -> News {
        if question != self.question() {
            return News::None;
        }
        let before = self.seen.replace(answer.clone());
        match answer {
            Err(reason) => {
                self.ours = None;
                if matches!(before, Some(Err(_))) {
                    News::None
                } else {
                    News::Gone(reason)
                }
            }
            Ok(generation) => match self.ours {
                Some(ours) if ours == generation => News::None,
                Some(_) => {
                    self.ours = None;
                    self.lost += 1;
                    News::Replaced(generation)
                }
                None if matches!(before, Some(Ok(_))) => News::None,
                None => News::There,
            },
        }
    }

    /// Whether it is known to be there.
    pub(crate) fn is_there(&self) -> bool {
        matches!(self.seen, Some(Ok(_)))
    }

    /// Why it cannot be asked.
    pub(crate) fn fault(&self) -> Option<&str> {
        self.seen.as_ref()?.as_ref().err().map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gone() -> Result<u32, String> {
        Err("no module".to_owned())
    }

    #[test]
    fn a_module_that_comes_goes_and_comes_again() {
        let mut director = Director::default();
        let ask = |director: &mut Director, answer| {
            let question = director.question();
            director.answer(question, answer)
        };
        assert_eq!(ask(&mut director, gone()), News::Gone("no module".into()));
        assert_eq!(ask(&mut director, gone()), News::None);
        assert!(!director.is_there() && director.fault() == Some("no module"));
        assert_eq!(ask(&mut director, Ok(0)), News::There);
        assert_eq!(ask(&mut director, Ok(0)), News::None);
        director.loading();
        director.loaded(Some(1));
        assert_eq!(ask(&mut director, Ok(1)), News::None);
        assert_eq!(ask(&mut director, gone()), News::Gone("no module".into()));
        assert_eq!(ask(&mut director, Ok(0)), News::There);
    }

    #[test]
    fn tables_of_others_are_noticed_once() {
        let mut director = Director::default();
        director.loading();
        let old = director.question();
        director.loaded(Some(5));
        assert_eq!(director.answer(old, Ok(6)), News::Replaced(6));
        assert_eq!(director.answer(old, Ok(6)), News::None);
        director.loading();
        // An answer that was given before our load says nothing about it.
        director.loaded(Some(7));
        assert_eq!(director.answer(old, Ok(6)), News::None);
        assert_eq!(director.answer(director.question(), Ok(7)), News::None);
        // The module was taken out and put back between two questions.
        assert_eq!(
            director.answer(director.question(), Ok(0)),
            News::Replaced(0)
        );
        assert_eq!(director.lost, 2);
    }
}
