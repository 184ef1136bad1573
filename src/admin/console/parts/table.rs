//! Tables: with a caption for who listens, and on a narrow screen a card for each row.

use maud::{Markup, html};

/// On which side a column's cells stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::admin::console) enum Side {
    Left,
    /// Numbers, which are compared by their ends.
    Right,
}

/// A table.
#[derive(Debug)]
pub(in crate::admin::console) struct Table {
    caption: String,
    columns: Vec<(&'static str, Side)>,
    rows: Vec<Vec<Markup>>,
    is_live: Option<&'static str>,
}

impl Table {
    /// A table without rows.
    pub(in crate::admin::console) fn new(caption: impl Into<String>, columns: &[(&'static str, Side)]) -> Self {
        Self { caption: caption.into(), columns: columns.to_vec(), rows: Vec::new(), is_live: None }
    }

    /// The same with a row for each of these.
    pub(in crate::admin::console) fn rows(mut self, rows: impl IntoIterator<Item = Vec<Markup>>) -> Self {
        self.rows.extend(rows);
        self
    }

    /// The same, read again with the page under that name.
    pub(in crate::admin::console) fn live(mut self, name: &'static str) -> Self {
        self.is_live = Some(name);
        self
    }

    /// As it is; where there are no rows, what is said in their place.
    pub(in crate::admin::console) fn or(self, empty: Markup) -> Markup {
        let Self { caption, columns, rows, is_live } = self;
        html! {
            div.table data-live=[is_live] {
                @if rows.is_empty() {
                    (empty)
                } @else {
                    table {
                        caption.hidden { (caption) }
                        thead { tr { @for (title, side) in &columns { th.end[*side == Side::Right] scope="col" { (title) } } } }
                        tbody {
                            @for row in &rows {
                                tr {
                                    @for (cell, (title, side)) in row.iter().zip(&columns) {
                                        td.end[*side == Side::Right] data-column=(title) { (cell) }
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}
