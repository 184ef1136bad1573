//! `login-forms` of a listener: in which forms a login may say as whom to act. It must never take one that is not named.

use crate::config::reader::Table;
use crate::model::LoginForm;

/// The forms, each once. Where nothing is said, the one that no login name can be mistaken for.
pub(super) fn login_forms(table: &mut Table<'_, '_>) -> Option<Vec<LoginForm>> {
    let Some(value) = table.take("login-forms") else { return Some(vec![LoginForm::Authzid]) };
    let named = value.list(|value| value.one_of(&LoginForm::ALL.map(|form| (form.name(), form))))?;
    Some(LoginForm::ALL.into_iter().filter(|form| named.contains(form)).collect())
}
