package database

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	"github.com/hardstand/hardstand/canary/collector/noise"
	"github.com/hardstand/hardstand/canary/collector/store"
)

// Claim leases due deliveries by moving the time when they are due.
func (db *DB) Claim(ctx context.Context, sink string, n int, lease time.Duration, now time.Time) ([]store.Delivery, error) {
	const due = "sink = $1 AND done = 0 AND due <= $2"
	var some int // a look costs no write
	err := db.read.QueryRowContext(ctx, "SELECT COUNT(*) FROM (SELECT 1 FROM deliveries WHERE "+due+" LIMIT 1) AS due_now", sink, micros(now)).Scan(&some)
	if err != nil || some == 0 {
		return nil, wrap("look for deliveries", err)
	}
	rows, err := db.write.QueryContext(ctx, "UPDATE deliveries SET due = $3 WHERE id IN (SELECT id FROM deliveries WHERE "+due+
		" ORDER BY id LIMIT $4"+db.dialect.skipLocked+") RETURNING "+deliveryColumns, sink, micros(now), micros(now.Add(lease)), n)
	if err != nil {
		return nil, wrap("claim deliveries", err)
	}
	found, err := scanDeliveries(rows)
	sortDeliveries(found)
	return found, wrap("claim deliveries", err)
}

func sortDeliveries(list []store.Delivery) {
	for i := range list { // RETURNING promises no order; few rows
		for j := i; j > 0 && list[j].ID < list[j-1].ID; j-- {
			list[j], list[j-1] = list[j-1], list[j]
		}
	}
}

func scanDeliveries(rows *sql.Rows) ([]store.Delivery, error) {
	defer rows.Close() // Err is asked below
	var found []store.Delivery
	for rows.Next() {
		var d store.Delivery
		var text string
		var queued, due, done int64
		if err := rows.Scan(&d.ID, &d.Sink, &d.Incident, &text, &queued, &d.Attempts, &due, &done, &d.Error); err != nil {
			return nil, err
		}
		if err := json.Unmarshal([]byte(text), &d.Message); err != nil {
			return nil, fmt.Errorf("read delivery %d: %w", d.ID, err)
		}
		d.Queued, d.Next, d.Done = moment(queued), moment(due), moment(done)
		found = append(found, d)
	}
	return found, rows.Err()
}

// Complete says that the sink has taken it.
func (db *DB) Complete(ctx context.Context, id int64, now time.Time) error {
	return wrap("complete delivery", db.change(ctx, false, func(t *transaction) error {
		var sink string
		row := t.QueryRowContext(ctx, "UPDATE deliveries SET done = $1, attempts = attempts + 1, error = '' WHERE id = $2 AND done = 0 RETURNING sink", micros(now), id)
		if err := row.Scan(&sink); err != nil {
			return err
		}
		return t.insert(ctx, "sinks", sinkColumns, `ON CONFLICT (name) DO UPDATE SET failures = 0, failed_since = 0,
			last_success = excluded.last_success, last_error = '', delivered = sinks.delivered + 1`, [][]any{{sink, 0, 0, 0, micros(now), "", 1}})
	}))
}

// Release ends a lease.
func (db *DB) Release(ctx context.Context, id int64, next time.Time) error {
	_, err := db.write.ExecContext(ctx, "UPDATE deliveries SET due = $1 WHERE id = $2 AND done = 0", micros(next), id)
	return wrap("release delivery", err)
}

const sinkColumns = "name, configured, failures, failed_since, last_success, last_error, delivered"

// Fail keeps it for another attempt.
func (db *DB) Fail(ctx context.Context, id int64, cause string, next, now time.Time) error {
	cause = noise.Clean(cause, maxText)
	return wrap("fail delivery", db.change(ctx, false, func(t *transaction) error {
		var sink string
		row := t.QueryRowContext(ctx, "UPDATE deliveries SET attempts = attempts + 1, error = $1, due = $2 WHERE id = $3 AND done = 0 RETURNING sink", cause, micros(next), id)
		if err := row.Scan(&sink); err != nil {
			return err
		}
		return t.insert(ctx, "sinks", sinkColumns, `ON CONFLICT (name) DO UPDATE SET failures = sinks.failures + 1,
			failed_since = CASE WHEN sinks.failed_since = 0 THEN excluded.failed_since ELSE sinks.failed_since END,
			last_error = excluded.last_error`, [][]any{{sink, 0, 1, micros(now), 0, cause, 0}})
	}))
}

// SetSinks announces the configured sinks.
func (db *DB) SetSinks(ctx context.Context, names []string) error {
	return wrap("announce sinks", db.change(ctx, false, func(t *transaction) error {
		if _, err := t.ExecContext(ctx, "UPDATE sinks SET configured = 0"); err != nil {
			return err
		}
		var rows [][]any
		for _, name := range names {
			rows = append(rows, []any{name, 1, 0, 0, 0, "", 0})
		}
		return t.insert(ctx, "sinks", sinkColumns, "ON CONFLICT (name) DO UPDATE SET configured = 1", rows)
	}))
}

// Sinks returns the health of each configured sink, and of others that still
// have something to deliver.
func (db *DB) Sinks(ctx context.Context, _ time.Time) ([]store.SinkState, error) {
	rows, err := db.read.QueryContext(ctx, `SELECT s.name, s.failures, s.failed_since, s.last_success, s.last_error, s.delivered,
		COALESCE(p.n, 0), COALESCE(p.oldest, 0) FROM sinks s
		LEFT JOIN (SELECT sink, COUNT(*) AS n, MIN(queued) AS oldest FROM deliveries WHERE done = 0 GROUP BY sink) p ON p.sink = s.name
		WHERE s.configured = 1 OR p.n > 0 ORDER BY s.name`)
	if err != nil {
		return nil, wrap("read sinks", err)
	}
	defer rows.Close() // Err is asked below
	var found []store.SinkState
	for rows.Next() {
		var s store.SinkState
		var since, success, oldest int64
		if err := rows.Scan(&s.Name, &s.Failures, &since, &success, &s.LastError, &s.Delivered, &s.Pending, &oldest); err != nil {
			return nil, wrap("read sinks", err)
		}
		s.FailedSince, s.LastSuccess, s.OldestDue = moment(since), moment(success), moment(oldest)
		found = append(found, s)
	}
	return found, wrap("read sinks", rows.Err())
}

// Deliveries of an incident, newest first.
func (db *DB) Deliveries(ctx context.Context, id int64) ([]store.Delivery, error) {
	rows, err := db.read.QueryContext(ctx, "SELECT "+deliveryColumns+" FROM deliveries WHERE incident = $1 ORDER BY id DESC LIMIT 1000", id)
	if err != nil {
		return nil, wrap("read deliveries", err)
	}
	found, err := scanDeliveries(rows)
	return found, wrap("read deliveries", err)
}

// Drill returns the deliveries that a drill caused.
func (db *DB) Drill(ctx context.Context, build, nonce string) ([]store.Delivery, error) {
	var id int64
	err := db.read.QueryRowContext(ctx, "SELECT incident FROM alarms WHERE nonce = $1 AND build = $2 AND kind = 'drill'", nonce, build).Scan(&id)
	if err != nil {
		return nil, wrap("find drill", err)
	}
	return db.Deliveries(ctx, id)
}
