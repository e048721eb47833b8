package alert

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func TestNameComesBack(t *testing.T) {
	m := testMaster(t)
	for _, build := range []string{"b1", strings.Repeat("f", 40)} {
		e := Event{Build: build, Decoy: "apt-get", Nonce: Nonce{7, 9}}
		name, err := m.Key(build, e.Decoy).Name(e, "canary.example.")
		if err != nil {
			t.Fatal(err)
		}
		a, err := ParseName(strings.ToUpper(name)+".", "Canary.Example")
		if err != nil || a.Build != build || a.Decoy != e.Decoy || a.Nonce != e.Nonce {
			t.Fatalf("%s: %+v %v", name, a, err)
		}
		if err := m.VerifyName(a); err != nil {
			t.Error(err)
		}
		a.Decoy = "ls"
		if !errors.Is(m.VerifyName(a), ErrForged) || !errors.Is(NewMaster().VerifyName(a), ErrForged) {
			t.Error("another decoy or master verifies")
		}
	}
	if _, err := m.Key("b", "ls").Name(Event{Build: "b", Decoy: "ls"}, strings.Repeat("z.", 120)); err == nil {
		t.Error("a name longer than DNS allows was made")
	}
}

func FuzzParseName(f *testing.F) {
	m := testMaster(f)
	name, err := m.Key("b1", "ls").Name(Event{Build: "b1", Decoy: "ls", Nonce: Nonce{1}}, "z.test")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(name)
	f.Add("a.b.c.z.test")
	f.Fuzz(func(t *testing.T, name string) {
		if a, err := ParseName(name, "z.test"); err == nil && m.VerifyName(a) == nil && (a.Build != "b1" || a.Decoy != "ls") {
			t.Errorf("%q verifies as %+v", name, a)
		}
	})
}

func TestDrillVerifies(t *testing.T) {
	m := testMaster(t)
	at := time.Date(2026, 11, 22, 18, 0, 0, 0, time.UTC)
	message, err := Parse(m.Drill("b1", "ls", at))
	if err != nil || m.Verify(message) != nil {
		t.Fatal(err)
	}
	if e := message.Event; e.Kind != KindDrill || !e.At().Equal(at) || e.Origin != "" {
		t.Errorf("%+v", e)
	}
}
