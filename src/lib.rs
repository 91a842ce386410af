//! gated decides whether a release may stay.
//!
//! It scrapes Prometheus endpoints, judges what it sees against a runbook, and when a trigger trips it asks for
//! the rollback or calls the people: once, with the reason written down.
//!
//! # Bird's-eye view
//!
//! ```text
//! targets ─▶ source ──Input──▶ engine ──Effect──▶ sink ─▶ webhooks, Alertmanager, SQLite ledger
//!                                │
//!                                └─Snapshot─▶ serve ─▶ /gate, verdict, rollouts, decisions, /metrics, Prometheus' API
//! ```
//!
//! The engine is the whole product without its wires: no clock, no network, no disk, no thread. Live daemon,
//! dry run and rule tests (later: backtest) are the same engine with other ends.
//!
//! # Rooms
//!
//! Pure, in the order data flows through them:
//!
//! - [`model`]: the words all rooms share: time, labels, samples, ids, what is recorded.
//! - [`store`]: the window: a short, bounded memory of samples per target.
//! - [`promql`]: text → expression → compiled plan → vector.
//! - [`template`]: Go's templates, as Prometheus fills in labels and annotations.
//! - [`runbook`]: what the rules files say, gated's own and Prometheus', typed, with every fault and its line.
//! - [`rules`]: readings (why there is no value), trigger states (inactive, pending, firing), Prometheus' rule groups.
//! - [`incident`]: an incident's life, who is called when, a delivery's retries.
//! - [`gate`]: rollouts, the guards of a rollback, the verdict.
//! - [`report`]: the facts of a period as the runbook's reports: Markdown, one self-contained page, JSON.
//! - [`engine`]: puts them together: [`engine::Input`] in, [`engine::Effect`] out, [`engine::Snapshot`] beside.
//! - [`journal`]: what an engine was given, as bytes and back.
//!
//! Edges, which know the engine and never each other:
//!
//! - [`source`]: scraping, exposition text, discovery; scripts of rule tests.
//! - [`sink`]: SQLite ledger, webhook, Alertmanager.
//! - [`serve`]: HTTP over the latest snapshot.
//! - [`run`]: the hall: clock, configuration, command line; wires everything.
//!
//! # Invariants
//!
//! - Effects are a function of configuration, restored state and stamped inputs. Only `run/clock.rs` reads a clock.
//! - What is not recorded is not sent: a decision and its owed deliveries commit in one transaction first.
//! - Missing, stale, thin, NaN or contradictory data is a third answer; it never rolls anything back and never opens the gate.
//! - `tests/it/layering.rs` holds the table of which room may import which, and fails with file and line.

pub mod engine;
pub mod gate;
pub mod incident;
pub mod journal;
pub mod model;
pub mod promql;
pub mod report;
pub mod rules;
pub mod run;
pub mod runbook;
pub mod serve;
pub mod sink;
pub mod source;
pub mod store;
pub mod template;
