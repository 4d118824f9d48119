//! What is captured changes while connections are open.

use std::sync::Arc;

use super::Tracker;
use super::application::{Application, Context};
use crate::http;
use crate::packet::Nanos;
use crate::sink::Sink;

impl Tracker {
    /// Parses and keeps HTTP so from now on, on open connections too.
    pub fn set_http(&mut self, config: &Arc<http::Config>) {
        self.output.settings.http = Arc::clone(config);
        for id in self.table.ids() {
            if let Some(connection) = self.table.get_mut(id) {
                connection.application.set_http(config);
            }
        }
    }

    /// A connection is not captured any more: its last rows say what passed until then.
    pub fn leave_out(&mut self, time: Nanos, cookie: u64, sink: &mut dyn Sink) {
        self.tick(time, sink);
        if let Some(id) = self.table.find_cookie(cookie) {
            self.end(id, None, time, sink);
        }
    }

    /// HTTP is not captured any more: what is pending becomes rows, and connections begin again with the next message
    /// that is captured.
    pub fn leave_out_http(&mut self, time: Nanos, sink: &mut dyn Sink) {
        self.pause(time, sink, |application, context| {
            application.pause_http(time, context);
        });
    }

    /// DNS is not captured any more; likewise.
    pub fn leave_out_dns(&mut self, time: Nanos, sink: &mut dyn Sink) {
        self.pause(time, sink, |application, context| {
            application.pause_dns(time, context);
        });
        self.output.finish_lookups(time, sink);
    }

    fn pause(
        &mut self,
        time: Nanos,
        sink: &mut dyn Sink,
        pause: impl Fn(&mut Application, &mut Context<'_>),
    ) {
        self.tick(time, sink);
        for id in self.table.ids() {
            if let Some(connection) = self.table.get_mut(id) {
                connection.with_application(&mut self.output, time, sink, &pause);
            }
        }
    }
}
