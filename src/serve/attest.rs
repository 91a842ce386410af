//! `/attest`: a form by which a person with a browser attests a line of the checklist. The token is typed in, so that no
//! other page can send it. No script; every text is escaped. Deliberately absent: the API's way (`told`).

use std::fmt;
use std::fmt::Write as _;
use std::sync::Arc;

use axum::Router;
use axum::extract::Query;
use axum::extract::Request;
use axum::extract::State;
use axum::response::Html as Page;
use axum::response::IntoResponse as _;
use axum::response::Response;
use axum::routing::get;
use serde::Deserialize;

use super::Service;
use super::access;
use super::answer::Failure;
use super::api::Shared;
use super::extract;
use super::page::STYLE;
use super::told::attestation;
use crate::engine::Answer;
use crate::engine::ItemState;
use crate::engine::Snapshot;
use crate::model::Attestation;
use crate::model::text::Html;

pub(super) fn routes() -> Router<Arc<Service>> {
    Router::new().route("/attest", get(form).post(attest))
}

#[derive(Deserialize)]
struct Asked {
    item: Option<String>,
}

/// What a person has written, and what became of it.
#[derive(Default)]
struct Written {
    item: String,
    by: String,
    note: String,
    undo: bool,
    /// Never shown again.
    token: String,
}

impl Written {
    fn parse(body: &[u8]) -> Self {
        let mut it = Self::default();
        for (key, value) in form_urlencoded::parse(body) {
            let value = value.into_owned();
            match &*key {
                "item" => it.item = value,
                "by" => it.by = value,
                "note" => it.note = value,
                "undo" => it.undo = true,
                "token" => it.token = value,
                _ => {}
            }
        }
        it
    }
}

async fn form(State(service): Shared, Query(asked): Query<Asked>) -> Response {
    let written = Written {
        item: asked.item.unwrap_or_default(),
        ..Written::default()
    };
    Page(draw(&service.snapshot.load(), &written, "")).into_response()
}

async fn attest(State(service): Shared, request: Request) -> Response {
    let head = request.headers().clone();
    let written = match extract::body(request).await {
        Ok(body) => Written::parse(&body),
        Err(failure) => return failure.into_response(),
    };
    match taken(&service, &head, &written).await {
        Ok(it) => {
            let snapshot = service.snapshot.load();
            let word = if it.done { "done" } else { "open again" };
            let said = format!("{} is {word}: {}, {}", it.item, it.by, it.at);
            Page(draw(&snapshot, &Written::default(), &said)).into_response()
        }
        Err(failure) => {
            let page = draw(&service.snapshot.load(), &written, &failure.text);
            (failure.code, Page(page)).into_response()
        }
    }
}

async fn taken(
    service: &Service,
    head: &axum::http::HeaderMap,
    written: &Written,
) -> Result<Attestation, Failure> {
    access::may_write_by_form(head, written.token.trim(), &service.token)?;
    let note = Some(written.note.clone());
    let call = attestation(&written.item, written.by.trim(), note, !written.undo)?;
    match service.desk.act(call).await? {
        Answer::Attested(it) => Ok(it),
        _ => Err(Failure::other_answer()),
    }
}

fn draw(snapshot: &Snapshot, written: &Written, said: &str) -> String {
    let mut page = String::with_capacity(4 << 10);
    write(&mut page, snapshot, written, said).expect("writing to a string does not fail");
    page
}

fn write(page: &mut String, snapshot: &Snapshot, written: &Written, said: &str) -> fmt::Result {
    let service = Html(&snapshot.service);
    write!(
        page,
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>Attest · {service}</title>\
         <style>{STYLE}</style></head><body><h1>{service}: attest a line of the checklist</h1>"
    )?;
    if !said.is_empty() {
        write!(
            page,
            "<p role=\"status\"><strong>{}</strong></p>",
            Html(said)
        )?;
    }
    page.push_str("<form method=\"post\" action=\"attest\"><p><label>What <select name=\"item\">");
    let items = snapshot.checklist.iter();
    let items = items.map(|it| (&it.id, &it.text, it.state == ItemState::Done));
    let criteria = snapshot.criteria.iter();
    let criteria = criteria.map(|it| {
        let met = it.outcome == crate::engine::CriterionOutcome::Met;
        (&it.id, &it.text, met)
    });
    for (id, text, done) in items.chain(criteria) {
        let selected = if *id == written.item { " selected" } else { "" };
        let tick = if done { "✓ " } else { "" };
        let (id, text) = (Html(id), Html(text));
        write!(
            page,
            "<option value=\"{id}\"{selected}>{tick}{text} ({id})</option>"
        )?;
    }
    let (by, note) = (Html(&written.by), Html(&written.note));
    let undo = if written.undo { " checked" } else { "" };
    writeln!(
        page,
        "</select></label></p>\
         <p><label>Who <input name=\"by\" required value=\"{by}\"></label></p>\
         <p><label>Note <input name=\"note\" size=\"60\" value=\"{note}\"></label></p>\
         <p><label><input type=\"checkbox\" name=\"undo\"{undo}> it is not done after all</label></p>\
         <p><label>Token <input type=\"password\" name=\"token\" required autocomplete=\"off\"></label>: \
         the one in <code>[server] token_file</code>, or beside gated's database</p>\
         <p><button>Attest</button> <a href=\"./\">back</a></p></form></body></html>"
    )
}
