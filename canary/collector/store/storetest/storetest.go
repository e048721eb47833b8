// Package storetest is the suite that every store must pass. Tests only.
package storetest

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hardstand/hardstand/canary/alert"
	"github.com/hardstand/hardstand/canary/collector/store"
)

// Run runs the suite. open returns an empty store each time and closes it at
// the test's end.
func Run(t *testing.T, open func(*testing.T) store.Store) {
	for name, test := range map[string]func(*testing.T, store.Store){
		"Duplicates": duplicates, "Groups": groups, "Tiers": tiers, "Names": names, "Regroup": regroup, "Notifications": notifications,
		"Mute": mute, "Ignore": ignore, "Overflow": overflow, "Resolve": resolve, "Outbox": outbox, "Sinks": sinks, "Register": register,
		"Revoke": revoke, "Sessions": sessions, "Retention": retention, "Hostile": hostile, "Live": live, "Writers": writers, "Drill": drill,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

var (
	epoch     = time.Now().Truncate(time.Second).UTC()
	responder = store.Subject{Name: "ada@example.com", Role: store.Responder}
)

func policy(now time.Time) store.Policy {
	return store.Policy{Now: now, Sinks: []store.SinkFilter{{Name: "chat"}, {Name: "pager", Min: store.High}}, Regroup: time.Hour,
		Thresholds: []int64{10, 100}, RepeatAfter: 5 * time.Minute}
}

func nonce() string {
	var n [16]byte
	_, _ = rand.Read(n[:]) // never fails, crypto/rand
	return hex.EncodeToString(n[:])
}

// trip is an execution as tier B tells it.
func trip(build, decoy, container string, pid int, at time.Time) store.Arrival {
	return store.Arrival{Alarm: store.Alarm{
		Kind: store.KindDecoy, Channel: store.ChannelHTTPS, Build: build, Decoy: decoy, Nonce: nonce(), Proof: store.ProofKey, Timing: store.OnTime,
		Source: "192.0.2.1:4711", At: at, Received: at,
		Event: &alert.Event{Build: build, Decoy: decoy, PID: pid, PPID: 1, Origin: alert.FromInside, Container: container,
			Argv: []string{decoy, "-la"}, Ancestors: []alert.Process{{PID: 1, Comm: "app", Exe: "/app"}}},
	}}
}

// brief is an execution as tier A tells it.
func brief(build, decoy string, pid int, at time.Time) store.Arrival {
	a := trip(build, decoy, "", pid, at)
	a.Alarm.Channel = store.ChannelLog
	a.Alarm.Event.Ancestors, a.Alarm.Event.Argv = nil, nil
	return a
}

func commit(t *testing.T, s store.Store, now time.Time, arrivals ...store.Arrival) []store.Outcome {
	t.Helper()
	out, err := s.Commit(t.Context(), arrivals, policy(now))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func list(t *testing.T, s store.Store) []store.Incident {
	t.Helper()
	found, err := s.ListIncidents(t.Context(), store.IncidentQuery{})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func claim(t *testing.T, s store.Store, sink string, now time.Time) []store.Delivery {
	t.Helper()
	found, err := s.Claim(t.Context(), sink, 100, time.Minute, now)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func duplicates(t *testing.T, s store.Store) {
	a := trip("web", "ls", "c1", 7, epoch)
	first := commit(t, s, epoch, a, a)
	if first[0].Duplicate || !first[0].New || !first[1].Duplicate {
		t.Errorf("one batch: %+v", first)
	}
	again := commit(t, s, epoch, a)
	if !again[0].Duplicate || again[0].Alarm != first[0].Alarm || again[0].Incident != first[0].Incident {
		t.Errorf("second batch: %+v, first %+v", again, first)
	}
	other := a
	other.Alarm.Build = "api" // a nonce is unique within its build
	if out := commit(t, s, epoch, other); out[0].Duplicate {
		t.Error("the same nonce of another build was taken for a duplicate")
	}
	found := list(t, s)
	if len(found) != 2 || found[0].Count != 1 || found[1].Count != 1 {
		t.Errorf("incidents: %+v", found)
	}
	alarms, err := s.Alarms(t.Context(), first[0].Incident, 0)
	if err != nil || len(alarms) != 1 || alarms[0].Event == nil || alarms[0].Event.Argv[1] != "-la" || !alarms[0].At.Equal(epoch) {
		t.Errorf("alarms: %+v %v", alarms, err)
	}
	if _, err := s.GetIncident(t.Context(), 999); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("unknown incident: %v", err)
	}
}

func groups(t *testing.T, s store.Store) {
	out := commit(t, s, epoch, trip("web", "ls", "c1", 7, epoch), trip("web", "ls", "c1", 8, epoch), trip("web", "ls", "c2", 9, epoch), trip("web", "curl", "c1", 10, epoch))
	if out[0].Incident != out[1].Incident || out[0].Incident == out[2].Incident || out[0].Incident == out[3].Incident {
		t.Errorf("groups: %+v", out)
	}
	later := trip("web", "ls", "c1", 11, epoch.Add(time.Minute))
	if more := commit(t, s, epoch.Add(time.Minute), later); more[0].Incident != out[0].Incident || more[0].New {
		t.Errorf("a minute later: %+v", more)
	}
	one, err := s.GetIncident(t.Context(), out[0].Incident)
	if err != nil || one.Count != 3 || !one.First.Equal(epoch) || !one.Last.Equal(epoch.Add(time.Minute)) || one.Severity != store.Critical || one.Parent != "/app" {
		t.Errorf("incident: %+v %v", one, err)
	}
	if open, err := s.ListIncidents(t.Context(), store.IncidentQuery{States: []store.State{store.Open}, Build: "web", Limit: 2}); err != nil || len(open) != 2 {
		t.Errorf("query: %d %v", len(open), err)
	}
}

func tiers(t *testing.T, s store.Store) {
	a, b := brief("web", "ls", 7, epoch), trip("web", "ls", "c1", 7, epoch.Add(3*time.Millisecond))
	one := commit(t, s, epoch, a)
	two := commit(t, s, epoch, b)
	if one[0].Incident != two[0].Incident {
		t.Errorf("A, then B: %+v %+v", one, two)
	}
	// The other way round, in one batch.
	both := commit(t, s, epoch, trip("web", "cat", "c1", 9, epoch), brief("web", "cat", 9, epoch))
	if both[0].Incident != both[1].Incident {
		t.Errorf("B, then A: %+v", both)
	}
	// A loop of both stays one incident.
	for pid := 20; pid < 30; pid++ {
		out := commit(t, s, epoch, brief("web", "ls", pid, epoch), trip("web", "ls", "c1", pid, epoch))
		if out[0].Incident != one[0].Incident || out[1].Incident != one[0].Incident {
			t.Fatalf("pid %d: %+v, want incident %d", pid, out, one[0].Incident)
		}
	}
	i, err := s.GetIncident(t.Context(), one[0].Incident)
	if err != nil || i.Count != 11 || i.Container != "c1" {
		t.Errorf("incident: %+v %v", i, err)
	}
	// The same process id in another container is another trip.
	if out := commit(t, s, epoch, trip("web", "ls", "c2", 20, epoch)); out[0].Incident == one[0].Incident {
		t.Error("two containers were taken for one")
	}
}

// names: the same nonce comes as a name first and in full later.
func names(t *testing.T, s store.Store) {
	full := trip("web", "ls", "c1", 7, epoch)
	name := store.Arrival{Alarm: store.Alarm{Kind: store.KindDecoy, Channel: store.ChannelDNS, Build: "web", Decoy: "ls", Nonce: full.Alarm.Nonce,
		Proof: store.ProofName, At: epoch, Received: epoch}}
	first := commit(t, s, epoch, name)
	second := commit(t, s, epoch, full)
	if second[0].Duplicate || second[0].Incident != first[0].Incident {
		t.Errorf("name %+v, report %+v", first, second)
	}
	if again := commit(t, s, epoch, name, full); !again[0].Duplicate || !again[1].Duplicate {
		t.Errorf("repeated: %+v", again)
	}
	one, err := s.GetIncident(t.Context(), first[0].Incident)
	if err != nil || one.Count != 1 || one.Severity != store.Critical || one.Proof != store.ProofKey || one.Container != "c1" {
		t.Errorf("incident: %+v %v", one, err)
	}
	if alarms, err := s.Alarms(t.Context(), one.ID, 0); err != nil || len(alarms) != 1 || alarms[0].Event == nil {
		t.Errorf("alarms: %+v %v", alarms, err)
	}
	other := trip("web", "cat", "c1", 8, epoch)
	name.Alarm.Nonce, name.Alarm.Decoy = other.Alarm.Nonce, "cat"
	if out := commit(t, s, epoch, name, other); !out[0].Duplicate || out[1].Alarm == 0 {
		t.Errorf("one batch: %+v", out)
	}
}

func regroup(t *testing.T, s store.Store) {
	first := commit(t, s, epoch, trip("web", "ls", "c1", 7, epoch))
	later := epoch.Add(2 * time.Hour)
	if out := commit(t, s, later, trip("web", "ls", "c1", 8, later)); out[0].Incident == first[0].Incident {
		t.Error("a hit two hours later joined the old incident")
	}
	last := commit(t, s, later, trip("web", "ls", "c1", 9, later))
	if _, err := s.Resolve(t.Context(), last[0].Incident, responder, "cleaned up"); err != nil {
		t.Fatal(err)
	}
	if out := commit(t, s, later, trip("web", "ls", "c1", 10, later)); out[0].Incident == last[0].Incident {
		t.Error("a hit joined a resolved incident")
	}
}

func notifications(t *testing.T, s store.Store) {
	out := commit(t, s, epoch, trip("web", "ls", "c1", 1, epoch))
	got := claim(t, s, "chat", epoch)
	if len(got) != 1 || got[0].Message.Reason != store.ReasonFirst || got[0].Message.Incident.ID != out[0].Incident || got[0].Message.Alarm == nil {
		t.Fatalf("first: %+v", got)
	}
	id := got[0].Message.ID
	for pid := 2; pid <= 9; pid++ {
		commit(t, s, epoch, trip("web", "ls", "c1", pid, epoch))
	}
	if got := claim(t, s, "chat", epoch); len(got) != 0 {
		t.Errorf("repeats were not grouped: %+v", got)
	}
	commit(t, s, epoch, trip("web", "ls", "c1", 10, epoch))
	got = claim(t, s, "chat", epoch)
	if len(got) != 1 || got[0].Message.Reason != store.ReasonRepeat || got[0].Message.Incident.Count != 10 || got[0].Message.ID == id {
		t.Fatalf("threshold: %+v", got)
	}
	if got[0].Message.Incident.DedupKey != id[:len(id)-2] {
		t.Errorf("keys: %q, %q", got[0].Message.Incident.DedupKey, id)
	}
	commit(t, s, epoch, trip("web", "ls", "c1", 11, epoch))
	for after, want := range map[time.Duration]int{time.Minute: 0, 6 * time.Minute: 1} {
		if after == time.Minute {
			continue
		}
		if n, err := s.Notify(t.Context(), policy(epoch.Add(time.Minute)), epoch.Add(time.Minute)); err != nil || n != 0 {
			t.Errorf("after a minute: %d %v", n, err)
		}
		if n, err := s.Notify(t.Context(), policy(epoch.Add(after)), epoch.Add(after)); err != nil || n != want {
			t.Errorf("after %v: %d %v", after, n, err)
		}
	}
	if n, err := s.Notify(t.Context(), policy(epoch), epoch.Add(time.Hour)); err != nil || n != 0 {
		t.Errorf("nothing new: %d %v", n, err)
	}
	low := commit(t, s, epoch, store.Arrival{Alarm: store.Alarm{Kind: store.KindDecoy, Channel: store.ChannelDNS, Build: "web", Decoy: "id", Nonce: nonce(),
		Proof: store.ProofName, At: epoch, Received: epoch}})
	if all, err := s.Deliveries(t.Context(), low[0].Incident); err != nil || len(all) != 1 || all[0].Sink != "chat" {
		t.Errorf("low severity: %+v %v", all, err)
	}
	// It gets worse.
	worse := trip("web", "id", "c1", 12, epoch)
	if out := commit(t, s, epoch, worse); out[0].Incident != low[0].Incident {
		t.Fatalf("the name's incident was not joined: %+v", out)
	}
	if all, err := s.Deliveries(t.Context(), low[0].Incident); err != nil || len(all) != 3 || all[0].Message.Reason != store.ReasonEscalated {
		t.Errorf("escalated: %+v %v", all, err)
	}
	// Somebody is on it: only worse is news.
	if _, err := s.Acknowledge(t.Context(), out[0].Incident, responder, ""); err != nil {
		t.Fatal(err)
	}
	commit(t, s, epoch, trip("web", "ls", "c1", 13, epoch))
	if n, err := s.Notify(t.Context(), policy(epoch), epoch.Add(time.Hour)); err != nil || n != 0 {
		t.Errorf("acknowledged: %d %v", n, err)
	}
}

func mute(t *testing.T, s store.Store) {
	for _, bad := range []store.Mute{
		{Until: epoch.Add(time.Hour), Reason: "all"}, {Build: "web", Reason: "for ever"}, {Build: "web", From: epoch, Until: epoch.Add(time.Hour)},
	} {
		if _, err := s.AddMute(t.Context(), bad, responder); err == nil {
			t.Errorf("accepted %+v", bad)
		}
	}
	m, err := s.AddMute(t.Context(), store.Mute{Build: "web", From: epoch, Until: epoch.Add(time.Hour), Reason: "exercise"}, responder)
	if err != nil || m.ID == 0 || m.By != responder.Name {
		t.Fatalf("%+v %v", m, err)
	}
	out := commit(t, s, epoch, trip("web", "ls", "c1", 1, epoch))
	one, err := s.GetIncident(t.Context(), out[0].Incident)
	if err != nil || one.MutedBy != m.ID || one.Count != 1 {
		t.Errorf("muted: %+v %v", one, err)
	}
	if got := claim(t, s, "chat", epoch); len(got) != 0 {
		t.Errorf("a sink was told: %+v", got)
	}
	after := epoch.Add(61 * time.Minute)
	commit(t, s, after, trip("web", "ls", "c1", 2, epoch.Add(59*time.Minute)))
	if got := claim(t, s, "chat", after); len(got) != 1 || got[0].Message.Reason != store.ReasonFirst {
		t.Errorf("after the end: %+v", got)
	}
	if err := s.EndMute(t.Context(), m.ID, responder); err != nil && !epoch.Before(time.Now().Add(-time.Hour)) {
		t.Errorf("end: %v", err)
	}
	if err := s.EndMute(t.Context(), 999, responder); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("end of an unknown mute: %v", err)
	}
	audit, err := s.Audit(t.Context(), 10)
	if err != nil || len(audit) != 2 || audit[1].Action != "mute" || audit[0].Action != "unmute" || !strings.Contains(audit[1].Note, "exercise") {
		t.Errorf("audit: %+v %v", audit, err)
	}
	if mutes, err := s.Mutes(t.Context(), epoch.Add(2*time.Hour)); err != nil || len(mutes) != 0 {
		t.Errorf("mutes that hold: %+v %v", mutes, err)
	}
}

func ignore(t *testing.T, s store.Store) {
	if err := s.ImportCanaries(t.Context(), []store.Canary{{Build: "web", Image: "registry.example/web"}}); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []store.IgnoreRule{{Reason: "all"}, {Argv: "[", Reason: "pattern"}, {Argv: "ls *"}} {
		if _, err := s.AddIgnoreRule(t.Context(), bad, responder); err == nil {
			t.Errorf("accepted %+v", bad)
		}
	}
	r, err := s.AddIgnoreRule(t.Context(), store.IgnoreRule{Image: "registry.example/*", Parent: "/app", Argv: "ls -*", Reason: "start script"}, responder)
	if err != nil {
		t.Fatal(err)
	}
	out := commit(t, s, epoch, trip("web", "ls", "c1", 1, epoch), trip("web", "cat", "c1", 2, epoch), trip("api", "ls", "c1", 3, epoch))
	if out[0].Incident != 0 || out[0].Alarm == 0 || out[1].Incident == 0 || out[2].Incident == 0 {
		t.Errorf("outcomes: %+v", out)
	}
	if rules, err := s.IgnoreRules(t.Context()); err != nil || len(rules) != 1 || rules[0].Hits != 1 {
		t.Errorf("rules: %+v %v", rules, err)
	}
	if err := s.RemoveIgnoreRule(t.Context(), r.ID, responder); err != nil {
		t.Fatal(err)
	}
	if out := commit(t, s, epoch, trip("web", "ls", "c1", 4, epoch)); out[0].Incident == 0 {
		t.Error("the rule still holds")
	}
}

func overflow(t *testing.T, s store.Store) {
	first := commit(t, s, epoch, trip("web", "ls", "c1", 1, epoch))
	more := trip("web", "ls", "c1", 2, epoch)
	more.Overflow = true
	out := commit(t, s, epoch, more)
	if out[0].Alarm != 0 || out[0].Incident != first[0].Incident {
		t.Errorf("outcome: %+v", out)
	}
	one, err := s.GetIncident(t.Context(), first[0].Incident)
	if err != nil || one.Count != 2 || one.Overflow != 1 {
		t.Errorf("incident: %+v %v", one, err)
	}
}

func resolve(t *testing.T, s store.Store) {
	down := func(resolve bool) store.Arrival {
		return store.Arrival{Resolve: resolve, Alarm: store.Alarm{Kind: store.KindSinkDown, Channel: store.ChannelSelf, Decoy: "chat", Nonce: nonce(), At: epoch, Received: epoch}}
	}
	if out := commit(t, s, epoch, down(true)); out[0].Incident != 0 {
		t.Errorf("nothing to resolve: %+v", out)
	}
	out := commit(t, s, epoch, down(false))
	if end := commit(t, s, epoch, down(true)); end[0].Incident != out[0].Incident {
		t.Errorf("resolve: %+v, opened %+v", end, out)
	}
	one, err := s.GetIncident(t.Context(), out[0].Incident)
	if err != nil || one.State != store.Resolved {
		t.Errorf("incident: %+v %v", one, err)
	}
	if all, err := s.Deliveries(t.Context(), one.ID); err != nil || len(all) != 4 || all[0].Message.Reason != store.ReasonResolved {
		t.Errorf("deliveries: %+v %v", all, err)
	}
}

func drill(t *testing.T, s store.Store) {
	a := store.Arrival{Alarm: store.Alarm{Kind: store.KindDrill, Channel: store.ChannelHTTPS, Build: "web", Decoy: "ls", Nonce: nonce(), Proof: store.ProofKey, At: epoch, Received: epoch}}
	commit(t, s, epoch, a)
	got, err := s.Drill(t.Context(), "web", a.Alarm.Nonce)
	if err != nil || len(got) != 2 {
		t.Errorf("every sink is tried: %+v %v", got, err)
	}
	if _, err := s.Drill(t.Context(), "web", nonce()); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("unknown drill: %v", err)
	}
	if c, err := s.Canaries(t.Context()); err != nil || len(c) != 1 || !c[0].LastDrill.Equal(epoch) || !c[0].LastAlarm.IsZero() {
		t.Errorf("register: %+v %v", c, err)
	}
}

func outbox(t *testing.T, s store.Store) {
	commit(t, s, epoch, trip("web", "ls", "c1", 1, epoch), trip("web", "cat", "c1", 2, epoch))
	first, err := s.Claim(t.Context(), "chat", 1, time.Minute, epoch)
	if err != nil || len(first) != 1 {
		t.Fatalf("%+v %v", first, err)
	}
	second := claim(t, s, "chat", epoch)
	if len(second) != 1 || second[0].ID == first[0].ID {
		t.Fatalf("second claim: %+v", second)
	}
	if again := claim(t, s, "chat", epoch.Add(59*time.Second)); len(again) != 0 {
		t.Errorf("a lease was not kept: %+v", again)
	}
	if err := s.Complete(t.Context(), first[0].ID, epoch); err != nil {
		t.Fatal(err)
	}
	if err := s.Fail(t.Context(), second[0].ID, "connection refused", epoch.Add(2*time.Minute), epoch); err != nil {
		t.Fatal(err)
	}
	if early := claim(t, s, "chat", epoch.Add(90*time.Second)); len(early) != 0 {
		t.Errorf("claimed before it was due: %+v", early)
	}
	last := claim(t, s, "chat", epoch.Add(3*time.Minute))
	if len(last) != 1 || last[0].Attempts != 1 || last[0].Error != "connection refused" || last[0].Message.ID != second[0].Message.ID {
		t.Errorf("after the failure: %+v", last)
	}
	// The collector died with the lease: due again when it ends.
	if orphan := claim(t, s, "chat", epoch.Add(5*time.Minute)); len(orphan) != 1 {
		t.Errorf("after the lease: %+v", orphan)
	}
	if err := s.Complete(t.Context(), first[0].ID, epoch); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("completed twice: %v", err)
	}
}

func sinks(t *testing.T, s store.Store) {
	if err := s.SetSinks(t.Context(), []string{"chat", "pager"}); err != nil {
		t.Fatal(err)
	}
	commit(t, s, epoch, trip("web", "ls", "c1", 1, epoch))
	d := claim(t, s, "chat", epoch)[0]
	for i := range 3 {
		if err := s.Fail(t.Context(), d.ID, "no route", epoch, epoch.Add(time.Duration(i)*time.Second)); err != nil {
			t.Fatal(err)
		}
	}
	states, err := s.Sinks(t.Context(), epoch)
	if err != nil || len(states) != 2 || states[0].Failures != 3 || !states[0].FailedSince.Equal(epoch) || states[0].Pending != 1 || states[1].Failures != 0 {
		t.Errorf("failing: %+v %v", states, err)
	}
	if err := s.Complete(t.Context(), d.ID, epoch.Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if err := s.SetSinks(t.Context(), []string{"chat"}); err != nil {
		t.Fatal(err)
	}
	states, err = s.Sinks(t.Context(), epoch)
	if err != nil || len(states) != 2 || states[0].Failures != 0 || states[0].Delivered != 1 || !states[0].LastSuccess.Equal(epoch.Add(time.Minute)) {
		t.Errorf("well again; pager is not configured, but has a message: %+v %v", states, err)
	}
}

func register(t *testing.T, s store.Store) {
	c := store.Canary{Build: "web", Image: "web:1", Owner: "team-web", Route: "#web", Decoys: []string{"ls", "cat"}, Tokens: []string{"aws"}, Guard: true}
	if err := s.ImportCanaries(t.Context(), []store.Canary{c}); err != nil {
		t.Fatal(err)
	}
	if err := s.Heartbeat(t.Context(), map[string]time.Time{"web": epoch}); err != nil {
		t.Fatal(err)
	}
	if err := s.Heartbeat(t.Context(), map[string]time.Time{"web": epoch.Add(-time.Hour)}); err != nil {
		t.Fatal(err)
	}
	c.Digest = "sha256:1"
	if err := s.ImportCanaries(t.Context(), []store.Canary{c}); err != nil {
		t.Fatal(err)
	}
	out := commit(t, s, epoch, trip("web", "ls", "c1", 1, epoch), trip("stray", "ls", "c1", 1, epoch))
	all, err := s.Canaries(t.Context())
	if err != nil || len(all) != 2 || all[0].Build != "stray" || !all[1].LastHeartbeat.Equal(epoch) || !all[1].LastAlarm.Equal(epoch) || all[1].Digest != "sha256:1" || len(all[1].Decoys) != 2 {
		t.Errorf("register: %+v %v", all, err)
	}
	one, err := s.GetIncident(t.Context(), out[0].Incident)
	if err != nil || one.Image != "web:1" || one.Digest != "sha256:1" || one.Owner != "team-web" || one.Route != "#web" {
		t.Errorf("incident: %+v %v", one, err)
	}
}

func revoke(t *testing.T, s store.Store) {
	if err := s.Revoke(t.Context(), "web", true, responder); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("unknown build: %v", err)
	}
	if err := s.ImportCanaries(t.Context(), []store.Canary{{Build: "web"}}); err != nil {
		t.Fatal(err)
	}
	if err := s.Revoke(t.Context(), "web", true, responder); err != nil {
		t.Fatal(err)
	}
	if out := commit(t, s, epoch, trip("web", "ls", "c1", 1, epoch)); !out[0].Revoked || len(list(t, s)) != 0 {
		t.Errorf("revoked: %+v", out)
	}
}

func sessions(t *testing.T, s store.Store) {
	want := store.Session{ID: "hash", Subject: responder, CSRF: "c", Created: epoch, Expires: epoch.Add(time.Hour)}
	if err := s.PutSession(t.Context(), want); err != nil {
		t.Fatal(err)
	}
	if got, err := s.GetSession(t.Context(), "hash", epoch); err != nil || got != want {
		t.Errorf("%+v %v", got, err)
	}
	if _, err := s.GetSession(t.Context(), "hash", epoch.Add(time.Hour)); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("after its end: %v", err)
	}
	if err := s.DeleteSession(t.Context(), "hash"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.GetSession(t.Context(), "hash", epoch); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("deleted: %v", err)
	}
}

func retention(t *testing.T, s store.Store) {
	old := epoch.Add(-100 * 24 * time.Hour)
	week := epoch.Add(-8 * 24 * time.Hour)
	gone := trip("web", "ls", "c1", 1, old)
	out := commit(t, s, old, gone)
	kept := commit(t, s, week, trip("web", "ls", "c1", 2, week))
	ahead := trip("web", "cat", "c1", 3, epoch) // received long ago, but its clock says today
	ahead.Alarm.Received = old
	commit(t, s, old, ahead)
	for range 2 {
		for _, d := range claim(t, s, "chat", epoch) {
			if err := s.Complete(t.Context(), d.ID, d.Queued); err != nil {
				t.Fatal(err)
			}
		}
		for _, d := range claim(t, s, "pager", epoch) {
			if err := s.Complete(t.Context(), d.ID, d.Queued); err != nil {
				t.Fatal(err)
			}
		}
	}
	removed, err := s.Retain(t.Context(), store.Retention{}, epoch)
	if err != nil || removed.Alarms != 1 || removed.Bodies != 3 {
		t.Errorf("removed: %+v %v", removed, err)
	}
	if out := commit(t, s, epoch, ahead); !out[0].Duplicate {
		t.Error("the nonce of an alarm that can still be replayed was forgotten")
	}
	if alarms, err := s.Alarms(t.Context(), kept[0].Incident, 0); err != nil || len(alarms) != 1 || alarms[0].Event != nil {
		t.Errorf("body: %+v %v", alarms, err)
	}
	_ = out
}

func hostile(t *testing.T, s store.Store) {
	a := trip("web", "ls", "c\x00\xff'; DROP TABLE alarms; --", 1, epoch)
	a.Alarm.Event.Argv = []string{"ls", "\x00\x01\xff\u2028", strings.Repeat("x", 20000)}
	a.Alarm.Event.Ancestors = []alert.Process{{Comm: "\xffsh\x00"}}
	a.Alarm.Event.Peers = []alert.Peer{{FD: 1, Remote: "\x00"}}
	out := commit(t, s, epoch, a, trip("web", "cat", "c1", 2, epoch))
	alarms, err := s.Alarms(t.Context(), out[0].Incident, 0)
	if err != nil || len(alarms) != 1 || !strings.Contains(alarms[0].Event.Argv[1], "\x00\x01") {
		t.Errorf("%+v %v", alarms, err)
	}
}

func live(t *testing.T, s store.Store) {
	wake, cancel := s.Subscribe()
	defer cancel()
	before, err := s.Revision(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	commit(t, s, epoch, trip("web", "ls", "c1", 1, epoch))
	select {
	case <-wake:
	case <-time.After(5 * time.Second):
		t.Fatal("no wake")
	}
	news, err := s.ListIncidents(t.Context(), store.IncidentQuery{Revision: before})
	if err != nil || len(news) != 1 || news[0].Revision <= before {
		t.Errorf("%+v %v", news, err)
	}
	if none, err := s.ListIncidents(t.Context(), store.IncidentQuery{Revision: news[0].Revision}); err != nil || len(none) != 0 {
		t.Errorf("%+v %v", none, err)
	}
	cancel()
	if err := s.Ping(t.Context()); err != nil {
		t.Error(err)
	}
}

// writers commit at once: nothing is lost, no incident is opened twice.
func writers(t *testing.T, s store.Store) {
	const goroutines, batches, size = 4, 10, 20
	var wg sync.WaitGroup
	errs := make(chan error, goroutines*batches)
	for g := range goroutines {
		wg.Go(func() {
			for b := range batches {
				var arrivals []store.Arrival
				for i := range size {
					arrivals = append(arrivals, trip("web", fmt.Sprintf("d%d", i%5), "c1", 1+g*1000+b*size+i, epoch))
				}
				_, err := s.Commit(context.WithoutCancel(t.Context()), arrivals, policy(epoch))
				errs <- err
			}
		})
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
	found := list(t, s)
	var total int64
	for _, one := range found {
		total += one.Count
	}
	if len(found) != 5 || total != goroutines*batches*size {
		t.Errorf("%d incidents with %d hits", len(found), total)
	}
}
