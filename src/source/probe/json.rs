//! Numbers that stand in a JSON document: tickets, satisfaction, whatever a service tells that is no exposition.

use serde_json::Value;

use super::ask::{Answer, Failing, Outcome};
use super::config::JsonProbe;
use super::http::{Client, brief, shown, whole};

/// Asks once. Each number that is there is a value; each that is not makes the probe fail.
pub(super) async fn probe(client: &mut Client, json: &JsonProbe) -> Outcome {
    let response = match client.send().await? {
        Ok(response) => response,
        Err(failing) => return Ok(Answer::failing(failing)),
    };
    if !response.status().is_success() {
        let why = format!("the answer is {}", shown(response.status()));
        return Ok(Answer::failing(why));
    }
    let body = match whole(response).await {
        Ok(body) => body,
        Err(failing) => return Ok(Answer::failing(failing)),
    };
    let document: Value = match serde_json::from_slice(&body) {
        Ok(document) => document,
        Err(error) => return Ok(Answer::failing(format!("the answer is no JSON: {error}"))),
    };
    let found = json.values.iter().map(|it| number(&document, &it.pointer));
    let found: Vec<Result<f64, Failing>> = found.collect();
    let wrong: Vec<&str> = found
        .iter()
        .filter_map(|it| it.as_ref().err().map(String::as_str))
        .collect();
    let answer = if wrong.is_empty() {
        Answer::good()
    } else {
        Answer::failing(wrong.join("; "))
    };
    Ok(answer.with(found.into_iter().map(Result::ok)))
}

fn number(document: &Value, pointer: &str) -> Result<f64, Failing> {
    let found = document
        .pointer(pointer)
        .ok_or_else(|| format!("the answer has nothing at {pointer}"))?;
    let place = if pointer.is_empty() {
        "the document"
    } else {
        pointer
    };
    let number = match found {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        Value::Bool(flag) => Some(f64::from(u8::from(*flag))),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    };
    let number = number.filter(|it| it.is_finite());
    number.ok_or_else(|| format!("{place} is {}, which is no number", brief(found)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_are_numbers_and_nothing_else_is() {
        let document = json!({
            "n": 12, "f": 4.25, "s": " 7e2 ", "t": true, "o": false, "a/b": {"~": [1, 2]},
            "null": null, "word": "twelve", "nan": "NaN", "inf": "inf", "empty": "",
        });
        for (pointer, expected) in [
            ("/n", Ok(12.0)),
            ("/f", Ok(4.25)),
            ("/s", Ok(700.0)),
            ("/t", Ok(1.0)),
            ("/o", Ok(0.0)),
            ("/a~1b/~0/1", Ok(2.0)),
            ("/null", Err("/null is null, which is no number")),
            ("/word", Err("/word is \"twelve\", which is no number")),
            ("/nan", Err("/nan is \"NaN\", which is no number")),
            ("/inf", Err("/inf is \"inf\", which is no number")),
            ("/empty", Err("/empty is \"\", which is no number")),
            ("/a~1b", Err("/a~1b is an object, which is no number")),
            ("", Err("the document is an object, which is no number")),
            ("/gone", Err("the answer has nothing at /gone")),
        ] {
            let found = number(&document, pointer);
            assert_eq!(
                found.as_ref().map_err(String::as_str),
                expected.as_ref().map_err(|it| *it),
                "{pointer}"
            );
        }
    }
}
