package database

import (
	"context"
	"fmt"
)

// migrations are applied in order, each once. What was released is never
// changed: add another. Times are microseconds since 1970, flags 0 or 1.
var migrations = [][]string{{
	`CREATE TABLE meta (id BIGINT PRIMARY KEY, revision BIGINT NOT NULL, rules BIGINT NOT NULL, next_id BIGINT NOT NULL, next_incident BIGINT NOT NULL)`,
	`INSERT INTO meta (id, revision, rules, next_id, next_incident) VALUES (1, 0, 1, 1, 1)`,
	`CREATE TABLE alarms (id BIGINT PRIMARY KEY, incident BIGINT NOT NULL, kind TEXT NOT NULL, channel TEXT NOT NULL,
		build TEXT NOT NULL, decoy TEXT NOT NULL, nonce TEXT NOT NULL, proof TEXT NOT NULL, timing TEXT NOT NULL,
		severity BIGINT NOT NULL, source TEXT NOT NULL, happened BIGINT NOT NULL, received BIGINT NOT NULL,
		pid BIGINT NOT NULL, container TEXT NOT NULL, body TEXT NOT NULL, ignored_by BIGINT NOT NULL)`,
	`CREATE UNIQUE INDEX alarms_nonce ON alarms (nonce, build)`,
	`CREATE INDEX alarms_incident ON alarms (incident, id)`,
	`CREATE INDEX alarms_trip ON alarms (build, decoy, pid, happened) WHERE pid > 0`,
	`CREATE INDEX alarms_received ON alarms (received)`,
	`CREATE TABLE incidents (id BIGINT PRIMARY KEY, dedup TEXT NOT NULL UNIQUE, strict_key TEXT NOT NULL, loose_key TEXT NOT NULL,
		kind TEXT NOT NULL, severity BIGINT NOT NULL, title TEXT NOT NULL, state TEXT NOT NULL,
		build TEXT NOT NULL, image TEXT NOT NULL, digest TEXT NOT NULL, owner TEXT NOT NULL, route TEXT NOT NULL,
		decoy TEXT NOT NULL, container TEXT NOT NULL, pod TEXT NOT NULL, parent TEXT NOT NULL, origin TEXT NOT NULL,
		source TEXT NOT NULL, proof TEXT NOT NULL, first_hit BIGINT NOT NULL, last_hit BIGINT NOT NULL,
		hits BIGINT NOT NULL, overflow BIGINT NOT NULL, assignee TEXT NOT NULL, ack_by TEXT NOT NULL, ack_at BIGINT NOT NULL,
		muted_by BIGINT NOT NULL, notified BIGINT NOT NULL, notified_at BIGINT NOT NULL, messages BIGINT NOT NULL, revision BIGINT NOT NULL)`,
	`CREATE INDEX incidents_strict ON incidents (strict_key) WHERE state <> 'resolved'`,
	`CREATE INDEX incidents_loose ON incidents (loose_key, last_hit) WHERE state <> 'resolved'`,
	`CREATE INDEX incidents_unplaced ON incidents (loose_key) WHERE state <> 'resolved' AND strict_key = ''`,
	`CREATE INDEX incidents_revision ON incidents (revision)`,
	`CREATE INDEX incidents_waiting ON incidents (notified_at) WHERE state = 'open' AND hits > notified`,
	`CREATE TABLE deliveries (id BIGINT PRIMARY KEY, sink TEXT NOT NULL, incident BIGINT NOT NULL, message TEXT NOT NULL,
		queued BIGINT NOT NULL, attempts BIGINT NOT NULL, due BIGINT NOT NULL, done BIGINT NOT NULL, error TEXT NOT NULL)`,
	`CREATE INDEX deliveries_due ON deliveries (sink, id) WHERE done = 0`,
	`CREATE INDEX deliveries_incident ON deliveries (incident)`,
	`CREATE TABLE sinks (name TEXT PRIMARY KEY, configured BIGINT NOT NULL, failures BIGINT NOT NULL, failed_since BIGINT NOT NULL,
		last_success BIGINT NOT NULL, last_error TEXT NOT NULL, delivered BIGINT NOT NULL)`,
	`CREATE TABLE mutes (id BIGINT PRIMARY KEY, build TEXT NOT NULL, image TEXT NOT NULL, decoy TEXT NOT NULL, dedup TEXT NOT NULL,
		begins BIGINT NOT NULL, ends BIGINT NOT NULL, reason TEXT NOT NULL, by_whom TEXT NOT NULL)`,
	`CREATE TABLE ignores (id BIGINT PRIMARY KEY, image TEXT NOT NULL, parent TEXT NOT NULL, argv TEXT NOT NULL, decoy TEXT NOT NULL,
		ends BIGINT NOT NULL, reason TEXT NOT NULL, by_whom TEXT NOT NULL, hits BIGINT NOT NULL)`,
	`CREATE TABLE canaries (build TEXT PRIMARY KEY, image TEXT NOT NULL, digest TEXT NOT NULL, owner TEXT NOT NULL, route TEXT NOT NULL,
		decoys TEXT NOT NULL, tokens TEXT NOT NULL, guard BIGINT NOT NULL, revoked BIGINT NOT NULL)`,
	`CREATE TABLE signs (build TEXT PRIMARY KEY, heartbeat BIGINT NOT NULL, drill BIGINT NOT NULL, alarm BIGINT NOT NULL)`,
	`CREATE TABLE sessions (id TEXT PRIMARY KEY, name TEXT NOT NULL, role TEXT NOT NULL, csrf TEXT NOT NULL, created BIGINT NOT NULL, expires BIGINT NOT NULL)`,
	`CREATE TABLE audit (id BIGINT PRIMARY KEY, happened BIGINT NOT NULL, by_whom TEXT NOT NULL, action TEXT NOT NULL, object TEXT NOT NULL, note TEXT NOT NULL)`,
}}

// migrate brings the tables up to date. A store that a newer collector has
// written is refused.
func (db *DB) migrate(ctx context.Context) error {
	tx, err := db.write.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("open store: %w", err)
	}
	defer tx.Rollback() // after Commit there is nothing to take back
	if db.dialect.lock != "" {
		if _, err := tx.ExecContext(ctx, db.dialect.lock); err != nil {
			return fmt.Errorf("migrate store: %w", err)
		}
	}
	if _, err := tx.ExecContext(ctx, "CREATE TABLE IF NOT EXISTS migrations (version BIGINT PRIMARY KEY)"); err != nil {
		return fmt.Errorf("migrate store: %w", err)
	}
	var version int
	if err := tx.QueryRowContext(ctx, "SELECT COALESCE(MAX(version), 0) FROM migrations").Scan(&version); err != nil {
		return fmt.Errorf("migrate store: %w", err)
	}
	if version > len(migrations) {
		return fmt.Errorf("migrate store: it is at version %d, this collector knows %d: use a newer collector", version, len(migrations))
	}
	for i, statements := range migrations[version:] {
		for _, statement := range statements {
			if _, err := tx.ExecContext(ctx, statement); err != nil {
				return fmt.Errorf("migrate store to version %d: %w", version+i+1, err)
			}
		}
		if _, err := tx.ExecContext(ctx, "INSERT INTO migrations (version) VALUES ($1)", version+i+1); err != nil {
			return fmt.Errorf("migrate store: %w", err)
		}
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("migrate store: %w", err)
	}
	return nil
}
