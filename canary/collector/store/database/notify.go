package database

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/hardstand/hardstand/canary/collector/noise"
	"github.com/hardstand/hardstand/canary/collector/store"
)

// notify decides whether sinks are told of what just happened: always of the
// first, and again when it got worse or a threshold was crossed. What is left
// over waits for Notify.
func (b *batch) notify(one, before *incident, a *store.Alarm) error {
	one.MutedBy = b.rules.mutes(&one.Incident, b.policy.Now)
	switch {
	case one.MutedBy != 0:
		return nil
	case one.Notified == 0:
		return b.queue(one, store.ReasonFirst, a)
	case one.Severity > before.Severity:
		return b.queue(one, store.ReasonEscalated, a)
	case one.State != store.Open:
		return nil // somebody is on it
	}
	for _, n := range b.policy.Thresholds {
		if before.Count < n && n <= one.Count {
			return b.queue(one, store.ReasonRepeat, a)
		}
	}
	return nil
}

// queue writes to the outbox what each sink is to be told.
func (b *batch) queue(one *incident, reason store.Reason, a *store.Alarm) error {
	rows, err := b.message(one, b.policy, reason, a, b.policy.Now)
	b.deliveries = append(b.deliveries, rows...)
	b.touch(one)
	return err
}

// message makes the deliveries of one message.
func (t *transaction) message(one *incident, p store.Policy, reason store.Reason, a *store.Alarm, now time.Time) ([][]any, error) {
	one.messages++
	one.Notified, one.notifiedAt = max(one.Count, 1), now
	m := store.Message{ID: fmt.Sprintf("%s-%d", one.DedupKey, one.messages), Reason: reason, Incident: one.Incident, Alarm: a}
	var text []byte
	var rows [][]any
	for _, sink := range p.Sinks {
		if !sink.Wants(one.Incident) {
			continue
		}
		if text == nil {
			var err error
			if text, err = json.Marshal(m); err != nil {
				return nil, fmt.Errorf("encode message: %w", err)
			}
		}
		rows = append(rows, []any{t.id(), sink.Name, one.ID, string(text), micros(now), 0, micros(now), 0, ""})
	}
	return rows, nil
}

// notifyAtOnce bounds one transaction of Notify.
const notifyAtOnce = 500

// Notify queues the repeats that became due.
func (db *DB) Notify(ctx context.Context, p store.Policy, now time.Time) (int, error) {
	const waiting = "WHERE state = 'open' AND hits > notified AND notified > 0 AND notified_at <= $1 ORDER BY notified_at LIMIT $2"
	due := micros(now.Add(-p.RepeatAfter))
	if some, err := selectIncidents(ctx, db.read, waiting, due, 1); err != nil || len(some) == 0 {
		return 0, wrap("look for repeats", err)
	}
	queued := 0
	err := db.change(ctx, false, func(t *transaction) error {
		r, err := db.currentRules(ctx, t)
		if err != nil {
			return err
		}
		found, err := selectIncidents(ctx, t.Tx, waiting, due, notifyAtOnce)
		if err != nil {
			return err
		}
		var deliveries [][]any
		for _, one := range found {
			if one.MutedBy = r.mutes(&one.Incident, now); one.MutedBy != 0 {
				one.notifiedAt = now // look again later
				continue
			}
			rows, err := t.message(one, p, store.ReasonRepeat, nil, now)
			if err != nil {
				return err
			}
			queued++
			deliveries = append(deliveries, rows...)
		}
		if err := t.saveIncidents(ctx, found); err != nil {
			return err
		}
		return t.insert(ctx, "deliveries", deliveryColumns, "", deliveries)
	})
	return queued, wrap("queue repeats", err)
}

// rules are what every batch needs, kept in memory while their version holds.
type rules struct {
	version  int64
	muteList []store.Mute
	ignored  []store.IgnoreRule
	canaries map[string]*store.Canary
}

// currentRules reads them anew after a change, which may be another
// collector's: its version was read under the lock of this transaction.
func (db *DB) currentRules(ctx context.Context, t *transaction) (*rules, error) {
	db.mu.Lock()
	r := db.rules
	db.mu.Unlock()
	if r != nil && r.version == t.rules {
		return r, nil
	}
	r = &rules{version: t.rules, canaries: map[string]*store.Canary{}}
	var err error
	if r.muteList, err = selectMutes(ctx, t.Tx, 0); err != nil {
		return nil, err
	}
	if r.ignored, err = selectIgnores(ctx, t.Tx); err != nil {
		return nil, err
	}
	canaries, err := selectCanaries(ctx, t.Tx)
	if err != nil {
		return nil, err
	}
	for i := range canaries {
		r.canaries[canaries[i].Build] = &canaries[i]
	}
	db.mu.Lock()
	db.rules = r
	db.mu.Unlock()
	return r, nil
}

func (r *rules) canary(build string) store.Canary {
	if c := r.canaries[build]; c != nil {
		return *c
	}
	return store.Canary{}
}

func (r *rules) ignores(a *store.Alarm, image string, now time.Time) int64 {
	for i := range r.ignored {
		if noise.Ignored(&r.ignored[i], a, image, now) {
			return r.ignored[i].ID
		}
	}
	return 0
}

func (r *rules) mutes(one *store.Incident, now time.Time) int64 {
	for i := range r.muteList {
		if noise.Muted(&r.muteList[i], one, now) {
			return r.muteList[i].ID
		}
	}
	return 0
}
