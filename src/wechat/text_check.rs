//! `msgSecCheck`, version 2: what WeChat thinks of a text.

use std::time::Duration;

use futures_util::future::join_all;
use serde::Deserialize;
use serde_json::json;

use super::{CallError, MiniProgram, Wechat};
use crate::{
    checks::{Suggestion, Unchecked},
    domain::WechatUser,
};

/// How long a check of a text may take, with the token that it needs.
pub const TEXT_CHECK_WAIT: Duration = Duration::from_millis(1_500);

/// The longest text of one check, in Unicode scalar values: the documented limit. A longer one is checked in pieces.
pub const MAX_TEXT_CHARS: usize = 2_500;

/// What two pieces of a text have in common, in Unicode scalar values, so that none cuts a phrase.
const OVERLAP: usize = 50;

const PATH: &str = "wxa/msg_sec_check";

/// In which surroundings a text or a medium is shown, in WeChat's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scene {
    /// 资料: what somebody says of oneself.
    Profile = 1,
    /// 评论: a comment.
    Comment = 2,
    /// 论坛: what all may read.
    Forum = 3,
    /// 社交日志: what those may read who know each other.
    Social = 4,
}

impl Wechat {
    /// What WeChat thinks of a text of this user, within [`TEXT_CHECK_WAIT`]. [`Unchecked::Unable`]: it does not
    /// know the user, or has not seen the user for two hours.
    pub async fn check_text(
        &self,
        user: &WechatUser,
        scene: Scene,
        text: &str,
        title: Option<&str>,
    ) -> Result<Suggestion, Unchecked> {
        let program = self.program_of(user).ok_or(Unchecked::Unable)?;
        let pieces = pieces(text);
        let checks = pieces.iter().map(|piece| program.check_piece(user, scene, piece, title));
        let answers = tokio::time::timeout(TEXT_CHECK_WAIT, join_all(checks)).await;
        let Ok(answers) = answers else {
            program.note(PATH, &CallError::NoAnswer("no answer in time".into()));
            return Err(Unchecked::Failed);
        };
        worst(answers)
    }
}

impl MiniProgram {
    async fn check_piece(
        &self,
        user: &WechatUser,
        scene: Scene,
        piece: &str,
        title: Option<&str>,
    ) -> Result<Suggestion, Unchecked> {
        let mut body = json!({
            "version": 2, "openid": user.openid.as_str(), "scene": scene as u8, "content": piece,
        });
        if let Some(title) = title {
            body["title"] = title.into();
        }
        let answer = self.call::<Verdict>(PATH, &body, TEXT_CHECK_WAIT).await;
        let answer = answer.and_then(|answer| answer.read().ok_or_else(CallError::unreadable));
        answer.map_err(|error| self.unchecked(PATH, &error))
    }

    /// What an error of a check means, which is logged if somebody has to see to it.
    pub(super) fn unchecked(&self, path: &'static str, error: &CallError) -> Unchecked {
        match error {
            CallError::UserNotRecent | CallError::UserForeign | CallError::UserUnknown => {
                return Unchecked::Unable;
            }
            _ => self.note(path, error),
        }
        if matches!(error, CallError::OutOfQuota(_)) {
            Unchecked::OutOfQuota
        } else {
            Unchecked::Failed
        }
    }
}

/// A text in pieces that WeChat takes.
fn pieces(text: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some((end, _)) = rest.char_indices().nth(MAX_TEXT_CHARS) {
        let (piece, _) = rest.split_at(end);
        pieces.push(piece);
        let next = piece.char_indices().rev().nth(OVERLAP - 1).map_or(end, |(next, _)| next);
        rest = &rest[next..];
    }
    pieces.push(rest);
    pieces
}

/// What all answers say together: what is risky anywhere is risky, and passes only if all of it does.
fn worst(answers: Vec<Result<Suggestion, Unchecked>>) -> Result<Suggestion, Unchecked> {
    if answers.contains(&Ok(Suggestion::Risky)) {
        return Ok(Suggestion::Risky);
    }
    let suggestions = answers.into_iter().collect::<Result<Vec<_>, _>>()?;
    let is_clean = suggestions.iter().all(|suggestion| *suggestion == Suggestion::Pass);
    Ok(if is_clean { Suggestion::Pass } else { Suggestion::Review })
}

/// What a check says, of a text or of a medium.
#[derive(Debug, Deserialize)]
pub(super) struct Verdict {
    result: Option<Part>,
    #[serde(default)]
    detail: Vec<Part>,
}

#[derive(Debug, Deserialize)]
struct Part {
    errcode: Option<i64>,
    suggest: Option<String>,
}

impl Part {
    fn suggestion(&self) -> Option<Suggestion> {
        match self.suggest.as_deref()? {
            "pass" => Some(Suggestion::Pass),
            "review" => Some(Suggestion::Review),
            "risky" => Some(Suggestion::Risky),
            _ => None,
        }
    }
}

impl Verdict {
    /// The worst of the result and of those details that have no error. `None`: it says nothing, or passes what
    /// none of its parts has looked at.
    pub(super) fn read(&self) -> Option<Suggestion> {
        let result = self.result.as_ref()?.suggestion()?;
        let valid = self.detail.iter().filter(|part| part.errcode.unwrap_or(0) == 0);
        let valid = valid.map(Part::suggestion).collect::<Option<Vec<_>>>()?;
        let is_looked_at = self.detail.is_empty() || !valid.is_empty();
        let all = || std::iter::once(&result).chain(&valid);
        let is = |suggestion| all().any(|said| *said == suggestion);
        match () {
            () if is(Suggestion::Risky) => Some(Suggestion::Risky),
            () if is(Suggestion::Review) => Some(Suggestion::Review),
            () => is_looked_at.then_some(Suggestion::Pass),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_checked_in_pieces_that_overlap() {
        assert_eq!(pieces(""), [""]);
        let text: String = "一二三四五六七八九十".repeat(600);
        let found = pieces(&text);
        assert_eq!(found.len(), 3);
        assert!(found.iter().all(|piece| piece.chars().count() <= MAX_TEXT_CHARS));
        let behind = |piece: &str| piece.chars().skip(OVERLAP).collect::<String>();
        let joined = format!("{}{}{}", found[0], behind(found[1]), behind(found[2]));
        assert_eq!(joined, text);
        let short = "字".repeat(MAX_TEXT_CHARS);
        assert_eq!(pieces(&short), [short.as_str()]);
    }

    #[test]
    fn the_worst_part_decides() {
        use Suggestion::{Pass, Review, Risky};
        assert_eq!(worst(vec![Ok(Pass), Ok(Pass)]), Ok(Pass));
        assert_eq!(worst(vec![Ok(Pass), Ok(Review)]), Ok(Review));
        assert_eq!(worst(vec![Err(Unchecked::Failed), Ok(Risky)]), Ok(Risky));
        assert_eq!(worst(vec![Ok(Review), Err(Unchecked::Failed)]), Err(Unchecked::Failed));
    }
}
