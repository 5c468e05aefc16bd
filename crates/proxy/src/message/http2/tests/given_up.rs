//! Requests whose callers wait no more, or that nobody answers any more: each is counted, once.

use super::frames::{data, get, headers, reset};
use super::*;
use crate::message::Pattern;

const OK: &[(&str, &str)] = &[(":status", "200")];

/// Those that were counted: whether they went well, and whether a fault had to do with it.
fn counted(bed: &mut Bed) -> Vec<(bool, bool)> {
    let answers = std::mem::take(&mut bed.said.answers);
    answers.iter().map(|one| (one.well, one.ours)).collect()
}

fn cancel(key: u32) -> Vec<u8> {
    reset(key, Code::CANCEL.0)
}

#[test]
fn a_caller_that_gives_up_while_a_fault_holds_its_request_back_met_the_fault() {
    let mut bed = Bed::greeted(&[http("late", 1.0, HttpAction::Delay(delay()))]);
    bed.client(&get(1, "/"));
    bed.now += LATER / 2;
    bed.client(&cancel(1));
    assert_eq!(bed.said.answers[0].took, LATER / 2);
    assert_eq!(counted(&mut bed), [(false, true)]);
    bed.later();
    bed.end(Direction::Downstream);
    assert_eq!(counted(&mut bed), [], "once");
}

#[test]
fn a_caller_that_gives_up_on_the_upstream_has_no_good_answer_and_no_fault() {
    for faults in [vec![], vec![http("late", 1.0, HttpAction::Delay(delay()))]] {
        let mut bed = Bed::greeted(&faults);
        bed.client(&get(1, "/"));
        bed.later();
        bed.client(&cancel(1));
        assert_eq!(counted(&mut bed), [(false, false)], "{faults:?}");
    }
}

#[test]
fn a_caller_that_has_what_it_wanted_of_a_stream_gives_up_nothing() {
    let mut bed = Bed::greeted(&[]);
    bed.client(&get(1, "/events"));
    bed.upstream(&headers(1, OK, false));
    bed.upstream(&data(1, b"the first", false));
    bed.client(&cancel(1));
    bed.client(&get(3, "/"));
    bed.upstream(&headers(3, OK, true));
    bed.client(&cancel(3));
    assert_eq!(counted(&mut bed), [(true, false)], "the whole answer");
}

#[test]
fn what_a_connection_that_breaks_off_leaves_open_went_badly() {
    let mut late = http("late", 1.0, HttpAction::Delay(delay()));
    if let Kind::Http(fault) = &mut late.kind {
        fault.matching.path = Some(Pattern::new("/late"));
    }
    let mut bed = Bed::greeted(&[late]);
    bed.client(&get(1, "/"));
    bed.client(&get(3, "/late"));
    bed.client(&get(5, "/"));
    bed.upstream(&headers(1, OK, true));
    assert_eq!(counted(&mut bed), [(true, false)]);
    Session::give_up(&mut bed.session, bed.now, &mut bed.said);
    assert_eq!(counted(&mut bed), [(false, true), (false, false)]);
    Session::give_up(&mut bed.session, bed.now, &mut bed.said);
    assert_eq!(counted(&mut bed), [], "once");
}

#[test]
fn what_an_upstream_that_ends_leaves_open_went_badly() {
    let mut bed = Bed::greeted(&[]);
    bed.client(&get(1, "/"));
    bed.client(&get(3, "/"));
    bed.upstream(&headers(1, OK, false));
    bed.end(Direction::Downstream);
    assert_eq!(counted(&mut bed), [(false, false); 2]);
}
