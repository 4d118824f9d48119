//! Which answers are whose, where one response answers several questions.

use weir_storage::table::column::DnsAnswer;

use crate::dns::aliases::aliases_of;
use crate::dns::message::Question;
use crate::dns::words::{rtype, type_word};

/// The answers of each question, in the order of the questions: those of its type, or that make its name an alias.
/// What belongs to none goes to the first.
pub(super) fn share(questions: &[Question], answers: Vec<DnsAnswer>) -> Vec<Vec<DnsAnswer>> {
    if questions.len() <= 1 {
        return vec![answers];
    }
    let wanted: Vec<_> = questions
        .iter()
        .map(|question| {
            let names = aliases_of(&question.name, &answers);
            (question.qtype, type_word(question.qtype), names)
        })
        .collect();
    let chain = [rtype::CNAME, rtype::DNAME, rtype::RRSIG].map(type_word);
    let mut shares = vec![Vec::new(); questions.len()];
    for answer in answers {
        let mut is_taken = false;
        for ((qtype, word, names), share) in wanted.iter().zip(&mut shares) {
            let is_of_type =
                *qtype == rtype::ANY || answer.r#type == *word || chain.contains(&answer.r#type);
            if is_of_type && names.contains(&answer.name) {
                is_taken = true;
                share.push(answer.clone());
            }
        }
        if !is_taken && let Some(first) = shares.first_mut() {
            first.push(answer);
        }
    }
    shares
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_question_has_its_own_answers_and_the_first_the_rest() {
        let question = |name: &str, qtype| Question {
            name: name.into(),
            qtype,
            class: 1,
        };
        let answer = |name: &str, word: &'static str, data: &str| DnsAnswer {
            name: name.into(),
            r#type: word.into(),
            ttl: 60,
            data: data.into(),
        };
        let questions = [
            question("a.example", 1),
            question("a.example", 28),
            question("b.example", 255),
        ];
        let answers = vec![
            answer("a.example", "CNAME", "C.example"),
            answer("c.example", "A", "192.0.2.1"),
            answer("c.example", "AAAA", "2001:db8::1"),
            answer("b.example", "TXT", "\"\""),
            answer("d.example", "A", "192.0.2.4"),
        ];
        let shown: Vec<Vec<String>> = share(&questions, answers)
            .into_iter()
            .map(|share| share.into_iter().map(|answer| answer.data).collect())
            .collect();
        assert_eq!(
            shown,
            [
                vec!["C.example", "192.0.2.1", "192.0.2.4"],
                vec!["C.example", "2001:db8::1"],
                vec!["\"\""],
            ]
        );
    }
}
