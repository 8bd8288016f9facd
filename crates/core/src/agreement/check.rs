//! The limits of an agreement's fields.

use mithaq_stix::{id::StixId, marking::Tlp};

use super::{
    AGREEMENT_SCHEMA, Agreement, AgreementError, CONTACTS_MAX, DAYS_MAX, Flow, Group, Onward, PARTIES_MAX, Party, Scope,
};
use crate::{
    label::{LABEL_SET_MAX, SECTOR_BYTES_MAX},
    text::is_plain,
};

type Checked = Result<(), AgreementError>;

fn fail(field: &'static str, problem: &'static str) -> Checked {
    Err(AgreementError::Field { field, problem })
}

fn is_short_text(text: &str) -> bool {
    is_plain(text, SECTOR_BYTES_MAX)
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && is_short_text(text)
}

impl Agreement {
    pub(super) fn check(&self) -> Checked {
        if self.schema != AGREEMENT_SCHEMA {
            return Err(AgreementError::Schema { found: self.schema.chars().take(80).collect() });
        }
        self.check_parties()?;
        self.check_flows()?;
        if self.valid_from >= self.valid_until {
            return fail("validity", "ends before it begins");
        }
        if self.community.as_ref().is_some_and(|name| !is_name(name)) {
            return fail("community", "is empty, too long or has control or bidi characters");
        }
        if self.purposes.len() > LABEL_SET_MAX || !self.purposes.iter().all(|text| is_short_text(text)) {
            return fail("purposes", "are too many, too long or have control or bidi characters");
        }
        if self.notice_days > DAYS_MAX {
            return fail("notice_days", "are over 36500");
        }
        if self.retention_days.is_some_and(|days| !(1..=DAYS_MAX).contains(&days)) {
            return fail("retention_days", "are not 1 to 36500");
        }
        Ok(())
    }

    fn check_parties(&self) -> Checked {
        if !(2..=PARTIES_MAX).contains(&self.parties.len()) || (self.group.is_none() && self.parties.len() != 2) {
            return fail("parties", "are not two CERTs, or 2 to 64 of a group");
        }
        if !self.parties.is_sorted_by(|a, b| a.cert < b.cert) {
            return fail("parties", "are not different CERTs in ascending order");
        }
        self.parties.iter().try_for_each(Party::check)?;
        match &self.group {
            Some(group) => group.check(self.parties.len()),
            None => Ok(()),
        }
    }

    fn check_flows(&self) -> Checked {
        let froms: Vec<_> = self.flows.iter().map(|flow| flow.from).collect();
        let expected: Vec<_> = match self.group {
            Some(_) => vec![None],
            None => self.certs().map(Some).collect(),
        };
        if froms != expected {
            return fail(
                "flows",
                "are not one from each party, in the parties' order, or one of a group without `from`",
            );
        }
        self.flows.iter().try_for_each(Flow::check)
    }
}

impl Party {
    fn check(&self) -> Checked {
        if self.contacts.len() > CONTACTS_MAX || !self.contacts.iter().all(|text| is_name(text)) {
            return fail("contacts", "are too many, empty, too long or have control or bidi characters");
        }
        Ok(())
    }
}

impl Group {
    fn check(&self, members: usize) -> Checked {
        if !is_name(&self.name) {
            return fail("group's name", "is empty, too long or has control or bidi characters");
        }
        let threshold = usize::try_from(self.threshold).unwrap_or(usize::MAX);
        if !(1..=members).contains(&threshold) {
            return fail("group's threshold", "is not 1 to the number of members");
        }
        Ok(())
    }
}

impl Flow {
    fn check(&self) -> Checked {
        if let Scope::Only(sectors) = &self.sectors
            && (sectors.len() > LABEL_SET_MAX || !sectors.iter().all(|text| is_short_text(text)))
        {
            return fail("sectors", "are too many, too long or have control or bidi characters");
        }
        let is_marking = |id: &String| {
            StixId::parse(id).is_ok_and(|id| id.object_type() == "marking-definition")
                && Tlp::from_marking_id(id).is_none()
        };
        if self.markings.len() > LABEL_SET_MAX || !self.markings.iter().all(is_marking) {
            return fail("markings", "are too many, or not ids of marking definitions other than TLP");
        }
        if self.age_days_max.is_some_and(|days| !(1..=DAYS_MAX).contains(&days)) {
            return fail("age_days_max", "are not 1 to 36500");
        }
        match &self.onward {
            Onward::Listed(certs) if !(1..=PARTIES_MAX).contains(&certs.len()) => {
                fail("onward", "lists no CERT or more than 64")
            }
            _ => Ok(()),
        }
    }
}
