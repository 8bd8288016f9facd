//! CN's daemon stops, misses something, comes back.

use super::{
    own, push,
    report::Restart,
    siem::{Comparison, Feed},
    story::Story,
    wait,
};

impl Story<'_> {
    /// Stops CN's daemon, pushes at PK meanwhile, starts it again; nothing may be lost and nothing sent twice.
    pub(super) async fn restart(&mut self) -> anyhow::Result<Restart> {
        self.screen.chapter("CN's daemon is restarted, and misses something meanwhile");
        let before = Feed::read(&self.certs.cn, None).await?;
        let held = self.certs.cn.status().await?.objects;

        self.screen.say("CN's daemon gets SIGTERM");
        self.certs.cn.terminate()?;
        let ended = self.certs.cn.stopped().await?;
        self.screen.check("it stopped by itself with status 0", ended.success(), || ended.to_string());

        let file = own::write(self.dir(), "missed.json", &[own::probe("missed")])?;
        let missed = push::push(self.program, &self.certs.pk, &file, self.screen).await?;
        self.screen.check_equal("PK took in one more object", &1, &missed.summary.stored);

        self.certs.cn.start(self.program)?;
        self.certs.cn.ready().await?;
        self.screen.say("CN's daemon runs again");
        self.caught_up(held + 1).await?;
        let now_held = self.certs.cn.status().await?.objects;
        self.screen.check_equal("CN caught up by itself", &(held + 1), &now_held);
        self.after_restart(&before, &missed).await
    }

    async fn caught_up(&self, objects: u64) -> anyhow::Result<bool> {
        let certs = &*self.certs;
        wait::until(wait::delivery_limit(1), async || {
            Ok(certs.pk.peer(certs.cn.who).await?.lag == 0 && certs.cn.status().await?.objects >= objects)
        })
        .await
    }

    /// Compares CN's feed with what it was, and what was sent with what was missing.
    async fn after_restart(&mut self, before: &Feed, missed: &push::Pushed) -> anyhow::Result<Restart> {
        let after = Feed::read(&self.certs.cn, None).await?;
        let expected = before.contents.union(&missed.accepted).copied().collect();
        let comparison = Comparison::of(&after.contents, &expected);
        self.screen.check("its SIEM finds all that was there, and the new object", comparison.is_equal(), || {
            comparison.text()
        });

        let news = Feed::read(&self.certs.cn, before.cursor.clone()).await?;
        let is_news = news.lines == missed.accepted.len() && news.contents == missed.accepted;
        self.screen
            .check("the SIEM's old cursor goes on with just the new one", is_news, || format!("{} lines", news.lines));

        let received = self.certs.cn.peer(self.certs.pk.who).await?.objects_received;
        self.screen.check_equal("nothing was sent twice: objects that CN received since it runs again", &1, &received);
        let lost = before.contents.difference(&after.contents).count();
        Ok(Restart { lost, resent: received.saturating_sub(1) })
    }
}
