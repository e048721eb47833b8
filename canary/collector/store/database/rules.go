package database

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/hardstand/hardstand/canary/collector/noise"
	"github.com/hardstand/hardstand/canary/collector/store"
)

const maxText = 1024 // bytes of a reason, a note or a pattern

// Mutes returns those that have not ended before a time.
func (db *DB) Mutes(ctx context.Context, after time.Time) ([]store.Mute, error) {
	found, err := selectMutes(ctx, db.read, micros(after))
	return found, wrap("read mutes", err)
}

func selectMutes(ctx context.Context, q querier, after int64) ([]store.Mute, error) {
	rows, err := q.QueryContext(ctx, "SELECT id, build, image, decoy, dedup, begins, ends, reason, by_whom FROM mutes WHERE ends >= $1 ORDER BY id", after)
	if err != nil {
		return nil, err
	}
	defer rows.Close() // Err is asked below
	var found []store.Mute
	for rows.Next() {
		var m store.Mute
		var from, until int64
		if err := rows.Scan(&m.ID, &m.Build, &m.Image, &m.Decoy, &m.DedupKey, &from, &until, &m.Reason, &m.By); err != nil {
			return nil, err
		}
		m.From, m.Until = moment(from), moment(until)
		found = append(found, m)
	}
	return found, rows.Err()
}

// AddMute adds one.
func (db *DB) AddMute(ctx context.Context, m store.Mute, by store.Subject) (store.Mute, error) {
	m.Reason, m.By = noise.Clean(m.Reason, maxText), by.Name
	if m.From.IsZero() {
		m.From = time.Now()
	}
	switch {
	case m.Build == "" && m.Image == "" && m.Decoy == "" && m.DedupKey == "":
		return m, errors.New("add mute: say what it covers: a build, an image, a decoy or an incident")
	case !m.Until.After(m.From):
		return m, errors.New("add mute: it needs an end after its beginning")
	case m.Reason == "":
		return m, errors.New("add mute: it needs a reason")
	}
	err := db.change(ctx, true, func(t *transaction) error {
		m.ID = t.id()
		row := []any{m.ID, m.Build, m.Image, m.Decoy, m.DedupKey, micros(m.From), micros(m.Until), m.Reason, m.By}
		if err := t.insert(ctx, "mutes", "id, build, image, decoy, dedup, begins, ends, reason, by_whom", "", [][]any{row}); err != nil {
			return err
		}
		note := fmt.Sprintf("build %q image %q decoy %q incident %q until %s: %s", m.Build, m.Image, m.Decoy, m.DedupKey, m.Until.UTC().Format(time.RFC3339), m.Reason)
		return t.record(ctx, store.AuditEntry{At: time.Now(), By: by.Name, Action: "mute", Object: fmt.Sprintf("mute %d", m.ID), Note: note})
	})
	m.From, m.Until = moment(micros(m.From)), moment(micros(m.Until))
	return m, wrap("add mute", err)
}

// EndMute ends one now.
func (db *DB) EndMute(ctx context.Context, id int64, by store.Subject) error {
	return wrap("end mute", db.change(ctx, true, func(t *transaction) error {
		now := time.Now()
		if err := one(t.ExecContext(ctx, "UPDATE mutes SET ends = $1 WHERE id = $2 AND ends > $1", micros(now), id)); err != nil {
			return err
		}
		return t.record(ctx, store.AuditEntry{At: now, By: by.Name, Action: "unmute", Object: fmt.Sprintf("mute %d", id)})
	}))
}

// one fails where no row was changed.
func one(r sql.Result, err error) error {
	if err != nil {
		return err
	}
	if n, err := r.RowsAffected(); err != nil || n > 0 {
		return err
	}
	return sql.ErrNoRows
}

// IgnoreRules returns all.
func (db *DB) IgnoreRules(ctx context.Context) ([]store.IgnoreRule, error) {
	found, err := selectIgnores(ctx, db.read)
	return found, wrap("read ignore rules", err)
}

func selectIgnores(ctx context.Context, q querier) ([]store.IgnoreRule, error) {
	rows, err := q.QueryContext(ctx, "SELECT id, image, parent, argv, decoy, ends, reason, by_whom, hits FROM ignores ORDER BY id")
	if err != nil {
		return nil, err
	}
	defer rows.Close() // Err is asked below
	var found []store.IgnoreRule
	for rows.Next() {
		var r store.IgnoreRule
		var until int64
		if err := rows.Scan(&r.ID, &r.Image, &r.Parent, &r.Argv, &r.Decoy, &until, &r.Reason, &r.By, &r.Hits); err != nil {
			return nil, err
		}
		r.Until = moment(until)
		found = append(found, r)
	}
	return found, rows.Err()
}

// AddIgnoreRule adds one.
func (db *DB) AddIgnoreRule(ctx context.Context, r store.IgnoreRule, by store.Subject) (store.IgnoreRule, error) {
	r.Reason, r.By, r.Hits = noise.Clean(r.Reason, maxText), by.Name, 0
	set := false
	for _, pattern := range []string{r.Image, r.Parent, r.Argv, r.Decoy} {
		set = set || pattern != ""
		if len(pattern) > maxText || noise.Clean(pattern, maxText) != pattern {
			return r, fmt.Errorf("add ignore rule: a pattern is longer than %d bytes or not printable", maxText)
		}
		if err := noise.CheckPattern(pattern); err != nil {
			return r, fmt.Errorf("add ignore rule: %w", err)
		}
	}
	if !set {
		return r, errors.New("add ignore rule: it needs a pattern for image, parent, arguments or decoy")
	}
	if r.Reason == "" {
		return r, errors.New("add ignore rule: it needs a reason")
	}
	err := db.change(ctx, true, func(t *transaction) error {
		r.ID = t.id()
		row := []any{r.ID, r.Image, r.Parent, r.Argv, r.Decoy, micros(r.Until), r.Reason, r.By, 0}
		if err := t.insert(ctx, "ignores", "id, image, parent, argv, decoy, ends, reason, by_whom, hits", "", [][]any{row}); err != nil {
			return err
		}
		note := fmt.Sprintf("image %q parent %q argv %q decoy %q: %s", r.Image, r.Parent, r.Argv, r.Decoy, r.Reason)
		return t.record(ctx, store.AuditEntry{At: time.Now(), By: by.Name, Action: "ignore", Object: fmt.Sprintf("rule %d", r.ID), Note: note})
	})
	r.Until = moment(micros(r.Until))
	return r, wrap("add ignore rule", err)
}

// RemoveIgnoreRule removes one.
func (db *DB) RemoveIgnoreRule(ctx context.Context, id int64, by store.Subject) error {
	return wrap("remove ignore rule", db.change(ctx, true, func(t *transaction) error {
		if err := one(t.ExecContext(ctx, "DELETE FROM ignores WHERE id = $1", id)); err != nil {
			return err
		}
		return t.record(ctx, store.AuditEntry{At: time.Now(), By: by.Name, Action: "unignore", Object: fmt.Sprintf("rule %d", id)})
	}))
}

// Record appends to the audit log.
func (db *DB) Record(ctx context.Context, e store.AuditEntry) error {
	return wrap("write audit log", db.change(ctx, false, func(t *transaction) error { return t.record(ctx, e) }))
}

func (t *transaction) record(ctx context.Context, e store.AuditEntry) error {
	if e.At.IsZero() {
		e.At = time.Now()
	}
	row := []any{t.id(), micros(e.At), noise.Clean(e.By, maxText), noise.Clean(e.Action, maxText), noise.Clean(e.Object, maxText), noise.Clean(e.Note, 4*maxText)}
	return t.insert(ctx, "audit", "id, happened, by_whom, action, object, note", "", [][]any{row})
}

// Audit returns the newest entries first.
func (db *DB) Audit(ctx context.Context, limit int) ([]store.AuditEntry, error) {
	if limit <= 0 {
		limit = defaultLimit
	}
	rows, err := db.read.QueryContext(ctx, "SELECT id, happened, by_whom, action, object, note FROM audit ORDER BY id DESC LIMIT $1", limit)
	if err != nil {
		return nil, wrap("read audit log", err)
	}
	defer rows.Close() // Err is asked below
	var found []store.AuditEntry
	for rows.Next() {
		var e store.AuditEntry
		var at int64
		if err := rows.Scan(&e.ID, &at, &e.By, &e.Action, &e.Object, &e.Note); err != nil {
			return nil, wrap("read audit log", err)
		}
		e.At = moment(at)
		found = append(found, e)
	}
	return found, wrap("read audit log", rows.Err())
}
