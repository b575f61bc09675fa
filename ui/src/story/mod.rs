//! Stories as they leave the server: Markdown as blocks, the one-file report, the evidence bundle.
//!
//! Whoever writes a story, and whoever wrote what it quotes, is not trusted: text never becomes markup. Markdown is
//! read into [`markdown`]'s blocks, which have no raw HTML and no images, and whose links lead to http, https, or a
//! place in this application.

pub(crate) mod evidence;
pub(crate) mod html;
pub(crate) mod markdown;
pub(crate) mod report;
mod svg;
mod tar;
