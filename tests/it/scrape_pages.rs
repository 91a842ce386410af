//! What is asked, and what becomes of a good page: connection, credentials, labels, limits, rules, reload.

use std::sync::Arc;

use gated::engine::{Columns, Input, Interest, ScrapeFault};
use gated::source::{Action, Anchored, BasicAuth, Password, Relabel, ScrapeConfig, Secret, Tuning};
use tokio::time::timeout;

use crate::fault_server::{Answer, FaultServer};
use crate::scrape::{PATIENCE, Rig, config, first, kind, page};

#[tokio::test]
async fn one_connection_is_kept_and_asked_as_prometheus_asks() {
    let server = FaultServer::always(Answer::Page(page(5)));
    let mut rig = Rig::start(vec![config(&server.url())], Tuning::default());
    let columns = rig.outcome().await.unwrap();
    assert_eq!(
        (
            columns.born.len(),
            columns.series_added,
            columns.samples_kept
        ),
        (5, 5, 5)
    );
    for _ in 0..3 {
        let columns = rig.outcome().await.unwrap();
        assert_eq!((columns.born.len(), columns.series_added), (0, 0));
    }
    assert_eq!(server.connections(), 1);
    let request = server.requests()[0].to_ascii_lowercase();
    for line in [
        "get /metrics http/1.1\r\n",
        "accept: application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,\
         text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2\r\n",
        "x-prometheus-scrape-timeout-seconds: 10\r\n",
        "user-agent: gated/",
    ] {
        assert!(request.contains(line), "{line} in {request}");
    }
    assert!(
        !request.contains("accept-encoding"),
        "on loopback: {request}"
    );
}

#[tokio::test]
async fn a_kept_connection_that_died_of_age_is_replaced_unseen() {
    let server = FaultServer::start(|n, _| match n {
        1 => Answer::Raw(Vec::new()),
        _ => Answer::Page(page(1)),
    });
    let mut rig = Rig::start(vec![config(&server.url())], Tuning::default());
    assert_eq!(kind(&rig.outcome().await), Ok(1));
    assert_eq!(kind(&rig.outcome().await), Ok(1));
    assert_eq!(server.requests().len(), 3);
}

#[tokio::test]
async fn credentials_come_from_the_url_the_configuration_and_files() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret");
    std::fs::write(&file, "canary\n").unwrap();
    let server = FaultServer::always(Answer::Page(page(1)));
    let basic = |password| BasicAuth {
        username: "user".into(),
        password,
    };
    let plain = config(&server.url());
    let with_url = config(&server.url().replace("http://", "http://user:canary@"));
    let mut here = with_url.clone();
    here.basic_auth = Some(basic(Password::Here(Secret::new("other"))));
    let mut from_file = plain.clone();
    from_file.basic_auth = Some(basic(Password::File(file.clone())));
    let mut bearer = plain.clone();
    bearer.bearer_token_file = Some(file.clone());
    for (config, want) in [
        (plain, None),
        (with_url, Some("authorization: basic dxnlcjpjyw5hcnk=\r\n")),
        (here, Some("authorization: basic dxnlcjpvdghlcg==\r\n")),
        (from_file, Some("authorization: basic dxnlcjpjyw5hcnk=\r\n")),
        (bearer.clone(), Some("authorization: bearer canary\r\n")),
    ] {
        assert_eq!(kind(&first(config).await), Ok(1));
        let request = server.requests().pop().unwrap().to_ascii_lowercase();
        assert_eq!(
            request.matches("authorization").count(),
            usize::from(want.is_some()),
            "{request}"
        );
        assert!(request.contains(want.unwrap_or_default()), "{request}");
    }
    // A file is read before each scrape; without one nothing is asked.
    let mut rig = Rig::start(vec![bearer], Tuning::default());
    assert_eq!(kind(&rig.outcome().await), Ok(1));
    std::fs::write(&file, "rotated").unwrap();
    let rotated = |request: &String| request.contains("Bearer rotated\r\n");
    rig.until(|_| server.requests().iter().any(rotated))
        .await
        .unwrap();
    std::fs::remove_file(&file).unwrap();
    let error = rig.until(Result::is_err).await.unwrap_err();
    assert_eq!(error.fault, ScrapeFault::Credentials);
}

#[tokio::test]
async fn f7_limits_refuse_the_page_and_f16_labels_are_the_targets() {
    let body = "a{job=\"fake\",long=\"0123456789\"} 1\nb{x=\"1\",y=\"2\",z=\"3\"} 2\nc 3\n";
    let server = FaultServer::always(Answer::Page(body.into()));
    let limited = |limit: fn(&mut ScrapeConfig)| {
        let mut config = config(&server.url());
        limit(&mut config);
        first(config)
    };
    assert_eq!(
        kind(&limited(|c| c.sample_limit = 2).await),
        Err(ScrapeFault::SampleLimit)
    );
    assert_eq!(
        kind(&limited(|c| c.label_limit = 2).await),
        Err(ScrapeFault::LabelLimit)
    );
    assert_eq!(
        kind(&limited(|c| c.label_name_length_limit = 3).await),
        Err(ScrapeFault::LabelLimit)
    );
    assert_eq!(
        kind(&limited(|c| c.label_value_length_limit = 9).await),
        Err(ScrapeFault::LabelLimit)
    );
    let born = |columns: Columns| -> Vec<String> {
        columns
            .born
            .iter()
            .map(|(_, labels)| labels.to_string())
            .collect()
    };
    let address = server.address;
    let target = format!("instance=\"{address}\",job=\"api\",tier=\"edge\"");
    let outcome = limited(|c| {
        c.labels = vec![("tier".into(), "edge".into())];
        c.metric_relabel = vec![
            Relabel {
                action: Action::Drop,
                source_labels: vec!["__name__".into()],
                regex: Anchored::new("b").unwrap(),
                ..Relabel::default()
            },
            Relabel {
                action: Action::LabelDrop,
                regex: Anchored::new("long").unwrap(),
                ..Relabel::default()
            },
        ];
    });
    let columns = outcome.await.unwrap();
    assert_eq!(
        (
            columns.samples_scraped,
            columns.samples_kept,
            columns.series_added
        ),
        (3, 2, 2)
    );
    assert_eq!(
        born(columns),
        [
            format!("a{{exported_job=\"fake\",{target}}}"),
            format!("c{{{target}}}")
        ]
    );
    let honoured = limited(|c| c.honor_labels = true).await.unwrap();
    assert!(born(honoured)[0].contains("job=\"fake\""));
}

#[tokio::test]
async fn series_that_relabelling_makes_equal_are_one() {
    let server = FaultServer::start(|n, _| {
        Answer::Page(
            if n == 0 {
                "m{v=\"1\"} 1\nm{v=\"2\"} 2\n"
            } else {
                "m{v=\"2\"} 2\n"
            }
            .into(),
        )
    });
    let mut config = config(&server.url());
    config.metric_relabel = vec![Relabel {
        action: Action::LabelDrop,
        regex: Anchored::new("v").unwrap(),
        ..Relabel::default()
    }];
    let mut rig = Rig::start(vec![config], Tuning::default());
    let columns = rig.outcome().await.unwrap();
    assert_eq!((columns.born.len(), columns.values), (1, vec![1.0]));
    let columns = rig.outcome().await.unwrap();
    assert_eq!((columns.gone.len(), columns.values), (0, vec![2.0]));
}

#[tokio::test]
async fn other_rules_ask_about_every_series_again() {
    let server = FaultServer::always(Answer::Page(page(3)));
    let mut rig = Rig::start(vec![config(&server.url())], Tuning::default());
    assert_eq!(rig.outcome().await.unwrap().born.len(), 3);
    rig.interest.store(Arc::new(Interest::new([], None)));
    let changed = |outcome: &Result<Columns, _>| {
        let columns = outcome.as_ref().unwrap();
        columns.born.len() + columns.gone.len() > 0
    };
    assert_eq!(rig.until(changed).await.unwrap().gone.len(), 3);
    rig.interest
        .store(Arc::new(Interest::new([], Some(PATIENCE))));
    let born = rig.until(changed).await.unwrap();
    // They were on the page all the time.
    assert_eq!((born.born.len(), born.series_added), (3, 0));
}

#[tokio::test]
async fn a_reload_keeps_what_stayed_alike() {
    let (a, b) = (
        FaultServer::always(Answer::Page(page(1))),
        FaultServer::always(Answer::Page(page(2))),
    );
    let (first, second) = (config(&a.url()), config(&b.url()));
    let mut rig = Rig::start(vec![first.clone()], Tuning::default());
    let kept = rig.target().await;
    rig.scrape().await;
    rig.scraper
        .reload(vec![first.clone(), second.clone()])
        .await;
    let added = rig.target().await;
    assert_ne!(kept.id, added.id);
    assert_eq!(added.url, b.url());
    let changed = ScrapeConfig {
        honor_labels: true,
        ..second
    };
    // The engine's end must be read while a reload tells it what went and came.
    let Rig {
        scraper,
        mut inputs,
        ..
    } = rig;
    let reload = tokio::spawn(async move {
        scraper.reload(vec![first.clone(), first, changed]).await;
        scraper
    });
    let (mut gone, mut fresh) = (None, None);
    while gone.is_none() || fresh.is_none() {
        match timeout(PATIENCE, inputs.recv()).await.unwrap().unwrap() {
            Input::TargetGone(id) => gone = Some(id),
            Input::Target(info) => fresh = Some(info.id),
            Input::Scraped(scrape) => assert_ne!(Some(scrape.target), gone, "after its end"),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(gone, Some(added.id));
    assert!(fresh != Some(added.id) && fresh != Some(kept.id));
    assert_eq!(a.connections(), 1);
    let scraper = reload.await.unwrap();
    let drain = tokio::spawn(async move { while inputs.recv().await.is_some() {} });
    scraper.stop().await;
    timeout(PATIENCE, drain).await.unwrap().unwrap();
}
