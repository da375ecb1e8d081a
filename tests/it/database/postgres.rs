//! A Postgres that cannot hold the text.

use imserver::store::postgres::PgStore;

use crate::harness::postgres;

#[tokio::test]
async fn a_database_that_cannot_hold_every_text_is_refused_with_how_to_make_one() {
    for encoding in ["LATIN1", "EUC_CN", "SQL_ASCII"] {
        let elsewhere = postgres::database().await;
        let name = format!("{}_{encoding}", elsewhere.rsplit_once('/').unwrap().1).to_lowercase();
        let create =
            format!("CREATE DATABASE {name} ENCODING '{encoding}' LOCALE 'C' TEMPLATE template0");
        postgres::execute(&elsewhere, &create).await;
        let url = format!("{elsewhere}_{encoding}").to_lowercase();
        let refused = PgStore::open(&url).await.unwrap_err().to_string();
        assert!(refused.contains(encoding) && refused.contains("ENCODING 'UTF8'"), "{refused}");
        let mut connection = postgres::connect(&url).await;
        let tables: i64 =
            sqlx::query_scalar("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")
                .fetch_one(&mut connection)
                .await
                .unwrap();
        assert_eq!(tables, 0, "nothing is made in it");
    }
}
