package database

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/hardstand/hardstand/canary/alert"
	"github.com/hardstand/hardstand/canary/collector/noise"
	"github.com/hardstand/hardstand/canary/collector/store"
)

// incident is a row.
type incident struct {
	store.Incident
	strict, loose string
	messages      int64 // sent so far
	notifiedAt    time.Time
	dirty         bool
}

const incidentColumns = `id, dedup, strict_key, loose_key, kind, severity, title, state, build, image, digest, owner, route, decoy,
	container, pod, parent, origin, source, proof, first_hit, last_hit, hits, overflow, assignee, ack_by, ack_at, muted_by,
	notified, notified_at, messages, revision`

func (i *incident) row(revision int64) []any {
	i.Revision = revision
	return []any{i.ID, i.DedupKey, i.strict, i.loose, string(i.Kind), int64(i.Severity), i.Title, string(i.State), i.Build, i.Image, i.Digest,
		i.Owner, i.Route, i.Decoy, i.Container, i.Pod, i.Parent, i.Origin, i.Source, string(i.Proof), micros(i.First), micros(i.Last),
		i.Count, i.Overflow, i.Assignee, i.AcknowledgedBy, micros(i.AcknowledgedAt), i.MutedBy, i.Notified, micros(i.notifiedAt), i.messages, revision}
}

func (i *incident) scan(rows interface{ Scan(...any) error }) error {
	var first, last, ack, told int64
	err := rows.Scan(&i.ID, &i.DedupKey, &i.strict, &i.loose, &i.Kind, &i.Severity, &i.Title, &i.State, &i.Build, &i.Image, &i.Digest,
		&i.Owner, &i.Route, &i.Decoy, &i.Container, &i.Pod, &i.Parent, &i.Origin, &i.Source, &i.Proof, &first, &last,
		&i.Count, &i.Overflow, &i.Assignee, &i.AcknowledgedBy, &ack, &i.MutedBy, &i.Notified, &told, &i.messages, &i.Revision)
	i.First, i.Last, i.AcknowledgedAt, i.notifiedAt = moment(first), moment(last), moment(ack), moment(told)
	return err
}

// absorb adds an alarm. counted says that another message of the same
// execution was counted already.
func (i *incident) absorb(a *store.Alarm, k noise.Keys, counted, overflow bool) {
	if !counted {
		i.Count++
		if overflow {
			i.Overflow++
		}
	}
	if a.Received.After(i.Last) {
		i.Last = a.Received
	}
	if i.Title == "" || a.Severity > i.Severity {
		i.Title = noise.Title(a, i.Image)
	}
	i.Severity = max(i.Severity, a.Severity)
	if better(a.Proof, i.Proof) {
		i.Proof = a.Proof
	}
	if i.strict == "" {
		i.strict = k.Strict
	}
	fill(&i.Source, noise.Source(a))
	fill(&i.Parent, noise.Parent(a))
	if a.Event != nil {
		fill(&i.Container, noise.Clean(a.Event.Container, 128))
		fill(&i.Pod, noise.Clean(a.Event.Pod, 128))
		if a.Event.Origin == alert.FromInside || a.Event.Origin == alert.FromOutside {
			fill(&i.Origin, a.Event.Origin)
		}
	} else {
		fill(&i.Container, noise.Clean(a.Facts["container.id"], 128))
		fill(&i.Pod, noise.Clean(a.Facts["k8s.pod.name"], 128))
	}
}

func fill(to *string, value string) {
	if *to == "" {
		*to = value
	}
}

func better(a, b store.Proof) bool { return rank(a) > rank(b) }

func rank(p store.Proof) int {
	switch p {
	case store.ProofNone:
		return 1
	case store.ProofName:
		return 2
	case store.ProofSecret:
		return 3
	case store.ProofKey:
		return 4
	}
	return 0
}

// saveIncidents inserts new ones and updates the others.
func (t *transaction) saveIncidents(ctx context.Context, list []*incident) error {
	var rows [][]any
	for _, one := range list {
		rows = append(rows, one.row(t.revision))
	}
	var set []string
	for _, column := range strings.Split(incidentColumns, ",")[2:] {
		column = strings.TrimSpace(column)
		set = append(set, column+" = excluded."+column)
	}
	return t.insert(ctx, "incidents", incidentColumns, "ON CONFLICT (id) DO UPDATE SET "+strings.Join(set, ", "), rows)
}

type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

func selectIncidents(ctx context.Context, q querier, where string, args ...any) ([]*incident, error) {
	rows, err := q.QueryContext(ctx, "SELECT "+incidentColumns+" FROM incidents "+where, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close() // Err is asked below
	var found []*incident
	for rows.Next() {
		one := &incident{}
		if err := one.scan(rows); err != nil {
			return nil, err
		}
		found = append(found, one)
	}
	return found, rows.Err()
}

const defaultLimit = 100

// ListIncidents returns the newest change first.
func (db *DB) ListIncidents(ctx context.Context, q store.IncidentQuery) ([]store.Incident, error) {
	var where []string
	var args []any
	add := func(condition string, value any) {
		args = append(args, value)
		where = append(where, fmt.Sprintf(condition, len(args)))
	}
	oneOf := func(column string, values []string) {
		var marks []string
		for _, v := range values {
			args = append(args, v)
			marks = append(marks, fmt.Sprintf("$%d", len(args)))
		}
		if len(marks) > 0 {
			where = append(where, column+" IN ("+strings.Join(marks, ",")+")")
		}
	}
	oneOf("state", texts(q.States))
	oneOf("kind", texts(q.Kinds))
	if q.Build != "" {
		add("build = $%d", q.Build)
	}
	if !q.Since.IsZero() {
		add("last_hit >= $%d", micros(q.Since))
	}
	add("revision > $%d", q.Revision)
	limit := q.Limit
	if limit <= 0 {
		limit = defaultLimit
	}
	args = append(args, limit, max(q.Offset, 0))
	found, err := selectIncidents(ctx, db.read, fmt.Sprintf("WHERE %s ORDER BY revision DESC, id DESC LIMIT $%d OFFSET $%d",
		strings.Join(where, " AND "), len(args)-1, len(args)), args...)
	if err != nil {
		return nil, wrap("list incidents", err)
	}
	out := make([]store.Incident, len(found))
	for i, one := range found {
		out[i] = one.Incident
	}
	return out, nil
}

func texts[T ~string](list []T) []string {
	out := make([]string, len(list))
	for i, v := range list {
		out[i] = string(v)
	}
	return out
}

// GetIncident returns one.
func (db *DB) GetIncident(ctx context.Context, id int64) (store.Incident, error) {
	found, err := selectIncidents(ctx, db.read, "WHERE id = $1", id)
	if err == nil && len(found) == 0 {
		err = sql.ErrNoRows
	}
	if err != nil {
		return store.Incident{}, wrap(fmt.Sprintf("read incident %d", id), err)
	}
	return found[0].Incident, nil
}

// Alarms of an incident, newest first.
func (db *DB) Alarms(ctx context.Context, id int64, limit int) ([]store.Alarm, error) {
	if limit <= 0 {
		limit = defaultLimit
	}
	rows, err := db.read.QueryContext(ctx, `SELECT id, incident, kind, channel, build, decoy, nonce, proof, timing, severity, source,
		happened, received, body, ignored_by FROM alarms WHERE incident = $1 ORDER BY id DESC LIMIT $2`, id, limit)
	if err != nil {
		return nil, wrap("read alarms", err)
	}
	defer rows.Close() // Err is asked below
	var found []store.Alarm
	for rows.Next() {
		var a store.Alarm
		var happened, received int64
		var text string
		if err := rows.Scan(&a.ID, &a.Incident, &a.Kind, &a.Channel, &a.Build, &a.Decoy, &a.Nonce, &a.Proof, &a.Timing, &a.Severity,
			&a.Source, &happened, &received, &text, &a.IgnoredBy); err != nil {
			return nil, wrap("read alarms", err)
		}
		a.At, a.Received = moment(happened), moment(received)
		if text != "" {
			var b body
			if err := json.Unmarshal([]byte(text), &b); err != nil {
				return nil, fmt.Errorf("read alarm %d: %w", a.ID, err)
			}
			a.Event, a.Facts = b.Event, b.Facts
		}
		found = append(found, a)
	}
	return found, wrap("read alarms", rows.Err())
}

// Acknowledge says that somebody is on it.
func (db *DB) Acknowledge(ctx context.Context, id int64, by store.Subject, note string) (store.Incident, error) {
	return db.edit(ctx, id, by, "acknowledge", note, func(i *incident, now time.Time) {
		if i.State == store.Open {
			i.State, i.AcknowledgedBy, i.AcknowledgedAt = store.Acknowledged, by.Name, now
		}
	})
}

// Assign names who is on it; an empty name takes it back.
func (db *DB) Assign(ctx context.Context, id int64, to string, by store.Subject) (store.Incident, error) {
	to = noise.Clean(to, 256)
	return db.edit(ctx, id, by, "assign", "to "+to, func(i *incident, _ time.Time) { i.Assignee = to })
}

// Resolve ends it.
func (db *DB) Resolve(ctx context.Context, id int64, by store.Subject, note string) (store.Incident, error) {
	return db.edit(ctx, id, by, "resolve", note, func(i *incident, _ time.Time) { i.State = store.Resolved })
}

func (db *DB) edit(ctx context.Context, id int64, by store.Subject, action, note string, f func(*incident, time.Time)) (store.Incident, error) {
	var out store.Incident
	err := db.change(ctx, false, func(t *transaction) error {
		found, err := selectIncidents(ctx, t.Tx, "WHERE id = $1", id)
		if err != nil {
			return err
		}
		if len(found) == 0 {
			return sql.ErrNoRows
		}
		now := time.Now()
		f(found[0], now)
		if err := t.saveIncidents(ctx, found); err != nil {
			return err
		}
		out = found[0].Incident
		return t.record(ctx, store.AuditEntry{At: now, By: by.Name, Action: action, Object: fmt.Sprintf("incident %d", id), Note: note})
	})
	return out, wrap(fmt.Sprintf("%s incident %d", action, id), err)
}
