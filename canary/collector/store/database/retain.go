package database

import (
	"context"
	"time"

	"github.com/hardstand/hardstand/canary/collector/store"
)

const (
	day          = 24 * time.Hour
	retainAtOnce = 2000 // rows a transaction, so that alarms do not wait
)

// Retain deletes what is old. An alarm goes when both its own time and the
// time of its arrival are past: until then its nonce is known, and a copy of
// the message is no news.
func (db *DB) Retain(ctx context.Context, r store.Retention, now time.Time) (store.Removed, error) {
	if r.Alarms <= 0 {
		r.Alarms = 90 * day
	}
	if r.Bodies <= 0 {
		r.Bodies = 7 * day
	}
	old, bodies := micros(now.Add(-r.Alarms)), micros(now.Add(-r.Bodies))
	var removed store.Removed
	for _, step := range []struct {
		count     *int64
		statement string
		args      []any
	}{
		{&removed.Bodies, "UPDATE alarms SET body = '' WHERE id IN (SELECT id FROM alarms WHERE received < $1 AND body <> '' LIMIT $2)", []any{bodies, retainAtOnce}},
		{&removed.Alarms, "DELETE FROM alarms WHERE id IN (SELECT id FROM alarms WHERE received < $1 AND happened < $1 LIMIT $2)", []any{old, retainAtOnce}},
		{&removed.Deliveries, "DELETE FROM deliveries WHERE id IN (SELECT id FROM deliveries WHERE done > 0 AND done < $1 LIMIT $2)", []any{old, retainAtOnce}},
		{&removed.Incidents, `DELETE FROM incidents WHERE id IN (SELECT i.id FROM incidents i WHERE i.last_hit < $1
			AND NOT EXISTS (SELECT 1 FROM alarms a WHERE a.incident = i.id)
			AND NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.incident = i.id) LIMIT $2)`, []any{old, retainAtOnce}},
		{&removed.Sessions, "DELETE FROM sessions WHERE expires < $1", []any{micros(now)}},
		{new(int64), "DELETE FROM audit WHERE happened < $1", []any{micros(now.Add(-4 * r.Alarms))}},
		{new(int64), "DELETE FROM mutes WHERE ends < $1", []any{old}},
	} {
		for {
			result, err := db.write.ExecContext(ctx, step.statement, step.args...)
			if err != nil {
				return removed, wrap("remove old rows", err)
			}
			n, err := result.RowsAffected()
			if err != nil {
				return removed, wrap("remove old rows", err)
			}
			*step.count += n
			if n < retainAtOnce {
				break
			}
		}
	}
	return removed, nil
}

// Stats are figures for metrics.
func (db *DB) Stats(ctx context.Context) (store.Stats, error) {
	var s store.Stats
	var oldest int64
	err := db.read.QueryRowContext(ctx, `SELECT
		(SELECT COUNT(*) FROM incidents), (SELECT COUNT(*) FROM incidents WHERE state = 'open'),
		(SELECT COUNT(*) FROM deliveries WHERE done = 0), (SELECT COALESCE(MIN(queued), 0) FROM deliveries WHERE done = 0)`).
		Scan(&s.Incidents, &s.OpenIncidents, &s.Pending, &oldest)
	s.OldestPending = moment(oldest)
	return s, wrap("read figures", err)
}
