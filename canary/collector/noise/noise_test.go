package noise

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/hardstand/hardstand/canary/alert"
	"github.com/hardstand/hardstand/canary/collector/store"
	"github.com/hardstand/hardstand/internal/deptest"
)

func TestSeverity(t *testing.T) {
	decoy := func(kind, origin string) store.Alarm {
		return store.Alarm{Kind: store.KindDecoy, Proof: store.ProofKey, Event: &alert.Event{Kind: kind, Origin: origin}}
	}
	for name, one := range map[string]struct {
		alarm store.Alarm
		want  store.Severity
	}{
		"inside the application":  {decoy("", alert.FromInside), store.Critical},
		"docker exec":             {decoy("", alert.FromOutside), store.High},
		"program refused":         {decoy(alert.KindDenied, alert.FromInside), store.Critical},
		"program not on the list": {decoy(alert.KindExec, alert.FromInside), store.High},
		"file opened":             {decoy(alert.KindRead, ""), store.High},
		"name only":               {store.Alarm{Kind: store.KindDecoy, Channel: store.ChannelDNS, Proof: store.ProofName}, store.Low},
		"secret used":             {store.Alarm{Kind: store.KindToken, Channel: "aws", Proof: store.ProofKey}, store.Critical},
		"identity named":          {store.Alarm{Kind: store.KindToken, Channel: "aws", Proof: store.ProofNone}, store.Medium},
		"host looked up":          {store.Alarm{Kind: store.KindToken, Channel: store.ChannelDNS, Proof: store.ProofNone}, store.Low},
		"drill":                   {store.Alarm{Kind: store.KindDrill}, store.Info},
		"silence":                 {store.Alarm{Kind: store.KindDead}, store.High},
		"Falco":                   {store.Alarm{Kind: store.KindRule, Facts: map[string]string{"priority": "Emergency"}}, store.High},
	} {
		if got := Severity(&one.alarm); got != one.want {
			t.Errorf("%s: %v, want %v", name, got, one.want)
		}
	}
}

func TestMatch(t *testing.T) {
	for _, one := range []struct {
		pattern, text string
		want          bool
	}{
		{"registry.example/*", "registry.example/team/web", true}, {"ls -*", "ls -la /root", true}, {"ls", "ls -la", false},
		{"/usr/bin/*", "/usr/bin/tini", true}, {"[", "[", false}, {"*", "", true},
	} {
		if got := Match(one.pattern, one.text); got != one.want {
			t.Errorf("%q %q: %t", one.pattern, one.text, got)
		}
	}
}

// TestMute: a mute never reaches past its end, and never without a field set.
func TestMute(t *testing.T) {
	now := time.Now()
	i := store.Incident{Build: "web", Image: "web:1", Decoy: "ls"}
	for _, one := range []struct {
		mute store.Mute
		want bool
	}{
		{store.Mute{Build: "web", Until: now.Add(time.Hour)}, true}, {store.Mute{Build: "web", Until: now}, false}, {store.Mute{Until: now.Add(time.Hour)}, false},
		{store.Mute{Build: "web", Decoy: "cat", Until: now.Add(time.Hour)}, false}, {store.Mute{Build: "web", From: now.Add(time.Minute), Until: now.Add(time.Hour)}, false},
	} {
		if got := Muted(&one.mute, &i, now); got != one.want {
			t.Errorf("%+v: %t", one.mute, got)
		}
	}
}

func FuzzClean(f *testing.F) {
	f.Add("a\x00\xff\u202e\nb", 5)
	f.Fuzz(func(t *testing.T, s string, limit int) {
		limit &= 0xfff
		got := Clean(s, limit)
		if len(got) > limit || !utf8.ValidString(got) || strings.ContainsAny(got, "\x00\n\r\x1b\u202e") {
			t.Fatalf("%q", got)
		}
	})
}

func TestDependencies(t *testing.T) {
	deptest.Check(t, deptest.Allow{
		"github.com/hardstand/hardstand/canary/alert":           "what a decoy saw",
		"github.com/hardstand/hardstand/canary/collector/store": "the nouns",
	})
}
