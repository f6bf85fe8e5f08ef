//! What the pages of desk, wallet and portal share: one look, the guard against foreign origins, sign-in sessions.
//!
//! The pages need no external resource and no inline script or style, so that [`CONTENT_SECURITY_POLICY`] can forbid
//! everything that is not listed. Templates belong to the package that shows them; this module knows no page.

pub mod access;
pub mod guard;
pub mod look;
pub mod session;

pub use access::{Access, Fields};
pub use guard::{OwnOrigin, require_own_origin};
pub use look::{Actor, CONTENT_SECURITY_POLICY, assets, fragment, page, qr_svg, utc};
pub use session::{Session, Sessions};
