//! The methods of a template's values: those of Go's `time.Time`, `time.Duration`, `time.Month` and `time.Weekday` that
//! read a moment or reckon with it. Deliberately absent: time zones.

use jiff::civil::DateTime;

use crate::template::BYTES_OUT_MAX;
use crate::template::call::Function;
use crate::template::call::Ty::Duration;
use crate::template::call::Ty::Int;
use crate::template::call::Ty::Text;
use crate::template::call::Ty::Time;
use crate::template::call::fixed;
use crate::template::call::string;
use crate::template::humanize;
use crate::template::literal::magnitude;
use crate::template::printf;
use crate::template::time;
use crate::template::value::Value;

/// The method of that name, if the value's type has one.
pub(in crate::template) fn method(of: &Value, name: &str) -> Option<&'static Function> {
    let methods = match of {
        Value::Time(_) => TIME,
        Value::Duration(_) => DURATION,
        Value::Month(_) | Value::Weekday(_) => NAMED,
        _ => return None,
    };
    methods.iter().find(|method| method.name == name)
}

static NAMED: &[Function] = &[fixed("String", &[], |_, args| shown(&args[0]))];

static TIME: &[Function] = &[
    fixed("String", &[], |_, args| shown(&args[0])),
    fixed("Format", &[Text], |_, args| {
        Ok(Value::text(time::format(nanos(&args[0]), string(&args[1]))))
    }),
    fixed("UTC", &[], |_, args| Ok(args[0].clone())),
    fixed("Unix", &[], |_, args| {
        Ok(Value::Int(nanos(&args[0]).div_euclid(time::SECOND)))
    }),
    fixed("UnixMilli", &[], |_, args| {
        Ok(Value::Int(nanos(&args[0]).div_euclid(1_000_000)))
    }),
    fixed("UnixMicro", &[], |_, args| {
        Ok(Value::Int(nanos(&args[0]).div_euclid(1_000)))
    }),
    fixed("UnixNano", &[], |_, args| Ok(Value::Int(nanos(&args[0])))),
    fixed("Year", &[], |_, args| {
        Ok(Value::Int(civil(&args[0]).year().into()))
    }),
    fixed("Month", &[], |_, args| {
        Ok(Value::Month(civil(&args[0]).month().unsigned_abs()))
    }),
    fixed("Day", &[], |_, args| {
        Ok(Value::Int(civil(&args[0]).day().into()))
    }),
    fixed("Hour", &[], |_, args| {
        Ok(Value::Int(civil(&args[0]).hour().into()))
    }),
    fixed("Minute", &[], |_, args| {
        Ok(Value::Int(civil(&args[0]).minute().into()))
    }),
    fixed("Second", &[], |_, args| {
        Ok(Value::Int(civil(&args[0]).second().into()))
    }),
    fixed("Nanosecond", &[], |_, args| {
        Ok(Value::Int(civil(&args[0]).subsec_nanosecond().into()))
    }),
    fixed("YearDay", &[], |_, args| {
        Ok(Value::Int(civil(&args[0]).day_of_year().into()))
    }),
    fixed("Weekday", &[], |_, args| {
        let day = civil(&args[0]).weekday().to_sunday_zero_offset();
        Ok(Value::Weekday(day.unsigned_abs()))
    }),
    fixed("Add", &[Duration], |_, args| {
        Ok(Value::Time(nanos(&args[0]).saturating_add(nanos(&args[1]))))
    }),
    fixed("Sub", &[Time], |_, args| {
        Ok(Value::Duration(
            nanos(&args[0]).saturating_sub(nanos(&args[1])),
        ))
    }),
    fixed("AddDate", &[Int, Int, Int], |_, args| {
        let date = (int(&args[1]), int(&args[2]), int(&args[3]));
        Ok(Value::Time(time::add_date(nanos(&args[0]), date)))
    }),
    fixed("Truncate", &[Duration], |_, args| {
        let (at, step) = (nanos(&args[0]), nanos(&args[1]));
        Ok(Value::Time(time::truncate_time(at, step)))
    }),
    fixed("Round", &[Duration], |_, args| {
        let (at, step) = (nanos(&args[0]), nanos(&args[1]));
        Ok(Value::Time(time::round_time(at, step)))
    }),
    fixed("After", &[Time], |_, args| {
        Ok(Value::Bool(nanos(&args[0]) > nanos(&args[1])))
    }),
    fixed("Before", &[Time], |_, args| {
        Ok(Value::Bool(nanos(&args[0]) < nanos(&args[1])))
    }),
    fixed("Equal", &[Time], |_, args| {
        Ok(Value::Bool(nanos(&args[0]) == nanos(&args[1])))
    }),
];

static DURATION: &[Function] = &[
    fixed("String", &[], |_, args| shown(&args[0])),
    fixed("Nanoseconds", &[], |_, args| {
        Ok(Value::Int(nanos(&args[0])))
    }),
    fixed("Microseconds", &[], |_, args| {
        Ok(Value::Int(nanos(&args[0]) / 1_000))
    }),
    fixed("Milliseconds", &[], |_, args| {
        Ok(Value::Int(nanos(&args[0]) / 1_000_000))
    }),
    fixed("Seconds", &[], |_, args| {
        Ok(Value::Float(humanize::seconds(nanos(&args[0]))))
    }),
    fixed("Minutes", &[], |_, args| {
        Ok(Value::Float(units(&args[0], 60)))
    }),
    fixed("Hours", &[], |_, args| {
        Ok(Value::Float(units(&args[0], 3_600)))
    }),
    fixed("Truncate", &[Duration], |_, args| {
        let (length, step) = (nanos(&args[0]), nanos(&args[1]));
        let rest = if step > 0 { length % step } else { 0 };
        Ok(Value::Duration(length - rest))
    }),
    fixed("Round", &[Duration], |_, args| {
        let (length, step) = (nanos(&args[0]), nanos(&args[1]));
        Ok(Value::Duration(time::round_duration(length, step)))
    }),
    fixed("Abs", &[], |_, args| {
        Ok(Value::Duration(nanos(&args[0]).saturating_abs()))
    }),
];

/// Go's `Duration.Minutes` and `Hours`: whole units and the rest apart.
fn units(value: &Value, seconds: i64) -> f64 {
    let (nanos, unit) = (nanos(value), seconds * time::SECOND);
    magnitude(nanos / unit) + magnitude(nanos % unit) / magnitude(unit)
}

fn shown(value: &Value) -> Result<Value, String> {
    printf::sprint(std::slice::from_ref(value), BYTES_OUT_MAX).map(Value::text)
}

/// Of a receiver or argument that is a moment or a duration.
fn nanos(value: &Value) -> i64 {
    match value {
        Value::Time(nanos) | Value::Duration(nanos) => *nanos,
        _ => 0,
    }
}

fn int(value: &Value) -> i64 {
    match value {
        Value::Int(int) => *int,
        _ => 0,
    }
}

fn civil(value: &Value) -> DateTime {
    time::civil(nanos(value))
}
