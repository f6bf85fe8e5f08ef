//! What the pages of desk, wallet and portal share: one look, the guard against foreign origins, sign-in sessions.
//!
//! The pages need no external resource and no inline script or style, so that [`CONTENT_SECURITY_POLICY`] can forbid
//! everything that is not listed. A page's template belongs to the package that shows it; those of staff extend `base.html`
//! here (see [`staff`]).

pub mod access;
pub mod guard;
pub mod look;
pub mod session;
pub mod staff;

pub use access::{Access, Fields};
pub use guard::{OwnOrigin, require_own_origin};
pub use look::{Actor, CONTENT_SECURITY_POLICY, assets, fragment, page, qr_svg, utc};
pub use session::{Session, Sessions};
pub use staff::{Area, Frame, ProblemView, Staff, send};
