//! Pictures, drawn here: strokes on a square of 24 that take the colour of the text. They say nothing that the text beside
//! them does not say.

use maud::{Markup, PreEscaped, html};

/// A picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::admin::console) enum Icon {
    Overview,
    Sessions,
    Accounts,
    Clients,
    Rotations,
    Usage,
    Audit,
    Operators,
    Node,
    SignOut,
    Good,
    Bad,
    Warning,
    Search,
    Right,
}

/// The picture, hidden from who listens.
pub(in crate::admin::console) fn icon(icon: Icon) -> Markup {
    let drawn = match icon {
        Icon::Overview => {
            r#"<path d="M4 13.5V5a1 1 0 0 1 1-1h5v9.5zM14 4h5a1 1 0 0 1 1 1v4.5h-6zM14 13.5h6V19a1 1 0 0 1-1 1h-5zM4 17.5h6V20H5a1 1 0 0 1-1-1z"/>"#
        }
        Icon::Sessions => r#"<path d="M3 12h4l3-7.5 4.5 15 3-7.5H21"/>"#,
        Icon::Accounts => r#"<path d="M4 6h16v12H4zM4 7l8 6 8-6"/>"#,
        Icon::Clients => r#"<path d="M7 9V4h10v5M7 17H4.500V9h15v8H17M7 14h10v6H7z"/>"#,
        Icon::Rotations => {
            r#"<path d="M20 5v5h-5M4 19v-5h5M5.500 9.500A7 7 0 0 1 18.600 8L20 10M18.500 14.500A7 7 0 0 1 5.400 16L4 14"/>"#
        }
        Icon::Usage => r#"<path d="M5 20v-7M12 20V4M19 20v-10"/>"#,
        Icon::Audit => r#"<path d="M6 3.500h9l4 4V20.500H6zM14.500 4v4H19M9.500 12.500h6M9.500 16.500h6"/>"#,
        Icon::Operators => {
            r#"<circle cx="9" cy="8" r="3.500"/><path d="M3 20c0-3.600 2.700-5.500 6-5.500s6 1.900 6 5.500M16 5a3.300 3.300 0 0 1 0 6.300M17.500 15c2.200.6 3.500 2.200 3.500 5"/>"#
        }
        Icon::Node => r#"<path d="M4 4.500h16v6H4zM4 13.500h16v6H4zM7.500 7.500h.01M7.500 16.500h.01"/>"#,
        Icon::SignOut => r#"<path d="M14 4h5v16h-5M4 12h10M7.500 8 3.500 12l4 4"/>"#,
        Icon::Good => r#"<circle cx="12" cy="12" r="9"/><path d="m8 12.500 2.700 2.700L16 9.500"/>"#,
        Icon::Bad => r#"<circle cx="12" cy="12" r="9"/><path d="M12 7.500v5.500M12 16.500h.01"/>"#,
        Icon::Warning => r#"<path d="M12 4 2.800 20h18.400zM12 10v4.500M12 17.200h.01"/>"#,
        Icon::Search => r#"<circle cx="11" cy="11" r="6.500"/><path d="m16 16 4.500 4.500"/>"#,
        Icon::Right => r#"<path d="m9 5 7 7-7 7"/>"#,
    };
    html! { svg.icon viewBox="0 0 24 24" aria-hidden="true" { (PreEscaped(drawn)) } }
}
