//! The bounds of what is asked of the API.

use std::time::Duration;

/// Bytes of a body: a record with its credentials has some kilobytes, and the private key of a certificate some more.
pub(super) const BODY_BYTES_MAX: usize = 1 << 20;

/// Bytes of a body that is a list of thousands: 10,000 accounts of 1 kB each, with room.
pub(in crate::admin) const IMPORT_BYTES_MAX: usize = 16 << 20;

/// Bytes of a body that are read and dropped, where it is too long: an honest mistake is no longer than this.
pub(super) const DROPPED_BYTES_MAX: usize = 16 << 20;

/// Time for a body to come: an import by a slow line (16 MiB at 5 Mbit/s), and no longer, as a buffer waits for it.
pub(super) const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// Time for one request. A store and a provider have their own bounds, which are shorter; what takes longer is an operation
/// that is asked after. What was being written when it ends is written whole or not at all.
pub(in crate::admin) const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);
