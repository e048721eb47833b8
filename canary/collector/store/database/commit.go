package database

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/hardstand/hardstand/canary/alert"
	"github.com/hardstand/hardstand/canary/collector/noise"
	"github.com/hardstand/hardstand/canary/collector/store"
)

// tripWindow is how far apart by their own clock two messages of one execution
// may be: both tiers of a decoy report with the same process id.
const tripWindow = 10 * time.Second

// Commit stores arrivals.
func (db *DB) Commit(ctx context.Context, arrivals []store.Arrival, p store.Policy) ([]store.Outcome, error) {
	if len(arrivals) == 0 {
		return nil, nil
	}
	var outcomes []store.Outcome
	err := db.change(ctx, false, func(t *transaction) error {
		r, err := db.currentRules(ctx, t)
		if err != nil {
			return err
		}
		b := &batch{
			transaction: t, ctx: ctx, policy: p, rules: r, arrivals: arrivals, outcomes: make([]store.Outcome, len(arrivals)),
			groups: map[string]*incident{}, byID: map[int64]*incident{}, ignoreHits: map[int64]int64{}, signs: map[string]*sign{},
		}
		if err := b.run(); err != nil {
			return err
		}
		outcomes = b.outcomes
		return nil
	})
	return outcomes, wrap("store alarms", err)
}

// batch is one transaction of arrivals. Everything it needs is read before the
// first decision and written after the last, each with few statements.
type batch struct {
	*transaction
	ctx      context.Context
	policy   store.Policy
	rules    *rules
	arrivals []store.Arrival
	outcomes []store.Outcome

	keys   []noise.Keys
	groups map[string]*incident // open ones by either key
	byID   map[int64]*incident
	trips  map[int]tripOf        // what is already known of an arrival's execution
	names  map[int]store.Outcome // known so far only by a resolved name

	alarms     [][]any
	changedOne []*incident
	deliveries [][]any
	ignoreHits map[int64]int64
	signs      map[string]*sign
}

// tripOf is an earlier message of the same execution.
type tripOf struct {
	incident  int64
	container string
}

type sign struct{ drill, alarm int64 }

func (b *batch) run() error {
	for i := range b.arrivals {
		b.keys = append(b.keys, noise.Group(&b.arrivals[i].Alarm))
	}
	for _, step := range []func() error{b.findDuplicates, b.findTrips, b.findIncidents} {
		if err := step(); err != nil {
			return err
		}
	}
	own := map[tripKey]tripOf{}
	for i := range b.arrivals {
		if !b.outcomes[i].Duplicate && !b.outcomes[i].Revoked {
			if err := b.add(i, own); err != nil {
				return err
			}
		}
	}
	return b.write()
}

// findDuplicates marks what is known already, here or earlier in the batch,
// and what is revoked. Overflow is not kept, so it cannot be recognised.
func (b *batch) findDuplicates() error {
	type name struct{ build, nonce string }
	first := map[name]int{}
	var asked [][2]string
	for i, a := range b.arrivals {
		if c := b.rules.canaries[a.Alarm.Build]; c != nil && c.Revoked {
			b.outcomes[i].Revoked = true
			continue
		}
		n := name{a.Alarm.Build, a.Alarm.Nonce}
		if before, found := first[n]; found {
			if better(a.Alarm.Proof, b.arrivals[before].Alarm.Proof) {
				first[n] = i
				b.outcomes[before].Duplicate = true
			} else {
				b.outcomes[i].Duplicate = true
			}
			continue
		}
		first[n] = i
		asked = append(asked, [2]string{n.build, n.nonce})
	}
	if len(asked) == 0 {
		return nil
	}
	rows, err := b.QueryContext(b.ctx, `SELECT a.build, a.nonce, a.id, a.incident, a.proof FROM `+b.dialect.rows(1)+
		` JOIN alarms a ON a.nonce = (j.value->>1) AND a.build = (j.value->>0)`, list(asked))
	if err != nil {
		return fmt.Errorf("look for duplicates: %w", err)
	}
	defer rows.Close() // Err is asked below
	b.names = map[int]store.Outcome{}
	for rows.Next() {
		var n name
		var proof store.Proof
		o := store.Outcome{Duplicate: true}
		if err := rows.Scan(&n.build, &n.nonce, &o.Alarm, &o.Incident, &proof); err != nil {
			return err
		}
		// A decoy resolves a name with the nonce of its full report, which
		// may come later and tells more.
		i := first[n]
		if o.Incident != 0 && better(b.arrivals[i].Alarm.Proof, proof) {
			b.names[i] = o
		} else {
			b.outcomes[i] = o
		}
	}
	return rows.Err()
}

type tripKey struct {
	build, decoy string
	pid          int
}

func trip(a *store.Alarm) (tripKey, bool) {
	if a.Kind != store.KindDecoy || a.Event == nil || a.Event.PID == 0 || a.Event.Kind != "" && a.Event.Kind != alert.KindPeers {
		return tripKey{}, false
	}
	return tripKey{a.Build, a.Decoy, a.Event.PID}, true
}

// findTrips looks for earlier messages of the same executions.
func (b *batch) findTrips() error {
	b.trips = map[int]tripOf{}
	var asked [][6]any
	for i, a := range b.arrivals {
		if k, ok := trip(&a.Alarm); ok && !b.outcomes[i].Duplicate {
			at := a.Alarm.At
			asked = append(asked, [6]any{i, k.build, k.decoy, k.pid, at.Add(-tripWindow).UnixMicro(), at.Add(tripWindow).UnixMicro()})
		}
	}
	if len(asked) == 0 {
		return nil
	}
	rows, err := b.QueryContext(b.ctx, `SELECT CAST(j.value->>0 AS BIGINT), a.incident, a.container FROM `+b.dialect.rows(1)+
		` JOIN alarms a ON a.build = (j.value->>1) AND a.decoy = (j.value->>2) AND a.pid = CAST(j.value->>3 AS BIGINT)
		AND a.happened BETWEEN CAST(j.value->>4 AS BIGINT) AND CAST(j.value->>5 AS BIGINT) AND a.pid > 0 AND a.incident > 0`, list(asked))
	if err != nil {
		return fmt.Errorf("look for the other half of a trip: %w", err)
	}
	defer rows.Close() // Err is asked below
	for rows.Next() {
		var i int
		var t tripOf
		if err := rows.Scan(&i, &t.incident, &t.container); err != nil {
			return err
		}
		if old, found := b.trips[i]; !found || old.container == "" {
			b.trips[i] = t
		}
	}
	return rows.Err()
}

// findIncidents reads the open incidents that arrivals may join.
func (b *batch) findIncidents() error {
	var strict, loose, without, ids []any
	seen := map[[2]any]bool{}
	ask := func(to *[]any, v any) {
		if key := [2]any{to, v}; !seen[key] {
			seen[key] = true
			*to = append(*to, v)
		}
	}
	for i, k := range b.keys {
		if b.outcomes[i].Duplicate {
			continue
		}
		if k.Strict != "" {
			ask(&strict, k.Strict)
			ask(&without, k.Loose)
		} else {
			ask(&loose, k.Loose)
		}
		if t, found := b.trips[i]; found {
			ask(&ids, t.incident)
		}
		if o, found := b.names[i]; found {
			ask(&ids, o.Incident)
		}
	}
	since := micros(b.policy.Now.Add(-b.policy.Regroup))
	for _, q := range []struct {
		where string
		args  []any
	}{
		{"strict_key IN (SELECT j.value->>0 FROM " + b.dialect.rows(1) + ") AND state <> 'resolved' AND last_hit >= $2", strict},
		{"loose_key IN (SELECT j.value->>0 FROM " + b.dialect.rows(1) + ") AND state <> 'resolved' AND strict_key = '' AND last_hit >= $2", without},
		{"loose_key IN (SELECT j.value->>0 FROM " + b.dialect.rows(1) + `) AND state <> 'resolved' AND last_hit >= $2
			AND last_hit = (SELECT MAX(m.last_hit) FROM incidents m WHERE m.loose_key = incidents.loose_key AND m.state <> 'resolved')`, loose},
		{"id IN (SELECT CAST(j.value->>0 AS BIGINT) FROM " + b.dialect.rows(1) + ") AND last_hit >= $2", ids},
	} {
		if len(q.args) == 0 {
			continue
		}
		wrapped := make([][]any, len(q.args)) // j.value->>0 needs arrays
		for i, v := range q.args {
			wrapped[i] = []any{v}
		}
		found, err := selectIncidents(b.ctx, b.Tx, "WHERE "+q.where+" ORDER BY last_hit", list(wrapped), since)
		if err != nil {
			return fmt.Errorf("look for open incidents: %w", err)
		}
		for _, one := range found {
			b.know(one)
		}
	}
	return nil
}

// know registers an incident under its keys; the one hit last wins.
func (b *batch) know(one *incident) {
	if old := b.byID[one.ID]; old != nil {
		one = old
	}
	b.byID[one.ID] = one
	if one.State == store.Resolved {
		return
	}
	b.groups[one.loose] = one
	if one.strict == "" {
		b.groups[unplaced+one.loose] = one
	} else {
		b.groups[one.strict] = one
	}
}

// unplaced marks incidents that know no container yet.
const unplaced = "?"

// add files one arrival.
func (b *batch) add(i int, own map[tripKey]tripOf) error {
	a := &b.arrivals[i].Alarm
	canary := b.rules.canary(a.Build)
	a.Severity = noise.Severity(a)
	if rule := b.rules.ignores(a, canary.Image, b.policy.Now); rule != 0 {
		a.IgnoredBy = rule
		b.ignoreHits[rule]++
		return b.keep(i)
	}
	if b.arrivals[i].Resolve {
		return b.resolve(i)
	}
	one, counted := b.join(i, own)
	if one == nil {
		one = b.open(a, b.keys[i], canary)
		b.outcomes[i].New = true
	}
	before := *one
	one.absorb(a, b.keys[i], counted, b.arrivals[i].Overflow)
	a.Incident = one.ID
	b.outcomes[i].Incident = one.ID
	b.touch(one)
	b.sign(a)
	if err := b.keep(i); err != nil {
		return err
	}
	return b.notify(one, &before, a)
}

// join finds the incident of an arrival. counted says that another message of
// the same execution was counted already.
func (b *batch) join(i int, own map[tripKey]tripOf) (one *incident, counted bool) {
	a, k := &b.arrivals[i].Alarm, b.keys[i]
	key, isTrip := trip(a)
	t, known := b.trips[i]
	if !known && isTrip {
		t, known = own[key]
	}
	where := containerOf(a)
	if o, found := b.names[i]; found && b.byID[o.Incident] != nil {
		if one := b.byID[o.Incident]; one.State != store.Resolved && (one.strict == "" || one.strict == k.Strict) {
			return one, true
		}
	}
	defer func() {
		if isTrip && one != nil {
			own[key] = tripOf{one.ID, where}
		}
	}()
	if known && (t.container == "" || where == "" || t.container == where) {
		if first := b.byID[t.incident]; first != nil && first.State != store.Resolved {
			return first, true
		}
	}
	if k.Strict == "" {
		return b.groups[k.Loose], false
	}
	one = b.groups[k.Strict]
	if one == nil { // an incident that knows no container yet is this one's
		if loose := b.groups[unplaced+k.Loose]; loose != nil && loose.strict == "" {
			one = loose
			b.groups[k.Strict] = one // absorb makes it so
		}
	}
	return one, false
}

func containerOf(a *store.Alarm) string {
	if a.Event == nil {
		return ""
	}
	return noise.Clean(a.Event.Container, 128)
}

func (b *batch) open(a *store.Alarm, k noise.Keys, c store.Canary) *incident {
	id := b.incident()
	one := &incident{strict: k.Strict, loose: k.Loose, Incident: store.Incident{
		ID: id, DedupKey: fmt.Sprintf("hardstand-%d-%s", id, k.Loose[:12]), Kind: a.Kind, State: store.Open,
		Build: a.Build, Image: c.Image, Digest: c.Digest, Owner: c.Owner, Route: c.Route,
		Decoy: a.Decoy, Source: noise.Source(a), First: a.Received,
	}}
	if a.Kind == store.KindDrill {
		one.State = store.Resolved
	}
	b.know(one)
	return one
}

// resolve ends the open incident of an arrival's group.
func (b *batch) resolve(i int) error {
	a := &b.arrivals[i].Alarm
	one := b.groups[b.keys[i].Strict]
	if one == nil || one.State == store.Resolved {
		return nil // nothing to end, nothing to keep
	}
	one.State = store.Resolved
	delete(b.groups, one.strict)
	delete(b.groups, one.loose)
	delete(b.groups, unplaced+one.loose)
	a.Incident = one.ID
	b.outcomes[i].Incident = one.ID
	b.touch(one)
	if err := b.keep(i); err != nil {
		return err
	}
	if one.MutedBy != 0 {
		return nil
	}
	return b.queue(one, store.ReasonResolved, a)
}

func (b *batch) touch(one *incident) {
	if !one.dirty {
		one.dirty = true
		b.changedOne = append(b.changedOne, one)
	}
}

func (b *batch) sign(a *store.Alarm) {
	if a.Build == "" {
		return
	}
	s := b.signs[a.Build]
	if s == nil {
		s = &sign{}
		b.signs[a.Build] = s
	}
	switch a.Kind {
	case store.KindDrill:
		s.drill = max(s.drill, micros(a.Received))
	case store.KindDecoy, store.KindToken:
		s.alarm = max(s.alarm, micros(a.Received))
	}
}

// keep writes the alarm's row, unless it is overflow.
func (b *batch) keep(i int) error {
	if b.arrivals[i].Overflow {
		return nil
	}
	a := &b.arrivals[i].Alarm
	if o, found := b.names[i]; found {
		if _, err := b.ExecContext(b.ctx, "DELETE FROM alarms WHERE id = $1", o.Alarm); err != nil {
			return fmt.Errorf("replace a resolved name by its report: %w", err)
		}
	}
	a.ID = b.id()
	b.outcomes[i].Alarm = a.ID
	body, err := json.Marshal(body{a.Event, a.Facts})
	if err != nil {
		return fmt.Errorf("encode alarm: %w", err)
	}
	pid := 0
	if k, ok := trip(a); ok {
		pid = k.pid
	}
	b.alarms = append(b.alarms, []any{a.ID, a.Incident, string(a.Kind), string(a.Channel), a.Build, a.Decoy, a.Nonce, string(a.Proof),
		string(a.Timing), int64(a.Severity), a.Source, micros(a.At), micros(a.Received), pid, containerOf(a), string(body), a.IgnoredBy})
	return nil
}

// body is the part of an alarm that is kept as JSON, and not as long.
type body struct {
	Event *alert.Event      `json:"event,omitempty"`
	Facts map[string]string `json:"facts,omitempty"`
}

const (
	alarmColumns    = "id, incident, kind, channel, build, decoy, nonce, proof, timing, severity, source, happened, received, pid, container, body, ignored_by"
	deliveryColumns = "id, sink, incident, message, queued, attempts, due, done, error"
)

func (b *batch) write() error {
	if err := b.insert(b.ctx, "alarms", alarmColumns, "", b.alarms); err != nil {
		return err
	}
	if err := b.saveIncidents(b.ctx, b.changedOne); err != nil {
		return err
	}
	if err := b.insert(b.ctx, "deliveries", deliveryColumns, "", b.deliveries); err != nil {
		return err
	}
	var signs [][]any
	for build, s := range b.signs {
		signs = append(signs, []any{build, 0, s.drill, s.alarm})
	}
	if err := b.saveSigns(b.ctx, signs); err != nil {
		return err
	}
	for rule, hits := range b.ignoreHits {
		if _, err := b.ExecContext(b.ctx, "UPDATE ignores SET hits = hits + $1 WHERE id = $2", hits, rule); err != nil {
			return fmt.Errorf("count hits of ignore rule: %w", err)
		}
	}
	return nil
}

func (t *transaction) saveSigns(ctx context.Context, rows [][]any) error {
	newer := func(column string) string {
		return column + " = CASE WHEN excluded." + column + " > signs." + column + " THEN excluded." + column + " ELSE signs." + column + " END"
	}
	return t.insert(ctx, "signs", "build, heartbeat, drill, alarm",
		"ON CONFLICT (build) DO UPDATE SET "+newer("heartbeat")+", "+newer("drill")+", "+newer("alarm"), rows)
}
