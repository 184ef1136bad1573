//! What pages are made of: tables, forms, badges, charts, times. They know no noun of Locum's and decide nothing; every text
//! that they are handed is escaped.

mod badge;
mod chart;
mod facts;
mod form;
mod icon;
mod paging;
mod table;
mod time;

pub(super) use badge::{Mood, badge, dot};
pub(super) use chart::{Bar, bars, meter, shares};
pub(super) use facts::{Facts, bytes, empty, note, number, tile};
pub(super) use form::{Choice, Field, area, check, choose, danger, input, primary, quiet};
pub(super) use icon::{Icon, icon};
pub(super) use paging::{Part, paging, search};
pub(super) use table::{Side, Table};
pub(super) use time::{ago, day, minute, span_of};
