package database

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/hardstand/hardstand/canary/collector/noise"
	"github.com/hardstand/hardstand/canary/collector/store"
)

// ImportCanaries adds and updates rows.
func (db *DB) ImportCanaries(ctx context.Context, canaries []store.Canary) error {
	var rows [][]any
	for _, c := range canaries {
		decoys, tokens := list(c.Decoys), list(c.Tokens)
		rows = append(rows, []any{c.Build, noise.Clean(c.Image, maxText), noise.Clean(c.Digest, 128), noise.Clean(c.Owner, maxText),
			noise.Clean(c.Route, maxText), decoys, tokens, number(c.Guard), 0})
	}
	if len(rows) == 0 {
		return nil
	}
	return wrap("import register", db.change(ctx, true, func(t *transaction) error {
		return t.insert(ctx, "canaries", "build, image, digest, owner, route, decoys, tokens, guard, revoked",
			`ON CONFLICT (build) DO UPDATE SET image = excluded.image, digest = excluded.digest, owner = excluded.owner,
			route = excluded.route, decoys = excluded.decoys, tokens = excluded.tokens, guard = excluded.guard`, rows)
	}))
}

// ForgetCanaries removes rows, unless they are revoked.
func (db *DB) ForgetCanaries(ctx context.Context, builds []string) error {
	if len(builds) == 0 {
		return nil
	}
	wrapped := make([][]string, len(builds)) // j.value->>0 needs arrays
	for i, build := range builds {
		wrapped[i] = []string{build}
	}
	named := "build IN (SELECT j.value->>0 FROM " + db.dialect.rows(1) + ")"
	return wrap("forget builds", db.change(ctx, true, func(t *transaction) error {
		for _, statement := range []string{"DELETE FROM canaries WHERE revoked = 0 AND ", "UPDATE signs SET heartbeat = 0 WHERE "} {
			if _, err := t.ExecContext(ctx, statement+named, list(wrapped)); err != nil {
				return err
			}
		}
		return nil
	}))
}

// Canaries returns the register, and builds that reported without being in it.
func (db *DB) Canaries(ctx context.Context) ([]store.Canary, error) {
	found, err := selectCanaries(ctx, db.read)
	return found, wrap("read register", err)
}

func selectCanaries(ctx context.Context, q querier) ([]store.Canary, error) {
	rows, err := q.QueryContext(ctx, `SELECT c.build, c.image, c.digest, c.owner, c.route, c.decoys, c.tokens, c.guard, c.revoked,
			COALESCE(s.heartbeat, 0), COALESCE(s.drill, 0), COALESCE(s.alarm, 0) FROM canaries c LEFT JOIN signs s ON s.build = c.build
		UNION ALL SELECT s.build, '', '', '', '', '[]', '[]', 0, 0, s.heartbeat, s.drill, s.alarm FROM signs s
			WHERE NOT EXISTS (SELECT 1 FROM canaries c WHERE c.build = s.build)
		ORDER BY 2, 1`)
	if err != nil {
		return nil, err
	}
	defer rows.Close() // Err is asked below
	var found []store.Canary
	for rows.Next() {
		var c store.Canary
		var decoys, tokens string
		var guard, revoked, heartbeat, drill, alarm int64
		if err := rows.Scan(&c.Build, &c.Image, &c.Digest, &c.Owner, &c.Route, &decoys, &tokens, &guard, &revoked, &heartbeat, &drill, &alarm); err != nil {
			return nil, err
		}
		if err := json.Unmarshal([]byte(decoys), &c.Decoys); err != nil {
			return nil, fmt.Errorf("read register row %s: %w", c.Build, err)
		}
		if err := json.Unmarshal([]byte(tokens), &c.Tokens); err != nil {
			return nil, fmt.Errorf("read register row %s: %w", c.Build, err)
		}
		c.Guard, c.Revoked = guard != 0, revoked != 0
		c.LastHeartbeat, c.LastDrill, c.LastAlarm = moment(heartbeat), moment(drill), moment(alarm)
		found = append(found, c)
	}
	return found, rows.Err()
}

// Revoke makes the collector refuse the alarms of a build.
func (db *DB) Revoke(ctx context.Context, build string, revoked bool, by store.Subject) error {
	action := "revoke"
	if !revoked {
		action = "unrevoke"
	}
	return wrap(action+" build", db.change(ctx, true, func(t *transaction) error {
		if err := one(t.ExecContext(ctx, "UPDATE canaries SET revoked = $1 WHERE build = $2", number(revoked), build)); err != nil {
			return err
		}
		return t.record(ctx, store.AuditEntry{At: time.Now(), By: by.Name, Action: action, Object: "build " + build})
	}))
}

// Heartbeat notes signs of life.
func (db *DB) Heartbeat(ctx context.Context, beats map[string]time.Time) error {
	var rows [][]any
	for build, at := range beats {
		rows = append(rows, []any{build, micros(at), 0, 0})
	}
	if len(rows) == 0 {
		return nil
	}
	return wrap("note heartbeat", db.change(ctx, false, func(t *transaction) error { return t.saveSigns(ctx, rows) }))
}

// PutSession keeps a session.
func (db *DB) PutSession(ctx context.Context, s store.Session) error {
	row := []any{s.ID, s.Subject.Name, string(s.Subject.Role), s.CSRF, micros(s.Created), micros(s.Expires)}
	return wrap("keep session", db.change(ctx, false, func(t *transaction) error {
		return t.insert(ctx, "sessions", "id, name, role, csrf, created, expires",
			"ON CONFLICT (id) DO UPDATE SET name = excluded.name, role = excluded.role, csrf = excluded.csrf, expires = excluded.expires", [][]any{row})
	}))
}

// GetSession returns one that is not over.
func (db *DB) GetSession(ctx context.Context, id string, now time.Time) (store.Session, error) {
	var s store.Session
	var created, expires int64
	err := db.read.QueryRowContext(ctx, "SELECT id, name, role, csrf, created, expires FROM sessions WHERE id = $1 AND expires > $2", id, micros(now)).
		Scan(&s.ID, &s.Subject.Name, &s.Subject.Role, &s.CSRF, &created, &expires)
	s.Created, s.Expires = moment(created), moment(expires)
	return s, wrap("find session", err)
}

// DeleteSession ends one; that it was over already is no error.
func (db *DB) DeleteSession(ctx context.Context, id string) error {
	_, err := db.write.ExecContext(ctx, "DELETE FROM sessions WHERE id = $1", id)
	return wrap("end session", err)
}
