package register

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hardstand/hardstand/canary/alert"
	"github.com/hardstand/hardstand/canary/decoy"
	"github.com/hardstand/hardstand/canary/token"
	"github.com/hardstand/hardstand/internal/deptest"
)

func TestDependencies(t *testing.T) {
	deptest.Check(t, deptest.Allow{
		"github.com/hardstand/hardstand/canary/alert":        "the master secret",
		"github.com/hardstand/hardstand/canary/decoy/...":    "what was planted",
		"github.com/hardstand/hardstand/canary/internal/...": "through the decoys",
		"github.com/hardstand/hardstand/canary/token":        "what was planted",
	})
}

func record() Record {
	return Record{
		Build: "web-1", Image: "web", Owner: "team-web", Planted: time.Unix(1, 0).UTC(),
		Decoys: &decoy.Register{Version: 1, Build: "web-1", Decoys: []decoy.Registered{{Name: "ls", Path: "/usr/bin/ls"}}},
		Tokens: &token.Register{Version: 1, Build: "web-1"},
	}
}

func TestSealAndOpen(t *testing.T) {
	master, other := alert.NewMaster(), alert.NewMaster()
	sealed, err := Seal(master, record())
	if err != nil {
		t.Fatal(err)
	}
	got, err := Open(sealed, other, master)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(record(), got); diff != "" {
		t.Error(diff)
	}
	for _, secret := range []string{"/usr/bin/ls", "team-web"} {
		if bytes.Contains(sealed, []byte(secret)) {
			t.Errorf("%s can be read", secret)
		}
	}
	if _, err := Open(sealed, other); !errors.Is(err, ErrKey) {
		t.Errorf("with another master: %v", err)
	}
	again, err := Seal(master, record())
	if err != nil || bytes.Equal(sealed, again) {
		t.Errorf("a nonce was used twice: %v", err)
	}
}

func TestEveryBitCounts(t *testing.T) {
	master := alert.NewMaster()
	sealed, err := Seal(master, record())
	if err != nil {
		t.Fatal(err)
	}
	for i := range sealed {
		changed := bytes.Clone(sealed)
		changed[i] ^= 4
		if _, err := Open(changed, master); err == nil {
			t.Fatalf("byte %d, %q, may be changed", i, sealed[i])
		}
	}
	for _, text := range []string{"", "hardstand-register/1 ", "hardstand-register/1 b", "hardstand-register/1 b\n", "hardstand-register/2 b\nAAAA", strings.Repeat("x", MaxFile+1)} {
		if _, err := Open([]byte(text), master); err == nil {
			t.Errorf("%.40q was opened", text)
		}
	}
}

func FuzzOpen(f *testing.F) {
	master := alert.NewMaster()
	sealed, err := Seal(master, record())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(sealed)
	f.Add([]byte("hardstand-register/1 web-1\nAAAA\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := Open(data, master)
		one := func(b []byte) string { return strings.ReplaceAll(string(b), "\n", "") }
		if err == nil && one(data) != one(sealed) {
			t.Errorf("a forged register was opened: %+v", r)
		}
	})
}
