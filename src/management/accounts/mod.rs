//! Accounts: mailboxes at a provider, and the credentials for them.
//!
//! - [`AccountView`]: what is shown of one. [`list`], [`find`]: where they are read.
//! - [`add`], [`set`], [`remove`], [`prefer`]: what is changed. [`import`]: many new ones, by rows.
//! - [`set_oauth2`]: an application's credential, or a refresh token that somebody has got, without a browser.

mod add;
mod change;
mod import;
mod oauth2;
mod prefer;
mod read;
mod remove;
mod view;

pub use add::{AccountAdded, NewAccount, add, check_new, empty};
pub use change::{AccountChanged, AccountChanges, PastedAs, change, set};
pub use import::{AccountsImported, ImportWanted, import, is_same, password_of};
pub use oauth2::{OAuth2Given, OAuth2Set, new_leftovers, set_oauth2, write_oauth2};
pub use prefer::{Prefer, Preferred, Tenants, domain_of, has_kind, prefer, takes, tenant_of, used};
pub use read::{find, list, profile_of, record};
pub use remove::{AccountRemoved, ToDelete, remove};
pub use view::{AccountView, Used};
