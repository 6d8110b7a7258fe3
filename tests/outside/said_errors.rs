//! Errors that a provider says inside an answer with status 200: the bytes pass, and the record knows.

use crate::provider::Script;
use crate::support::{Api, scene};

const EVENTS: &str = "text/event-stream";
const JSON: &str = "application/json";

/// Format, content type, body, and the error's name.
const CASES: &[(Api, &str, &str, &str)] = &[
    (
        Api::Messages,
        EVENTS,
        "event: error\ndata: {\"type\": \"error\", \"error\": {\"type\": \"overloaded_error\", \"message\": \"O\"}}\n\n",
        "overloaded_error",
    ),
    (
        Api::Messages,
        EVENTS,
        "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"model\":\"m\",\"usage\":{\"input_tokens\":5}}}\n\nevent: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"api_error\",\"message\":\"x\"}}\n\n",
        "api_error",
    ),
    (Api::Messages, JSON, "{\"type\":\"error\",\"error\":{\"type\":\"api_error\"}}", "api_error"),
    (
        Api::Chat,
        EVENTS,
        "data: {\"id\":\"x\",\"choices\":[{\"delta\":{\"content\":\"p\"}}]}\n\ndata: {\"id\":\"x\",\"error\":{\"code\":502,\"message\":\"P\"},\"choices\":[{\"index\":0,\"delta\":{\"content\":\"\"},\"finish_reason\":\"error\"}]}\n\ndata: [DONE]\n\n",
        "error_502",
    ),
    (
        Api::Chat,
        EVENTS,
        "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"error\"}]}\n\n",
        "provider_error",
    ),
    (Api::Chat, JSON, "{\"error\":{\"type\":\"server_error\",\"message\":\"x\"}}", "server_error"),
    (Api::Chat, JSON, "{\"error\":\"no such thing\"}", "provider_error"),
    (
        Api::Responses,
        EVENTS,
        "event: response.failed\ndata: {\"type\":\"response.failed\",\"response\":{\"status\":\"failed\",\"error\":{\"code\":\"server_error\"}}}\n\n",
        "server_error",
    ),
    (
        Api::Responses,
        EVENTS,
        "event: error\ndata: {\"type\":\"error\",\"code\":\"rate_limit_exceeded\",\"message\":\"x\",\"param\":null}\n\n",
        "rate_limit_exceeded",
    ),
    (Api::Responses, JSON, "{\"status\":\"failed\",\"error\":{\"code\":\"vector\"}}", "vector"),
    (
        Api::Gemini,
        EVENTS,
        "data: {\"candidates\":[]}\n\ndata: {\"error\":{\"code\":503,\"status\":\"UNAVAILABLE\"}}\n\n",
        "UNAVAILABLE",
    ),
    (Api::Gemini, JSON, "[{\"candidates\":[]},{\"error\":{\"status\":\"INTERNAL\"}}]", "INTERNAL"),
];

#[test]
fn errors_inside_status_200_are_errors_in_the_record() {
    let (provider, sandbox, proxy) = scene();
    for (api, kind, body, want) in CASES {
        provider.next(Script::default().body(kind, *body));
        let is_stream = *kind == EVENTS;
        let answer = proxy.post(api.target(is_stream), &api.headers(), &api.small(is_stream));
        assert_eq!((answer.head.status, answer.text()), (200, (*body).to_owned()), "as it came");
        let row = sandbox.row(&answer.head.request_id());
        assert_eq!(row.text("error"), *want, "{api:?} {body}");
    }
    let healthy = r#"{"status":"completed","error":null,"model":"m","usage":{"input_tokens":1}}"#;
    provider.next(Script::default().body(JSON, healthy));
    let answer =
        proxy.post("/v1/responses", &Api::Responses.headers(), &Api::Responses.small(false));
    assert_eq!(sandbox.row(&answer.head.request_id()).text("error"), "");
    let metrics = proxy.ask("GET", "/metrics", &[], b"").text();
    for line in [
        "tokenpak_errors_total{error=\"overloaded_error\"} 1\n",
        "tokenpak_errors_total{error=\"server_error\"} 2\n",
        "tokenpak_errors_total{error=\"UNAVAILABLE\"} 1\n",
    ] {
        assert!(metrics.contains(line), "{line} is not in {metrics}");
    }
    sandbox.rows(CASES.len() + 1);
    let stats = sandbox.run(&["stats", "--daily", "--since", "today", "--csv"]);
    let errors = format!(",{},{},", CASES.len() + 1, CASES.len());
    assert!(stats.stdout.contains(&errors), "{errors} is not in {}", stats.stdout);
    let alert = sandbox.run(&["stats", "--since", "today", "-q", "--alert-errors", "50"]);
    assert_ne!(alert.status, 0, "12 of 13 requests failed");
}
