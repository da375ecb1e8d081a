//! The composition root: the only place that names concrete backends.

mod cluster;
mod moderation;
mod parts;
mod subscribe;
mod told;
mod wechat;
mod work;

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::Context;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::net::TcpListener;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use self::{
    cluster::Cluster,
    moderation::machines,
    parts::{
        accounts, before_send, conversation_rules, door, handshakes, hosts, limits, linger, media,
        origins, token_logins,
    },
    subscribe::Subscribe,
    told::Told,
    wechat::{check_work, checked_media, push, push_work, wechat},
    work::{own_work, shared_work},
};
use crate::{
    accounts::LoginRules,
    admin::Admin,
    admission::Rule,
    auth::{Auth, host::HostPolicy},
    checks::TextCheck,
    clock::Clock,
    config::{DatabaseUrl, MetricsListen, Settings},
    delivery::Delivery,
    descriptors,
    drain::Drain,
    export::Exporter,
    http,
    media::Storage,
    messaging::{self, Messaging},
    moderation::Moderation,
    protocol::close::CloseCode,
    service::Service,
    standing::Standings,
    store::{
        Store,
        batcher::Batcher,
        postgres::PgStore,
        sqlite::{ServiceLock, SqliteStore},
    },
    subscribe::SubscribeSender,
    telemetry,
    wechat_subscribe::WechatSubscribe,
    wechat_texts::WechatTexts,
    ws,
};

/// Where metrics are, unless a setting says otherwise.
const METRICS_LISTEN: ([u8; 4], u16) = ([127, 0, 0, 1], 9090);

/// How long each part of a stopping replica may take to end.
const STOP_WAIT: Duration = Duration::from_secs(5);

/// How long sockets may take to end once the last one was told to leave: to finish what is under
/// way, and to close politely.
const LEAVE_WAIT: Duration = Duration::from_secs(8);

/// Where metrics are served, and what renders them.
struct Metrics {
    listener: TcpListener,
    handle: PrometheusHandle,
}

/// Parts that no setting asks for.
#[derive(Default)]
pub struct Further {
    /// Rules for sends, asked after the service's own.
    pub rules: Vec<Arc<dyn Rule>>,
    /// What checks texts, if the settings say that they are checked.
    pub text_check: Option<Arc<dyn TextCheck>>,
    /// What sends subscribe messages in place of WeChat.
    pub sender: Option<Arc<dyn SubscribeSender>>,
}

/// A replica that is bound to its addresses and ready to run.
pub struct App {
    service: Arc<Service>,
    batcher: Batcher,
    listener: TcpListener,
    /// That of the server API, if it has one of its own.
    admin: Option<TcpListener>,
    metrics: Option<Metrics>,
    background: TaskTracker,
    stop_background: CancellationToken,
    /// Held as long as it runs.
    lock: Option<ServiceLock>,
}

/// Opens the database that the settings name, and brings its schema up to date.
pub async fn open_store(settings: &Settings, clock: &Clock) -> anyhow::Result<Arc<dyn Store>> {
    let database = &settings.database.url;
    let store: Result<Arc<dyn Store>, _> = match database {
        DatabaseUrl::Sqlite(path) => {
            SqliteStore::open(path, clock.clone()).await.map(|store| Arc::new(store) as _)
        }
        DatabaseUrl::Postgres(url) => {
            PgStore::open(url.reveal()).await.map(|store| Arc::new(store) as _)
        }
    };
    store.with_context(|| {
        format!(
            "setting `database.url`: {database} cannot be opened; name a SQLite file, or a new one \
             in a folder that can be written to, or a Postgres database that answers"
        )
    })
}

/// The right to serve the database, where only one process at a time may.
fn lock(settings: &Settings) -> anyhow::Result<Option<ServiceLock>> {
    let database = &settings.database.url;
    let DatabaseUrl::Sqlite(path) = database else { return Ok(None) };
    let lock = ServiceLock::take(path);
    lock.map(Some).with_context(|| format!("setting `database.url`: {database}"))
}

/// Says whether the outbox tells of what happens, if the settings do, or something reads it.
async fn switch_outbox(settings: &Settings, store: &dyn Store) -> anyhow::Result<()> {
    let on = if settings.reads_outbox() { Some(true) } else { settings.outbox.enabled };
    let Some(on) = on else { return Ok(()) };
    store.switch_outbox(on).await.context("setting `outbox.enabled`: it cannot be switched")
}

impl App {
    /// Opens the database, binds the listeners and starts what runs in the background.
    pub async fn build(settings: Settings, clock: Clock) -> anyhow::Result<Self> {
        Self::build_with(settings, clock, Further::default()).await
    }

    /// As [`App::build`], with parts that no setting asks for.
    pub async fn build_with(
        settings: Settings,
        clock: Clock,
        Further { rules, text_check, sender }: Further,
    ) -> anyhow::Result<Self> {
        let (listener, admin, metrics) = listen(&settings)?;
        let lock = lock(&settings)?;
        let store = open_store(&settings, &clock).await?;
        switch_outbox(&settings, &*store).await?;
        let storage = Storage::open(&settings.media.url)?;
        let shared_work = shared_work(&settings, &store, &storage, &clock);
        let exporter = Exporter::new(Arc::clone(&store), storage.clone(), clock.clone());
        let Cluster { bus, incoming, presence, transitions, limiter, instances } =
            Cluster::connect(&settings, &clock).await?;
        let has_others = !instances.is_empty();
        let limits = limits(&settings, limiter);

        let media =
            media(&settings, &clock, &listener, Arc::clone(&store), storage, limits.clone())
                .await?;

        let wechat = wechat(&settings)?;
        let sender = sender.unwrap_or_else(|| Arc::new(WechatSubscribe(wechat.clone())));
        let subscribe = Subscribe::new(&settings, &store, &presence, &clock, sender);
        let told = Told::new(&settings, &store, media.links().clone(), &clock)?;

        let background = TaskTracker::new();
        let stop_background = CancellationToken::new();
        let delivery = Delivery::start(
            Arc::clone(&store) as _,
            Arc::clone(&bus),
            Arc::clone(&presence),
            media.links().clone(),
            background.clone(),
        )
        .await?;
        let (started_at, sends) = (clock.now(), Arc::new(AtomicU64::new(0)));
        let batcher = start_batcher(&settings, &store, &delivery, &sends);
        let standings = Standings::new(Arc::clone(&store), clock.clone());
        let hook = before_send(&settings, media.links(), &clock)?;
        let text_check = text_check
            .unwrap_or_else(|| Arc::new(WechatTexts::new(wechat.clone(), Arc::clone(&store))));
        let machines = machines(&settings, &store, text_check)?;
        let deciders = machines.texts.into_iter().chain(hook).collect();
        let rules = machines.words.into_iter().chain(rules).collect();
        let checked = checked_media(&settings, &store);
        let (door, decided) =
            door(&settings, &store, &limits, &standings, deciders, rules, checked);
        let messaging = Messaging::new(
            Arc::clone(&store),
            door,
            batcher.clone(),
            Arc::clone(&delivery),
            Arc::clone(&presence),
            standings.clone(),
            conversation_rules(&settings, machines.names.clone()),
        );
        let (tokens, fresh_keys) = token_logins(&settings, &clock)?;
        let pushes = push_work(&settings, &store, &clock, &subscribe)?;
        let decided = decided.into_iter().chain(pushes);
        let auth =
            Auth::new(Arc::clone(&store), clock.clone(), settings.auth.idle, settings.auth.max);
        let own_work = own_work(&delivery, incoming, transitions, &auth, &store, &media, &settings);
        let follow = Box::pin(messaging::follow_standings(messaging.clone())) as _;
        let more_work = told.work.into_iter().chain(subscribe.work).chain(fresh_keys);
        let more_work = more_work.chain([follow, machines.work]).chain(decided);
        let logins = LoginRules { demo: settings.auth.demo_login, names: machines.names };
        let accounts = accounts(&store, auth, wechat.clone(), tokens, &standings, logins, &limits);
        let (of_accounts, of_messaging) = (accounts.clone(), messaging.clone());
        let moderation = Moderation::new(Arc::clone(&store), of_accounts, of_messaging, standings);
        let checks = check_work(&settings, &clock, wechat, &media, &moderation, &store);
        for work in own_work.into_iter().chain(shared_work).chain(more_work).chain(checks) {
            background.spawn(stop_background.clone().run_until_cancelled_owned(work));
        }

        let service = Arc::new(Service {
            moderation,
            accounts,
            media,
            admin: Admin::new(Arc::clone(&store)),
            exporter,
            feed: told.feed,
            webhooks: told.webhooks,
            subscriptions: subscribe.subscriptions,
            wechat_push: push(&settings, &store)?,
            messaging,
            delivery,
            store,
            bus,
            instances,
            presence,
            limits,
            handshakes: handshakes(&settings),
            hosts: hosts(&settings),
            origins: origins(&settings),
            sockets: TaskTracker::new(),
            stopping: CancellationToken::new(),
            drain: Drain::new(settings.server.drain_pause, settings.server.drain, has_others),
            started_at,
            sends,
            started: AtomicBool::new(false),
            settings,
        });
        Ok(Self { service, batcher, listener, admin, metrics, background, stop_background, lock })
    }

    /// Where HTTP and WebSocket are served.
    pub fn addr(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// The settings that it was built with.
    pub fn settings(&self) -> &Settings {
        &self.service.settings
    }

    /// Where metrics are served, if they are.
    pub fn metrics_addr(&self) -> Option<SocketAddr> {
        self.metrics.as_ref().and_then(|metrics| metrics.listener.local_addr().ok())
    }

    /// Where the server API is served, if it has a listener of its own.
    pub fn admin_addr(&self) -> Option<SocketAddr> {
        self.admin.as_ref().and_then(|listener| listener.local_addr().ok())
    }

    /// Serves until `stop`, then ends in order: the sockets leave, requests and commits are finished,
    /// and presence is left.
    pub async fn run(self, stop: impl Future<Output = ()>) -> anyhow::Result<()> {
        let Self {
            service,
            batcher,
            listener,
            admin,
            metrics,
            background,
            stop_background,
            lock: _lock,
        } = self;
        let stop_http = CancellationToken::new();
        let waiting = service.settings.server.waiting_connections.min(descriptors::limit() / 2);
        if let Some(Metrics { listener, handle }) = metrics {
            let keeping = telemetry::keep_up(handle.clone());
            background.spawn(stop_background.clone().run_until_cancelled_owned(keeping));
            let hosts = hosts_of(&service, &listener)?;
            let router = http::metrics_router(handle, hosts);
            background.spawn(http::serve(listener, router, waiting, stop_http.clone()));
        }
        // All is there. Said before the first request is taken, or that one would be turned away.
        service.started.store(true, Ordering::Release);
        let admin = admin
            .map(|listener| {
                let router = http::admin_router(&service, hosts_of(&service, &listener)?);
                Ok::<_, anyhow::Error>(http::serve(listener, router, waiting, stop_http.clone()))
            })
            .transpose()?
            .map(tokio::spawn);
        let router = http::router(&service, ws::router());
        let server = tokio::spawn(http::serve(listener, router, waiting, stop_http.clone()));
        stop.await;

        drain(&service).await;
        stop_http.cancel();
        in_time("requests", server).await;
        if let Some(admin) = admin {
            in_time("requests of the server API", admin).await;
        }
        batcher.close().await;
        stop_background.cancel();
        background.close();
        in_time("background work", background.wait()).await;
        service.presence.close().await;
        tracing::info!("stopped");
        Ok(())
    }
}

fn start_batcher(
    settings: &Settings,
    store: &Arc<dyn Store>,
    delivery: &Arc<Delivery>,
    sends: &Arc<AtomicU64>,
) -> Batcher {
    let (delivery, sends) = (Arc::clone(delivery), Arc::clone(sends));
    let committed = Box::new(move |committed: &_| {
        sends.fetch_add(1, Ordering::Relaxed);
        delivery.committed(committed);
    });
    Batcher::start(Arc::clone(store) as _, linger(settings), committed)
}

/// By which names a listener of its own may be reached.
fn hosts_of(service: &Service, listener: &TcpListener) -> anyhow::Result<HostPolicy> {
    let at_home = listener.local_addr()?.ip().is_loopback();
    Ok(HostPolicy::new(at_home, service.settings.server.public_url.as_ref()))
}

/// Turns new sockets away, and has the open ones leave.
async fn drain(service: &Service) {
    tracing::info!(sockets = service.sockets.len(), "draining");
    service.stopping.cancel();
    service.sockets.close();
    tokio::time::sleep(service.drain.pause).await;
    let leaving = service.delivery.drain_sockets(service.drain.open_window());
    tokio::select! {
        () = leaving => {}
        () = service.sockets.wait() => return,
    }
    if tokio::time::timeout(LEAVE_WAIT, service.sockets.wait()).await.is_err() {
        tracing::warn!(sockets = service.sockets.len(), "sockets did not leave, they are closed");
        service.delivery.close_all(CloseCode::Restart);
        in_time("sockets", service.sockets.wait()).await;
    }
}

async fn in_time(what: &str, end: impl Future) {
    if tokio::time::timeout(STOP_WAIT, end).await.is_err() {
        tracing::warn!(what, "did not end in time");
    }
}

/// The listeners: the main one, that of the server API, and that of metrics.
fn listen(
    settings: &Settings,
) -> anyhow::Result<(TcpListener, Option<TcpListener>, Option<Metrics>)> {
    let listener = bind(settings.server.listen, "server.listen")?;
    let admin = match settings.admin.listen {
        Some(address) => Some(bind(address, "admin.listen")?),
        None => None,
    };
    let metrics = match bind_metrics(settings.metrics.listen)? {
        // Before all that has something to count.
        Some(listener) => Some(Metrics { listener, handle: telemetry::init_metrics()? }),
        None => None,
    };
    Ok((listener, admin, metrics))
}

fn bind(address: SocketAddr, key: &str) -> anyhow::Result<TcpListener> {
    http::listen(address).with_context(|| {
        format!("setting `{key}`: {address} cannot be listened on; is it in use? set another port")
    })
}

fn bind_metrics(listen: MetricsListen) -> anyhow::Result<Option<TcpListener>> {
    match listen {
        MetricsListen::Off => Ok(None),
        MetricsListen::At(address) => bind(address, "metrics.listen").map(Some),
        MetricsListen::Unset => match http::listen(SocketAddr::from(METRICS_LISTEN)) {
            Ok(listener) => Ok(Some(listener)),
            Err(error) => {
                tracing::warn!(%error, "127.0.0.1:9090 is taken, metrics are off; set metrics.listen");
                Ok(None)
            }
        },
    }
}
