//! What new things may be called: what is there already may be called otherwise, and has to be found.

use super::{ManagementError, check_name};

/// Longer than two addresses of RFC 5321 side by side, and shorter than a line that any client can log in by.
const NAME_CHARS_MAX: usize = 512;

/// [`check_name`] for what is to be called so from now on.
///
/// # Errors
/// If it can be no name, or is longer than one may be.
pub fn check_new_name(name: &str) -> Result<&str, ManagementError> {
    let name = check_name(name)?;
    if name.chars().count() > NAME_CHARS_MAX {
        return Err(ManagementError::invalid(format!("a name must not be longer than {NAME_CHARS_MAX} characters")));
    }
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_shown_or_typed_is_no_name() {
        for name in ["", " \t", "a\r\nb", "a\0", "\u{1b}[2J", "a\u{85}"] {
            assert!(check_name(name).is_err() && check_new_name(name).is_err(), "{name:?}");
        }
        let long = "x".repeat(NAME_CHARS_MAX + 1);
        assert!(check_new_name(&long).is_err() && check_new_name(&long[1..]).is_ok());
        assert_eq!(check_name(&long).unwrap(), long, "one that is there can be found");
        assert_eq!(check_new_name(" <script>*\\/@ ").unwrap(), "<script>*\\/@");
    }
}
