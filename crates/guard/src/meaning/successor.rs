//! What of a service is the same in the one that takes over from it, whose rules may have other numbers.

use super::{Decision, Limit, LimitId, MessageId, Senders, Service};

impl Service {
    /// What takes the place of another service's decision: the same about the message of that name, by the same limit; nothing
    /// where there is none any more, or where such packets came to something else.
    pub fn successor_of(&self, decision: Decision, before: &Self) -> Option<Decision> {
        let message = |id: MessageId| {
            let name = &before.protocol.message(id).name;
            self.protocol.messages.iter().position(|message| message.name == *name).map(MessageId)
        };
        let same = match decision {
            Decision::Unwelcome(id) => Decision::Unwelcome(message(id)?),
            Decision::Accepted(id) => Decision::Accepted(message(id)?),
            Decision::OverLimit(id, limit) => {
                Decision::OverLimit(message(id)?, self.limit_successor(limit, before)?)
            }
            Decision::Allowed | Decision::Blocked | Decision::NoMessage | Decision::Unjudged(..) => decision,
        };
        let is_there = self.decisions().contains(&same);
        (is_there && self.lets_through(same) == before.lets_through(decision)).then_some(same)
    }

    /// The limit that keeps the buckets of another service's: for the same message and the same sources, whatever its rate; of several
    /// such the one in the same place among them.
    pub fn limit_successor(&self, LimitId(limit): LimitId, before: &Self) -> Option<LimitId> {
        let wanted = before.kept_by(before.limits.get(limit)?);
        let place = before.limits[..limit].iter().filter(|each| before.kept_by(each) == wanted).count();
        let same = self.limits.iter().enumerate().filter(|(_, each)| self.kept_by(each) == wanted);
        same.map(|(at, _)| LimitId(at)).nth(place)
    }

    /// Whether sources that another service knows have proved to this one as well that they are where they say: by the same messages, and
    /// the same of them counts.
    pub fn knows_whom(&self, before: &Self) -> bool {
        let proof = |service: &Self| {
            let known = service.known.as_ref()?;
            let after = known.after.iter().map(|id| service.protocol.message(*id).clone());
            Some((known.by, after.collect::<Vec<_>>()))
        };
        self.known.is_some() && proof(self) == proof(before)
    }

    /// Whether this service is another one but for the addresses in its lists, none of which is a new one.
    pub fn differs_in_lists_alone(&self, other: &Self) -> bool {
        let Self {
            name,
            listen,
            at,
            mode,
            protocol,
            accept,
            allow: _,
            block: _,
            limits,
            known,
            unjudged,
            sample,
        } = self;
        let rest = (name, listen, at, mode, protocol, known, unjudged, sample);
        rest == (
            &other.name,
            &other.listen,
            &other.at,
            &other.mode,
            &other.protocol,
            &other.known,
            &other.unjudged,
            &other.sample,
        ) && accept.len() == other.accept.len()
            && accept.iter().zip(&other.accept).all(|(one, two)| {
                (one.message, &one.when) == (two.message, &two.when) && one.from.is_kind_of(&two.from)
            })
            && limits.len() == other.limits.len()
            && limits.iter().zip(&other.limits).all(|(one, two)| {
                (one.message, one.per, &one.rate) == (two.message, two.per, &two.rate)
                    && one.from.is_kind_of(&two.from)
            })
    }

    /// What a limit's buckets belong to.
    fn kept_by<'a>(
        &'a self,
        limit: &Limit,
    ) -> (Option<&'a str>, super::Per, std::mem::Discriminant<Senders>) {
        let message = limit.message.map(|id| self.protocol.message(id).name.as_str());
        (message, limit.per, std::mem::discriminant(&limit.from))
    }
}

impl Senders {
    /// Whether both are lists, or both the same.
    fn is_kind_of(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }
}
