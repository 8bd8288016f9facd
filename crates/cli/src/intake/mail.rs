//! Mails: the text of the body, and of what is attached as text.

use mail_parser::{DateTime, Message, MessageParser, MimeHeaders, PartType};
use mithaq_core::time::Time;

use super::{Intake, text::lines};

/// Takes what a mail holds in its subject, its text and its attachments of text. Who wrote it to whom is not taken.
pub(crate) fn mail(bytes: &[u8], into: &mut Intake) {
    let Some(message) = MessageParser::default().parse(bytes) else {
        return into.losses.refuse("the mail", "", "cannot be read as a mail: save its text and push that");
    };
    take(&message, "mail", into);
}

fn take(message: &Message<'_>, what: &str, into: &mut Intake) {
    let at = message.date().and_then(date);
    if let Some(subject) = message.subject() {
        lines(subject, &format!("{what}, subject, line"), at, into);
    }
    for number in 0..message.text_body_count() {
        if let Some(text) = message.body_text(number) {
            lines(&text, &format!("{what}, line"), at, into);
        }
    }
    for attachment in message.attachments() {
        let name = attachment.attachment_name().unwrap_or("without a name");
        match &attachment.body {
            PartType::Text(text) => lines(text, &format!("{what}, {name}, line"), at, into),
            PartType::Message(message) => into.losses.field("mails within the mail", message.subject().unwrap_or(name)),
            _ => into.losses.field("attachments", name),
        }
    }
}

fn date(date: &DateTime) -> Option<Time> {
    date.is_valid().then(|| Time::from_micros(date.to_timestamp().saturating_mul(1_000_000)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::intake::{What, date};

    #[test]
    fn mails_are_taken_with_their_encodings_and_attachments() {
        let mail_text = "From: someone@cert.example\r\nTo: us@cert.example\r\nSubject: =?UTF-8?B?2LnYp9is2YQ=?= evil[.]example\r\n\
            Date: Fri, 21 Nov 2025 08:00:00 +0000\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n\
            --x\r\nContent-Type: text/plain; charset=gb2312\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n\
            =B6=F1=D2=E2 hxxp://evil=5B.=5Dexample/a=3D1 and 192.0.2.=\r\n1\r\n\
            --x\r\nContent-Type: text/csv; name=list.csv\r\nContent-Disposition: attachment; filename=list.csv\r\n\r\nbad.example\r\n\
            --x\r\nContent-Type: application/zip\r\nContent-Disposition: attachment; filename=a.zip\r\n\r\nPK\r\n--x--\r\n";
        let mut intake = Intake::default();
        mail(mail_text.as_bytes(), &mut intake);
        let values = intake.drafts().iter().filter_map(|draft| match &draft.what {
            What::Indicator { observables, .. } => Some(observables[0].value.as_str()),
            _ => None,
        });
        let values: Vec<_> = values.collect();
        assert_eq!(values, ["evil.example", "http://evil.example/a=1", "192.0.2.1", "bad.example"], "{intake:?}");
        assert_eq!(intake.losses.fields()["attachments"].first, ["a.zip"]);
        let valid_from = intake.drafts()[0].says.valid_from.unwrap();
        assert_eq!(date::stix(valid_from), "2025-11-21T08:00:00.000Z");
    }
}
