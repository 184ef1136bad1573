//! Parts of forms. Each has a label that is its own, and what helps to fill it in stands where who listens is told of it.

use maud::{Markup, html};

/// What is typed into.
#[derive(Debug, Clone, Copy)]
pub(in crate::admin::console) struct Field<'a> {
    /// What the page calls it.
    pub(in crate::admin::console) label: &'a str,
    /// Its name in the form; its id, too.
    pub(in crate::admin::console) name: &'a str,
    /// What is in it already.
    pub(in crate::admin::console) value: &'a str,
    /// What helps to fill it in.
    pub(in crate::admin::console) hint: &'a str,
    /// `text`, `password`, `number`, `email`, `datetime-local` …
    pub(in crate::admin::console) kind: &'a str,
    /// Whether nothing goes without it.
    pub(in crate::admin::console) required: bool,
}

impl<'a> Field<'a> {
    /// A line of text that may be left empty.
    pub(in crate::admin::console) fn new(label: &'a str, name: &'a str) -> Self {
        Self { label, name, value: "", hint: "", kind: "text", required: false }
    }

    /// With that in it already.
    pub(in crate::admin::console) fn value(self, value: &'a str) -> Self {
        Self { value, ..self }
    }

    /// With that to help.
    pub(in crate::admin::console) fn hint(self, hint: &'a str) -> Self {
        Self { hint, ..self }
    }

    /// Of another kind than text.
    pub(in crate::admin::console) fn kind(self, kind: &'a str) -> Self {
        Self { kind, ..self }
    }

    /// That must be filled in.
    pub(in crate::admin::console) fn required(self) -> Self {
        Self { required: true, ..self }
    }

    fn around(self, inner: Markup) -> Markup {
        html! {
            div.field {
                label for=(self.name) {
                    (self.label)
                    @if !self.required { span.optional { "optional" } }
                }
                (inner)
                @if !self.hint.is_empty() { p.hint #{(self.name) "-hint"} { (self.hint) } }
            }
        }
    }

    fn described(self) -> Option<String> {
        (!self.hint.is_empty()).then(|| format!("{}-hint", self.name))
    }
}

/// A line to type into. What is secret is not shown, and no browser is to remember it.
pub(in crate::admin::console) fn input(field: Field<'_>) -> Markup {
    let Field { name, value, kind, required, .. } = field;
    let is_number = kind == "number";
    field.around(html! {
        input id=(name) name=(name) type=(kind) value=(value) required[required] autocomplete="off" spellcheck="false"
            autocapitalize="none" min=[is_number.then_some("0")] aria-describedby=[field.described()];
    })
}

/// Several lines to type into.
pub(in crate::admin::console) fn area(field: Field<'_>, rows: u8) -> Markup {
    let Field { name, value, required, .. } = field;
    field.around(html! {
        textarea id=(name) name=(name) rows=(rows) required[required] autocomplete="off" spellcheck="false"
            aria-describedby=[field.described()] { (value) }
    })
}

/// One of several: its value and what the page calls it.
pub(in crate::admin::console) type Choice<'a> = (&'a str, &'a str);

/// One of several to choose.
pub(in crate::admin::console) fn choose(field: Field<'_>, choices: &[Choice<'_>]) -> Markup {
    let Field { name, value, required, .. } = field;
    field.around(html! {
        select id=(name) name=(name) required[required] aria-describedby=[field.described()] {
            @for (choice, title) in choices {
                option value=(choice) selected[*choice == value] { (title) }
            }
        }
    })
}

/// Boxes to tick, any number of them. `chosen` are ticked already.
pub(in crate::admin::console) fn check(legend: &str, name: &str, choices: &[Choice<'_>], chosen: &[String]) -> Markup {
    html! {
        fieldset {
            legend { (legend) }
            div.checks {
                @for (choice, title) in choices {
                    label {
                        input type="checkbox" name=(name) value=(choice) checked[chosen.iter().any(|it| it == choice)];
                        span { (title) }
                    }
                }
            }
        }
    }
}

/// The button of what a page is for.
pub(in crate::admin::console) fn primary(text: &str) -> Markup {
    html! { button.primary type="submit" { (text) } }
}

/// The button of what one may do, too.
pub(in crate::admin::console) fn quiet(text: &str) -> Markup {
    html! { button type="submit" { (text) } }
}

/// The button of what cannot be taken back; with a script it asks first.
pub(in crate::admin::console) fn danger(text: &str, confirm: &str) -> Markup {
    html! { button.danger type="submit" data-confirm=(confirm) { (text) } }
}
