package main

import (
	"context"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// connections of a process, as many as the servers in Node have.
const connections = 16

// deadline of one statement.
const deadline = 5 * time.Second

// The table and the statements of lib/insert-store.js.
const (
	schema = `
SELECT pg_advisory_xact_lock(1);
CREATE TABLE IF NOT EXISTS chats (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    sender_id BIGINT NOT NULL,
    target_id BIGINT NOT NULL,
    client_msg_id TEXT NOT NULL,
    content TEXT NOT NULL,
    created_at BIGINT NOT NULL DEFAULT floor(extract(epoch FROM clock_timestamp()) * 1000)
);
CREATE INDEX IF NOT EXISTS chats_by_pair ON chats (sender_id, target_id, id);`
	// For reading back, and made then: a load is not charged for it.
	index = `
SELECT pg_advisory_xact_lock(1);
CREATE INDEX IF NOT EXISTS chats_by_target ON chats (target_id, id);`
	insert = `INSERT INTO chats (sender_id, target_id, client_msg_id, content) VALUES ($1, $2, $3, $4)
RETURNING id, created_at`
	selectPage = `SELECT id, sender_id, target_id, client_msg_id, content, created_at FROM chats
WHERE id > $2 AND (sender_id = $1 OR target_id = $1) ORDER BY id LIMIT $3`
)

// store keeps each chat by an INSERT of its own.
type store struct {
	pool  *pgxpool.Pool
	index func() error
}

func openStore(ctx context.Context, url string) (*store, error) {
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, err
	}
	config.MaxConns = connections
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, err
	}
	if err := script(ctx, pool, schema); err != nil {
		pool.Close()
		return nil, err
	}
	return &store{
		pool:  pool,
		index: sync.OnceValue(func() error { return script(context.Background(), pool, index) }),
	}, nil
}

// script runs several statements as one transaction.
func script(ctx context.Context, pool *pgxpool.Pool, statements string) error {
	_, err := pool.Exec(ctx, statements, pgx.QueryExecModeSimpleProtocol)
	return err
}

func (s *store) insert(ctx context.Context, sender int64, sent letter) (row, error) {
	ctx, cancel := context.WithTimeout(ctx, deadline)
	defer cancel()
	kept := row{From: sender, To: sent.To, Key: sent.Key, Content: sent.Content}
	err := s.pool.QueryRow(ctx, insert, sender, sent.To, sent.Key, sent.Content).Scan(&kept.ID, &kept.Time)
	return kept, err
}

// page is a part of what a user has. Next is what the next one is after; nil: there is none.
type page struct {
	Chats []row  `json:"chats"`
	Next  *int64 `json:"next"`
}

func (s *store) readBack(ctx context.Context, user, after int64, limit int) (page, error) {
	if err := s.index(); err != nil {
		return page{}, err
	}
	rows, err := s.pool.Query(ctx, selectPage, user, after, limit)
	if err != nil {
		return page{}, err
	}
	found, err := pgx.CollectRows(rows, pgx.RowToStructByPos[row])
	if err != nil {
		return page{}, err
	}
	answer := page{Chats: found}
	if len(found) == limit {
		answer.Next = &found[limit-1].ID
	}
	return answer, nil
}

func (s *store) close() {
	s.pool.Close()
}
