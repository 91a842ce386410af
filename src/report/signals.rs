//! The signals that fill the templates, by their fixed names: one table, from which the reckoning, the dashboard and
//! the tests read. The room's head shows the same table to people.

use super::trend::Better;
use crate::model::Unit;

/// How a signal's minutes become the period's one figure. Minutes without a reading are left out of all of them.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum How {
    /// Share of the known minutes in which it was at least 1.
    Up,
    /// The median of the minutes; the worst minute is told beside it.
    Median,
    /// The mean of the minutes.
    Mean,
    /// The mean of the minutes weighted by `throughput`; a minute without it counts as an average one, and without
    /// any it is the plain mean. The report says which.
    Weighted,
    /// A rate, added up over its known minutes.
    Total,
    /// A count since midnight that starts again at zero: its increases are added up. A lower reading is a new start,
    /// and so is the first one of another day after a gap of more than 15 minutes.
    SinceMidnight,
    /// The last reading.
    Last,
    /// The last reading; the highest is told beside it.
    LastAndMost,
    /// Whether it was at least 1 in any minute.
    Ever,
}

impl How {
    /// As the table writes it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Up => "share of known minutes up",
            Self::Median => "median, and the worst minute",
            Self::Mean => "mean",
            Self::Weighted => "mean weighted by throughput",
            Self::Total => "rate added up",
            Self::SinceMidnight => "increases added up",
            Self::Last => "last",
            Self::LastAndMost => "last, and the highest",
            Self::Ever => "any minute at 1",
        }
    }
}

/// Which table of the runbook's dashboard shows it.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Group {
    System,
    Users,
    Support,
    Model,
    /// In the 30-day report only.
    Value,
}

/// A signal that a template asks for.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct Known {
    pub name: &'static str,
    /// As the runbook's dashboard calls it.
    pub label: &'static str,
    /// In which it is meant to be; a signal that says another is shown in that.
    pub unit: Unit,
    pub how: How,
    pub better: Better,
    /// The smallest change over a period that makes a trend, in `unit`.
    pub matters: f64,
    pub group: Group,
}

macro_rules! signals {
    ($($constant:ident = $name:literal, $label:literal, $unit:ident, $how:ident, $better:ident, $matters:literal, $group:ident;)+) => {
        $(pub const $constant: &str = $name;)+
        /// All of them, in the dashboard's order.
        pub const SIGNALS: &[Known] = &[$(Known {
            name: $name,
            label: $label,
            unit: Unit::$unit,
            how: How::$how,
            better: Better::$better,
            matters: $matters,
            group: Group::$group,
        }),+];
    };
}

signals! {
    UPTIME = "uptime", "System Uptime", Ratio, Up, Higher, 0.000_5, System;
    API_LATENCY_P95 = "api_latency_p95", "API Latency (p95)", Seconds, Median, Lower, 0.005, System;
    API_LATENCY_AVG = "api_latency_avg", "API Latency (average)", Seconds, Weighted, Lower, 0.005, System;
    ERROR_RATE = "error_rate", "Error Rate", Ratio, Weighted, Lower, 0.001, System;
    THROUGHPUT = "throughput", "API Calls", PerSecond, Total, Neither, 0.0, System;
    CPU_UTILIZATION = "cpu_utilization", "CPU Utilization", Ratio, Mean, Neither, 0.02, System;
    MEMORY_UTILIZATION = "memory_utilization", "Memory Utilization", Ratio, Mean, Neither, 0.02, System;
    ACTIVE_USERS = "active_users", "Active Users", Count, LastAndMost, Neither, 1.0, Users;
    TOTAL_USERS = "total_users", "Total Users", Count, Last, Neither, 1.0, Users;
    NEW_USERS = "new_users", "New Users", Count, SinceMidnight, Neither, 0.0, Users;
    TRANSACTIONS = "transactions", "Transactions", Count, SinceMidnight, Neither, 0.0, Users;
    SESSION_DURATION = "session_duration", "Avg Session Duration", Seconds, Mean, Neither, 10.0, Users;
    USER_ADOPTION = "user_adoption", "User Adoption", Ratio, Last, Higher, 0.02, Users;
    SUPPORT_TICKETS_OPEN = "support_tickets_open", "Open Tickets", Count, Last, Lower, 1.0, Support;
    SUPPORT_TICKETS_OPENED = "support_tickets_opened", "Tickets Opened", Count, SinceMidnight, Lower, 0.0, Support;
    SUPPORT_TICKETS_RESOLVED = "support_tickets_resolved", "Tickets Resolved", Count, SinceMidnight, Neither, 0.0, Support;
    TICKET_RESOLUTION_TIME = "ticket_resolution_time", "Avg Resolution Time", Seconds, Last, Lower, 60.0, Support;
    USER_SATISFACTION = "user_satisfaction", "Customer Satisfaction", Score, Last, Higher, 0.1, Support;
    USER_SENTIMENT = "user_sentiment", "User Sentiment", Ratio, Last, Higher, 0.02, Support;
    PREDICTIONS = "predictions", "Predictions", Count, SinceMidnight, Neither, 0.0, Model;
    PREDICTION_LATENCY = "prediction_latency", "Avg Latency", Seconds, Mean, Lower, 0.005, Model;
    MODEL_ACCURACY = "model_accuracy", "Model Accuracy", Ratio, Last, Higher, 0.005, Model;
    DATA_DRIFT = "data_drift", "Data Drift Detected", None, Ever, Lower, 0.0, Model;
    COST_SAVINGS = "cost_savings", "Cost savings per month", Count, Last, Higher, 0.0, Value;
    TIME_SAVED = "time_saved", "Time saved per month", Seconds, Last, Higher, 3600.0, Value;
    REVENUE_INCREASE = "revenue_increase", "Revenue increase per month", Count, Last, Higher, 0.0, Value;
    USER_PRODUCTIVITY = "user_productivity", "User productivity", Ratio, Last, Higher, 0.01, Value;
}

/// The signal of that name, where a template asks for it.
#[must_use]
pub fn known(name: &str) -> Option<&'static Known> {
    SIGNALS.iter().find(|it| it.name == name)
}
