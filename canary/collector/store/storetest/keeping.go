package storetest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hardstand/hardstand/canary/alert"
	"github.com/hardstand/hardstand/canary/collector/store"
)

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

func forget(t *testing.T, s store.Store) {
	if err := s.ImportCanaries(t.Context(), []store.Canary{{Build: "web", Guard: true}, {Build: "api"}, {Build: "leaked"}}); err != nil {
		t.Fatal(err)
	}
	if err := s.Heartbeat(t.Context(), map[string]time.Time{"web": epoch, "api": epoch}); err != nil {
		t.Fatal(err)
	}
	if err := s.Revoke(t.Context(), "leaked", true, responder); err != nil {
		t.Fatal(err)
	}
	if err := s.ForgetCanaries(t.Context(), []string{"web", "leaked", "unknown"}); err != nil {
		t.Fatal(err)
	}
	found, err := s.Canaries(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range found {
		if c.Build == "web" && (c.Guard || !c.LastHeartbeat.IsZero()) || c.Build == "api" && c.LastHeartbeat.IsZero() {
			t.Errorf("%+v", c)
		}
	}
	if out := commit(t, s, epoch, trip("leaked", "ls", "c1", 1, epoch)); !out[0].Revoked {
		t.Error("a build that was forgotten is no longer revoked")
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
