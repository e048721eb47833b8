// Package storetest is the suite that every store must pass. Tests only.
package storetest

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"strings"
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
		"Revoke": revoke, "Forget": forget, "Sessions": sessions, "Retention": retention, "Hostile": hostile, "Live": live, "Writers": writers, "Drill": drill,
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
